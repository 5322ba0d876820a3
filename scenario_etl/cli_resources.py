"""Descriptions of the resources for the command `resources` and for `--help`."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import click

from scenario_etl.column_types import ANY, JSON
from scenario_etl.filters import Filter
from scenario_etl.resources import RESOURCES
from scenario_etl.schema import Column, Resource

MANY_RESOURCES = 6  # from this number on, the help names the others
MAX_WIDTH = 100  # characters of a line
JSON_TEXTS = {JSON: "JSON text", ANY: "string or JSON text"}


def overview() -> str:
    """Return one line for each resource: its name, primary key, page size and number of columns."""
    rows = [
        (each.name, ", ".join(each.primary_key), _page_size(each), str(len(each.columns)))
        for each in RESOURCES.values()
    ]
    return "\n".join(_aligned(("resource", "primary key", "page size", "columns"), rows))


def description(resource: Resource) -> str:
    """Return the columns and the filters of a resource."""
    primary_key = ", ".join(resource.primary_key)
    formatter = click.HelpFormatter(max_width=MAX_WIDTH)
    formatter.write(
        f"{resource.name}: GET {resource.path}, page size {_page_size(resource)}, primary key {primary_key}\n"
    )
    formatter.write("\ncolumns, with their Arrow types\n")
    formatter.write_dl([(each.name, _column_help(resource, each)) for each in resource.columns])
    if resource.filters:
        formatter.write("\nfilters\n")
        formatter.write_dl([(option_name(each.name), filter_help(each)) for each in resource.filters])
    return formatter.getvalue().rstrip()


def resources_with(name: str) -> str:
    """Return the names of the resources with this filter, or with columns that this argument adds."""
    lists: list[str] = []
    others: list[str] = []
    for each in RESOURCES.values():
        names = {*(known.name for known in each.filters), *(column.included_by for column in each.columns)}
        (lists if name in names else others).append(each.name)
    return ", ".join(lists) if len(lists) < MANY_RESOURCES else f"all except {' and '.join(others)}"


def page_sizes() -> str:
    """Return the page sizes of the resources: the most common, then others with the names of their resources."""
    sizes = Counter(each.page_sizes for each in RESOURCES.values() if each.page_sizes)
    texts = []
    for (smallest, largest), count in sizes.most_common():
        names = [each.name for each in RESOURCES.values() if each.page_sizes == (smallest, largest)]
        is_common = count == max(sizes.values())
        texts.append(f"{smallest} to {largest}" + ("" if is_common else f" for {', '.join(names)}"))
    return "; ".join(texts)


def option_name(name: str) -> str:
    """Return the option of the command line for an argument."""
    return f"--{name.replace('_', '-')}"


def _page_size(resource: Resource) -> str:
    return "{} to {}".format(*resource.page_sizes) if resource.page_sizes else "n/a"


def _type(resource: Resource, column: Column) -> str:
    if column.type in JSON_TEXTS:
        return JSON_TEXTS[column.type]
    field = resource.schema.field(column.name)
    return f"{field.type}{'' if field.nullable else ', not null'}"


def _column_help(resource: Resource, column: Column) -> str:
    only = f"Only with {option_name(column.included_by)}. " if column.included_by else ""
    return f"{column.description} {only}({_type(resource, column)})"


def filter_help(declared: Filter) -> str:
    """Return the description of a filter, with the filters that it requires or excludes."""
    parts = [declared.description]
    if declared.type.choices:
        parts.append(f"One of: {', '.join(declared.type.choices)}.")
    if declared.needs:
        parts.append(f"Requires {_joined(declared.needs, 'or')}.")
    for value, needs in declared.needs_for.items():
        parts.append(f"{value} requires {_joined(needs, 'or')}.")
    if declared.excludes:
        parts.append(f"Cannot be used with {_joined(declared.excludes, 'or')}.")
    if declared.only_with is not None:
        parts.append(f"Can only be combined with {_joined(declared.only_with, 'and')}.")
    return " ".join(parts)


def _joined(names: Sequence[str], conjunction: str) -> str:
    """Return names as in "a, b or c"."""
    *first, last = names
    return f"{', '.join(first)} {conjunction} {last}" if first else last


def _aligned(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    table = [header, *rows]
    widths = [max(len(row[place]) for row in table) for place in range(len(header))]
    for row in table:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
