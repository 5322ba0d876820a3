"""Validation of arguments: each function returns the value, or raises ConfigError."""

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

from scenario_etl.errors import ConfigError
from scenario_etl.redact import redact

MAX_TEXT_LENGTH = 1000  # characters


def whole_number(name: str, value: object, minimum: int, maximum: int | None = None) -> int:
    """Return an integer between two bounds, inclusive."""
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise _wrong(name, "an integer", value)
    _check_bounds(name, value, minimum, maximum)
    return int(value)


def number(name: str, value: object, minimum: float, maximum: float) -> float:
    """Return a number between two bounds, inclusive."""
    if not isinstance(value, Real) or isinstance(value, bool):
        raise _wrong(name, "a number", value)
    _check_bounds(name, value, minimum, maximum)
    return float(value)


def flag(name: str, value: object) -> bool:
    """Return a boolean."""
    if not isinstance(value, bool):
        raise _wrong(name, "True or False", value)
    return value


def choice(name: str, value: object, choices: Sequence[str]) -> str:
    """Return one of several strings."""
    if not isinstance(value, str) or value not in choices:
        raise _wrong(name, " or ".join(map(repr, choices)), value)
    return value


def instance(name: str, value: object, kind: type) -> None:
    """Raise ConfigError if a value has the wrong type; it may be a secret, so the message omits it."""
    if not isinstance(value, kind):
        raise ConfigError(f"{name} must be a {kind.__name__}, got a value of type {type(value).__name__}")


def text(name: str, value: object) -> str:
    """Return a non-empty string without control characters."""
    if not isinstance(value, str) or not value.isprintable() or not 0 < len(value) <= MAX_TEXT_LENGTH:
        raise _wrong(name, f"a string of 1 to {MAX_TEXT_LENGTH:,} printable characters", value)
    return value


def _check_bounds(name: str, value: Any, minimum: float, maximum: float | None) -> None:
    if not (minimum <= value and (maximum is None or value <= maximum)):  # false for nan
        raise _wrong(
            name, f"at least {minimum:,}" if maximum is None else f"between {minimum:,} and {maximum:,}", value
        )


def _wrong(name: str, allowed: str, value: object) -> ConfigError:
    return ConfigError(f"{name} must be {allowed}, got {redact(repr(value))}")
