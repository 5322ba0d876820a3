"""Tables for charts: validation, and grouping by date, week and owner."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, TypeAlias

import pandas as pd
import pyarrow as pa

from scenario_etl.errors import ConfigError

Table: TypeAlias = pd.DataFrame | pa.Table
CHANGES = ("added", "updated", "deleted")
MAX_OWNERS = 15  # rows of a heat map
NO_OWNER = "no owner"


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
    """Return a column by date; a day without a snapshot is NaN, which interrupts a line."""
    values = history.set_index("date")[name].astype(float)
    steps = history["date"].diff().dropna()
    is_daily = len(steps) > 0 and steps.median() == timedelta(days=1)
    return values.asfreq("D") if is_daily else values


def by_week(compared: pd.DataFrame) -> pd.DataFrame:
    """Return the sums of each week, with its Monday as the date."""
    return compared.assign(date=_mondays(compared["date"])).groupby("date", as_index=False).sum(numeric_only=True)


def by_owner_and_week(changes: pd.DataFrame) -> pd.DataFrame:
    """Return the number of changes by owner (rows, the most active first) and week (columns, without gaps).

    Owners beyond the first `MAX_OWNERS` are added up in the last row.
    """
    weeks = _mondays(pd.to_datetime(changes["snapshot_date"]))
    counts = pd.crosstab(changes["owner_id"].fillna(NO_OWNER), weeks)
    if counts.empty:
        return counts
    counts = counts.reindex(columns=pd.date_range(weeks.min(), weeks.max(), freq="7D"), fill_value=0)
    counts = counts.loc[counts.sum(axis=1).sort_values(ascending=False, kind="stable").index]
    others = counts.iloc[MAX_OWNERS:]
    if len(others) < 2:
        return counts
    return pd.concat([counts.iloc[:MAX_OWNERS], others.sum().to_frame(f"{len(others)} others").T])


def owner_names(owners: Iterable[str], names: Mapping[str, str]) -> list[str]:
    """Return the names of owners; an owner without a name is its id, and a name used twice is followed by the id."""
    used = Counter(names.values())
    return [
        f"{names[owner]} ({owner})" if used[names.get(owner, "")] > 1 else names.get(owner, owner) for owner in owners
    ]


def _mondays(days: "pd.Series[Any]") -> "pd.Series[Any]":
    mondays: pd.Series[Any] = days - pd.to_timedelta(days.dt.day_of_week, unit="D")
    return mondays
