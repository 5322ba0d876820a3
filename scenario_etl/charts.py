"""Charts of collections and of their history: DataFrame -> matplotlib Figure, in one small style.

Titles say the finding. The colors are close to those of Okabe and Ito, which color-blind people can tell apart. Each
function takes the width in inches: 9 reads well at 900 pixels, 4.2 on a phone; inside `with dark():` it draws for a
dark page. In a notebook, `%matplotlib inline` shows a Figure that a cell ends with.
"""

import io
import math
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from functools import cache, wraps
from typing import Any

import matplotlib as mpl
import matplotlib.patheffects
import numpy as np
import pandas as pd
import pyarrow as pa
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex, to_rgb
from matplotlib.dates import MONTHLY, AutoDateLocator, date2num, num2date
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font, get_font_names
from matplotlib.ticker import FuncFormatter, MaxNLocator
from PIL import Image

from scenario_etl.errors import ConfigError
from scenario_etl.redact import without_bidi_controls

__all__ = ["activity", "as_png", "contact_sheet", "daily_changes", "dark", "growth", "largest", "title_of"]

WIDTH = 9.0  # inches
NARROW = 6.0  # inches; below it, a chart has fewer ticks
PIXELS_AN_INCH = 100
TITLE_CHARACTERS = 9.5  # an inch
PICTURE_WIDTH = 1.4  # inches, at least, of a contact sheet
MAX_OWNERS = 15  # of a heat map
NO_OWNER = "no owner"
CHANGES = ("added", "updated", "deleted")
LARGE_CHANGE = 0.3  # of the largest value; axes of counts that change by more start at zero
BLANK = 0.5  # inches, the height of a chart that only says that there is nothing
BAR_LABEL = 0.22  # inches; the number of a narrower bar would run into the next
MAX_BARS = 90  # of days; of more, weeks are drawn
MAX_MARKERS = 45
GREY = "#808080"
BLUE, ORANGE, RED = range(3)  # positions in the colors of a theme
GROWTH = {"rows": ("collections", BLUE), "items": ("items", ORANGE)}
STEPS = (1, 2, 5, 10)  # between ticks
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


def _colors(text: str, background: str, edge: str, grid: str, lines: Sequence[str]) -> dict[str, Any]:
    roles = {
        text: ("axes.labelcolor", "axes.titlecolor", "legend.labelcolor", "text.color", "xtick.color", "ytick.color"),
        background: ("axes.facecolor", "figure.facecolor", "savefig.facecolor"),
        edge: ("axes.edgecolor",),
        grid: ("grid.color",),
    }
    return {name: color for color, names in roles.items() for name in names} | {"axes.prop_cycle": cycler(color=lines)}


LIGHT = _colors(text="#333333", background="#FFFFFF", edge="#B0B0B0", grid="#E3E3E3",
                lines=("#0072B2", "#C98A00", "#C0390B"))  # fmt: skip
DARK = _colors(text="#D6D6D6", background="#1B1D21", edge="#5C6068", grid="#33373D",
               lines=("#56B4E9", "#E69F00", "#F0703C"))  # fmt: skip
_theme: ContextVar[dict[str, Any]] = ContextVar("theme", default=LIGHT)


@contextmanager
def dark() -> Iterator[None]:
    """Draw what is drawn in this block with light text on a dark background."""
    token = _theme.set(DARK)
    try:
        yield
    finally:
        _theme.reset(token)


def _chart(*columns: str) -> Callable[[Callable[..., Figure]], Callable[..., Figure]]:
    """Return a decorator of a function that draws a table with these columns, a DataFrame or a pyarrow.Table.

    It draws in the style, and at once: matplotlib makes some parts only when they are drawn.
    """

    def decorate(draw: Callable[..., Figure]) -> Callable[..., Figure]:
        @wraps(draw)
        def drawn(table: Any, *others: Any, **options: Any) -> Figure:
            frame = table.to_pandas() if isinstance(table, pa.Table) else table
            if not isinstance(frame, pd.DataFrame):
                raise ConfigError(f"{draw.__name__} draws a DataFrame, got a value of type {type(table).__name__}")
            if missing := [name for name in columns if name not in frame]:
                raise ConfigError(f"{draw.__name__} needs the column {missing[0]}, which the DataFrame does not have")
            with mpl.rc_context(STYLE | _theme.get() | {"font.family": _fonts()}):
                figure = draw(frame, *others, **options)
                figure.draw_without_rendering()
            return figure

        return drawn

    return decorate


@cache
def _fonts() -> list[str]:
    """Return the fonts to look for a character in, as far as they are installed; the first comes with matplotlib."""
    installed = set(get_font_names())
    return ["DejaVu Sans", *(font for font in FONTS if font in installed)]


@cache
def _drawable() -> set[int]:
    """Return the characters that one of the fonts has; matplotlib warns of each other one."""
    return {character for font in _fonts() for character in get_font(findfont(font)).get_charmap()}


@_chart("name", "item_count")
def largest(collections: pd.DataFrame, count: int = 10, *, width: float = WIDTH) -> Figure:
    """Draw the collections with the most items, as bars.

    Args:
        collections: one row each: `name`, `item_count`.
        count: how many are drawn.
        width: in inches.

    """
    top = collections.nlargest(count, "item_count")
    figure, axes = _figure(width, 0.6 + 0.34 * max(1, len(top)))
    bars = axes.barh(range(len(top)), top["item_count"].astype(float), color=_color(BLUE))
    axes.bar_label(bars, [_number(items) for items in top["item_count"]], padding=3, fontsize=9)
    axes.margins(x=0.08)
    axes.set_yticks(range(len(top)), [_short(name, 34) for name in top["name"]])
    axes.invert_yaxis()
    axes.grid(visible=False)
    axes.set_xlabel("items")
    axes.set_xticks([])
    _title(figure, _largest_found(top["item_count"], collections["item_count"]))
    return figure


@_chart("date", "rows", "rejected")
def growth(history: pd.DataFrame, *, width: float = WIDTH) -> Figure:
    """Draw how many collections and items there were at each snapshot, and when the guard stopped one.

    The axes start at zero where one of the changes is large. The first and the last value are written at the lines.

    Args:
        history: one row a date, as of `scenario_etl.history`: `date`, `rows`, `rejected`; and `items`, the sum of
            `item_count`, where it is known.
        width: in inches.

    """
    history = _with_times(history)
    drawn = {name: _by_date(history, name) for name in GROWTH if name in history}
    figure, axes = _figure(width, 2.1 * len(drawn), rows=len(drawn))
    published = history[history["rows"].notna()]
    if published.empty:
        return _blank(figure, "No snapshot yet")
    from_zero = any(map(_changes_much, drawn.values()))
    for axis, (name, values) in zip(np.atleast_1d(axes), drawn.items(), strict=True):
        label, color = GROWTH[name]
        marker = "o" if len(values) <= MAX_MARKERS else ""
        axis.plot(values.index, values, color=_color(color), marker=marker, markersize=3)
        axis.set_ylabel(label if from_zero else f"{label}\n(not from zero)")
        axis.yaxis.set_major_formatter(_THOUSANDS)
        axis.yaxis.set_major_locator(MaxNLocator(5, integer=True, steps=STEPS))
        _scale(axis, values, from_zero)
        _mark_rejected(axis, history)
        _date_axis(axis, history["date"], width)
        if axis is not figure.axes[-1]:
            axis.tick_params(bottom=False, labelbottom=False)
            axis.set_xlabel("")
    figure.align_ylabels()
    _title(figure, _growth_found(published))
    if history["rejected"].any():
        figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower left", fontsize=9)
    return figure


@_chart("date", "previous_date", *CHANGES, "rejected")
def daily_changes(history: pd.DataFrame, *, width: float = WIDTH) -> Figure:
    """Draw how many collections were added, updated and deleted with each snapshot; the first of all is left out.

    Of more than 90 snapshots, it draws weeks.

    Args:
        history: one row a date, as of `scenario_etl.history`: `date`, `previous_date`, `added`, `updated`, `deleted`,
            `rejected`.
        width: in inches.

    """
    history = _with_times(history)
    figure, axes = _figure(width, 3.2)
    compared = history[history["previous_date"].notna()].fillna(dict.fromkeys(CHANGES, 0))
    if not compared[[*CHANGES]].to_numpy(float).sum():
        return _blank(figure, "Nothing has changed")
    days = 1
    if len(compared) > MAX_BARS:
        days, compared = 7, compared.assign(date=_mondays(compared["date"])).groupby("date", as_index=False).sum(True)
    added, updated, deleted = (compared[name].to_numpy(float) for name in CHANGES)
    places = compared["date"] + timedelta(days=(days - 1) / 2)
    for values, below, name, color in (
        (added, None, "added", BLUE), (updated, added, "updated", ORANGE), (-deleted, None, "deleted", RED),
    ):  # fmt: skip
        axes.bar(places, values, bottom=below, width=0.8 * days, color=_color(color), label=name)
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.set_ylabel("changed a week" if days > 1 else "changed collections")
    axes.use_sticky_edges = False
    axes.margins(y=0.14)
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True, steps=STEPS))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{abs(value):,.0f}"))
    _mark_rejected(axes, history)
    first, last = _date_axis(axes, history["date"], width)
    total = added + updated + deleted
    if (width - 0.8) / (last - first) * days > BAR_LABEL:
        _label_bars(axes, places, added + updated, deleted)
    else:
        highest = int(np.flatnonzero(total == total.max())[-1])
        _write(axes, total[highest], places.iloc[highest], (added + updated)[highest])
    figure.legend(ncols=4 if width >= NARROW else 2, loc="outside lower left", fontsize=9)
    _title(figure, _changes_found(compared, total, history["date"].max(), weekly=days > 1))
    return figure


@_chart("snapshot_date", "owner_id")
def activity(changes: pd.DataFrame, *, names: Mapping[str, str] | None = None, width: float = WIDTH) -> Figure:
    """Draw how many changes each owner's collections had in each week, as a heat map.

    Args:
        changes: one row a change, as of `scenario_etl.changes`: `snapshot_date`, `owner_id`.
        names: of owners, by their ids.
        width: in inches.

    """
    counts = _by_owner_and_week(changes)
    figure, axes = _figure(width, 1.2 + 0.38 * max(1, len(counts)))
    if counts.empty:
        return _blank(figure, "Nothing has changed")
    background, full = mpl.rcParams["axes.facecolor"], _color(BLUE)
    shades = LinearSegmentedColormap.from_list("shades", [background, full])
    axes.imshow(counts, cmap=shades, aspect="auto", vmin=0)
    characters = 22 if width >= NARROW else 14
    cell = (width - characters / 12) / counts.shape[1]  # inches
    if cell > 0.3:
        _write_numbers(axes, counts.to_numpy(), shades)
    step = math.ceil(0.65 / cell)
    axes.set_xticks(range(0, counts.shape[1], step), _date_labels(list(counts.columns[::step])))
    axes.set_yticks(range(len(counts)), [_short(each, characters) for each in _owner_names(counts.index, names or {})])
    axes.grid(visible=False)
    axes.set_xlabel("changes in the week from")
    axes.spines[:].set_visible(False)
    _title(figure, _activity_found(counts.sum(axis=1), names or {}, pd.to_datetime(changes["snapshot_date"]).min()))
    return figure


@_chart("name", "item_count")
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
    figure.set_figheight(BLANK)
    _title(figure, found)
    return figure


def _title(figure: Figure, found: str) -> None:
    lines = textwrap.fill(found, int(TITLE_CHARACTERS * figure.get_figwidth()))
    figure.suptitle(lines, x=0, ha="left", fontsize=12, weight="bold")


def _color(position: int) -> str:
    """Return a color of the theme in use."""
    return to_hex(f"C{position}")


def _with_times(history: pd.DataFrame) -> pd.DataFrame:
    """Return a history with its dates as times, which pandas can subtract; pyarrow gives it as objects."""
    dates = {name: pd.to_datetime(history[name]) for name in ("date", "previous_date") if name in history}
    return history.assign(**dates)


def _by_date(history: pd.DataFrame, name: str) -> "pd.Series[float]":
    """Return a column by date, NaN where there is no snapshot, so that no line leads through such a night."""
    values = history.set_index("date")[name].astype(float)
    steps = history["date"].diff().dropna()
    is_daily = len(steps) > 0 and steps.median() == timedelta(days=1)
    return values.asfreq("D") if is_daily else values


def _mondays(days: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return the Monday of the week of each day."""
    mondays: pd.Series[Any] = days - pd.to_timedelta(days.dt.day_of_week, unit="D")
    return mondays


def _by_owner_and_week(changes: pd.DataFrame) -> pd.DataFrame:
    """Return how many changes each owner has in each week, those without a change included; the busiest first.

    What is beyond `MAX_OWNERS` owners is in one row, the last.
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


def _owner_names(owners: Iterable[str], names: Mapping[str, str]) -> list[str]:
    """Return the names of owners, with the id where two have the same; the id where no name is known."""
    used = Counter(names.values())
    return [
        f"{names[owner]} ({owner})" if used[names.get(owner, "")] > 1 else names.get(owner, owner) for owner in owners
    ]


def _mark_rejected(axis: Axes, history: pd.DataFrame) -> None:
    half, color = timedelta(hours=12), _color(RED)
    for number, day in enumerate(history.loc[history["rejected"], "date"]):
        label = "stopped by the guard" if number == 0 else None
        axis.axvspan(
            day - half, day + half, facecolor=f"{color}59", edgecolor=color, linewidth=0.8, label=label, zorder=0
        )


def _write_numbers(axis: Axes, counts: Any, shades: LinearSegmentedColormap) -> None:
    for (row, column), value in np.ndenumerate(counts):
        red, green, blue = to_rgb(shades(value / counts.max()))
        is_light = 0.299 * red + 0.587 * green + 0.114 * blue > 0.55
        axis.text(
            column, row, f"{value:,}", ha="center", va="center", color="#222222" if is_light else "white", fontsize=9
        )


def _date_axis(axis: Axes, dates: "pd.Series[Any]", width: float) -> tuple[float, float]:
    """Give an axis the span of these dates, with ticks of which the first has its year; return the span in days."""
    earliest, latest = float(date2num(dates.min())), float(date2num(dates.max()))  # type: ignore[no-untyped-call]
    first, last = earliest - 1.5, latest + 1.5
    axis.set_xlim(first, last)
    most = 4 if width < NARROW else 8
    locator = AutoDateLocator(minticks=3, maxticks=most)  # type: ignore[no-untyped-call]
    locator.intervald[MONTHLY] = [1, 2, 3, 4, 6, 12]  # without the 12 it warns where four ticks are for two years
    axis.xaxis.set_major_locator(locator)
    ticks = [float(tick) for tick in axis.get_xticks() if earliest <= tick <= latest and float(tick).is_integer()]
    if dates.nunique() <= most:
        ticks = sorted({float(date2num(day)) for day in dates})  # type: ignore[no-untyped-call]
    axis.set_xticks(ticks, _date_labels([num2date(tick) for tick in ticks]))  # type: ignore[no-untyped-call]
    axis.set_xlabel("snapshot (UTC)")
    return first, last


def _date_labels(days: Sequence[Any]) -> list[str]:
    """Return labels of ticks; the first of each year has the year below it."""
    years = [None, *(day.year for day in days)]
    return [
        _day(day) + ("" if day.year == before else f"\n{day.year}") for day, before in zip(days, years, strict=False)
    ]


def _changes_much(values: "pd.Series[float]") -> bool:
    span = values.max() - values.min()
    return bool(span > LARGE_CHANGE * values.max() or values.max() < 3)


def _scale(axis: Axes, values: "pd.Series[float]", from_zero: bool) -> None:
    """Scale an axis of counts, and write the first and the last value at the line."""
    if values.notna().sum() == 0:
        return
    axis.margins(y=0.3)
    if from_zero:
        axis.set_ylim(bottom=0, top=max(1, 1.25 * values.max()))
    ends = {values.first_valid_index(): "left", values.last_valid_index(): "right"}
    for day, side in ends.items():
        _write(axis, values[day], day, values[day], side=side)


def _label_bars(axis: Axes, dates: "pd.Series[Any]", above: Any, below: Any) -> None:
    """Write the number of each bar above or below it."""
    for day, up, down in zip(dates, above, below, strict=True):
        _write(axis, up, day, up)
        _write(axis, down, day, -down, upwards=False)


def _write(axis: Axes, value: float, x: Any, y: float, *, upwards: bool = True, side: Any = "center") -> None:
    """Write a number, unless it is zero, above or below a place, so that it can be read on a line."""
    if value:
        around = matplotlib.patheffects.withStroke(linewidth=2.5, foreground=mpl.rcParams["axes.facecolor"])
        axis.annotate(
            _number(value), (x, y), xytext=(0, 3 if upwards else -3), textcoords="offset points",
            ha=side, va="bottom" if upwards else "top", fontsize=8, path_effects=[around],
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
    return f"{now}, {words} on {_day(first['date'], last['date'])}"


def _changes_found(compared: pd.DataFrame, totals: Any, newest: Any, *, weekly: bool) -> str:
    """Say when most has changed. A snapshot after a night without one has the changes of several days."""
    most = _count(totals.max(), "collection")
    top = compared[totals == totals.max()]
    day = top["date"].iloc[0]
    if weekly:
        return (
            f"{most} changed in the week from {_day(day, newest)}, the most"
            if len(top) == 1
            else (f"{most} changed in each of {len(top)} weeks, the most")
        )
    if len(top) > 1:
        return f"{most} changed in each of {len(top)} snapshots, the most"
    before = top["previous_date"].iloc[0]
    if day - before > timedelta(days=1):
        return f"{most} changed from {_day(before, newest)} to {_day(day, newest)}, the most between two snapshots"
    return f"{most} changed in the snapshot of {_day(day, newest)}, the most"


def _activity_found(totals: "pd.Series[int]", names: Mapping[str, str], since: Any) -> str:
    owners = totals[[not owner.endswith(" others") or owner in names for owner in totals.index]]
    most = f"changes since {_day(since)}: {owners.max():,}"
    busiest = list(owners[owners == owners.max()].index)
    if len(busiest) > 1:
        return f"{len(busiest)} owners have the most {most} each"
    if busiest[0] == NO_OWNER:
        return f"Collections without an owner have the most {most}"
    name = _short(_owner_names(busiest, names)[0], 40)
    return f"{name} has {'all' if len(totals) == 1 else 'the most'} {most}"


def _pictures_found(pictures: Sequence[bytes | None]) -> str:
    missing = sum(picture is None for picture in pictures)
    return f"{_count(len(pictures), 'collection')}, {missing or 'none'} without a picture"


def _day(moment: Any, beside: Any = None) -> str:
    """Return a day, with its year where that is another than that of a day beside it."""
    year = f", {moment.year}" if beside is not None and beside.year != moment.year else ""
    return f"{moment:%b} {moment.day}{year}"


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


def __dir__() -> list[str]:
    """Return what is of use to a caller; completion shows it."""
    return __all__


_THOUSANDS = FuncFormatter(lambda value, _: f"{value:,.0f}")
