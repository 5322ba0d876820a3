"""`python -m tests.tools.images`: update `docs/report.png`, the screenshot of the page in the README."""

import io
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from scenario_etl import cli
from scenario_etl.dashboard.page import write_report

SCREENSHOT = Path(__file__).parents[2] / "docs/report.png"
HISTORY = ["snapshot", "collections", "lake", "--demo", "--days", "30", "--date", "2026-11-23"]
WIDTH, HEIGHT = 1024, 1604  # pixels; the image ends below the last chart
COLORS = 256
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-gpu", "--disable-quic",
         "--disable-sync", "--no-first-run", "--no-sandbox"]  # fmt: skip


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Start a Chromium that makes no requests of its own."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield chromium
        chromium.close()


def screenshot(browser: Browser, folder: Path) -> bytes:
    """Return the upper part of the page of the lake in a folder, as a PNG."""
    with chdir(folder):
        write_report("lake", "report.html")
    tab = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
    tab.goto((folder / "report.html").as_uri())
    target = io.BytesIO()
    Image.open(io.BytesIO(tab.screenshot())).convert("RGB").quantize(COLORS).save(target, "PNG", optimize=True)
    tab.close()
    return target.getvalue()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, running_browser() as browser:
        with chdir(folder):
            cli.cli(HISTORY, standalone_mode=False)
        SCREENSHOT.write_bytes(screenshot(browser, Path(folder)))
