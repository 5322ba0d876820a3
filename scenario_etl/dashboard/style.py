"""Chart styles: themes, fonts and titles.

The colors are close to those of Okabe and Ito, which color-blind people can distinguish.
"""

import io
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, wraps
from typing import Any, ParamSpec

import matplotlib as mpl
from cycler import cycler
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font, get_font_names
from matplotlib.patheffects import AbstractPathEffect, withStroke
from PIL import Image

P = ParamSpec("P")

WIDTH = 9.0  # inches
NARROW = 6.0  # inches; below it, a chart has fewer ticks
PIXELS_PER_INCH = 100
TITLE_CHARACTERS = 9.5  # per inch
BLANK_HEIGHT = 0.5  # inches, of a chart that has a title only
GRAY = "#808080"
BLUE, ORANGE, RED = range(3)  # positions in the colors of a theme
PNG_COLORS = 96
FONTS = ("Noto Sans CJK JP", "Hiragino Sans", "Microsoft YaHei", "Malgun Gothic")  # for names that DejaVu Sans lacks
STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.labelsize": 10,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.h_pad": 0.08,
    "figure.constrained_layout.use": True,
    "figure.dpi": PIXELS_PER_INCH,
    "font.size": 10,
    "legend.frameon": False,
    "savefig.bbox": None,
    "text.parse_math": False,
    "text.usetex": False,
}


def _theme(text: str, background: str, edge: str, grid: str, lines: Sequence[str]) -> dict[str, Any]:
    roles = {
        text: ("axes.labelcolor", "axes.titlecolor", "legend.labelcolor", "text.color", "xtick.color", "ytick.color"),
        background: ("axes.facecolor", "figure.facecolor", "savefig.facecolor"),
        edge: ("axes.edgecolor",),
        grid: ("grid.color",),
    }
    return {name: color for color, names in roles.items() for name in names} | {"axes.prop_cycle": cycler(color=lines)}


LIGHT = _theme(text="#333333", background="#FFFFFF", edge="#B0B0B0", grid="#E3E3E3",
               lines=("#0072B2", "#C98A00", "#C0390B"))  # fmt: skip
DARK = _theme(text="#D6D6D6", background="#1B1D21", edge="#5C6068", grid="#33373D",
              lines=("#56B4E9", "#E69F00", "#F0703C"))  # fmt: skip
_current_theme: ContextVar[dict[str, Any]] = ContextVar("theme", default=LIGHT)


@contextmanager
def dark() -> Iterator[None]:
    """Draw the charts in this block with light text on a dark background."""
    token = _current_theme.set(DARK)
    try:
        yield
    finally:
        _current_theme.reset(token)


def chart(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Decorate a function so that its figure has the style and the current theme, and is laid out.

    Matplotlib creates some parts of a figure, such as tick labels, only when it draws the figure.
    """

    @wraps(draw)
    def draw_in_style(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with mpl.rc_context(STYLE | _current_theme.get() | {"font.family": _fonts()}):
            figure = draw(*args, **kwargs)
            figure.draw_without_rendering()
        return figure

    return draw_in_style


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Figure, Any]:
    """Return a figure of this size in inches, and its axes: one, or an array of them."""
    figure = Figure(figsize=(width, height))
    return figure, figure.subplots(rows, columns)


def blank(figure: Figure, title: str) -> Figure:
    """Return a figure reduced to a title, for a table without data."""
    for axis in figure.axes:
        axis.set_axis_off()
    figure.set_figheight(BLANK_HEIGHT)
    set_title(figure, title)
    return figure


def set_title(figure: Figure, title: str) -> None:
    """Write the title of a figure, wrapped to its width; most numbers stay on the line of the word before them."""
    unbroken = re.sub(r"(?<=[a-z:]) (?=\d)", "\u00a0", title)
    lines = textwrap.fill(unbroken, int(TITLE_CHARACTERS * figure.get_figwidth()))
    figure.suptitle(lines, x=0, ha="left", fontsize=12, weight="bold")


def title_of(figure: Figure) -> str:
    """Return the title of a chart, as one line."""
    return " ".join(figure.get_suptitle().split())


def as_png(figure: Figure) -> bytes:
    """Return a figure as a PNG with a reduced palette, at 200 pixels per inch for high-resolution screens."""
    full, reduced = io.BytesIO(), io.BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(full, format="png", dpi=2 * PIXELS_PER_INCH, facecolor=figure.get_facecolor())
    Image.open(full).convert("RGB").quantize(PNG_COLORS).save(reduced, "PNG", optimize=True)
    return reduced.getvalue()


def luminance(color: Any) -> float:
    """Return the relative luminance of a color, as WCAG defines it."""
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color))
    return float(0.2126 * red + 0.7152 * green + 0.0722 * blue)


def outline(color: Any) -> AbstractPathEffect:
    """Return an outline of text or a marker, which keeps it legible on a line or a hatch."""
    return withStroke(linewidth=2.5, foreground=color)


def theme_color(position: int) -> str:
    """Return a color of the current theme."""
    return to_hex(f"C{position}")


@cache
def _fonts() -> list[str]:
    """Return the installed fonts that are searched for a character; the first comes with matplotlib."""
    installed = set(get_font_names())
    return ["DejaVu Sans", *(font for font in FONTS if font in installed)]


@cache
def drawable_characters() -> set[int]:
    """Return the code points that the fonts contain; matplotlib warns about any other."""
    return {character for font in _fonts() for character in get_font(findfont(font)).get_charmap()}
