"""The options of the Spark data source, which are strings, and what they read."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from scenario_etl.arguments import check_integer
from scenario_etl.errors import ConfigError
from scenario_etl.extract import scan
from scenario_etl.filters import FLAG, PROJECT_ID, Filter
from scenario_etl.redact import redact
from scenario_etl.resources import RESOURCES, resource_of
from scenario_etl.schema import Resource
from scenario_etl.source import Source

Parser = Callable[[str, str], Any]  # of the name of an option and its text


@dataclass(frozen=True, slots=True)
class SparkOptions:
    """What a DataFrame reads.

    Attributes:
        source: The resource, filters and options of the scan.
        columns: The names of the columns, in order.
        partitions: The maximum number of partitions.
        limit: The maximum number of rows, None for all.

    """

    source: Source
    columns: tuple[str, ...]
    partitions: int
    limit: int | None


def parse_options(options: Mapping[str, str]) -> SparkOptions:
    """Return what the options of a DataFrame read. The names are not case-sensitive, as in Spark.

    Raises:
        ConfigError: An option is unknown or missing, or its value is not valid.

    """
    texts = {name.lower(): text for name, text in options.items()}
    if "resource" not in texts:
        raise ConfigError(f"the option resource is missing; set it to one of: {', '.join(RESOURCES)}")
    resource = resource_of(texts.pop("resource"))
    parsers = _parsers(resource)
    names = {_option_name(argument).lower(): argument for argument in parsers}
    for name in sorted(texts.keys() - names.keys()):
        raise _unknown("option", name, resource, map(_option_name, ("resource", *parsers)))
    values = {names[name]: parsers[names[name]](_option_name(names[name]), text) for name, text in texts.items()}
    columns, partitions, limit = (values.pop(name, None) for name in _SPARK_ONLY)
    try:
        source = scan(resource.name, **values).source
    except ConfigError as error:
        raise ConfigError(_with_option_names(str(error), parsers)) from None
    if limit is not None and (partitions or 1) > 1:
        raise ConfigError(
            f"limit cannot be used with more than one partition, got limit {limit} and partitions {partitions}; omit "
            "one of them"
        )
    return SparkOptions(
        source=source,
        columns=_check_columns(source.resource, columns or source.resource.schema.names),
        partitions=partitions or 1,
        limit=limit,
    )


def check_column(resource: Resource, name: str) -> None:
    """Raise ConfigError if a resource has no column with this name."""
    if name not in resource.schema.names:
        raise _unknown("column", name, resource, resource.schema.names)


def _check_columns(resource: Resource, names: Any) -> tuple[str, ...]:
    for name in names:
        check_column(resource, name)
        if names.count(name) > 1:
            raise ConfigError(f"columns contains {name} more than once; list each column once")
    return tuple(names)


def _parsers(resource: Resource) -> dict[str, Parser]:
    """Return a parser for each argument that the options of a resource can set."""
    of_projects = ("all_projects", "skip_forbidden") if PROJECT_ID in resource.filters else ()
    included = [column.included_by for column in RESOURCES[resource.name].columns if column.included_by]
    return {
        **{each.name: _parser(each) for each in resource.filters},
        **dict.fromkeys((*of_projects, "strict", *included), _flag),
        **({"page_size": _integer} if resource.page_sizes else {}),
        "signed_urls": _text,
        **_SPARK_ONLY,
    }


def _parser(declared: Filter) -> Parser:
    if declared == PROJECT_ID:
        return _text_or_texts
    return _texts if declared.type.is_list else _flag if declared.type == FLAG else _text


def _option_name(argument: str) -> str:
    """Return the name of an argument in camelCase, as in the API."""
    return re.sub("_(.)", lambda match: match[1].upper(), argument)


def _with_option_names(message: str, arguments: Iterable[str]) -> str:
    """Return a message about arguments of `scan` with the names of the options."""
    return re.sub(rf"\b({'|'.join(arguments)})\b", lambda match: _option_name(match[1]), message)


def _text(_: str, text: str) -> str:
    return text.strip()


def _texts(_: str, text: str) -> list[str]:
    return [each.strip() for each in text.split(",")]


def _text_or_texts(name: str, text: str) -> str | list[str]:
    return _texts(name, text) if "," in text else _text(name, text)


def _flag(name: str, text: str) -> bool:
    try:
        return {"true": True, "false": False}[text.strip().lower()]
    except KeyError:
        raise ConfigError(f"{name} must be true or false, got {redact(repr(text))}") from None


def _integer(name: str, text: str) -> int:
    try:
        return check_integer(name, int(text), 1)
    except ValueError:
        raise ConfigError(f"{name} must be an integer, got {redact(repr(text))}") from None


_SPARK_ONLY: dict[str, Parser] = {"columns": _texts, "partitions": _integer, "limit": _integer}


def _unknown(kind: str, name: str, resource: Resource, known: Any) -> ConfigError:
    names = list(known)
    by_lower = {each.lower(): each for each in names}
    close = get_close_matches(name.lower(), by_lower, 1)
    hint = f"did you mean {by_lower[close[0]]!r}? The" if close else "the"
    return ConfigError(
        f"unknown {kind} {redact(repr(name))}; {hint} {kind}s of {resource.name} are: {', '.join(names)}"
    )
