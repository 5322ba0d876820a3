"""Validation of arguments; a value that is not valid raises ConfigError."""

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

from scenario_etl.errors import ConfigError
from scenario_etl.redact import redact

MAX_TEXT_LENGTH = 1000  # characters


def check_integer(name: str, value: object, minimum: int, maximum: int | None = None) -> int:
    """Check that a value is an integer between two bounds, inclusive, and return it."""
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise _build_error(name, "an integer", value)
    _check_bounds(name, value, minimum, maximum)
    return int(value)


def check_number(name: str, value: object, minimum: float, maximum: float) -> float:
    """Check that a value is a number between two bounds, inclusive, and return it."""
    if not isinstance(value, Real) or isinstance(value, bool):
        raise _build_error(name, "a number", value)
    _check_bounds(name, value, minimum, maximum)
    return float(value)


def check_bool(name: str, value: object) -> bool:
    """Check that a value is True or False, and return it."""
    if not isinstance(value, bool):
        raise _build_error(name, "True or False", value)
    return value


def check_choice(name: str, value: object, choices: Sequence[str]) -> str:
    """Check that a value is one of several strings, and return it."""
    if not isinstance(value, str) or value not in choices:
        raise _build_error(name, f"one of {', '.join(map(repr, choices))}", value)
    return value


def check_type(name: str, value: object, kind: type) -> None:
    """Raise ConfigError if a value has the wrong type; it may be a secret, so the message omits it."""
    if not isinstance(value, kind):
        raise ConfigError(f"{name} must be a {kind.__name__}, got a value of type {type(value).__name__}")


def check_text(name: str, value: object) -> str:
    """Check that a value is a non-empty string without control characters, and return it."""
    if not isinstance(value, str) or not value.isprintable() or not 0 < len(value) <= MAX_TEXT_LENGTH:
        raise _build_error(name, f"a string of 1 to {MAX_TEXT_LENGTH:,} printable characters", value)
    return value


def _check_bounds(name: str, value: Any, minimum: float, maximum: float | None) -> None:
    if not (minimum <= value and (maximum is None or value <= maximum)):  # false for nan
        raise _build_error(
            name, f"at least {minimum:,}" if maximum is None else f"between {minimum:,} and {maximum:,}", value
        )


def _build_error(name: str, allowed: str, value: object) -> ConfigError:
    return ConfigError(f"{name} must be {allowed}, got {redact(repr(value))}")
