"""The outputs in the notebooks are those of the current code."""

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

from tests.tools.notebooks import NOTEBOOKS, execute
from tests.versions import MAX_DIFFERENCE, MAX_PIXELS, as_installed

MAX_BYTES = 10**6


def pixels(png: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")).astype(float)


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """Return the mean difference of two images of the same size."""
    assert np.abs(np.subtract(one.shape, other.shape)).max() <= MAX_PIXELS
    height = min(len(one), len(other))
    return float(np.abs(one[:height] - other[:height]).mean())


def without_images(cell: nbformat.NotebookNode) -> list[dict]:
    outputs = []
    for output in cell.get("outputs", []):
        data = {kind: value for kind, value in output.get("data", {}).items() if kind != "image/png"}
        outputs.append({**output, "data": as_installed(data)})
    return outputs


def images(cell: nbformat.NotebookNode) -> list[str]:
    return [output.data["image/png"] for output in cell.get("outputs", []) if "image/png" in output.get("data", {})]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_without_warnings_and_has_the_saved_outputs(path: Path, tmp_path: Path) -> None:
    assert path.stat().st_size < MAX_BYTES
    committed, again = nbformat.read(path, as_version=4), execute(path, tmp_path)
    charts = 0
    for before, after in zip(committed.cells, again.cells, strict=True):
        assert not any(output.get("name") == "stderr" for output in after.get("outputs", []))
        assert without_images(before) == without_images(after)
        for one, other in zip(images(before), images(after), strict=True):
            assert difference(pixels(one), pixels(other)) < MAX_DIFFERENCE
            charts += 1
    assert charts >= 2
    assert committed.metadata == again.metadata


def test_there_are_three_notebooks() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["assets", "history", "quickstart"]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    """The URL of a JupyterLab in the folder of the notebooks; its runtime files are in `tmp_path`."""
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


def test_jupyterlab_lists_the_notebooks_and_its_kernel_imports_the_charts(lab: str, tmp_path: Path) -> None:
    session = requests.Session()
    session.mount(
        "http://", HTTPAdapter(max_retries=Retry(connect=12, backoff_factor=0.05))
    )  # it logs its URL before it listens
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
        reply = client.execute_interactive("import scenario_etl; scenario_etl.charts.largest", timeout=60)
        assert reply["content"]["status"] == "ok"
    finally:
        client.stop_channels()
        session.delete(f"{lab}api/kernels/{kernel['id']}", timeout=30)
