"""`python -m tests.tools.pictures`: make the picture of the page that README shows, `docs/report.png`."""

import io
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from scenario_etl import cli
from scenario_etl.report import write_report

PICTURE = Path(__file__).parents[2] / "docs/report.png"
HISTORY = ["snapshot", "collections", "lake", "--demo", "--days", "30", "--date", "2026-11-23"]
WIDTH, HEIGHT = 1024, 1180  # pixels
COLORS = 128
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-gpu", "--disable-quic",
         "--disable-sync", "--no-first-run", "--no-sandbox"]  # fmt: skip


@contextmanager
def running_browser() -> Iterator[Browser]:
    """A Chromium that asks nobody but for what is tested."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield chromium
        chromium.close()


def screenshot(browser: Browser, folder: Path) -> bytes:
    """Return a picture of the upper part of the page of the lake in a folder."""
    with chdir(folder):
        write_report("lake", "report.html")
    shown = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
    shown.goto((folder / "report.html").as_uri())
    target = io.BytesIO()
    Image.open(io.BytesIO(shown.screenshot())).convert("RGB").quantize(COLORS).save(target, "PNG", optimize=True)
    shown.close()
    return target.getvalue()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, running_browser() as browser:
        with chdir(folder):
            cli.cli(HISTORY, standalone_mode=False)
        PICTURE.write_bytes(screenshot(browser, Path(folder)))
