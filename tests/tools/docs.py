"""`python -m tests.tools.docs`: write the generated parts of the documentation, from the package itself.

A generated part starts with `<!-- generated: NAME -->` and ends with `<!-- end: NAME -->`. Everything else on a page is
written by hand.
"""

import ast
import dataclasses
import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, get_overloads

import click

import scenario_etl
from scenario_etl import charts
from scenario_etl.cli_resources import filter_help
from scenario_etl.column_types import ANY, JSON
from scenario_etl.resources import RESOURCES
from scenario_etl.schema import Resource

CHECKOUT = Path(__file__).parents[2]
PACKAGE = Path(scenario_etl.__file__).parent
MAX_LINE = 100  # characters of a signature on one line
SECTION = re.compile(r"(Args|Attributes|Returns|Raises|Yields):")
ENTRY = re.compile(r" {4}(\*{0,2}\w+): (.*)")
JSON_NOTES = {JSON: ", JSON", ANY: ", JSON unless a string"}
QUALIFIER = re.compile(r"\b(?:[a-z_]\w*\.)+(?=[A-Z])")  # the modules in front of a type


def tables() -> str:
    """Return one section for each resource: primary key, page sizes, filters and columns."""
    return "\n\n".join(map(_resource, RESOURCES.values()))


def _resource(resource: Resource) -> str:
    sizes = "not applicable; the list is not paginated"
    if resource.page_sizes:
        sizes = "from {} to {} records".format(*resource.page_sizes)
    dtypes = {column["name"]: column["numpy_type"] for column in resource.schema.pandas_metadata["columns"]}
    rows = [
        (
            f"`{field.name}`",
            f"`{field.type}`{JSON_NOTES.get(column.type, '')}{'' if field.nullable else ', not null'}",
            f"`{dtypes.get(field.name, 'object')}`",
            f"`{column.field}`",
            column.description + (f" Only with `{column.included_by}`." if column.included_by else ""),
        )
        for field, column in zip(resource.schema, resource.columns, strict=True)
    ]
    lines = [
        f"## {resource.name}",
        "",
        f"- Primary key: {', '.join(f'`{name}`' for name in resource.primary_key)}",
        f"- Page size: {sizes}",
        "",
        _table(("column", "Arrow type", "pandas dtype", "field in the API", "description"), rows),
    ]
    if resource.filters:
        filters = [
            (f"`{each.name}`", f"`{each.api_name}`" if each.api_name else "", filter_help(each))
            for each in resource.filters
        ]
        lines += ["", _table(("filter", "name in the API", "description"), filters)]
    return "\n".join(lines)


def module_map() -> str:
    """Return a table of the modules of the package, with the first line of each docstring."""
    paths = sorted(PACKAGE.rglob("*.py"), key=lambda path: (len(path.relative_to(PACKAGE).parts), path))
    rows = []
    for path in paths:
        purpose = (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]
        rows.append((f"`{path.relative_to(PACKAGE)}`", purpose.replace("|", "\\|")))
    return _table(("module in `scenario_etl/`", "purpose"), rows)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows))


def api() -> str:
    """Return the public names with their signatures and docstrings, grouped by kind."""
    public = [(name, getattr(scenario_etl, name)) for name in scenario_etl.__all__]
    errors = [(n, v) for n, v in public if inspect.isclass(v) and issubclass(v, Exception)]
    groups = {
        "Functions": [(n, v) for n, v in public if inspect.isfunction(v)],
        "Classes": [(n, v) for n, v in public if inspect.isclass(v) and (n, v) not in errors],
        "Errors": errors,
        "Charts": [(f"charts.{name}", getattr(charts, name)) for name in charts.__all__],
    }
    assert sum(map(len, groups.values())) == len(public) + len(charts.__all__)
    parts = []
    for title, names in groups.items():
        parts.append(f"## {title}")
        if title == "Charts":
            parts.append(
                "The charts require the `report` extra; without it, `scenario_etl.charts` raises `ModuleNotFoundError`."
                ' Each is a matplotlib Figure, which Jupyter shows; `figure.savefig("chart.png")` saves it.'
            )
        for name, value in names:
            parts += _described(name, value, "###")
    return "\n\n".join(parts)


def _described(name: str, value: Any, heading: str) -> Iterator[str]:
    """Yield the heading, the signature, the docstring and the members of a public name."""
    yield f"{heading} {name}"
    if signature := _signature(name, value):
        yield f"```python signature\n{signature}\n```"
    yield from _docstring(inspect.getdoc(value) or "")
    if inspect.isclass(value):
        for member_name, member in _members(value).items():
            if not member_name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property)):
                yield from _described(f"{name}.{member_name}", member, f"{heading}#")


def _members(value: type) -> dict[str, Any]:
    """Return the members of a class, and of its bases that are not public themselves."""
    public = {getattr(scenario_etl, name) for name in scenario_etl.__all__} - {value}
    bases = [each for each in reversed(value.__mro__) if each.__module__.startswith("scenario_etl.")]
    return {name: member for each in bases if each not in public for name, member in vars(each).items()}


def _signature(name: str, value: Any) -> str:
    if isinstance(value, property):
        returned = inspect.signature(value.fget).return_annotation
        return f"{name}: {_type(returned)}"
    if inspect.isclass(value):
        if issubclass(value, Exception):
            return f"class {name}({value.__base__.__name__})"
        if dataclasses.is_dataclass(value):  # made by functions, never by callers
            return f"class {name}"
        signature = inspect.signature(value).replace(return_annotation=inspect.Signature.empty)
        return f"class {_call(name, signature)}"
    return "\n".join(_call(name, inspect.signature(each)) for each in get_overloads(value) or [value])


def _call(name: str, signature: inspect.Signature) -> str:
    parameters = list(_parameters(signature.parameters.values()))
    returned = signature.return_annotation
    end = "" if returned is inspect.Signature.empty else f" -> {_type(returned)}"
    line = f"{name}({', '.join(parameters)}){end}"
    if len(line) <= MAX_LINE:
        return line
    return "\n".join([f"{name}(", *(f"    {parameter}," for parameter in parameters), f"){end}"])


def _parameters(parameters: Iterable[inspect.Parameter]) -> Iterator[str]:
    """Yield the parameters as in source code, without `self`."""
    kinds = [(kind, list(group)) for kind, group in groupby(parameters, lambda parameter: parameter.kind)]
    for kind, group in kinds:
        if kind is inspect.Parameter.KEYWORD_ONLY:
            yield "*"
        for parameter in group:
            if parameter.name == "self":
                continue
            stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}.get(kind, "")
            annotation = "" if parameter.annotation is parameter.empty else f": {_type(parameter.annotation)}"
            default = "" if parameter.default is parameter.empty else f" = {_default(parameter.default)}"
            yield f"{stars}{parameter.name}{annotation}{default}"


def _type(annotation: Any) -> str:
    """Return a type in the same words for every version of Python."""
    if isinstance(annotation, type) and not hasattr(annotation, "__args__"):
        return annotation.__name__
    text = QUALIFIER.sub("", str(annotation)).replace("NoneType", "None")
    return re.sub(r"^Optional\[(.*)\]$", r"\1 | None", text)


def _default(value: object) -> str:
    return f"{value.__module__}.{value.__name__}" if callable(value) else repr(value)


def _docstring(text: str) -> Iterator[str]:
    """Yield the blocks of a docstring as Markdown: paragraphs, lists of arguments, and examples."""
    for block in text.split("\n\n"):
        first, *rest = block.strip("\n").splitlines() or [""]
        if first.startswith(">>>"):
            yield f"```pycon\n{block.strip()}\n```"
        elif section := SECTION.fullmatch(first):
            yield f"**{section[1]}**"
            yield _entries(rest)
        elif first:
            yield textwrap.dedent(block).strip()


def _entries(lines: Sequence[str]) -> str:
    """Return the body of a section as a list; text without names stays a paragraph."""
    entries: list[str] = []
    for line in lines:
        if entry := ENTRY.fullmatch(line):
            entries.append(f"- `{entry[1]}`: {entry[2]}")
        elif entries:
            entries[-1] += f" {line.strip()}"
        else:
            entries.append(line.strip())
    return "\n".join(entries)


PARTS = {
    "CONTRIBUTING.md": ("modules", module_map),
    "docs/api.md": ("api", api),
    "docs/tables.md": ("tables", tables),
}


def generated(path: str) -> str:
    """Return the text of a page with its generated part as the package has it now."""
    name, make = PARTS[path]
    start, end = f"<!-- generated: {name} -->\n", f"<!-- end: {name} -->\n"
    text = (CHECKOUT / path).read_text()
    assert text.count(start) == text.count(end) == 1
    before, _, rest = text.partition(start)
    return f"{before}{start}\n{make()}\n\n{end}{rest.partition(end)[2]}"


@click.command()
def main() -> None:
    """Write the generated parts of the documentation."""
    for path in PARTS:
        (CHECKOUT / path).write_text(generated(path))


if __name__ == "__main__":
    main()
