"""Cells of a heat map: colors, numbers and the scale."""

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.patches import Patch

from scenario_etl.dashboard.style import BLUE, luminance, outline, theme_color
from scenario_etl.dashboard.text import number

MIN_LEVEL = 0.15  # of the color of a count of 1, which differs from that of 0
MIDDLE_LUMINANCE = 0.179  # of a color to which black and white have the same contrast


def draw_cells(axis: Axes, counts: pd.DataFrame, cell_width: float) -> list[Patch]:
    """Draw counts by owner and week as colors, and as numbers if there is room; return the entries of a legend.

    The row of other owners is gray; in color, its high counts would make all other rows pale. `cell_width` is in
    inches.
    """
    named = counts[[isinstance(owner, str) for owner in counts.index]]
    largest = int(named.to_numpy().max())
    shades = _shades()
    levels = _levels(counts.to_numpy(), largest)
    levels[len(named) :] = np.nan
    axis.imshow(levels, cmap=shades, aspect="auto", vmin=0, vmax=1)
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)
    if cell_width > 0.1 + 0.09 * len(number(counts.to_numpy().max())):
        _write_numbers(axis, counts.to_numpy(), shades(levels))
        return []
    scale = sorted({1, (1 + largest) // 2, largest})
    return [Patch(facecolor=shades(float(_levels(each, largest))), label=number(each)) for each in scale]


def _shades() -> Colormap:
    background, gray = mpl.rcParams["axes.facecolor"], mpl.rcParams["grid.color"]
    return LinearSegmentedColormap.from_list("shades", [background, theme_color(BLUE)]).with_extremes(bad=gray)


def _levels(counts: Any, largest: int) -> Any:
    """Return counts as levels of color, from 0 to 1."""
    return np.where(counts > 0, MIN_LEVEL + (1 - MIN_LEVEL) * counts / largest, 0)


def _write_numbers(axis: Axes, counts: Any, colors: Any) -> None:
    """Write the number of each cell in black or white, whichever has more contrast to its color."""
    for (row, column), value in np.ndenumerate(counts):
        color = colors[row, column]
        text = "black" if luminance(color) > MIDDLE_LUMINANCE else "white"
        axis.text(
            column, row, number(value), ha="center", va="center", color=text, fontsize=9, path_effects=[outline(color)]
        )
