"""Filters of a list: validation, and encoding as query parameters."""

import datetime as dt
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scenario_etl.arguments import flag, text
from scenario_etl.errors import ConfigError
from scenario_etl.redact import redact


@dataclass(frozen=True, slots=True)
class FilterType:
    """How the value of a filter is checked and written into a query.

    Attributes:
        description: What a value is, such as "text".
        encode: takes the name of the argument and its value; returns the text of the query, or raises ConfigError.
        is_list: whether the value is a list, which the API takes as one text with commas.

    """

    description: str
    encode: Callable[[str, Any], str]
    is_list: bool = False


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter that a list of the API declares.

    Attributes:
        name: of the argument, in snake_case; the option of the command line is the same with hyphens.
        api_name: of the query parameter.
        type: TEXT, TEXTS, DATE or FLAG.
        description: one sentence, for `--help` and the documentation.
        adds: query parameters that the API needs beside this one, such as the order that a date filter works in.
        needs: names of filters of which one must be set, too; otherwise the API ignores this one.
        excludes: names of filters that cannot be used with this one.

    """

    name: str
    api_name: str
    type: FilterType
    description: str
    adds: Mapping[str, str] = field(default_factory=dict, hash=False)
    needs: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()


def query_for(resource: str, filters: Sequence[Filter], values: Mapping[str, object]) -> dict[str, str]:
    """Return the query of a request for filters whose value is not None.

    Args:
        resource: the name of the list, for messages.
        filters: that the list declares.
        values: by the names of the filters.

    Raises:
        ConfigError: a filter is not declared, has a value that is not valid, lacks another one, or conflicts with one.

    """
    set_values = {name: value for name, value in values.items() if value is not None}
    _check_names(resource, filters, set_values)
    query: dict[str, str] = {}
    for each in filters:
        if each.name not in set_values:
            continue
        _check_companions(each, set_values)
        for name, value in {**each.adds, each.api_name: each.type.encode(each.name, set_values[each.name])}.items():
            if query.setdefault(name, value) != value:
                raise ConfigError(f"{each.name} needs {name}={value}, but another filter needs {name}={query[name]}")
    return query


def _check_names(resource: str, filters: Iterable[Filter], names: Collection[str]) -> None:
    declared = [each.name for each in filters]
    if unknown := [name for name in sorted(names) if name not in declared]:
        raise ConfigError(
            f"{', '.join(map(repr, unknown))} is not an argument or a filter of {resource}; its filters are: "
            f"{', '.join(declared) or 'none'}"
        )


def _check_companions(each: Filter, names: Collection[str]) -> None:
    if each.needs and not any(name in names for name in each.needs):
        raise ConfigError(f"{each.name} works only together with {' or '.join(each.needs)}")
    if conflicting := [name for name in each.excludes if name in names]:
        raise ConfigError(f"{each.name} and {conflicting[0]} cannot be used together")


def _encode_texts(name: str, value: Any) -> str:
    """Return the texts sorted, each once: a query, and the scope that it becomes, depend on no order of a set."""
    is_list = isinstance(value, Iterable) and not isinstance(value, Mapping)
    values = [value] if isinstance(value, str) else list(value) if is_list else []
    if not values or any(isinstance(each, str) and "," in each for each in values):
        raise ConfigError(f"{name} must be a non-empty list of strings without commas, got {redact(repr(value))}")
    return ",".join(sorted({text(name, each) for each in values}))


def _encode_date(name: str, value: Any) -> str:
    """Return an instant in ISO 8601, in UTC and milliseconds, as the API has them; a date is its first instant."""
    try:
        moment = _moment(value)
        return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError):  # an offset of a day or more, or one that leads out of the calendar
        raise ConfigError(
            f"{name} must be a date or time, such as 2026-11-23T08:00:00Z, got {redact(repr(value))}"
        ) from None


def _moment(value: Any) -> dt.datetime:
    """Return a date or time as a datetime with an offset, UTC where it has none; raise ValueError for others."""
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}.*", value, re.ASCII):
        value = dt.datetime.fromisoformat(value)
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        value = dt.datetime.combine(value, dt.time())
    if not isinstance(value, dt.datetime) or value != value:  # noqa: PLR0124 - pandas' NaT is a datetime
        raise ValueError
    return value.replace(tzinfo=dt.UTC) if value.utcoffset() is None else value


def _encode_flag(name: str, value: Any) -> str:
    return str(flag(name, value)).lower()


TEXT = FilterType("text", text)
TEXTS = FilterType("list of texts", _encode_texts, is_list=True)
DATE = FilterType("date or time in UTC", _encode_date)
FLAG = FilterType("true or false", _encode_flag)

# beside the types, because the limit on requests is per project
PROJECT_ID = Filter("project_id", "projectId", TEXT, "Limit to one project. Default: the project of the API key.")
