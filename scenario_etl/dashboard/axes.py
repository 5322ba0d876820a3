"""Shared helpers for chart axes: dates, scales, numbers, rejected snapshots."""

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import matplotlib as mpl
import matplotlib.patheffects
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.dates import MONTHLY, AutoDateLocator, date2num, num2date
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from scenario_etl.dashboard.style import NARROW, RED, theme_color
from scenario_etl.dashboard.text import day, number

LARGE_CHANGE = 0.3  # of the largest value; axes of counts that change by more start at zero
STEPS = (1, 2, 5, 10)  # between ticks
LEFT = 1.15  # inches, from the edge of a chart of dates to its axes; enough for tick labels of seven characters


def scale_to_counts(axis: Axes, max_ticks: int) -> None:
    """Put ticks at integers, written without a sign."""
    axis.yaxis.set_major_locator(MaxNLocator(max_ticks, integer=True, steps=STEPS))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{abs(value):,.0f}"))


def changes_much(values: "pd.Series[float]") -> bool:
    """Return whether a line is easy to read on an axis that starts at zero."""
    span = values.max() - values.min()
    return bool(span > LARGE_CHANGE * values.max() or values.max() < 3)


def scale_to_line(axis: Axes, values: "pd.Series[float]", from_zero: bool) -> None:
    """Scale an axis to a line of counts, and write the first and the last value above or below it."""
    values = values.dropna()
    if values.empty:
        return
    axis.margins(y=0.3)
    if from_zero:
        axis.set_ylim(bottom=0, top=max(1, 1.25 * values.max()))
    nearby = 1 + math.ceil(len(values) / 4)  # points below or above a number
    ends = [(values.iloc[:1], values.iloc[:nearby], "left"), (values.iloc[-1:], values.iloc[-nearby:], "right")]
    for end, around, side in ends[-len(values) :]:  # a single value has a single number
        value, has_room_below = end.iloc[0], not from_zero or end.iloc[0] > 0.25 * values.max()
        upwards = around.max() <= value or not has_room_below
        write_number(axis, value, end.index[0], value, upwards=upwards, side=side)


def scale_to_dates(axis: Axes, dates: "pd.Series[Any]", width: float) -> tuple[float, float]:
    """Let an axis span these dates, with the year below its first tick; return the limits in days."""
    earliest, latest = float(date2num(dates.min())), float(date2num(dates.max()))  # type: ignore[no-untyped-call]
    first, last = earliest - 1.5, latest + 1.5
    axis.set_xlim(first, last)
    max_ticks = 4 if width < NARROW else 8
    locator = AutoDateLocator(minticks=3, maxticks=max_ticks)  # type: ignore[no-untyped-call]
    locator.intervald[MONTHLY] = [1, 2, 3, 4, 6, 12]  # without 12, it warns if there are four ticks for two years
    axis.xaxis.set_major_locator(locator)
    ticks = [float(tick) for tick in axis.get_xticks() if earliest <= tick <= latest and float(tick).is_integer()]
    if dates.nunique() <= max_ticks:
        ticks = sorted({float(date2num(date)) for date in dates})  # type: ignore[no-untyped-call]
    axis.set_xticks(ticks, date_labels([num2date(tick) for tick in ticks]))  # type: ignore[no-untyped-call]
    axis.set_xlabel("snapshot date (UTC)")
    return first, last


def date_labels(days: Sequence[Any]) -> list[str]:
    """Return the labels of ticks; the first of each year has the year below it."""
    years = [None, *(each.year for each in days)]
    return [
        day(each) + ("" if each.year == previous else f"\n{each.year}")
        for each, previous in zip(days, years, strict=False)
    ]


def align_left(figure: Figure) -> None:
    """Start the axes at the same distance from the left edge in each chart of dates, so that their dates line up.

    If tick labels need more room, the axes stay where the layout puts them.
    """
    figure.draw_without_rendering()
    missing = max(0.0, LEFT / figure.get_figwidth() - figure.axes[0].get_position().x0)
    figure.set_layout_engine("constrained", rect=(missing, 0, 1 - missing, 1))


def mark_rejected(axis: Axes, history: pd.DataFrame) -> None:
    """Highlight the dates on which the guard rejected a snapshot."""
    half, color = timedelta(hours=12), theme_color(RED)
    for index, date in enumerate(history.loc[history["rejected"], "date"]):
        label = "rejected snapshot" if index == 0 else None
        axis.axvspan(
            date - half, date + half, facecolor=f"{color}59", edgecolor=color, linewidth=0.8, label=label, zorder=0
        )


def write_bar_numbers(axis: Axes, places: "pd.Series[Any]", above: Any, below: Any) -> None:
    """Write the number of each bar above or below it."""
    for place, up, down in zip(places, above, below, strict=True):
        write_number(axis, up, place, up)
        write_number(axis, down, place, -down, upwards=False)


def write_largest_number(axis: Axes, places: "pd.Series[Any]", above: Any, below: Any, bar_width: float) -> None:
    """Write the number of the highest bar, aligned with one of its sides, as its neighbors may be close.

    If several bars are the highest, it is the last of them.
    """
    totals = above + below
    highest = int(np.flatnonzero(totals == totals.max())[-1])
    is_near_end = highest > 0.8 * len(totals)
    half = timedelta(days=bar_width / 2)
    place = places.iloc[highest] + (half if is_near_end else -half)
    write_number(axis, totals[highest], place, above[highest], side="right" if is_near_end else "left")


def write_number(axis: Axes, value: float, x: Any, y: float, *, upwards: bool = True, side: Any = "center") -> None:
    """Write a number other than zero above or below a point, with an outline so that it is legible on a line."""
    if value:
        outline = matplotlib.patheffects.withStroke(linewidth=2.5, foreground=mpl.rcParams["axes.facecolor"])
        axis.annotate(
            number(value), (x, y), xytext=(0, 3 if upwards else -3), textcoords="offset points",
            ha=side, va="bottom" if upwards else "top", fontsize=8, path_effects=[outline],
        )  # fmt: skip


def write_cell_numbers(axis: Axes, counts: Any, shades: LinearSegmentedColormap) -> None:
    """Write the number of each cell of a heat map, dark on light cells and light on dark ones."""
    for (row, column), value in np.ndenumerate(counts):
        red, green, blue = to_rgb(shades(value / counts.max()))
        is_light = 0.299 * red + 0.587 * green + 0.114 * blue > 0.5
        axis.text(
            column, row, f"{value:,}", ha="center", va="center", color="#222222" if is_light else "white", fontsize=9
        )
