"""Validation of arguments: each function raises a ValueError that states what is allowed and what was passed."""

from collections.abc import Iterable
from datetime import date, datetime
from numbers import Integral, Real
from typing import Any

MAX_QUOTED_CHARACTERS = 60


def whole_number(name: str, value: Any, minimum: int = 0, maximum: int | None = None) -> int:
    """Check that a value is an integer between two bounds, inclusive, and return it."""
    bounds = f"of at least {minimum:,}" if maximum is None else f"between {minimum:,} and {maximum:,}"
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not is_whole or value < minimum or (maximum is not None and value > maximum):
        raise _build_error(name, f"an integer {bounds}", value)
    return int(value)


def seconds(name: str, value: Any) -> float:
    """Check that a value is a number of seconds, and return it."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not 0 <= value < float("inf"):
        raise _build_error(name, "a number of seconds, 0 or more", value)
    return float(value)


def rows(name: str, value: Any) -> list[Any]:
    """Return the rows for a number of collections, or for an iterable of records."""
    is_number = isinstance(value, Integral) and not isinstance(value, bool)
    if is_number and value >= 0:
        return list(range(int(value)))
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | dict):
        return list(value)
    raise _build_error(name, "an integer, 0 or more, or a list of records", value)


def instances(name: str, value: Any, kind: type) -> list[Any]:
    """Check that each item of an iterable is None or an instance of a class, and return a list."""
    if not isinstance(value, Iterable) or isinstance(value, str | bytes | dict):
        raise _build_error(name, f"a list of {kind.__name__} objects or None", value)
    values = list(value)
    for each in values:
        if each is not None and not isinstance(each, kind):
            raise _build_error(name, f"a list of {kind.__name__} objects or None", each)
    return values


def text(name: str, value: Any) -> str:
    """Check that a value is a non-empty string, and return it."""
    if not isinstance(value, str) or not value:
        raise _build_error(name, "a string that is not empty", value)
    return value


def flag(name: str, value: Any) -> bool:
    """Check that a value is True or False, and return it."""
    if not isinstance(value, bool):
        raise _build_error(name, "True or False", value)
    return value


def time(name: str, value: Any) -> datetime:
    """Check that a value is a datetime with a time zone, and return it."""
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise _build_error(name, "a datetime with a time zone", value)
    return value


def day(name: str, value: Any) -> date:
    """Check that a value is a date without a time, and return it."""
    if not isinstance(value, date) or isinstance(value, datetime):
        raise _build_error(name, "a datetime.date", value)
    return value


def _build_error(name: str, allowed: str, value: object) -> ValueError:
    quoted = " ".join(repr(value).split())
    if len(quoted) > MAX_QUOTED_CHARACTERS:
        quoted = f"{quoted[: MAX_QUOTED_CHARACTERS - 3]}..."
    return ValueError(f"{name} must be {allowed}, got {quoted}")
