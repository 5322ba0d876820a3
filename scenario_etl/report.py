"""A lake as one HTML page: totals, growth, changes, thumbnails, and how the runs went."""

import base64
import logging
import os
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import pyarrow as pa
from matplotlib.figure import Figure

from scenario_etl import charts, thumbnails
from scenario_etl.errors import ScenarioError
from scenario_etl.lake_reader import HISTORY, changes, newest_footer, read_history, read_snapshot
from scenario_etl.lake_thumbnails import in_words, read_thumbnails
from scenario_etl.projects import project_names
from scenario_etl.publish import atomic_write
from scenario_etl.redact import without_bidi_controls
from scenario_etl.stores import redact_uri
from scenario_etl.thumbnails import fetch_or_explain

WIDTHS = {"wide": charts.WIDTH, "narrow": 4.2}  # inches, for screens and for phones
PICTURES = 48
MAX_BYTES = 900_000  # of charts and thumbnails; the page has at most 1 MB
MIN_SIDE = 32  # pixels of a thumbnail
NO_THUMBNAIL = "no thumbnail"
MAX_NAME_LENGTH = 200  # characters
CHANGES = 25  # rows shown of the last changes
RUNS = 14  # dates shown of the last runs
CHANGED = timedelta(weeks=12)  # before the newest snapshot; changes are never removed from a lake
STALE = timedelta(days=90)

logger = logging.getLogger("scenario_etl")


def write_report(lake: str | os.PathLike[str], destination: str | os.PathLike[str]) -> int:
    """Write what the snapshots of collections in a lake show, as one HTML file that needs no other.

    Its charts are PNG pictures, for screens and for phones, light and dark; its text comes from a template that escapes
    every name, and a content security policy allows no script. The thumbnails are those in the lake
    (`snapshot(..., thumbnails=True)`); the others are fetched by their URLs, without credentials. It has at most 1 MB.

    Args:
        lake: as of `snapshot`. The footers of its files are read, the newest snapshot, and what changed in the last
            twelve weeks.
        destination: of the page, a path or a URI; it appears whole or not at all.

    Returns:
        How many runs are in it.

    Raises:
        ConfigError: the lake has no snapshot of collections.
        DestinationError: the lake cannot be read, or the page not be written.

    """
    with atomic_write(destination) as path:
        runs = read_history(lake, "collections", total="item_count")
        path.write_text(_page(lake, runs), encoding="utf-8")
    return len(runs)


def _page(lake: str | os.PathLike[str], runs: list[dict[str, Any]]) -> str:
    footer = newest_footer(lake, "collections")
    collections = _frame(read_snapshot(lake, "collections"))
    told = _history(runs)
    until = pd.Timestamp(footer["snapshot_date"])
    compared = told.loc[told["previous_date"].notna() & (told["date"] > until - CHANGED), "date"]
    changed = _frame(changes(lake, "collections", since=compared.min())) if len(compared) else None
    names = project_names(footer)
    newest = collections.sort_values("updated_at", ascending=False, kind="stable").head(PICTURES)
    template = Path(__file__).with_name("report.html").read_text(encoding="utf-8")
    logger.info("%s: drawing the page, which takes some seconds", redact_uri(lake))
    drawn = _charts(told, changed, names)
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": _number, "short": _short_number, "name": _name, "outcome": _outcome}
    return environment.from_string(template).render(
        source=_name(_source(footer, names)),
        lake=redact_uri(lake),
        until=until,
        since=told["date"].min(),
        totals=_totals(collections, until.tz_localize("UTC")),
        charts=drawn,
        changes=[] if changed is None else changed.iloc[::-1].head(CHANGES).to_dict("records"),
        changes_in_all=0 if changed is None else len(changed),
        changed_since=None if changed is None else compared.min(),
        stopped=int(told["rejected"].sum()),
        thumbnails=_thumbnails(
            lake, newest, MAX_BYTES - sum(len(url) for each in drawn.values() for url in each.values())
        ),
        runs=told.iloc[::-1].head(RUNS).to_dict("records"),
        runs_in_all=len(told),
    )


def _source(footer: dict[str, str], names: dict[str, str]) -> str:
    """Return what the snapshots are of: the base URL, and the project where it is only one."""
    project = footer.get("project_id", "")
    words = [footer.get("base_url", ""), f"project {names.get(project, project)}" if project else ""]
    return ", ".join(filter(None, words)) or "unknown"


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


def _charts(told: pd.DataFrame, changed: pd.DataFrame | None, names: dict[str, str]) -> dict[str, dict[str, str]]:
    drawn: dict[str, Callable[..., Figure]] = {"Growth": partial(charts.growth, told)}
    if changed is not None:
        activity = partial(charts.activity, changed, names=names)
        drawn |= {"Changes": partial(charts.daily_changes, told), "Activity": activity}
    found = {}
    for title, draw in drawn.items():
        found[title] = {"found": charts.title_of(draw())}
        for name, width in WIDTHS.items():
            found[title][name] = _data_url("png", charts.as_png(draw(width=width)))
            with charts.dark():
                found[title][f"{name}_dark"] = _data_url("png", charts.as_png(draw(width=width)))
    return found


def _data_url(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _thumbnails(lake: str | os.PathLike[str], collections: pd.DataFrame, most_bytes: int) -> list[dict[str, Any]]:
    pictures = _within_bounds(_pictures(lake, collections), most_bytes)
    return [
        {
            "name": name,
            "items": f"{_number(items)} item{'' if pd.notna(items) and items == 1 else 's'}",
            "picture": _data_url("jpeg", picture) if isinstance(picture, bytes) else None,
            "problem": picture,
        }
        for name, items, picture in zip(collections["name"], collections["item_count"], pictures, strict=True)
    ]


def _pictures(lake: str | os.PathLike[str], collections: pd.DataFrame) -> list[bytes | str]:
    """Return the thumbnail of each collection, or why there is none: from the lake, otherwise by its URL."""
    try:
        stored = read_thumbnails(lake, collections["thumbnail_asset_id"])
    except ScenarioError as error:
        logger.warning("the thumbnails in the lake are not used: %s", error)
        stored = {}
    rows = list(zip(collections["thumbnail_asset_id"], collections["thumbnail_url"], strict=True))
    fetched = fetch_or_explain(url for asset_id, url in rows if asset_id not in stored and isinstance(url, str))
    small = {asset_id: thumbnails.small_or_explain(content, thumbnails.SIDE) for asset_id, content in stored.items()}
    pictures = [small.get(asset_id) or fetched.get(url, NO_THUMBNAIL) for asset_id, url in rows]
    problems = Counter(each for each in pictures if isinstance(each, str) and each != NO_THUMBNAIL)
    if problems:
        logger.warning(
            "%d of %d thumbnails are missing: %s; `scenario-etl snapshot --thumbnails` stores them in the lake",
            problems.total(), len(pictures), in_words(problems),
        )  # fmt: skip
    return pictures


def _within_bounds(pictures: list[bytes | str], most_bytes: int) -> list[bytes | str]:
    """Return the pictures, made smaller where all of them together, in base64, have more bytes than that."""
    side = thumbnails.SIDE
    while side > MIN_SIDE and 4 / 3 * sum(len(each) for each in pictures if isinstance(each, bytes)) > most_bytes:
        side = side * 3 // 4
        pictures = [thumbnails.small(each, side) if isinstance(each, bytes) else each for each in pictures]
    return pictures


def _number(value: Any) -> str:
    return "-" if pd.isna(value) else f"{int(value):,}"


def _short_number(value: Any) -> str:
    """Return a number that fits a box: from ten millions on in millions or billions."""
    for factor, unit in ((10**9, "bn"), (10**6, "M")):
        if pd.notna(value) and abs(value) >= 10 * 10**6 and abs(value) >= factor:
            return f"{value / factor:,.1f}{unit}"
    return _number(value)


def _name(value: Any) -> str:
    text = "(no name)" if pd.isna(value) or not value else without_bidi_controls(str(value))
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= MAX_NAME_LENGTH else text[: MAX_NAME_LENGTH - 1] + "…"


def _outcome(run: dict[str, Any]) -> str:
    if not run["rejected"]:
        return "published"
    published = pd.notna(run["rows"]) or pd.notna(run["added"])
    return "published; a later run was stopped by the guard" if published else "stopped by the guard"
