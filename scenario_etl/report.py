"""A lake as one HTML page: totals, growth, changes, thumbnails, and how the runs went."""

import base64
import os
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import pyarrow as pa
from matplotlib.figure import Figure

from scenario_etl import charts
from scenario_etl.errors import ConfigError
from scenario_etl.publish import published
from scenario_etl.redact import without_bidi_controls
from scenario_etl.snapshots import HISTORY, changes, read_history, read_snapshot
from scenario_etl.stores import shown
from scenario_etl.thumbnails import fetch_thumbnails

PHONE = 4.2  # inches
PICTURES = 48
CHANGES = 25  # rows shown of the last changes
RUNS = 14  # dates shown of the last runs
CHANGED = timedelta(weeks=12)  # before the newest snapshot; changes are never removed from a lake
STALE = timedelta(days=90)


def write_report(lake: str | os.PathLike[str], destination: str | os.PathLike[str]) -> int:
    """Write what the snapshots of collections in a lake show, as one HTML file that needs no other.

    Its charts are PNG pictures, for screens and for phones; its text comes from a template that escapes every name, and
    a content security policy allows no script. Thumbnails are fetched by their URLs, without credentials.

    Args:
        lake: as of `snapshot`. One column of each snapshot is read, and what changed in the last twelve weeks.
        destination: of the page, a path or a URI; it appears whole or not at all.

    Returns:
        How many runs it tells of.

    Raises:
        ConfigError: the lake has no snapshot of collections.
        DestinationError: the lake cannot be read, or the page not be written.

    """
    with published(destination) as path:
        runs = read_history(lake, "collections", total="item_count")
        path.write_text(_page(lake, runs), encoding="utf-8")
    return len(runs)


def _page(lake: str | os.PathLike[str], runs: list[dict[str, Any]]) -> str:
    if all(run.get("rows") is None for run in runs):
        raise ConfigError(f"{shown(lake)} has no snapshot of collections: make one with `scenario-etl snapshot`")
    told = _history(runs)
    until = told.loc[told["rows"].notna(), "date"].max()
    collections = _frame(read_snapshot(lake, "collections"))
    compared = told.loc[told["previous_date"].notna() & (told["date"] > until - CHANGED), "date"]
    changed = _frame(changes(lake, "collections", since=compared.min())) if len(compared) else None
    newest = collections.sort_values("updated_at", ascending=False, kind="stable").head(PICTURES)
    template = Path(__file__).with_name("report.html").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": _number, "name": _name, "outcome": _outcome}
    return environment.from_string(template).render(
        lake=shown(lake),
        until=until,
        since=told["date"].min(),
        totals=_totals(collections, until.tz_localize("UTC")),
        charts=_charts(told, changed),
        changes=[] if changed is None else changed.iloc[::-1].head(CHANGES).to_dict("records"),
        changes_in_all=0 if changed is None else len(changed),
        thumbnails=_thumbnails(newest),
        runs=told.iloc[::-1].head(RUNS).to_dict("records"),
        runs_in_all=len(told),
    )


def _frame(table: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    return frame


def _history(runs: list[dict[str, Any]]) -> pd.DataFrame:
    frame = _frame(pa.Table.from_pylist(runs, schema=HISTORY))
    frame[["date", "previous_date"]] = frame[["date", "previous_date"]].apply(pd.to_datetime)
    totals: list[Any] = [run.get("total") for run in runs]
    return frame.assign(items=totals)


def _sum(counts: "pd.Series[Any]") -> int | None:
    """Return the sum of the counts that are known; None where none is, though there are rows."""
    return None if len(counts) and counts.isna().all() else sum(map(int, counts.dropna()))


def _totals(collections: pd.DataFrame, until: pd.Timestamp) -> dict[str, int | None]:
    return {
        "collections": len(collections),
        "items": _sum(collections["item_count"]),
        "assets": _sum(collections["asset_count"]),
        "models": _sum(collections["model_count"]),
        "owners": collections["owner_id"].nunique(),
        "empty": int((collections["item_count"] == 0).sum()),
        f"not updated for {STALE.days} days": int((collections["updated_at"] < until - STALE).sum()),
    }


def _charts(told: pd.DataFrame, changed: pd.DataFrame | None) -> dict[str, dict[str, str]]:
    drawn: dict[str, Callable[..., Figure]] = {"Growth": partial(charts.growth, told)}
    if changed is not None:
        drawn |= {"Changes": partial(charts.daily_changes, told), "Activity": partial(charts.activity, changed)}
    found = {}
    for title, draw in drawn.items():
        wide = draw()
        found[title] = {
            "found": charts.title_of(wide),
            "wide": _data_url("png", charts.as_png(wide)),
            "narrow": _data_url("png", charts.as_png(draw(width=PHONE))),
        }
    return found


def _data_url(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _thumbnails(collections: pd.DataFrame) -> list[dict[str, Any]]:
    pictures = fetch_thumbnails(collections["thumbnail_url"])
    encoded = [picture and _data_url("jpeg", picture) for picture in pictures]
    return [
        {
            "name": name,
            "items": f"{_number(items)} item{'' if pd.notna(items) and items == 1 else 's'}",
            "picture": picture,
        }
        for name, items, picture in zip(collections["name"], collections["item_count"], encoded, strict=True)
    ]


def _number(value: Any) -> str:
    return "-" if pd.isna(value) else f"{int(value):,}"


def _name(value: Any) -> str:
    return "(no name)" if pd.isna(value) or not value else without_bidi_controls(str(value))


def _outcome(run: dict[str, Any]) -> str:
    if not run["rejected"]:
        return "published"
    published = pd.notna(run["rows"]) or pd.notna(run["added"])
    return "published; a later run was stopped by the guard" if published else "stopped by the guard"
