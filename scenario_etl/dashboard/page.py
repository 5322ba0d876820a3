"""The HTML report of a lake: totals, growth, changes, thumbnails and runs."""

import base64
import datetime as dt
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

from scenario_etl import thumbnails
from scenario_etl.dashboard import charts, page_text, style
from scenario_etl.dashboard.tables import CHANGES, owner_names
from scenario_etl.dashboard.text import NO_THUMBNAIL, count
from scenario_etl.errors import ConfigError, ScenarioError, SchemaError
from scenario_etl.footers import project_names
from scenario_etl.lake_reader import (
    HISTORY_SCHEMA,
    changes,
    newest_footer,
    read_history,
    read_snapshot,
    snapshot_dates,
)
from scenario_etl.lake_thumbnails import read_thumbnails
from scenario_etl.publish import atomic_write
from scenario_etl.resources import RESOURCES
from scenario_etl.schema import PROJECT
from scenario_etl.stores import redact_uri
from scenario_etl.thumbnails import count_reasons, fetch_images

WIDTHS = {"wide": style.WIDTH, "narrow": 4.2}  # inches, for screens and for phones
MAX_THUMBNAILS = 48
MAX_IMAGE_BYTES = 900_000  # of charts and thumbnails; the report has at most 1 MB
MIN_SIDE = 32  # pixels of a thumbnail
MAX_CHANGES = 25  # rows
MAX_RUNS = 14  # rows
RECENT_WEEKS = 12  # up to that of the newest snapshot; changes are never removed from a lake
STALE = timedelta(days=90)
RUN_COUNTS = ("rows", "added", "updated", "deleted", "pages", "retries", "duplicates")
ACTIVITY = "Activity by owner"
DESCRIPTIONS = {
    "Growth": "Line chart of collections and items per snapshot",
    "Changes": "Bar chart of added, updated and deleted collections over time",
    ACTIVITY: "Heat map of changes by owner and week",
}

logger = logging.getLogger("scenario_etl")


def write_report(lake: str | os.PathLike[str], destination: str | os.PathLike[str]) -> int:
    """Write an HTML report of the snapshots of collections in a lake: one file of at most 1 MB.

    Its charts are PNG images, for screens and for phones, light and dark. All names are escaped, and a content security
    policy allows neither scripts nor requests. Thumbnails are read from the lake (`snapshot(..., thumbnails=True)`);
    missing ones are fetched by their URLs, without credentials.

    Args:
        lake: Path or URI of the lake. The report shows the newest snapshot, the growth and changes of the whole
            history, and single changes and the activity of owners in the last twelve weeks.
        destination: Path or URI of the report, which is written atomically.

    Returns:
        The number of days in the history of the lake.

    Raises:
        ConfigError: The lake has no snapshot of collections.
        DestinationError: The lake cannot be read, or the report cannot be written.
        SchemaError: The files of a date were written by different runs, or a file is missing or not valid.
        TransientError: The object store is unavailable, or a run may be publishing the newest date.

    """
    with atomic_write(destination) as path:
        stored = len(snapshot_dates(lake, "collections"))
        if not stored:
            _check_other_resources(lake)
        runs = read_history(lake, "collections", total_column="item_count")
        _check_dates(lake, runs)
        path.write_text(_render(lake, runs, stored), encoding="utf-8")
    return len(runs)


def _check_dates(lake: str | os.PathLike[str], runs: list[dict[str, Any]]) -> None:
    """Raise SchemaError for a date that `snapshot` cannot have written."""
    if runs and (last := runs[-1]["date"]) > dt.datetime.now(dt.UTC).date() + timedelta(days=1):
        raise SchemaError(f"{redact_uri(lake)} has a file for {last}, which is in the future; remove it")


def _check_other_resources(lake: str | os.PathLike[str]) -> None:
    """Raise ConfigError if a lake without collections has snapshots of other resources."""
    if others := [name for name in RESOURCES if snapshot_dates(lake, name)]:
        raise ConfigError(
            f"{redact_uri(lake)} has snapshots of {', '.join(others)}, but the HTML report requires snapshots of "
            "collections; add one with `scenario-etl snapshot collections`"
        )


def _render(lake: str | os.PathLike[str], runs: list[dict[str, Any]], stored: int) -> str:
    footer = newest_footer(lake, "collections")
    collections = _as_frame(read_snapshot(lake, "collections"))
    history = _as_history(runs)
    newest_date = pd.Timestamp(footer["snapshot_date"])
    first_monday = newest_date - timedelta(days=newest_date.day_of_week, weeks=RECENT_WEEKS - 1)
    is_recent = history["date"] >= first_monday
    compared = history.loc[history["previous_date"].notna() & is_recent, "date"]
    names = project_names(footer)
    recent = changes(lake, "collections", since=compared.min()) if len(compared) else pa.table({})
    logger.info("%s: writing the HTML report; this may take a few seconds", redact_uri(lake))
    images = _draw_charts(history, recent, names)
    if ACTIVITY in images and not is_recent.all():
        images[f"{ACTIVITY} in the last {RECENT_WEEKS} weeks"] = images.pop(ACTIVITY)
    chart_bytes = sum(len(url) for chart in images.values() for url in chart.values())
    latest = collections.sort_values("updated_at", ascending=False, kind="stable").head(MAX_THUMBNAILS)
    loaded = _load_images(lake, latest)
    missing = _missing_thumbnails(loaded, is_demo=_is_demo(footer))
    if missing:
        logger.warning("%s", missing)
    return _template().render(
        source=page_text.name(_source(footer, names, collections)),
        lake=redact_uri(lake),
        newest_date=newest_date,
        oldest_date=history.loc[history["published"], "date"].min(),
        published=int(history["published"].sum()),
        stored=stored,
        rejected=list(history.loc[history["rejected"], "date"]),
        totals=_totals(collections, newest_date.tz_localize("UTC")),
        charts=images,
        changes=_newest_changes(recent, names),
        has_projects=PROJECT.name in recent.column_names,
        all_changes=recent.num_rows,
        first_change=compared.min() if len(compared) else None,
        thumbnails=_captions(latest, _shrink_to(MAX_IMAGE_BYTES - chart_bytes, loaded)),
        has_images=any(isinstance(image, bytes) for image in loaded),
        missing_thumbnails=missing,
        run_counts=RUN_COUNTS,
        runs=history.iloc[::-1].head(MAX_RUNS).to_dict("records"),
        all_runs=len(history),
    )


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    filters = ("columns", "date", "name", "number", "of", "outcome", "short")
    environment.filters |= {name: getattr(page_text, name) for name in filters} | {"count": count}
    return environment.from_string(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))


def _source(footer: dict[str, str], names: dict[str, str], collections: pd.DataFrame) -> str:
    """Return the base URL of the snapshots, and their projects if they were selected."""
    project_id = footer.get("project_id", "")
    ids = project_id.split(",") if project_id else []
    projects = f"project{'s' if len(ids) > 1 else ''} {', '.join(owner_names(ids, names))}" if ids else ""
    if project_id == "all" and "project_id" in collections:
        projects = f"all projects ({collections['project_id'].nunique()} with collections)"
    return ", ".join(filter(None, [footer.get("base_url", ""), projects])) or "unknown"


def _newest_changes(recent: pa.Table, names: dict[str, str]) -> list[dict[str, Any]]:
    """Return the last changes, newest first, with the name of their project if the lake has several."""
    newest = _as_frame(recent.slice(max(0, recent.num_rows - MAX_CHANGES))).iloc[::-1]
    if PROJECT.name in newest:
        newest = newest.assign(project=owner_names(newest[PROJECT.name], names))
    rows: list[dict[str, Any]] = newest.to_dict("records")  # type: ignore[assignment] # the names are strings
    return rows


def _as_frame(table: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    return frame


def _as_history(runs: list[dict[str, Any]]) -> pd.DataFrame:
    frame = _as_frame(pa.Table.from_pylist(runs, schema=HISTORY_SCHEMA))
    frame[["date", "previous_date"]] = frame[["date", "previous_date"]].apply(pd.to_datetime)
    totals: list[Any] = [run.get("total") for run in runs]
    published = ~frame["rejected"] | frame["rows"].notna() | frame["added"].notna()
    return frame.assign(items=totals, published=published)


def _sum(counts: "pd.Series[Any]") -> int | None:
    """Return the exact sum of the counts that are not null; None if there are rows and all are null."""
    return None if len(counts) and counts.isna().all() else sum(map(int, counts.dropna()))


def _totals(collections: pd.DataFrame, newest_date: pd.Timestamp) -> dict[str, int | None]:
    return {
        "collections": len(collections),
        "items in collections": _sum(collections["item_count"]),
        "assets in collections": _sum(collections["asset_count"]),
        "models in collections": _sum(collections["model_count"]),
        "owners": collections["owner_id"].nunique(),
        "empty collections": int((collections["item_count"] == 0).sum()),
        f"not updated for {STALE.days} days": int((collections["updated_at"] < newest_date - STALE).sum()),
    }


def _draw_charts(history: pd.DataFrame, recent: pa.Table, names: dict[str, str]) -> dict[str, dict[str, str]]:
    """Return the title and description of each chart, and its images by width and theme as data URLs, by heading."""
    drawings: dict[str, Callable[..., Figure]] = {}
    if history["rows"].count() > 1:
        drawings["Growth"] = partial(charts.growth, history)
    if history.loc[history["previous_date"].notna(), [*CHANGES]].sum().sum():
        drawings["Changes"] = partial(charts.daily_changes, history)
    if recent.num_rows:
        drawings[ACTIVITY] = partial(charts.activity, recent.select(["snapshot_date", "owner_id"]), names=names)
    images = {}
    for heading, draw in drawings.items():
        images[heading] = {"title": charts.title_of(draw()), "description": DESCRIPTIONS[heading]}
        for name, width in WIDTHS.items():
            images[heading][name] = _data_url("png", charts.as_png(draw(width=width)))
            with charts.dark():
                images[heading][f"{name}_dark"] = _data_url("png", charts.as_png(draw(width=width)))
    return images


def _data_url(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _is_demo(footer: dict[str, str]) -> bool:
    """Return whether a lake was created with `--demo`; its emulator no longer serves thumbnails."""
    return footer.get("base_url", "").partition(",")[0] == "demo"


def _captions(collections: pd.DataFrame, images: list[bytes | str]) -> list[dict[str, Any]]:
    """Return the name and number of items of each collection, with its thumbnail or the text in its place."""
    return [
        {
            "name": name,
            "items": count(items, "item"),
            "image": _data_url("jpeg", image) if isinstance(image, bytes) else None,
            "problem": image if image == NO_THUMBNAIL else "",
        }
        for name, items, image in zip(collections["name"], collections["item_count"], images, strict=True)
    ]


def _load_images(lake: str | os.PathLike[str], collections: pd.DataFrame) -> list[bytes | str]:
    """Return the thumbnail of each collection from the lake or else by its URL, or the reason why it is missing."""
    try:
        stored = read_thumbnails(lake, collections["thumbnail_asset_id"])
    except ScenarioError as error:
        logger.warning("the thumbnails in the lake are not used: %s", error)
        stored = {}
    rows = list(zip(collections["thumbnail_asset_id"], collections["thumbnail_url"], strict=True))
    fetched = fetch_images(url for asset_id, url in rows if asset_id not in stored and isinstance(url, str))
    shrunk = {asset_id: thumbnails.try_shrink(content, thumbnails.SIDE) for asset_id, content in stored.items()}
    return [shrunk.get(asset_id) or fetched.get(url, NO_THUMBNAIL) for asset_id, url in rows]


def _missing_thumbnails(images: list[bytes | str], *, is_demo: bool) -> str:
    """Return how many thumbnails could not be read, why, and what to do; "" if all were read."""
    expected = [image for image in images if image != NO_THUMBNAIL]
    problems = Counter(image for image in expected if isinstance(image, str))
    if not problems:
        return ""
    advice = "run `scenario-etl snapshot` with --thumbnails, which stores them in the lake"
    advice = "create a new lake with --demo" if is_demo else advice
    missing = f"{problems.total()} of {count(len(expected), 'thumbnail')} could not be read"
    return f"{missing}: {count_reasons(problems)}; {advice}"


def _shrink_to(max_bytes: int, images: list[bytes | str]) -> list[bytes | str]:
    """Return the images, reduced in size if they exceed `max_bytes` in base64."""
    side = thumbnails.SIDE
    while side > MIN_SIDE and 4 / 3 * sum(len(image) for image in images if isinstance(image, bytes)) > max_bytes:
        side = side * 3 // 4
        images = [thumbnails.shrink(image, side) if isinstance(image, bytes) else image for image in images]
    return images
