"""Charts of collections and their history, as matplotlib Figures.

The title of a chart states its main result. Each function has a parameter `width` in inches; 9 is suitable for 900
pixels, 4.2 for a phone. Use `with dark():` for a dark page. In a notebook, `%matplotlib inline` displays a Figure that
is the last value of a cell.
"""

import io
import math
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from PIL import Image

from scenario_etl.dashboard.axes import (
    DATE_WIDTH,
    align_left,
    date_labels,
    label_above,
    mark_rejected,
    scale_to_counts,
    scale_to_dates,
    scale_to_line,
    truncated_span,
    write_totals,
)
from scenario_etl.dashboard.heat_map import draw_cells
from scenario_etl.dashboard.style import (
    BLUE,
    GRAY,
    NARROW,
    ORANGE,
    RED,
    WIDTH,
    as_png,
    blank,
    chart,
    dark,
    new_figure,
    set_title,
    theme_color,
    title_of,
)
from scenario_etl.dashboard.tables import (
    CHANGES,
    Table,
    as_frame,
    as_history,
    by_date,
    by_owner_and_week,
    change_bars,
    days_per_bar,
    owner_names,
    usual_days,
)
from scenario_etl.dashboard.text import NO_THUMBNAIL, NOT_FETCHED, number, shorten, wrap
from scenario_etl.dashboard.text import count as count_of
from scenario_etl.dashboard.titles import (
    activity_title,
    changes_title,
    growth_title,
    largest_title,
    no_changes_title,
    no_snapshots_title,
    thumbnails_title,
)
from scenario_etl.errors import ConfigError

__all__ = ["activity", "as_png", "contact_sheet", "daily_changes", "dark", "growth", "largest", "title_of"]

MIN_IMAGE_WIDTH = 1.4  # inches, on a contact sheet
NAME_HEIGHT = 0.5  # inches, below an image: two lines of a name and the number of items
MAX_MARKERS = 45
GROWTH = {"rows": ("collections", BLUE), "items": ("items", ORANGE)}
HATCHES = {"is_long": "////", "is_partial": "...."}  # by column of `change_bars`


@chart
def largest(collections: Table, count: int = 10, *, width: float = WIDTH) -> Figure:
    """Draw the collections with the most items as bars.

    Args:
        collections: One row per collection, with the columns `name` and `item_count`.
        count: Number of bars.
        width: Width in inches.

    Raises:
        ConfigError: `collections` is neither a DataFrame nor a pyarrow.Table, or lacks a column.

    """
    collections = as_frame("largest", collections, ("name", "item_count"))
    top = collections.dropna(subset="item_count").nlargest(count, "item_count")
    title = largest_title(top["item_count"], collections["item_count"])
    if top.empty:
        return blank(new_figure(width, 1)[0], title)
    figure, axes = new_figure(width, 0.7 + 0.34 * max(2, len(top)))
    bars = axes.barh(range(len(top)), top["item_count"].astype(float), color=theme_color(BLUE))
    axes.bar_label(bars, [number(items) for items in top["item_count"]], padding=3, fontsize=9)
    axes.set_xlim(0, 1.08 * max(1, top["item_count"].max()))
    max_length = 44 if width >= NARROW else 22
    axes.set_yticks(range(len(top)), [shorten(name, max_length) for name in top["name"]])
    axes.invert_yaxis()
    axes.grid(visible=False)
    axes.set_xlabel("items")
    axes.set_xticks([])
    set_title(figure, title)
    return figure


@chart
def growth(history: Table, *, width: float = WIDTH) -> Figure:
    """Draw the number of collections and items at each snapshot, and the dates on which the guard rejected one.

    The axes start at zero if one of the lines changes by more than 30% or never exceeds 2; otherwise they span the same
    part of their largest values, at least a quarter. The first and last values of each line are labeled.

    Args:
        history: One row per date, as returned by `scenario_etl.history`, with the columns `date`, `rows`,
            `rejected` and optionally `items`, the sum of `item_count`.
        width: Width in inches.

    Raises:
        ConfigError: `history` is neither a DataFrame nor a pyarrow.Table, or lacks a column.

    """
    history = as_history("growth", history, ("date", "rows", "rejected"))
    published = history[history["rows"].notna()]
    if published.empty:
        return blank(new_figure(width, 1)[0], no_snapshots_title(history))
    lines = {name: by_date(history, name) for name in GROWTH if name in history and history[name].notna().any()}
    figure, axes = new_figure(width, 2.1 * len(lines), rows=len(lines))
    span = truncated_span(lines.values())
    for axis, (name, values) in zip(np.atleast_1d(axes), lines.items(), strict=True):
        _draw_growth(axis, values, *GROWTH[name], span)
        mark_rejected(axis, history)
        scale_to_dates(axis, history["date"], width)
        if axis is not figure.axes[-1]:
            axis.tick_params(bottom=False, labelbottom=False)
            axis.set_xlabel("")
    set_title(figure, growth_title(published))
    if history["rejected"].any():
        figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower left", fontsize=9)
    align_left(figure)
    return figure


def _draw_growth(axis: Axes, values: "pd.Series[float]", label: str, color: int, span: float) -> None:
    is_alone = values.notna() & values.shift(1).isna() & values.shift(-1).isna()  # a line needs two points
    axis.plot(values.index, values, color=theme_color(color))
    marked = values if values.count() <= MAX_MARKERS else values[is_alone]
    axis.plot(marked.index, marked, "o", color=theme_color(color), markersize=3)
    label_above(axis, f"{label} (truncated axis)" if span and values.count() > 1 else label)
    scale_to_counts(axis, 5)
    scale_to_line(axis, values, span)


@chart
def daily_changes(history: Table, *, width: float = WIDTH) -> Figure:
    """Draw the number of collections that were added, updated and deleted with each snapshot but the first.

    The number of a bar is their sum. A hatched bar covers more days than most bars do, because no snapshot was
    published on the days before. With more than 90 dates, each bar is a week; a dotted one is only part of a week,
    because the history starts or ends in it.

    Args:
        history: One row per date, as returned by `scenario_etl.history`, with the columns `date`, `previous_date`,
            `added`, `updated`, `deleted` and `rejected`.
        width: Width in inches.

    Raises:
        ConfigError: `history` is neither a DataFrame nor a pyarrow.Table, or lacks a column.

    """
    history = as_history("daily_changes", history, ("date", "previous_date", *CHANGES, "rejected"))
    bars = change_bars(history)
    if not bars["total"].sum():
        return blank(new_figure(width, 1)[0], no_changes_title(history))
    figure, axes = new_figure(width, 3.2)
    days = days_per_bar(history["date"])
    weekly = days > usual_days(history["date"])
    label_above(axes, "changes per week" if weekly else "changed collections")
    _draw_change_bars(axes, bars)
    mark_rejected(axes, history)
    write_totals(axes, bars, scale_to_dates(axes, history["date"], width))
    handles, _ = axes.get_legend_handles_labels()
    labels = {"is_long": "several days" if days == 1 else "longer interval", "is_partial": "part of a week"}
    handles += [
        Patch(facecolor=GRAY, edgecolor=mpl.rcParams["axes.facecolor"], hatch=hatch, label=labels[column])
        for column, hatch in HATCHES.items()
        if bars[column].any()
    ]
    figure.legend(handles=handles, ncols=5 if width >= NARROW else 2, loc="outside lower left", fontsize=9)
    set_title(figure, changes_title(bars, history["date"].max(), weekly=weekly))
    align_left(figure)
    return figure


def _draw_change_bars(axis: Axes, bars: pd.DataFrame) -> None:
    bottom = 0 * bars["total"]
    for name, color in zip(CHANGES, (BLUE, ORANGE, RED), strict=True):
        if bars[name].any():
            axis.bar(bars["place"], bars[name], 0.8 * bars["days"], bottom, color=theme_color(color), label=name)
        bottom = bottom + bars[name]
    for column, hatch in HATCHES.items():
        hatched = bars[bars[column]]
        axis.bar(
            hatched["place"], hatched["total"], 0.8 * hatched["days"], fill=False, hatch=hatch, linewidth=0,
            edgecolor=mpl.rcParams["axes.facecolor"],
        )  # fmt: skip
    unchanged = bars.loc[bars["total"] == 0, "place"]
    axis.plot(unchanged, [0] * len(unchanged), "|", color=GRAY)
    axis.axhline(0, color=GRAY, linewidth=0.8)
    axis.use_sticky_edges = False
    axis.margins(y=0.2)
    axis.set_ylim(bottom=0)
    scale_to_counts(axis, 6)


@chart
def activity(changes: Table, *, names: Mapping[str, str] | None = None, width: float = WIDTH) -> Figure:
    """Draw the number of changes to each owner's collections in each week as a heat map.

    The colors do not depend on the row of other owners, which is gray.

    Args:
        changes: One row per change, as returned by `scenario_etl.changes`, with the columns `snapshot_date` and
            `owner_id`. All rows of the first snapshot count as added, so pass `since=` to `changes` to leave them out.
        names: Names of owners, by their ids.
        width: Width in inches.

    Raises:
        ConfigError: `changes` is neither a DataFrame nor a pyarrow.Table, or lacks a column.

    """
    changes = as_frame("activity", changes, ("snapshot_date", "owner_id"))
    counts = by_owner_and_week(changes)
    if counts.empty:
        return blank(new_figure(width, 1)[0], "No changes")
    figure, axes = new_figure(width, 1.45 + 0.38 * max(2, len(counts)))
    dates = pd.to_datetime(changes["snapshot_date"])
    first, last = dates.min(), dates.max()
    labels = [shorten(owner, 36 if width >= NARROW else 20) for owner in owner_names(counts.index, names or {})]
    cell_width = (width - max(map(len, labels)) / 12) / counts.shape[1]  # inches
    handles = draw_cells(axes, counts, cell_width)
    step = math.ceil(DATE_WIDTH / cell_width)
    starts = [first, *counts.columns[1:]]  # in the first week, changes start with the first date
    axes.set_xticks(range(0, counts.shape[1], step), date_labels(starts[::step]))
    axes.set_yticks(range(len(counts)), labels)
    axes.set_xlabel("changes in the week from")
    if handles:
        figure.legend(handles=handles, ncols=len(handles), loc="outside lower left", fontsize=9, title="changes")
    set_title(figure, activity_title(counts.sum(axis=1), names or {}, first, last))
    return figure


@chart
def contact_sheet(collections: Table, images: Sequence[bytes | None], *, width: float = WIDTH) -> Figure:
    """Draw the thumbnails of collections in a grid, each above its name and its number of items.

    Args:
        collections: One row per image, with the columns `name` and `item_count`.
        images: JPEGs, as returned by `fetch_thumbnails`, one per row; a gray square stands for None. If there is a
            column `thumbnail_url`, images that could not be fetched are distinguished from collections without a
            thumbnail.
        width: Width in inches.

    Raises:
        ConfigError: `collections` is neither a DataFrame nor a pyarrow.Table, lacks a column, or has a different
            length than `images`.

    """
    collections = as_frame("contact_sheet", collections, ("name", "item_count"))
    drawn = _images_or_reasons(collections, images)
    columns = max(1, int(width / MIN_IMAGE_WIDTH))
    rows = max(1, -(-len(images) // columns))
    side = width / columns
    figure, axes = new_figure(width, rows * (side + NAME_HEIGHT) + 0.4, rows=rows, columns=columns)
    set_title(figure, thumbnails_title(drawn))
    grid = np.atleast_1d(axes).ravel()
    for axis, image, name, items in zip(grid, drawn, collections["name"], collections["item_count"], strict=False):
        _draw_image(axis, image)
        text = "\n".join([*wrap(name, 20), count_of(items, "item")])
        axis.text(0, -0.03, text, ha="left", va="top", fontsize=8, clip_on=True)  # it cannot move other images
    for axis in grid:
        axis.set(xlim=(0, 1), ylim=(-NAME_HEIGHT / side, 1), aspect="equal")
        axis.set_axis_off()
    return figure


def _images_or_reasons(collections: pd.DataFrame, images: Sequence[bytes | None]) -> list[bytes | str]:
    """Return each image, or the reason why it is missing."""
    if len(images) != len(collections):
        raise ConfigError(
            f"contact_sheet requires one image for each collection, got {count_of(len(images), 'image')} for "
            f"{count_of(len(collections), 'collection')}"
        )
    urls = collections.get("thumbnail_url", [None] * len(images))
    return [
        image if image is not None else NO_THUMBNAIL if pd.isna(url) else NOT_FETCHED
        for image, url in zip(images, urls, strict=True)
    ]


def _draw_image(axis: Axes, image: bytes | str) -> None:
    if isinstance(image, str):
        axis.add_patch(mpl.patches.Rectangle((0, 0), 1, 1, color=mpl.rcParams["grid.color"], linewidth=0))
        axis.text(0.5, 0.5, image, ha="center", va="center", fontsize=8)
    else:
        axis.imshow(Image.open(io.BytesIO(image)), extent=(0, 1, 0, 1))


def __dir__() -> list[str]:
    """Return the public names, for tab completion."""
    return __all__
