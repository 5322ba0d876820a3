"""The notebooks are executed here; what they print and draw is what is committed."""

import base64
import io
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

from tests.notebooks import NOTEBOOKS, executed
from tests.versions import MOST_DIFFERENCE, MOST_PIXELS, as_shown_here

MOST_BYTES = 10**6


def pixels(png: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")).astype(float)


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """The average difference of two pictures of the same size."""
    assert np.abs(np.subtract(one.shape, other.shape)).max() <= MOST_PIXELS
    height = min(len(one), len(other))
    return float(np.abs(one[:height] - other[:height]).mean())


def without_pictures(cell: nbformat.NotebookNode) -> list[dict]:
    shown = []
    for output in cell.get("outputs", []):
        data = {kind: value for kind, value in output.get("data", {}).items() if kind != "image/png"}
        shown.append({**output, "data": as_shown_here(data)})
    return shown


def pictures(cell: nbformat.NotebookNode) -> list[str]:
    return [output.data["image/png"] for output in cell.get("outputs", []) if "image/png" in output.get("data", {})]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_without_a_warning_and_gives_what_is_committed(path: Path, tmp_path: Path) -> None:
    assert path.stat().st_size < MOST_BYTES
    committed, again = nbformat.read(path, as_version=4), executed(path, tmp_path)
    drawn = 0
    for before, after in zip(committed.cells, again.cells, strict=True):
        assert not any(output.get("name") == "stderr" for output in after.get("outputs", []))
        assert without_pictures(before) == without_pictures(after)
        for one, other in zip(pictures(before), pictures(after), strict=True):
            assert difference(pixels(one), pixels(other)) < MOST_DIFFERENCE
            drawn += 1
    assert drawn >= 2
    assert committed.metadata == again.metadata


def test_both_notebooks_are_there() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["history", "quickstart"]
