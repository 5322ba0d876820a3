"""The notebooks are executed here; what they print and draw is what is committed."""

import base64
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import numpy as np
import pytest
import requests
from jupyter_client import BlockingKernelClient
from PIL import Image
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from tests.tools.notebooks import NOTEBOOKS, executed
from tests.versions import MAX_DIFFERENCE, MAX_PIXELS, as_shown_here

MAX_BYTES = 10**6


def pixels(png: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")).astype(float)


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """The average difference of two pictures of the same size."""
    assert np.abs(np.subtract(one.shape, other.shape)).max() <= MAX_PIXELS
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
    assert path.stat().st_size < MAX_BYTES
    committed, again = nbformat.read(path, as_version=4), executed(path, tmp_path)
    drawn = 0
    for before, after in zip(committed.cells, again.cells, strict=True):
        assert not any(output.get("name") == "stderr" for output in after.get("outputs", []))
        assert without_pictures(before) == without_pictures(after)
        for one, other in zip(pictures(before), pictures(after), strict=True):
            assert difference(pixels(one), pixels(other)) < MAX_DIFFERENCE
            drawn += 1
    assert drawn >= 2
    assert committed.metadata == again.metadata


def test_both_notebooks_are_there() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["history", "quickstart"]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    """The URL of a JupyterLab that serves the notebooks; files of its runtime are in `tmp_path`."""
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        "--allow-root",
        "--ServerApp.token=",
        "--ServerApp.ip=127.0.0.1",
    ]
    with subprocess.Popen(
        [*command, str(NOTEBOOKS[0].parent)],
        env=os.environ | {"JUPYTER_RUNTIME_DIR": str(tmp_path), "JUPYTER_CONFIG_DIR": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            lines = iter(server.stderr.readline, "")
            yield next(found[0] for line in lines if (found := re.search(r"http://127\.0\.0\.1:\d+/(?=lab)", line)))
        finally:
            server.terminate()
            server.communicate()


def test_jupyterlab_opens_them_and_its_kernel_has_the_package(lab: str, tmp_path: Path) -> None:
    session = requests.Session()
    session.mount(
        "http://", HTTPAdapter(max_retries=Retry(connect=12, backoff_factor=0.05))
    )  # it logs before it listens
    assert "JupyterLab" in session.get(f"{lab}lab", timeout=30).text
    names = {item["name"] for item in session.get(f"{lab}api/contents", timeout=30).json()["content"]}
    assert {path.name for path in NOTEBOOKS} <= names
    session.headers["X-XSRFToken"] = session.cookies["_xsrf"]
    kernel = session.post(f"{lab}api/kernels", json={"name": "python3"}, timeout=30).json()
    client = BlockingKernelClient(connection_file=str(tmp_path / f"kernel-{kernel['id']}.json"))
    client.load_connection_file()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        answer = client.execute_interactive("import scenario_etl; scenario_etl.charts.largest", timeout=60)
        assert answer["content"]["status"] == "ok"
    finally:
        client.stop_channels()
        session.delete(f"{lab}api/kernels/{kernel['id']}", timeout=30)
