"""Charts of collections and their history, as matplotlib Figures.

The title of a chart states its main result. Each function has a parameter `width` in inches; 9 is suitable for 900
pixels, 4.2 for a phone. Use `with dark():` for a dark page. In a notebook, `%matplotlib inline` displays a Figure that
is the last value of a cell.
"""

import io
import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from PIL import Image

from scenario_etl.dashboard.axes import (
    align_left,
    changes_much,
    date_labels,
    mark_rejected,
    scale_to_counts,
    scale_to_dates,
    scale_to_line,
    write_bar_numbers,
    write_cell_numbers,
    write_largest_number,
)
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
    by_week,
    owner_names,
)
from scenario_etl.dashboard.text import NO_THUMBNAIL, NOT_FETCHED, number, shorten, wrap
from scenario_etl.dashboard.text import count as count_of
from scenario_etl.dashboard.titles import activity_title, changes_title, growth_title, largest_title, thumbnails_title
from scenario_etl.errors import ConfigError

__all__ = ["activity", "as_png", "contact_sheet", "daily_changes", "dark", "growth", "largest", "title_of"]

MIN_IMAGE_WIDTH = 1.4  # inches, on a contact sheet
MIN_BAR_LABEL = 0.22  # inches; the number of a narrower bar would run into the next
MAX_BARS = 90  # of days; with more, a bar is a week
MAX_MARKERS = 45
NAME_HEIGHT = 0.5  # inches, below an image: two lines of a name and the number of items
GROWTH = {"rows": ("collections", BLUE), "items": ("items", ORANGE)}


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

    The axes start at zero if one of the lines changes by more than 30%. The first and last values of each line
    are labeled.

    Args:
        history: One row per date, as returned by `scenario_etl.history`, with the columns `date`, `rows`,
            `rejected` and optionally `items`, the sum of `item_count`.
        width: Width in inches.

    Raises:
        ConfigError: `history` is neither a DataFrame nor a pyarrow.Table, or lacks a column.

    """
    history = as_history("growth", history, ("date", "rows", "rejected"))
    lines = {name: by_date(history, name) for name in GROWTH if name in history}
    figure, axes = new_figure(width, 2.1 * len(lines), rows=len(lines))
    published = history[history["rows"].notna()]
    if published.empty:
        return blank(figure, "No snapshots yet")
    from_zero = any(map(changes_much, lines.values()))
    for axis, (name, values) in zip(np.atleast_1d(axes), lines.items(), strict=True):
        _draw_growth(axis, values, *GROWTH[name], from_zero=from_zero)
        mark_rejected(axis, history)
        scale_to_dates(axis, history["date"], width)
        if axis is not figure.axes[-1]:
            axis.tick_params(bottom=False, labelbottom=False)
            axis.set_xlabel("")
    figure.align_ylabels()
    set_title(figure, growth_title(published))
    if history["rejected"].any():
        figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower left", fontsize=9)
    align_left(figure)
    return figure


def _draw_growth(axis: Axes, values: "pd.Series[float]", label: str, color: int, *, from_zero: bool) -> None:
    marker = "o" if len(values) <= MAX_MARKERS else ""
    axis.plot(values.index, values, color=theme_color(color), marker=marker, markersize=3)
    axis.set_ylabel(label if from_zero else f"{label}\n(truncated axis)")
    scale_to_counts(axis, 5)
    scale_to_line(axis, values, from_zero)


@chart
def daily_changes(history: Table, *, width: float = WIDTH) -> Figure:
    """Draw the number of collections that were added, updated and deleted with each snapshot but the first.

    With more than 90 snapshots, each bar is a week.

    Args:
        history: One row per date, as returned by `scenario_etl.history`, with the columns `date`, `previous_date`,
            `added`, `updated`, `deleted` and `rejected`.
        width: Width in inches.

    Raises:
        ConfigError: `history` is neither a DataFrame nor a pyarrow.Table, or lacks a column.

    """
    history = as_history("daily_changes", history, ("date", "previous_date", *CHANGES, "rejected"))
    figure, axes = new_figure(width, 3.2)
    compared = history[history["previous_date"].notna()].fillna(dict.fromkeys(CHANGES, 0))
    if not compared[[*CHANGES]].to_numpy(float).sum():
        return blank(figure, "No changes")
    weekly = len(compared) > MAX_BARS
    days, compared = (7, by_week(compared)) if weekly else (1, compared)
    places = compared["date"] + timedelta(days=(days - 1) / 2)
    bar_width = 0.8 * days
    _draw_change_bars(axes, places, compared, bar_width)
    axes.set_ylabel("changed collections per week" if weekly else "changed collections")
    mark_rejected(axes, history)
    first, last = scale_to_dates(axes, history["date"], width)
    up, down = _bar_ends(compared)
    if (width - 0.8) / (last - first) * days > MIN_BAR_LABEL:
        write_bar_numbers(axes, places, up, down)
    else:
        write_largest_number(axes, places, up, down, bar_width)
    figure.legend(ncols=4 if width >= NARROW else 2, loc="outside lower left", fontsize=9)
    set_title(figure, changes_title(compared, up + down, history["date"].max(), weekly=weekly))
    align_left(figure)
    return figure


def _bar_ends(compared: pd.DataFrame) -> tuple[Any, Any]:
    """Return how far each bar reaches above and below zero."""
    added, updated, deleted = (compared[name].to_numpy(float) for name in CHANGES)
    return added + updated, deleted


def _draw_change_bars(axis: Axes, places: "pd.Series[Any]", compared: pd.DataFrame, bar_width: float) -> None:
    added, updated, deleted = (compared[name].to_numpy(float) for name in CHANGES)
    for values, bottom, name, color in (
        (added, None, "added", BLUE), (updated, added, "updated", ORANGE), (-deleted, None, "deleted", RED),
    ):  # fmt: skip
        axis.bar(places, values, bottom=bottom, width=bar_width, color=theme_color(color), label=name)
    axis.axhline(0, color=GRAY, linewidth=0.8)
    axis.use_sticky_edges = False
    axis.margins(y=0.2)
    scale_to_counts(axis, 6)


@chart
def activity(changes: Table, *, names: Mapping[str, str] | None = None, width: float = WIDTH) -> Figure:
    """Draw the number of changes to each owner's collections in each week as a heat map.

    Args:
        changes: One row per change, as returned by `scenario_etl.changes`, with the columns `snapshot_date` and
            `owner_id`.
        names: Names of owners, by their ids.
        width: Width in inches.

    Raises:
        ConfigError: `changes` is neither a DataFrame nor a pyarrow.Table, or lacks a column.

    """
    changes = as_frame("activity", changes, ("snapshot_date", "owner_id"))
    counts = by_owner_and_week(changes)
    figure, axes = new_figure(width, 1.2 + 0.38 * max(1, len(counts)))
    if counts.empty:
        return blank(figure, "No changes")
    shades = LinearSegmentedColormap.from_list("shades", [mpl.rcParams["axes.facecolor"], theme_color(BLUE)])
    axes.imshow(counts, cmap=shades, aspect="auto", vmin=0)
    max_length = 22 if width >= NARROW else 14
    cell_width = (width - max_length / 12) / counts.shape[1]  # inches
    if cell_width > 0.3:
        write_cell_numbers(axes, counts.to_numpy(), shades)
    step = math.ceil(0.65 / cell_width)
    axes.set_xticks(range(0, counts.shape[1], step), date_labels(list(counts.columns[::step])))
    owners = owner_names(counts.index, names or {})
    axes.set_yticks(range(len(counts)), [shorten(owner, max_length) for owner in owners])
    axes.grid(visible=False)
    axes.set_xlabel("changes in the week of")
    axes.spines[:].set_visible(False)
    set_title(figure, activity_title(counts.sum(axis=1), names or {}, pd.to_datetime(changes["snapshot_date"]).min()))
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
