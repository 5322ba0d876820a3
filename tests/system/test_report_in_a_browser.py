import base64
import io
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageStat
from playwright.sync_api import Browser

from scenario_etl import cli
from scenario_etl.dashboard.page import write_report
from tests.tools.images import CHROMIUM, HEIGHT, HISTORY, SCREENSHOT, WIDTH, running_browser, screenshot


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM:
        pytest.skip("needs Chromium; .ci/run installs it")
    with running_browser() as running:
        yield running


@pytest.fixture(scope="module")
def month(tmp_path_factory) -> Path:
    """The folder of the lake of a simulated month, and of its report."""
    folder = tmp_path_factory.mktemp("month")
    with chdir(folder):
        cli.cli(HISTORY, standalone_mode=False)
        write_report("lake", "report.html")
    return folder


BACKGROUNDS = {"light": "rgb(255, 255, 255)", "dark": "rgb(27, 29, 33)"}


@pytest.mark.parametrize("scheme", BACKGROUNDS)
@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_renders_the_page_at_desktop_and_phone_width_without_errors(
    browser: Browser, lake: Path, tmp_path: Path, width: int, scheme: str
) -> None:
    tab = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    messages: list[str] = []
    requested: list[str] = []
    tab.on("console", lambda message: messages.append(message.text))
    tab.on("pageerror", lambda error: messages.append(str(error)))
    tab.on("dialog", lambda dialog: messages.append(dialog.message))
    tab.on("request", lambda request: requested.append(request.url))
    address = (lake / "report.html").as_uri()
    tab.goto(address)
    assert messages == []
    assert [url for url in requested if not url.startswith("data:")] == [address]
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    assert tab.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    charts = tab.evaluate("[...document.querySelectorAll('picture img')].map(image => image.naturalWidth)")
    assert charts == [1800 if width > 600 else 840] * 3
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == BACKGROUNDS[scheme]
    drawn = tab.evaluate("document.querySelector('picture img').currentSrc").partition(",")[2]
    corner = Image.open(io.BytesIO(base64.b64decode(drawn))).convert("RGB").getpixel((0, 0))
    assert f"rgb{corner}" == BACKGROUNDS[scheme]
    hint = tab.evaluate("getComputedStyle(document.querySelector('.hint')).display")
    assert hint == ("none" if width > 600 else "block")
    assert len(tab.screenshot(path=tmp_path / "page.png", full_page=True)) > 50_000
    tab.close()


def test_a_phone_shows_whole_names_the_counts_of_runs_and_thumbnails_column_by_column(
    browser: Browser, month: Path
) -> None:
    tab = browser.new_page(viewport={"width": 390, "height": 844})
    tab.goto((month / "report.html").as_uri())
    places = """selector => [...document.querySelectorAll(selector)].map(each => each.getBoundingClientRect())
        .map(place => [place.x, place.y, place.right])"""
    assert tab.evaluate("[...document.querySelectorAll('td.name')].every(cell => cell.scrollWidth <= cell.clientWidth)")
    assert all(right <= 390 for _, _, right in tab.evaluate(places, "td.name"))
    counts = tab.evaluate(places, "[aria-label=Runs] th")
    assert sum(right <= 390 for _, _, right in counts) == 6  # date, outcome, rows, added, updated and deleted
    figures = tab.evaluate(places, "figure")
    assert figures == sorted(figures)
    assert len({x for x, _, _ in figures}) == 16
    tab.close()


def test_a_simulated_month_is_less_than_3366_pixels_tall_on_a_phone(browser: Browser, month: Path) -> None:
    tab = browser.new_page(viewport={"width": 390, "height": 844})
    tab.goto((month / "report.html").as_uri())
    assert tab.evaluate("document.documentElement.scrollHeight") < 3366
    tab.close()


def test_the_image_in_the_readme_ends_below_the_last_chart(browser: Browser, month: Path) -> None:
    tab = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
    tab.goto((month / "report.html").as_uri())
    bottom = tab.evaluate("[...document.querySelectorAll('picture')].at(-1).getBoundingClientRect().bottom")
    assert bottom < HEIGHT < bottom + 40
    tab.close()


def test_the_image_in_the_readme_shows_the_current_page(browser: Browser, month: Path) -> None:
    committed, drawn = (Image.open(io.BytesIO(png)) for png in (SCREENSHOT.read_bytes(), screenshot(browser, month)))
    assert committed.size == drawn.size == (WIDTH, HEIGHT)
    difference = ImageStat.Stat(ImageChops.difference(committed.convert("L"), drawn.convert("L"))).mean[0]
    assert difference < 6  # of 255; another machine has other fonts
