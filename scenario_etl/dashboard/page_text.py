"""Numbers, names, dates and outcomes as the text of the HTML report."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import pandas as pd

from scenario_etl.dashboard.text import count
from scenario_etl.redact import without_bidi_controls

MAX_NAME_LENGTH = 200  # characters


def number(value: Any) -> str:
    """Return a number with thousands separators, "-" if it is unknown."""
    return "-" if pd.isna(value) else f"{int(value):,}"


def short(value: Any) -> str:
    """Return a number that fits its box; from ten million on, in millions or billions."""
    for factor, unit in ((10**9, "bn"), (10**6, "M")):
        if pd.notna(value) and abs(value) >= 10 * 10**6 and abs(value) >= factor:
            return f"{value / factor:,.1f}{unit}"
    return number(value)


def date(value: dt.date) -> str:
    """Return a date as YYYY-MM-DD."""
    return f"{value:%Y-%m-%d}"


def name(value: Any) -> str:
    """Return a name of at most 200 characters, without control characters that change the direction of text."""
    text = "" if pd.isna(value) else without_bidi_controls(str(value)).encode("utf-8", "replace").decode()
    if not text.strip():
        return "(no name)"
    return text if len(text) <= MAX_NAME_LENGTH else text[: MAX_NAME_LENGTH - 1] + "…"


def columns(changed: Sequence[str]) -> str:
    """Return the names of changed columns; `updated_at`, which almost always changes, only if it is the only one."""
    others = [column for column in changed if column != "updated_at"]
    return ", ".join(others) or ("only updated_at" if len(changed) else "")


def of(shown: int, total: int, noun: str) -> str:
    """Return which rows a table shows.

    >>> of(25, 177, "change"), of(2, 2, "change"), of(1, 1, "change")
    ('Last 25 of 177 changes', 'All 2 changes', '1 change')
    """
    if shown < total:
        return f"Last {shown} of {count(total, noun)}"
    return f"All {count(total, noun)}" if total > 1 else count(total, noun)


def outcome(run: dict[str, Any]) -> str:
    """Return what became of the runs of a day."""
    if not run["rejected"]:
        return "published"
    return "published, then rejected" if run["published"] else "rejected"
