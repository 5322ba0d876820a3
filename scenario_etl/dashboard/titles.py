"""Titles of charts: one sentence with the main result."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pandas as pd

from scenario_etl.dashboard.tables import NO_OWNER, owner_names
from scenario_etl.dashboard.text import NO_THUMBNAIL, NOT_FETCHED, count, day, number, percent, shorten


def largest_title(top: "pd.Series[Any]", all_counts: "pd.Series[Any]") -> str:
    """Return the share of the largest collections in the total item count; an item may be in several collections."""
    known = all_counts.dropna()
    total = sum(map(int, known))
    if all_counts.empty:
        return "No collections"
    if known.empty:
        return "No item count is known"
    if not total:
        return "No collection has items" if len(known) == len(all_counts) else "No known item count is above 0"
    holders = "The largest collection has" if len(top) == 1 else f"The {len(top)} largest collections have"
    whole = "the total item count" if len(known) == len(all_counts) else "the total of the known item counts"
    return f"{holders} {percent(sum(map(int, top)) / total)} of {whole}"


def growth_title(published: pd.DataFrame) -> str:
    """Return the number of collections, and how it differs from that of the first snapshot."""
    first, last = published.iloc[0], published.iloc[-1]
    now = count(last["rows"], "collection")
    if len(published) == 1:
        return f"{now} on {day(last['date'])}"
    difference = int(last["rows"] - first["rows"])
    comparison = (
        f"{number(abs(difference))} {'more' if difference > 0 else 'fewer'} than" if difference else "as many as"
    )
    return f"{now}, {comparison} on {day(first['date'], last['date'])}"


def changes_title(compared: pd.DataFrame, totals: Any, newest: Any, *, weekly: bool) -> str:
    """Return the snapshot or week with the most changes.

    Args:
        compared: One row per bar, with the columns `date` and, unless `weekly`, `previous_date`.
        totals: Number of changes of each bar.
        newest: Last date of the chart; dates in other years include the year.
        weekly: Whether a bar is a week, which starts on its date.

    """
    most = count(totals.max(), "collection")
    top = compared[totals == totals.max()]
    if len(top) > 1:
        return f"{len(top)} {'weeks' if weekly else 'snapshots'} have the most changes: {most} each"
    date = top["date"].iloc[0]
    if weekly:
        return f"The week of {day(date, newest)} has the most changes: {most}"
    previous = top["previous_date"].iloc[0]
    if date - previous > timedelta(days=1):  # after days without a snapshot
        return f"Most changes between two snapshots: {most}, from {day(previous, newest)} to {day(date, newest)}"
    return f"The snapshot of {day(date, newest)} has the most changes: {most}"


def activity_title(totals: "pd.Series[int]", names: Mapping[str, str], since: Any) -> str:
    """Return the owner with the most changes."""
    owners = totals[[not owner.endswith(" others") or owner in names for owner in totals.index]]
    changes = f"changes since {day(since)}: {number(owners.max())}"
    busiest = list(owners[owners == owners.max()].index)
    if len(busiest) > 1:
        return f"{len(busiest)} owners have the most {changes} each"
    if busiest[0] == NO_OWNER:
        return f"Collections without an owner have the most {changes}"
    name = shorten(owner_names(busiest, names)[0], 40)
    return f"{name} has {'all' if len(totals) == 1 else 'the most'} {changes}"


def thumbnails_title(images: Sequence[bytes | str]) -> str:
    """Return the number of collections, of those without a thumbnail, and of images that could not be fetched."""
    if not images:
        return "No collections"
    without, not_fetched = images.count(NO_THUMBNAIL), images.count(NOT_FETCHED)
    parts = [count(len(images), "collection")]
    if without or not not_fetched:
        parts.append(f"{number(without)} without a thumbnail" if without else "all with a thumbnail")
    if not_fetched:
        parts.append(f"{count(not_fetched, 'thumbnail')} not fetched")
    return ", ".join(parts)
