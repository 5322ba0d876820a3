"""Tables for charts: validation, and grouping by date, week and owner."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa

from scenario_etl.errors import ConfigError

Table: TypeAlias = pd.DataFrame | pa.Table
CHANGES = ("added", "updated", "deleted")
MAX_OWNERS = 15  # rows of a heat map
NO_OWNER = "no owner"
MAX_BARS = 90
SATURDAY = 5  # days after Monday


def as_frame(chart: str, table: Table, columns: Iterable[str]) -> pd.DataFrame:
    """Return the table of a chart as a DataFrame.

    Raises:
        ConfigError: The table is neither a DataFrame nor a pyarrow.Table, or lacks one of the columns.

    """
    frame = table.to_pandas() if isinstance(table, pa.Table) else table
    if not isinstance(frame, pd.DataFrame):
        raise ConfigError(
            f"{chart} requires a DataFrame or a pyarrow.Table, got a value of type {type(table).__name__}"
        )
    if missing := [name for name in columns if name not in frame]:
        raise ConfigError(f"{chart} requires the column {missing[0]!r}, which is missing from the table; add it")
    return frame


def as_history(chart: str, table: Table, columns: Iterable[str]) -> pd.DataFrame:
    """Return a history as `as_frame` does, with datetime64 dates: pandas cannot subtract the objects of pyarrow."""
    history = as_frame(chart, table, columns)
    return history.assign(
        **{name: pd.to_datetime(history[name]) for name in ("date", "previous_date") if name in history}
    )


def by_date(history: pd.DataFrame, name: str) -> "pd.Series[float]":
    """Return a column by date; NaN, for a rejected snapshot or a day without one, interrupts a line.

    Weekends do not, if all snapshots are of weekdays.
    """
    values = history.set_index("date")[name].astype(float)
    if usual_days(history["date"]) != 1:
        return values
    return values.asfreq("B" if (history["date"].dt.day_of_week < SATURDAY).all() else "D")


def usual_days(dates: "pd.Series[Any]") -> float:
    """Return the usual number of days from one date to the next."""
    return float(_days_between(dates).median()) if len(dates) > 1 else 1.0


def days_per_bar(dates: "pd.Series[Any]") -> float:
    """Return the usual number of days between snapshots; with more than `MAX_BARS`, at least a week."""
    days = usual_days(dates)
    return max(days, 7.0) if len(dates) > MAX_BARS else days


def change_bars(history: pd.DataFrame) -> pd.DataFrame:
    """Return the changes of each snapshot that was compared with an earlier one, or their sums by week.

    The columns are `date`, `previous_date`, `added`, `updated`, `deleted`, `total`, `place`, the middle of the bar,
    `days`, its width, `is_long`, whether it covers more days than most bars do, and `is_partial`, whether it is a week
    in which the history starts or ends.
    """
    days = days_per_bar(history["date"])
    is_weekly = days > usual_days(history["date"])
    bars = history.dropna(subset=["previous_date", *CHANGES]).astype(dict.fromkeys(CHANGES, float))
    if is_weekly:
        sums = {"previous_date": "min", **dict.fromkeys(CHANGES, "sum")}
        bars = bars.assign(date=_mondays(bars["date"])).groupby("date", as_index=False).agg(sums)
    last_day = bars["date"] + timedelta(days=6)
    to_previous = _days_between(bars["date"])
    to_next = to_previous.shift(-1)
    return bars.assign(
        total=bars[[*CHANGES]].sum(axis=1),
        place=bars["date"] + timedelta(days=3 if is_weekly else 0),
        days=np.fmin(days, np.fmin(to_previous, to_next)),
        is_long=bars["date"] - bars["previous_date"] > 1.5 * timedelta(days=days),
        is_partial=is_weekly & ((bars["previous_date"] >= bars["date"]) | (last_day > history["date"].max())),
    )


def by_owner_and_week(changes: pd.DataFrame) -> pd.DataFrame:
    """Return the number of changes by owner (rows, the most active first) and week (columns, without gaps).

    Owners beyond the first `MAX_OWNERS` are added up in the last row, whose label is their number.
    """
    weeks = _mondays(pd.to_datetime(changes["snapshot_date"]))
    counts = pd.crosstab(changes["owner_id"].astype(object).fillna(NO_OWNER), weeks)
    if counts.empty:
        return counts
    counts = counts.reindex(columns=pd.date_range(weeks.min(), weeks.max(), freq="7D"), fill_value=0)
    counts = counts.loc[counts.sum(axis=1).sort_values(ascending=False, kind="stable").index]
    others = counts.iloc[MAX_OWNERS:]
    if len(others) < 2:
        return counts
    return pd.concat([counts.iloc[:MAX_OWNERS], others.sum().to_frame(len(others)).T])


def owner_names(owners: Iterable[str | int], names: Mapping[str, str]) -> list[str]:
    """Return the names of owners; an owner without a name is its id, and a name used twice is followed by the id.

    A number stands for that many other owners.
    """
    used = Counter(names.values())
    return [_owner_name(owner, names, used) if isinstance(owner, str) else f"{owner} others" for owner in owners]


def _owner_name(owner: str, names: Mapping[str, str], used: Mapping[str, int]) -> str:
    name = names.get(owner, owner)
    return f"{name} ({owner})" if used.get(name, 0) > 1 else name


def _days_between(dates: "pd.Series[Any]") -> "pd.Series[float]":
    days: pd.Series[float] = dates.diff().dt.total_seconds() / timedelta(days=1).total_seconds()
    return days


def _mondays(days: "pd.Series[Any]") -> "pd.Series[Any]":
    mondays: pd.Series[Any] = days - pd.to_timedelta(days.dt.day_of_week, unit="D")
    return mondays
