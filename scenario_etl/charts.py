"""Charts of collections and of their history: DataFrame -> matplotlib Figure, in one small style.

Titles say the finding. The colours are those of Okabe and Ito, which colour-blind people can tell apart. Each function
takes the width in inches: 9 reads well at 900 pixels, 4.2 on a phone; inside `with dark():` it draws for a dark page.
In a notebook, `%matplotlib inline` shows a Figure that a cell ends with.
"""

import io
import math
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from functools import cache, wraps
from typing import Any, ParamSpec

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import MONTHLY, AutoDateLocator, date2num, num2date
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font, get_font_names
from matplotlib.ticker import FuncFormatter, MaxNLocator
from PIL import Image

from scenario_etl.redact import without_bidi_controls

WIDTH = 9.0  # inches
NARROW = 6.0  # inches; below it, a chart has fewer ticks
PIXELS_AN_INCH = 100
TITLE_CHARACTERS = 9.5  # an inch
PICTURE_WIDTH = 1.4  # inches, at least, of a contact sheet
MOST_OWNERS = 15  # of a heat map
NO_OWNER = "no owner"
CHANGES = ("added", "updated", "deleted")
LARGE_CHANGE = 0.3  # of the largest value; an axis of counts that change by more starts at zero
BAR_LABEL = 0.22  # inches; the number of a narrower bar would run into the next
BLUE, ORANGE, RED, GREY = "#0072B2", "#E69F00", "#D55E00", "#808080"
GROWTH = {"rows": ("collections", BLUE), "items": ("items", ORANGE)}
PNG_COLORS = 96
UNDRAWABLE = "\u25a1"  # an empty square, for a character that no font has
FONTS = ("Noto Sans CJK JP", "Hiragino Sans", "Microsoft YaHei", "Malgun Gothic")  # for names that DejaVu Sans lacks
STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.labelsize": 10,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "figure.dpi": PIXELS_AN_INCH,
    "font.size": 10,
    "legend.frameon": False,
    "savefig.bbox": None,
    "text.parse_math": False,
    "text.usetex": False,
}


def _colors(text: str, background: str, edge: str, grid: str) -> dict[str, str]:
    roles = {
        text: ("axes.labelcolor", "axes.titlecolor", "legend.labelcolor", "text.color", "xtick.color", "ytick.color"),
        background: ("axes.facecolor", "figure.facecolor", "savefig.facecolor"),
        edge: ("axes.edgecolor",),
        grid: ("grid.color",),
    }
    return {name: color for color, names in roles.items() for name in names}


LIGHT = _colors(text="#333333", background="#FFFFFF", edge="#B0B0B0", grid="#E3E3E3")
DARK = _colors(text="#D6D6D6", background="#1B1D21", edge="#5C6068", grid="#33373D")
_theme: ContextVar[dict[str, str]] = ContextVar("theme", default=LIGHT)


@contextmanager
def dark() -> Iterator[None]:
    """Draw what is drawn in this block with light text on a dark background."""
    token = _theme.set(DARK)
    try:
        yield
    finally:
        _theme.reset(token)


Arguments = ParamSpec("Arguments")


def _styled(draw: Callable[Arguments, Figure]) -> Callable[Arguments, Figure]:
    """Return a function that draws in the style, and at once: matplotlib makes some parts only when they are drawn."""

    @wraps(draw)
    def styled(*positional: Arguments.args, **named: Arguments.kwargs) -> Figure:
        with mpl.rc_context(STYLE | _theme.get() | {"font.family": _fonts()}):
            figure = draw(*positional, **named)
            figure.draw_without_rendering()
        return figure

    return styled


@cache
def _fonts() -> list[str]:
    """Return the fonts to look for a character in, as far as they are installed; the first comes with matplotlib."""
    installed = set(get_font_names())
    return ["DejaVu Sans", *(font for font in FONTS if font in installed)]


@cache
def _drawable() -> set[int]:
    """Return the characters that one of the fonts has; matplotlib warns of each other one."""
    return {character for font in _fonts() for character in get_font(findfont(font)).get_charmap()}


@_styled
def largest(collections: pd.DataFrame, count: int = 10, *, width: float = WIDTH) -> Figure:
    """Draw the collections with the most items, as bars.

    Args:
        collections: one row each: `name`, `item_count`.
        count: how many are drawn.
        width: in inches.

    """
    top = collections.nlargest(count, "item_count")
    figure, axes = _figure(width, 0.6 + 0.34 * max(1, len(top)))
    bars = axes.barh(range(len(top)), top["item_count"].astype(float), color=BLUE)
    axes.bar_label(bars, [_number(items) for items in top["item_count"]], padding=3, fontsize=9)
    axes.margins(x=0.08)
    axes.set_yticks(range(len(top)), [_short(name, 34) for name in top["name"]])
    axes.invert_yaxis()
    axes.grid(visible=False)
    axes.set_xlabel("items")
    axes.xaxis.set_major_formatter(_THOUSANDS)
    _title(figure, _largest_found(top["item_count"], collections["item_count"]))
    return figure


@_styled
def growth(history: pd.DataFrame, *, width: float = WIDTH) -> Figure:
    """Draw how many collections and items there were at each snapshot, and when the guard stopped one.

    An axis starts at zero where the change is large; otherwise the first and the last value are written at the line.

    Args:
        history: one row a date, as of `scenario_etl.history`: `date`, `rows`, `rejected`; and `items`, the sum of
            `item_count`, where it is known.
        width: in inches.

    """
    history = _with_times(history)
    drawn = [name for name in GROWTH if name in history]
    figure, axes = _figure(width, 2.1 * len(drawn), rows=len(drawn))
    axes = np.atleast_1d(axes)
    published = history[history["rows"].notna()]
    if published.empty:
        return _blank(figure, "No snapshot yet")
    for axis, name in zip(axes, drawn, strict=True):
        label, color = GROWTH[name]
        values = history[name].astype(float)  # NaN on a night without a snapshot: no line leads through it
        axis.plot(history["date"], values, color=color, marker="o", markersize=3)
        axis.set_ylabel(label)
        axis.yaxis.set_major_formatter(_THOUSANDS)
        axis.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        _scale(axis, history["date"], values)
        _mark_rejected(axis, history)
        _date_axis(axis, history["date"], width)
        if axis is not axes[-1]:
            axis.tick_params(bottom=False, labelbottom=False)
            axis.set_xlabel("")
    _title(figure, _growth_found(published))
    if history["rejected"].any():
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower left", fontsize=9)
    return figure


@_styled
def daily_changes(history: pd.DataFrame, *, width: float = WIDTH) -> Figure:
    """Draw how many collections were added, updated and deleted with each snapshot; the first of all is left out.

    Args:
        history: one row a date, as of `scenario_etl.history`: `date`, `previous_date`, `added`, `updated`, `deleted`.
        width: in inches.

    """
    history = _with_times(history)
    figure, axes = _figure(width, 3.2)
    compared = history[history["previous_date"].notna()]
    if compared.empty:
        return _blank(figure, "Nothing has changed")
    added, updated, deleted = (compared[name].astype(float).fillna(0).to_numpy() for name in CHANGES)
    axes.bar(compared["date"], added, color=BLUE, label="added")
    axes.bar(compared["date"], updated, bottom=added, color=ORANGE, label="updated")
    axes.bar(compared["date"], -deleted, color=RED, label="deleted")
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.set_ylabel("collections")
    axes.margins(y=0.12)
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{abs(value):,.0f}"))
    first, last = _date_axis(axes, history["date"], width)
    is_narrow = (width - 0.8) / (last - first) < BAR_LABEL
    _label_bars(axes, compared["date"], added + updated, deleted, largest_only=is_narrow)
    figure.legend(ncols=3, loc="outside lower left", fontsize=9)
    _title(figure, _changes_found(compared, added + updated + deleted))
    return figure


@_styled
def activity(changes: pd.DataFrame, *, width: float = WIDTH) -> Figure:
    """Draw how many changes each owner's collections had in each week, as a heat map.

    Args:
        changes: one row a change, as of `scenario_etl.changes`: `snapshot_date`, `owner_id`.
        width: in inches.

    """
    days = pd.to_datetime(changes["snapshot_date"])
    weeks = days - pd.to_timedelta(days.dt.day_of_week, unit="D")
    counts = pd.crosstab(changes["owner_id"].fillna(NO_OWNER), weeks)
    counts = counts.loc[counts.sum(axis=1).sort_values(ascending=False, kind="stable").index].head(MOST_OWNERS)
    figure, axes = _figure(width, 1.2 + 0.38 * max(1, len(counts)))
    if counts.empty:
        return _blank(figure, "Nothing has changed")
    axes.imshow(counts, cmap="Blues", aspect="auto", vmin=0)
    owner_characters = 18 if width >= NARROW else 9
    cell = (width - owner_characters / 12) / counts.shape[1]  # inches
    if cell > 0.3:
        _write_numbers(axes, counts.to_numpy())
    step = math.ceil(0.65 / cell)
    axes.set_xticks(range(0, counts.shape[1], step), [_day(week) for week in counts.columns[::step]])
    axes.set_yticks(range(len(counts)), [_short(owner, owner_characters) for owner in counts.index])
    axes.grid(visible=False)
    axes.set_xlabel("changes in the week from")
    axes.spines[:].set_visible(False)
    _title(figure, _activity_found(counts.sum(axis=1)))
    return figure


@_styled
def contact_sheet(collections: pd.DataFrame, pictures: Sequence[bytes | None], *, width: float = WIDTH) -> Figure:
    """Draw the thumbnails of collections in a grid, each with its name and how many items it holds.

    Args:
        collections: a row for each picture: `name`, `item_count`.
        pictures: as of `fetch_thumbnails`; a grey square stands for None.
        width: in inches.

    """
    columns = max(1, int(width / PICTURE_WIDTH))
    rows = max(1, -(-len(pictures) // columns))
    side = width / columns
    figure, axes = _figure(width, rows * (side + 0.5) + 0.4, rows=rows, columns=columns)
    _title(figure, _pictures_found(pictures))
    grid = np.atleast_1d(axes).ravel()
    for axis in grid:
        axis.set_axis_off()
    for axis, picture, name, items in zip(grid, pictures, collections["name"], collections["item_count"], strict=False):
        axis.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        if picture is None:
            axis.add_patch(mpl.patches.Rectangle((0, 0), 1, 1, color=mpl.rcParams["grid.color"], linewidth=0))
            axis.text(0.5, 0.5, "no picture", ha="center", va="center", fontsize=8, color=GREY)
        else:
            axis.imshow(Image.open(io.BytesIO(picture)), extent=(0, 1, 0, 1))
        lines = [*_wrapped(name, 20), _count(items, "item")]
        axis.text(0, -0.03, "\n".join(lines), ha="left", va="top", fontsize=8)
    return figure


def as_png(figure: Figure) -> bytes:
    """Return a figure as a PNG with few colors, at twice the pixels of its inches, for sharp screens."""
    drawn, target = io.BytesIO(), io.BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(drawn, format="png", dpi=2 * PIXELS_AN_INCH, facecolor=figure.get_facecolor())
    Image.open(drawn).convert("RGB").quantize(PNG_COLORS).save(target, "PNG", optimize=True)
    return target.getvalue()


def title_of(figure: Figure) -> str:
    """Return the title of a chart: what it finds, in words."""
    return " ".join(figure.get_suptitle().split())


def _figure(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height))
    return figure, figure.subplots(rows, columns)


def _blank(figure: Figure, found: str) -> Figure:
    for axis in figure.axes:
        axis.set_axis_off()
    _title(figure, found)
    return figure


def _title(figure: Figure, found: str) -> None:
    lines = textwrap.fill(found, int(TITLE_CHARACTERS * figure.get_figwidth()))
    figure.suptitle(lines, x=0.01, ha="left", fontsize=12, weight="bold")


def _with_times(history: pd.DataFrame) -> pd.DataFrame:
    """Return a history with its dates as times, which pandas can subtract; pyarrow gives it as objects."""
    dates = {name: pd.to_datetime(history[name]) for name in ("date", "previous_date") if name in history}
    return history.assign(**dates)


def _mark_rejected(axis: Axes, history: pd.DataFrame) -> None:
    half = timedelta(hours=12)
    for number, day in enumerate(history.loc[history["rejected"], "date"]):
        label = "stopped by the guard" if number == 0 else None
        axis.axvspan(day - half, day + half, color=RED, alpha=0.25, linewidth=0, label=label)


def _write_numbers(axis: Axes, counts: Any) -> None:
    for (row, column), value in np.ndenumerate(counts):
        color = "white" if value > counts.max() / 2 else "#333333"  # on a cell's blue
        axis.text(column, row, f"{value:,}", ha="center", va="center", color=color, fontsize=9)


def _date_axis(axis: Axes, dates: "pd.Series[Any]", width: float) -> tuple[float, float]:
    """Give an axis the span of these dates, with ticks of which the first has its year; return the span in days."""
    beside = timedelta(days=1.5)
    first, last = (float(date2num(day)) for day in (dates.min() - beside, dates.max() + beside))  # type: ignore[no-untyped-call]
    axis.set_xlim(first, last)
    locator = AutoDateLocator(minticks=3, maxticks=4 if width < NARROW else 8)  # type: ignore[no-untyped-call]
    locator.intervald[MONTHLY] = [1, 2, 3, 4, 6, 12]  # without the 12 it warns where four ticks are for two years
    axis.xaxis.set_major_locator(locator)
    ticks = [tick for tick in axis.get_xticks() if first <= tick <= last and tick.is_integer()]
    days = [num2date(tick) for tick in ticks]  # type: ignore[no-untyped-call]
    years = [None, *(day.year for day in days)]
    labels = [
        _day(day) + ("" if day.year == before else f"\n{day.year}") for day, before in zip(days, years, strict=False)
    ]
    axis.set_xticks(ticks, labels)
    axis.set_xlabel("snapshot (UTC)")
    return first, last


def _scale(axis: Axes, dates: "pd.Series[Any]", values: "pd.Series[float]") -> None:
    """Start an axis of counts at zero where they change much; otherwise write the first and the last value."""
    if values.notna().sum() == 0:
        return
    if values.max() - values.min() > LARGE_CHANGE * values.max():
        axis.set_ylim(bottom=0, top=1.08 * values.max())
        return
    axis.margins(y=0.25)
    for position in {values.first_valid_index(), values.last_valid_index()}:
        _write(axis, values[position], dates[position], values[position])


def _label_bars(axis: Axes, dates: "pd.Series[Any]", above: Any, below: Any, *, largest_only: bool) -> None:
    """Write the number of each bar above or below it; only those of the largest where bars are narrow."""
    for day, up, down in zip(dates, above, below, strict=True):
        if not largest_only or up == above.max():
            _write(axis, up, day, up)
        if not largest_only or down == below.max():
            _write(axis, down, day, -down, upwards=False)


def _write(axis: Axes, value: float, x: Any, y: float, *, upwards: bool = True) -> None:
    """Write a number, unless it is zero, above or below a place."""
    if value:
        axis.annotate(
            _number(value), (x, y), xytext=(0, 3 if upwards else -3), textcoords="offset points",
            ha="center", va="bottom" if upwards else "top", fontsize=8,
        )  # fmt: skip


def _largest_found(top: "pd.Series[Any]", all_counts: "pd.Series[Any]") -> str:
    share = top.sum() / max(1, all_counts.sum())
    hold = f"{_count(len(top), 'collection')} hold{'s' if len(top) == 1 else ''}"
    items = "all items" if all_counts.notna().all() else "all items that are counted"
    return f"{hold} {_percent(share)} of {items}"


def _percent(share: float) -> str:
    """Return a share in percent, without rounding a part to nothing or to all."""
    if 0 < share < 0.005:
        return "less than 1%"
    if 0.995 <= share < 1:
        return "more than 99%"
    return f"{share:.0%}"


def _growth_found(published: pd.DataFrame) -> str:
    first, last = published.iloc[0], published.iloc[-1]
    now = _count(last["rows"], "collection")
    if len(published) == 1:
        return f"{now} on {_day(last['date'])}"
    difference = int(last["rows"] - first["rows"])
    words = f"{abs(difference):,} {'more' if difference > 0 else 'fewer'} than" if difference else "as many as"
    year = f", {first['date'].year}" if first["date"].year != last["date"].year else ""
    return f"{now}, {words} on {_day(first['date'])}{year}"


def _changes_found(compared: pd.DataFrame, totals: Any) -> str:
    """Say when most has changed. A snapshot after a night without one has the changes of several days."""
    if not totals.sum():
        return "Nothing has changed"
    most = _count(totals.max(), "change")
    busiest = compared[totals == totals.max()]
    if len(busiest) > 1:
        return f"At most {most} between two snapshots, {len(busiest)} times"
    day, before = busiest["date"].iloc[0], busiest["previous_date"].iloc[0]
    if day - before > timedelta(days=1):
        return f"{most} from {_day(before)} to {_day(day)}, the most between two snapshots"
    return f"{most} on {_day(day)}, the busiest day"


def _activity_found(totals: "pd.Series[int]") -> str:
    most = _count(totals.max(), "change")
    busiest = list(totals[totals == totals.max()].index)
    if len(busiest) > 1:
        return f"{len(busiest)} owners have {most} each, the most"
    if busiest[0] == NO_OWNER:
        return f"{most} of collections without an owner, the most"
    return f"{_short(busiest[0], 30)} is the busiest owner: {most}"


def _pictures_found(pictures: Sequence[bytes | None]) -> str:
    missing = sum(picture is None for picture in pictures)
    return f"{_count(len(pictures), 'collection')}, {missing or 'none'} without a picture"


def _day(moment: Any) -> str:
    return f"{moment:%b} {moment.day}"


def _number(value: Any) -> str:
    return "?" if pd.isna(value) else f"{int(value):,}"


def _count(number: Any, noun: str) -> str:
    if pd.isna(number):
        return f"? {noun}s"
    return f"{int(number):,} {noun}{'' if number == 1 else 's'}"


def _short(name: Any, most: int) -> str:
    text = "(no name)" if pd.isna(name) or not name else without_bidi_controls(str(name))
    text = "".join(c if ord(c) in _drawable() else UNDRAWABLE for c in " ".join(text.split()))
    return text if len(text) <= most else text[: most - 1] + "…"


def _wrapped(name: Any, most: int) -> list[str]:
    """Return a name as two lines at most."""
    first, *others = textwrap.wrap(_short(name, 200), most) or [""]
    return [first, _short(" ".join(others), most)] if others else [first]


_THOUSANDS = FuncFormatter(lambda value, _: f"{value:,.0f}")
