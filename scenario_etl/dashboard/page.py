"""The HTML report of a lake: totals, growth, changes, thumbnails and runs."""

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

from scenario_etl import thumbnails
from scenario_etl.dashboard import charts, style
from scenario_etl.dashboard.text import NO_THUMBNAIL
from scenario_etl.errors import ScenarioError
from scenario_etl.footers import project_names
from scenario_etl.lake_reader import HISTORY_SCHEMA, changes, newest_footer, read_history, read_snapshot
from scenario_etl.lake_thumbnails import read_thumbnails
from scenario_etl.publish import atomic_write
from scenario_etl.redact import without_bidi_controls
from scenario_etl.stores import redact_uri
from scenario_etl.thumbnails import count_reasons, fetch_images

WIDTHS = {"wide": style.WIDTH, "narrow": 4.2}  # inches, for screens and for phones
MAX_THUMBNAILS = 48
MAX_IMAGE_BYTES = 900_000  # of charts and thumbnails; the report has at most 1 MB
MIN_SIDE = 32  # pixels of a thumbnail
MAX_NAME_LENGTH = 200  # characters
MAX_CHANGES = 25  # rows
MAX_RUNS = 14  # rows
RECENT = timedelta(weeks=12)  # before the newest snapshot; changes are never removed from a lake
STALE = timedelta(days=90)
REJECTED = "rejected: too many rows were missing"

logger = logging.getLogger("scenario_etl")


def write_report(lake: str | os.PathLike[str], destination: str | os.PathLike[str]) -> int:
    """Write an HTML report of the snapshots of collections in a lake: one file of at most 1 MB.

    Its charts are PNG images, for screens and for phones, light and dark. All names are escaped, and a content security
    policy allows neither scripts nor requests. Thumbnails are read from the lake (`snapshot(..., thumbnails=True)`);
    missing ones are fetched by their URLs, without credentials.

    Args:
        lake: Path or URI of the lake. The report shows the newest snapshot and the changes of the last twelve weeks.
        destination: Path or URI of the report, which is written atomically.

    Returns:
        The number of runs in the history of the lake.

    Raises:
        ConfigError: The lake has no snapshot of collections.
        DestinationError: The lake cannot be read, or the report cannot be written.
        SchemaError: The files of a date were written by different runs, or a file is missing or not valid.
        TransientError: The object store is unavailable, or a run may be publishing the newest date.

    """
    with atomic_write(destination) as path:
        runs = read_history(lake, "collections", total_column="item_count")
        path.write_text(_render(lake, runs), encoding="utf-8")
    return len(runs)


def _render(lake: str | os.PathLike[str], runs: list[dict[str, Any]]) -> str:
    footer = newest_footer(lake, "collections")
    collections = _as_frame(read_snapshot(lake, "collections"))
    history = _as_history(runs)
    newest_date = pd.Timestamp(footer["snapshot_date"])
    compared = history.loc[history["previous_date"].notna() & (history["date"] > newest_date - RECENT), "date"]
    recent = _as_frame(changes(lake, "collections", since=compared.min())) if len(compared) else None
    names = project_names(footer)
    logger.info("%s: writing the HTML report; this may take a few seconds", redact_uri(lake))
    images = _draw_charts(history, recent, names)
    chart_bytes = sum(len(url) for chart in images.values() for url in chart.values())
    return _template().render(
        source=_name(_source(footer, names)),
        lake=redact_uri(lake),
        newest_date=newest_date,
        oldest_date=history["date"].min(),
        totals=_totals(collections, newest_date.tz_localize("UTC")),
        charts=images,
        changes=[] if recent is None else recent.iloc[::-1].head(MAX_CHANGES).to_dict("records"),
        all_changes=0 if recent is None else len(recent),
        first_change=None if recent is None else compared.min(),
        rejected=int(history["rejected"].sum()),
        thumbnails=_thumbnails(lake, collections, MAX_IMAGE_BYTES - chart_bytes, is_demo=_is_demo(footer)),
        runs=history.iloc[::-1].head(MAX_RUNS).to_dict("records"),
        all_runs=len(history),
    )


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": _number, "short": _short_number, "name": _name, "outcome": _outcome}
    return environment.from_string(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))


def _source(footer: dict[str, str], names: dict[str, str]) -> str:
    """Return the base URL of the snapshots, and their project if they have only one."""
    project = footer.get("project_id", "")
    parts = [footer.get("base_url", ""), f"project {names.get(project, project)}" if project else ""]
    return ", ".join(filter(None, parts)) or "unknown"


def _as_frame(table: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    return frame


def _as_history(runs: list[dict[str, Any]]) -> pd.DataFrame:
    frame = _as_frame(pa.Table.from_pylist(runs, schema=HISTORY_SCHEMA))
    frame[["date", "previous_date"]] = frame[["date", "previous_date"]].apply(pd.to_datetime)
    totals: list[Any] = [run.get("total") for run in runs]
    return frame.assign(items=totals)


def _sum(counts: "pd.Series[Any]") -> int | None:
    """Return the exact sum of the counts that are not null; None if there are rows and all are null."""
    return None if len(counts) and counts.isna().all() else sum(map(int, counts.dropna()))


def _totals(collections: pd.DataFrame, newest_date: pd.Timestamp) -> dict[str, int | None]:
    return {
        "collections": len(collections),
        "items": _sum(collections["item_count"]),
        "assets": _sum(collections["asset_count"]),
        "models": _sum(collections["model_count"]),
        "owners": collections["owner_id"].nunique(),
        "empty": int((collections["item_count"] == 0).sum()),
        f"not updated for {STALE.days} days": int((collections["updated_at"] < newest_date - STALE).sum()),
    }


def _draw_charts(
    history: pd.DataFrame, recent: pd.DataFrame | None, names: dict[str, str]
) -> dict[str, dict[str, str]]:
    """Return the title of each chart, and its images for each width and theme as data URLs, by heading."""
    drawings: dict[str, Callable[..., Figure]] = {"Growth": partial(charts.growth, history)}
    if recent is not None:
        activity = partial(charts.activity, recent, names=names)
        drawings |= {"Changes": partial(charts.daily_changes, history), "Activity": activity}
    images = {}
    for heading, draw in drawings.items():
        images[heading] = {"title": charts.title_of(draw())}
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


def _thumbnails(
    lake: str | os.PathLike[str], collections: pd.DataFrame, max_bytes: int, *, is_demo: bool
) -> list[dict[str, Any]]:
    """Return the most recently updated collections, each with its thumbnail or the reason why it is missing."""
    latest = collections.sort_values("updated_at", ascending=False, kind="stable").head(MAX_THUMBNAILS)
    images = _shrink_to(max_bytes, _load_images(lake, latest, is_demo=is_demo))
    return [
        {
            "name": name,
            "items": f"{_number(items)} item{'' if pd.notna(items) and items == 1 else 's'}",
            "image": _data_url("jpeg", image) if isinstance(image, bytes) else None,
            "problem": image,
        }
        for name, items, image in zip(latest["name"], latest["item_count"], images, strict=True)
    ]


def _load_images(lake: str | os.PathLike[str], collections: pd.DataFrame, *, is_demo: bool) -> list[bytes | str]:
    """Return the thumbnail of each collection from the lake or else by its URL, or the reason why it is missing."""
    try:
        stored = read_thumbnails(lake, collections["thumbnail_asset_id"])
    except ScenarioError as error:
        logger.warning("the thumbnails in the lake are not used: %s", error)
        stored = {}
    rows = list(zip(collections["thumbnail_asset_id"], collections["thumbnail_url"], strict=True))
    fetched = fetch_images(url for asset_id, url in rows if asset_id not in stored and isinstance(url, str))
    shrunk = {asset_id: thumbnails.try_shrink(content, thumbnails.SIDE) for asset_id, content in stored.items()}
    images = [shrunk.get(asset_id) or fetched.get(url, NO_THUMBNAIL) for asset_id, url in rows]
    problems = Counter(image for image in images if isinstance(image, str) and image != NO_THUMBNAIL)
    if problems:
        stores = "`scenario-etl snapshot --thumbnails` stores them in the lake"
        advice = "create a new lake with --demo" if is_demo else stores
        logger.warning(
            "%d of %d thumbnails are missing: %s; %s",
            problems.total(), len(images), count_reasons(problems), advice,
        )  # fmt: skip
    return images


def _shrink_to(max_bytes: int, images: list[bytes | str]) -> list[bytes | str]:
    """Return the images, reduced in size if they exceed `max_bytes` in base64."""
    side = thumbnails.SIDE
    while side > MIN_SIDE and 4 / 3 * sum(len(image) for image in images if isinstance(image, bytes)) > max_bytes:
        side = side * 3 // 4
        images = [thumbnails.shrink(image, side) if isinstance(image, bytes) else image for image in images]
    return images


def _number(value: Any) -> str:
    return "-" if pd.isna(value) else f"{int(value):,}"


def _short_number(value: Any) -> str:
    """Return a number that fits its box; from ten million on, in millions or billions."""
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
    return f"published; a later run was {REJECTED}" if published else REJECTED
