"""Filters of a resource: validation, and encoding as query parameters."""

import datetime as dt
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scenario_etl.arguments import check_bool, check_choice, check_text
from scenario_etl.errors import ConfigError
from scenario_etl.redact import redact


@dataclass(frozen=True, slots=True)
class FilterType:
    """The validation and encoding of the value of a filter.

    Attributes:
        encode: Function of the name and the value of an argument that returns the query value, or raises ConfigError.
        is_list: Whether the value is a list, which is encoded as one string with commas.
        choices: The valid values, as in the API; empty if any value is valid.

    """

    encode: Callable[[str, Any], str]
    is_list: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter of a resource.

    Attributes:
        name: Name of the argument in snake_case; the option of the command line has hyphens instead.
        api_name: Name of the query parameter; "" for a confirmation, which is not sent.
        type: Type of the value: TEXT, TEXTS, DATE, END_DATE, FLAG or the result of `choice_of`.
        description: One sentence for `--help` and the documentation.
        adds: Other query parameters that the API needs for this filter, such as the sort order of a date filter.
        needs: Conditions of which at least one must be met, because the API ignores this filter otherwise. A condition
            is the name of a filter that must be set, or a name and a value, as in "privacy=public".
        needs_for: Conditions as in `needs` that only apply to certain values of this filter, by value.
        excludes: Conditions under which this filter cannot be used.
        only_with: Names of the only filters that can be combined with this one, None for any.

    """

    name: str
    api_name: str
    type: FilterType
    description: str
    adds: Mapping[str, str] = field(default_factory=dict, hash=False)
    needs: tuple[str, ...] = ()
    needs_for: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    excludes: tuple[str, ...] = ()
    only_with: tuple[str, ...] | None = None


def query_for(
    resource: str, filters: Sequence[Filter], values: Mapping[str, object], arguments: Collection[str] = ()
) -> dict[str, str]:
    """Return the query parameters for the filters whose value is not None.

    Args:
        resource: The name of the resource, for messages.
        filters: The filters that the resource declares.
        values: The values, by the names of the filters.
        arguments: The names of the other arguments, for messages.

    Raises:
        ConfigError: A filter is not declared or its value is not valid, or it needs or excludes another filter.

    """
    set_values = {name: value for name, value in values.items() if value is not None}
    _check_names(resource, filters, set_values, arguments)
    chosen = [each for each in filters if each.name in set_values]
    encoded = {each.name: _encode(each, set_values[each.name]) for each in chosen}
    _check_order(encoded)
    query: dict[str, str] = {}
    set_by: dict[str, str] = {}
    for each in chosen:
        _check_combination(each, encoded)
        sent = {each.api_name: encoded[each.name]} if each.api_name else {}
        for name, value in {**each.adds, **sent}.items():
            other = set_by.setdefault(name, each.name)
            if query.setdefault(name, value) != value:
                raise ConfigError(
                    f"{other} and {each.name} cannot be used together, because the API requires a different {name} for "
                    "each; omit one of them"
                )
    return query


def _check_names(
    resource: str, filters: Iterable[Filter], names: Collection[str], other_names: Collection[str]
) -> None:
    declared = [each.name for each in filters]
    if unknown := [name for name in sorted(names) if name not in declared]:
        from difflib import get_close_matches  # noqa: PLC0415 - only an error needs it

        close = get_close_matches(unknown[0], [*declared, *other_names], 1, cutoff=0.85)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        known = f"the filters of {resource} are: {', '.join(declared)}" if declared else f"{resource} has no filters"
        arguments = "arguments" if len(unknown) > 1 else "argument"
        raise ConfigError(f"unknown {arguments} {', '.join(map(repr, unknown))}{hint}; {known}")


def _check_order(encoded: Mapping[str, str]) -> None:
    for event in ("created", "updated"):
        after, before = encoded.get(f"{event}_after"), encoded.get(f"{event}_before")
        if after and before and after >= before:
            raise ConfigError(f"{event}_after must be earlier than {event}_before, got {after} and {before}")


def _check_combination(declared: Filter, encoded: Mapping[str, str]) -> None:
    name, value = declared.name, encoded[declared.name]
    true = {*encoded, *(f"{each}={text}" for each, text in encoded.items())}
    for what, needs in ((name, declared.needs), (f"{name}={value}", declared.needs_for.get(value, ()))):
        if needs and true.isdisjoint(needs):
            raise ConfigError(f"{what} requires {' or '.join(needs)}")
    is_alone = declared.only_with is not None and value != "false"
    others = encoded.keys() - {name, *(declared.only_with or ())} if is_alone else set()
    if conflicting := true & {*declared.excludes, *others}:
        raise ConfigError(f"{name} and {min(conflicting)} cannot be used together; omit one of them")


def _encode(declared: Filter, value: object) -> str:
    if declared.type.choices:
        check_choice(declared.name, value, declared.type.choices)
    return declared.type.encode(declared.name, value)


def _encode_texts(name: str, value: Any) -> str:
    """Return the sorted strings without duplicates, so that equal sets have the same query and scope."""
    is_list = isinstance(value, Iterable) and not isinstance(value, Mapping)
    values = [value] if isinstance(value, str) else list(value) if is_list else []
    if not values or any(isinstance(each, str) and "," in each for each in values):
        raise ConfigError(f"{name} must be a non-empty list of strings without commas, got {redact(repr(value))}")
    return ",".join(sorted({check_text(name, each) for each in values}))


def _encode_date(name: str, value: Any, round_up: dt.timedelta = dt.timedelta()) -> str:
    """Return a time in ISO 8601, in UTC with milliseconds as in the API; a date becomes the start of that day."""
    try:
        moment = (_moment(value) + round_up).astimezone(dt.UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")  # rounded down
    except (ValueError, OverflowError):  # the offset is a day or more, or the result is outside the range of datetime
        raise ConfigError(
            f"{name} must be a date or time, such as 2026-11-23T08:00:00Z, got {redact(repr(value))}"
        ) from None


def _encode_end(name: str, value: Any) -> str:
    return _encode_date(name, value, dt.timedelta(microseconds=999))


def _moment(value: Any) -> dt.datetime:
    """Return a date or time as a datetime with an offset, UTC by default; raise ValueError for other values."""
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}([T ](?!.*[.,]\d{7}).*)?", value, re.ASCII):
        value = dt.datetime.fromisoformat(value)
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        value = dt.datetime.combine(value, dt.time())
    if not isinstance(value, dt.datetime) or value != value:  # noqa: PLR0124 - pandas' NaT is a datetime
        raise ValueError
    if getattr(value, "nanosecond", None):  # of a pandas Timestamp
        raise ValueError
    return value.replace(tzinfo=dt.UTC) if value.utcoffset() is None else value


def can_add(filters: Sequence[Filter], query: Mapping[str, str], names: Iterable[str]) -> bool:
    """Return whether filters with these names can be added to the filters of a query."""
    declared = {each.name: each for each in filters}
    if not declared.keys() >= {*names}:
        return False
    chosen = {each.name: query[each.api_name] for each in filters if each.api_name in query}
    chosen |= {name: chosen.get(name, "") for name in names}
    try:
        for name in chosen:
            _check_combination(declared[name], chosen)
    except ConfigError:
        return False
    added = [item for name in names for item in declared[name].adds.items()]
    return all(query.get(name, value) == value for name, value in added)


def project_query(project: str | None) -> dict[str, str]:
    """Return the query parameter for a project, none for None."""
    return {} if project is None else {PROJECT_ID.api_name: project}


def is_filtered(query: Mapping[str, str]) -> bool:
    """Return whether query parameters of a list have a filter other than the project."""
    return bool(query.keys() - {PROJECT_ID.api_name})


def choice_of(*choices: str) -> FilterType:
    """Return the type of a filter whose value is one of several words."""
    return FilterType(check_text, choices=choices)


def _encode_flag(name: str, value: Any) -> str:
    return str(check_bool(name, value)).lower()


TEXT = FilterType(check_text)
TEXTS = FilterType(_encode_texts, is_list=True)
DATE = FilterType(_encode_date)  # a lower bound, rounded down to milliseconds
END_DATE = FilterType(_encode_end)  # an upper bound, rounded up to milliseconds, so that no record is left out
FLAG = FilterType(_encode_flag)

# not in resources.py, because rate limiting needs it, too
PROJECT_ID = Filter(
    "project_id", "projectId", TEXT, "Limit to one project, or to several. Default: the project of the API key."
)
