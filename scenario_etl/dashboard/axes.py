"""Shared helpers for chart axes: dates, scales, numbers, rejected snapshots."""

import math
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import MONTHLY, AutoDateLocator, date2num, num2date
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from scenario_etl.dashboard.style import NARROW, outline
from scenario_etl.dashboard.tables import days_per_bar
from scenario_etl.dashboard.text import day, number

LARGE_CHANGE = 0.3  # of the largest value; axes of counts that change by more start at zero
MIN_SPAN = 0.25  # of the largest value, on an axis that does not start at zero, so that small changes look small
STEPS = (1, 2, 5, 10)  # between ticks
DATE_WIDTH = 0.65  # inches, of a date on an axis
LEFT = 0.8  # inches, from the edge of a chart of dates to its axes; enough for tick labels of seven characters


def label_above(axis: Axes, label: str) -> None:
    """Write the label of the vertical axis above it, where it has room."""
    axis.set_ylabel(label, rotation=0, ha="left", va="bottom")
    axis.yaxis.set_label_coords(0, 1.02)


def scale_to_counts(axis: Axes, max_ticks: int) -> None:
    """Put ticks at integers, written without a sign."""
    axis.yaxis.set_major_locator(MaxNLocator(max_ticks, integer=True, steps=STEPS))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{abs(value):,.0f}"))


def truncated_span(lines: Iterable["pd.Series[float]"]) -> float:
    """Return which part of its largest value each axis spans, so that equal growth is equally steep in all of them.

    It is 0 if a line changes much or has only small values, and the axes start at zero.
    """
    ranges = [(values.min(), values.max()) for values in lines]
    if any(largest < 3 for _, largest in ranges):
        return 0
    change = max(1 - float(smallest / largest) for smallest, largest in ranges)
    return 0 if change > LARGE_CHANGE else max(MIN_SPAN, 1.6 * change)


def scale_to_line(axis: Axes, values: "pd.Series[float]", span: float) -> None:
    """Scale an axis to a line of counts, and write the first and the last value above or below it."""
    values = values.dropna()
    smallest, largest = values.min(), values.max()
    if span:
        axis.set_ylim((smallest + largest - span * largest) / 2, (smallest + largest + span * largest) / 2)
    else:
        axis.set_ylim(bottom=0, top=max(1, 1.25 * largest))
    if len(values) == 1:
        axis.set_yticks([])
    nearby = 1 + math.ceil(len(values) / 4)  # points below or above a number
    ends = [(values.iloc[:1], values.iloc[:nearby], "left"), (values.iloc[-1:], values.iloc[-nearby:], "right")]
    for end, around, side in ends[-len(values) :]:  # a single value has a single number
        value, has_room_below = end.iloc[0], span or end.iloc[0] > 0.25 * largest
        upwards = around.max() <= value or not has_room_below
        write_number(axis, value, end.index[0], value, upwards=upwards, side=side)


def scale_to_dates(axis: Axes, dates: "pd.Series[Any]", width: float) -> float:
    """Let an axis span these dates, with the year below its first tick; return the number of inches per day."""
    earliest, latest = float(date2num(dates.min())), float(date2num(dates.max()))  # type: ignore[no-untyped-call]
    margin = days_per_bar(dates) + 0.5
    axis.set_xlim(earliest - margin, latest + margin)
    inches = (width - LEFT) / (latest - earliest + 2 * margin)
    max_ticks = 4 if width < NARROW else 8
    locator = AutoDateLocator(minticks=3, maxticks=max_ticks)  # type: ignore[no-untyped-call]
    locator.intervald[MONTHLY] = [1, 2, 3, 4, 6, 12]  # without 12, it warns if there are four ticks for two years
    axis.xaxis.set_major_locator(locator)
    ticks = [float(tick) for tick in axis.get_xticks() if earliest <= tick <= latest and float(tick).is_integer()]
    if dates.nunique() <= max_ticks:
        ticks = sorted({float(date2num(date)) for date in dates})  # type: ignore[no-untyped-call]
    ticks = spread(ticks, DATE_WIDTH / inches)
    axis.set_xticks(ticks, date_labels([num2date(tick) for tick in ticks]))  # type: ignore[no-untyped-call]
    axis.set_xlabel("snapshot date (UTC)")
    return inches


def spread(places: Iterable[float], distance: float) -> list[float]:
    """Return the places without those that are closer to the one before than this distance."""
    kept: list[float] = []
    for place in places:
        if not kept or place - kept[-1] >= distance:
            kept.append(place)
    return kept


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
    """Mark the dates on which the guard rejected a snapshot with crosses on the axis."""
    dates = history.loc[history["rejected"], "date"]
    around = outline(mpl.rcParams["axes.facecolor"])
    if len(dates):
        axis.plot(
            dates, [0] * len(dates), "x", color=mpl.rcParams["text.color"], label="rejected snapshot",
            markeredgewidth=1.5, path_effects=[around], transform=axis.get_xaxis_transform(), clip_on=False, zorder=3,
        )  # fmt: skip


def write_totals(axis: Axes, bars: pd.DataFrame, inches: float) -> None:
    """Write the total of each bar above it, or only the largest if bars are narrow, and never two in the same place.

    Args:
        axis: Axis of the bars.
        bars: One row per bar, as returned by `change_bars`.
        inches: Inches per day.

    """
    text_width = 0.06 + 0.08 * len(number(bars["total"].max()))  # inches
    has_room = bars["days"].max() * inches >= text_width
    labeled = bars if has_room else bars[bars["total"] == bars["total"].max()]
    days = (labeled["place"] - labeled["place"].min()) / timedelta(days=1)
    labeled = labeled[days.isin(spread(days, text_width / inches))]
    for place, total in zip(labeled["place"], labeled["total"], strict=True):
        write_number(axis, total, place, total)


def write_number(axis: Axes, value: float, x: Any, y: float, *, upwards: bool = True, side: Any = "center") -> None:
    """Write a number above or below a point, with an outline so that it is legible on a line."""
    around = outline(mpl.rcParams["axes.facecolor"])
    axis.annotate(
        number(value), (x, y), xytext=(0, 3 if upwards else -3), textcoords="offset points",
        ha=side, va="bottom" if upwards else "top", fontsize=8, path_effects=[around],
    )  # fmt: skip
