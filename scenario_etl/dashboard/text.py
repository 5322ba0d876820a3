"""Numbers, days and names as the text of a chart."""

import textwrap
from typing import Any
from unicodedata import bidirectional, east_asian_width

import pandas as pd

from scenario_etl.dashboard.style import drawable_characters
from scenario_etl.redact import without_bidi_controls

NO_THUMBNAIL, NOT_FETCHED = "no thumbnail", "not fetched"
UNDRAWABLE = "\u25a1"  # an empty square, for a character that no font has
LEFT_TO_RIGHT = "\u200e"  # an invisible mark


def number(value: Any) -> str:
    """Return a number with thousands separators.

    >>> number(1234), number(None)
    ('1,234', '?')
    """
    return "?" if pd.isna(value) else f"{int(value):,}"


def count(value: Any, noun: str) -> str:
    """Return a number and a noun in its singular or plural.

    >>> count(1, "item"), count(2, "item"), count(None, "item")
    ('1 item', '2 items', '? items')
    """
    return f"{number(value)} {noun}{'' if not pd.isna(value) and value == 1 else 's'}"


def percent(share: float) -> str:
    """Return a share in percent; only an exact 0 is shown as 0%, and only an exact 1 as 100%.

    >>> percent(0.001), percent(0.25), percent(0.999)
    ('less than 1%', '25%', 'more than 99%')
    """
    if 0 < share < 0.005:
        return "less than 1%"
    if 0.995 <= share < 1:
        return "more than 99%"
    return f"{share:.0%}"


def day(moment: Any, reference: Any = None) -> str:
    """Return a day, with its year if the reference is in a different year.

    >>> day(pd.Timestamp("2025-11-02")), day(pd.Timestamp("2025-11-02"), pd.Timestamp("2026-01-01"))
    ('Nov 2', 'Nov 2, 2025')
    """
    year = f", {moment.year}" if reference is not None and reference.year != moment.year else ""
    return f"{moment:%b} {moment.day}{year}"


def shorten(name: Any, max_length: int) -> str:
    """Return a name on one line, without its middle if it is longer than `max_length`.

    A wide character counts as two. A character that no font has is replaced.

    >>> shorten("Concepts of castles, version 2", 20), shorten(None, 20)
    ('Concepts o…version 2', '(no name)')
    """
    text = "(no name)" if pd.isna(name) or not name else without_bidi_controls(str(name))
    text = "".join(c if ord(c) in drawable_characters() else UNDRAWABLE for c in " ".join(text.split()))
    length = _length(text)
    if length <= max_length:
        return text
    kept = max_length * len(text) // length - 1
    return f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"


def wrap(name: Any, max_length: int) -> list[str]:
    """Return a name as at most two lines."""
    text = shorten(name, 200)
    first, *others = textwrap.wrap(text, max(1, max_length * len(text) // _length(text))) or [""]
    return [first, shorten(" ".join(others), max_length)] if others else [first]


def isolate(name: str) -> str:
    """Return a name between marks that keep the text around it from left to right, if the name has other letters."""
    is_reversed = any(bidirectional(c) in {"R", "AL"} for c in name)
    return f"{LEFT_TO_RIGHT}{name}{LEFT_TO_RIGHT}" if is_reversed else name


def _length(text: str) -> int:
    return sum(2 if c == UNDRAWABLE or east_asian_width(c) in "WF" else 1 for c in text)
