"""Parsing of dates."""

import datetime as dt
import re
from contextlib import suppress

from scenario_etl.errors import ConfigError
from scenario_etl.redact import redact


def as_date(value: object) -> dt.date | None:
    """Return the date of an argument: a date, a datetime (converted to UTC if it has a time zone), YYYY-MM-DD or None.

    Raises:
        ConfigError: The argument is not a date.

    """
    if value is None:
        return None
    if isinstance(value, dt.datetime) and value == value:  # noqa: PLR0124 - pandas' NaT is a datetime, but not a date
        with suppress(OverflowError):
            return (value.astimezone(dt.UTC) if value.tzinfo else value).date()
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value
    if isinstance(value, str) and (date := parse_date(value)):
        return date
    raise ConfigError(f"{redact(repr(value))} is not a date; use YYYY-MM-DD, such as 2026-11-23")


def parse_date(text: str) -> dt.date | None:
    """Return the date of a string YYYY-MM-DD, None if it is not valid."""
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        return None
