"""Titles of charts: one sentence with the main result."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pandas as pd

from scenario_etl.dashboard.tables import NO_OWNER, owner_names
from scenario_etl.dashboard.text import NO_THUMBNAIL, NOT_FETCHED, count, day, isolate, number, percent, shorten


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


def no_snapshots_title(history: pd.DataFrame) -> str:
    """Return the title for a history without a published snapshot."""
    rejected = int(history["rejected"].sum())
    return f"No snapshots yet, {number(rejected)} rejected" if rejected else "No snapshots yet"


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


def no_changes_title(history: pd.DataFrame) -> str:
    """Return the title for a history without changes, or without two snapshots to compare."""
    published = history[history["added"].notna()]
    if published.empty:
        has_snapshots = "rows" in history and history["rows"].notna().any()
        return "The changes are unknown" if has_snapshots else no_snapshots_title(history)
    if published["previous_date"].isna().all():
        return "No earlier snapshot to compare with"
    return f"No changes since {day(published['previous_date'].min(), published['date'].max())}"


def changes_title(bars: pd.DataFrame, newest: Any, *, weekly: bool) -> str:
    """Return the snapshot or week with the most changes.

    Args:
        bars: One row per bar, as returned by `change_bars`.
        newest: Last date of the chart; dates in other years include the year.
        weekly: Whether a bar is a week. It counts a collection each time that it changed.

    """
    most, top = bars["total"].max(), bars[bars["total"] == bars["total"].max()]
    date, previous = top["date"].iloc[0], top["previous_date"].iloc[0]
    if weekly and len(top) > 1:
        return f"The snapshots of {len(top)} weeks have the most changes: {number(most)} per week"
    if weekly:
        return f"The snapshots of the week of {day(date, newest)} have the most changes: {number(most)}"
    collections = count(most, "collection")
    if (top["date"] - top["previous_date"] > timedelta(days=1)).any():  # after days without a snapshot
        period = f"from {day(previous, newest)} to {day(date, newest)}" if len(top) == 1 else f"{len(top)} times"
        return f"Most changes between two snapshots: {collections}, {period}"
    if len(top) > 1:
        return f"{len(top)} snapshots have the most changes: {collections} each"
    return f"The snapshot of {day(date, newest)} has the most changes: {collections}"


def activity_title(totals: "pd.Series[int]", names: Mapping[str, str], first: Any, last: Any) -> str:
    """Return the owner with the most changes from the first date to the last."""
    owners = totals[[isinstance(owner, str) for owner in totals.index]]
    period = f"on {day(first)}" if first == last else f"from {day(first, last)} to {day(last)}"
    changes = f"changes {period}: {number(owners.max())}"
    busiest = list(owners[owners == owners.max()].index)
    if len(busiest) > 1:
        return f"{len(busiest)} owners have the most {changes} each"
    if busiest[0] == NO_OWNER:
        return f"Collections without an owner have the most {changes}"
    name = isolate(shorten(owner_names(busiest, names)[0], 40))
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
