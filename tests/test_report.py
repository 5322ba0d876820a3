import base64
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from scenario_etl import Client, DestinationError, Emulator, GuardError, read_snapshot, snapshot
from scenario_etl.report import write_report
from tests.helpers import record, said

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "{{ 7 * 7 }}",
    "コレクション 🎮 & Söhne",
    "x" * 300,
]
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-gpu", "--disable-quic",
         "--disable-sync", "--no-first-run", "--no-sandbox"]  # fmt: skip


class Tags(HTMLParser):
    """Collects the tags of a page with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes) -> None:
        self.found.append((tag, dict(attributes)))


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Path:
    """Three days: one that is first, one with changes, and one that the guard stops; names are hostile."""
    folder = tmp_path_factory.mktemp("lake")
    with Emulator(60) as api, Client("demo", "demo", base_url=api.url) as client:
        api.collections = [api._record(number, signed=False) for number in range(60)]
        for number, name in enumerate(HOSTILE):
            api.collections[number] |= {"name": name, "updatedAt": "2026-11-20T00:00:00.000Z"}
        snapshot("collections", folder, date="2026-11-01", client=client)
        del api.collections[10:13]
        api.collections[3] |= {"assetCount": 5000, "itemCount": 5001}
        snapshot("collections", folder, date="2026-11-02", client=client)
        rest, api.collections = api.collections, []
        with pytest.raises(GuardError):
            snapshot("collections", folder, date="2026-11-03", client=client)
        api.collections = rest
        write_report(folder, folder / "report.html")
    return folder


@pytest.fixture(scope="module")
def page(lake: Path) -> str:
    return (lake / "report.html").read_text(encoding="utf-8")


def words(page: str) -> str:
    """The text of a page, as one line."""
    body = re.sub("<style>.*?</style>", "", page, flags=re.DOTALL)
    return " ".join(re.sub("<[^>]*>", " ", body).split())


def test_it_tells_totals_changes_and_runs(page: str, lake: Path) -> None:
    told = words(page)
    assert "As of 2026-11-02 (UTC); 3 runs since 2026-11-01" in told
    assert "collections 57" in told
    assert re.search(r"2026-11-02 updated コレクション 🎮 &amp; Söhne asset_count, item_count 5,001", told)
    assert told.count("2026-11-02 deleted") == 3
    assert "2026-11-03 stopped by the guard - - - - - - -" in told
    ninety_days_before = datetime(2026, 8, 4, tzinfo=UTC)
    stale = sum(row["updated_at"] < ninety_days_before for row in read_snapshot(lake, "collections").to_pylist())
    assert f"not updated for 90 days {stale}" in told
    assert "2026-11-02 published 57 1 0 0 0 1 3" in told
    assert "2026-11-01 published 60 1 0 0 60 0 0" in told


def test_it_holds_all_pictures_with_their_texts_and_nothing_from_elsewhere(page: str) -> None:
    tags = Tags(page).found
    images = [attributes for tag, attributes in tags if tag == "img"]
    assert len(images) > 40
    assert all(image["alt"] and image["src"].startswith("data:image/") for image in images)
    assert {"Chart: 57 collections, 3 fewer than on Nov 1"} < {image["alt"] for image in images}
    assert not {"script", "link", "iframe", "object", "form"} & {tag for tag, _ in tags}
    linked = [
        value for _, attributes in tags for name, value in attributes.items() if name in {"src", "href", "srcset"}
    ]
    assert all(value.startswith("data:image/") for value in linked)
    assert not re.search(r"https?://", page)
    assert base64.b64decode(images[0]["src"].partition(",")[2]).startswith(b"\x89PNG")


def test_text_from_collections_is_escaped(page: str) -> None:
    tags = Tags(page).found
    assert not any(name.startswith("on") for _, attributes in tags for name in attributes)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "{{ 7 * 7 }}" in page
    assert {f"Thumbnail of {name}" for name in HOSTILE} <= {attributes.get("alt") for _, attributes in tags}


def test_a_name_does_not_turn_the_direction_of_the_page(tmp_path: Path) -> None:
    turned = record(name="\u202egnp.exe\u2066")
    with Emulator([turned]) as api, Client("demo", "demo", base_url=api.url) as client:
        for day in ("2026-11-01", "2026-11-02"):
            snapshot("collections", tmp_path / "lake", date=day, client=client)
            api.collections[0] = turned | {"itemCount": 9}
    write_report(tmp_path / "lake", tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("<bdi>gnp.exe</bdi>") == 2
    assert "\u202e" not in page


def test_counts_that_add_up_to_more_than_64_bits_are_summed_exactly(tmp_path: Path) -> None:
    most = 2**63 - 1
    counts = {"assetCount": most, "modelCount": 0, "itemCount": most}
    with (
        Emulator([record(id=f"c{n}", **counts) for n in range(3)]) as api,
        Client("demo", "demo", base_url=api.url) as client,
    ):
        snapshot("collections", tmp_path / "lake", date="2026-11-01", client=client)
    write_report(tmp_path / "lake", tmp_path / "report.html")
    assert f"{3 * most:,}" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_the_same_lake_gives_the_same_page_where_pictures_are_gone(lake: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("scenario_etl.report.fetch_thumbnails", lambda urls: [None] * len(urls))
    write_report(lake, tmp_path / "a.html")
    write_report(lake, tmp_path / "b.html")
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert page == (tmp_path / "b.html").read_text(encoding="utf-8")
    assert page.count("no picture") == 48


def test_one_snapshot_is_enough_and_an_empty_one_too(tmp_path: Path) -> None:
    with Emulator(0) as api, Client("demo", "demo", base_url=api.url) as client:
        snapshot("collections", tmp_path / "lake", date="2026-11-01", client=client)
    write_report(tmp_path / "lake", tmp_path / "report.html")
    told = words((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "Nothing has changed yet." in told
    assert "1 run since 2026-11-01" in told


def test_a_day_that_was_published_before_the_guard_stopped_a_later_run_says_both(tmp_path: Path) -> None:
    with Emulator(9) as api, Client("demo", "demo", base_url=api.url) as client:
        for day in ("2026-11-01", "2026-11-02"):
            snapshot("collections", tmp_path / "lake", date=day, client=client)
        api.collections = []
        with pytest.raises(GuardError):
            snapshot("collections", tmp_path / "lake", date="2026-11-02", client=client)
    write_report(tmp_path / "lake", tmp_path / "report.html")
    told = words((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "2026-11-02 published; a later run was stopped by the guard 9 1 0 0 0 0 0" in told


def test_a_lake_that_cannot_be_read_is_told_as_such_and_a_count_that_nobody_knows_as_a_dash(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DestinationError, match="cannot read"):
        write_report(tmp_path / "file", tmp_path / "report.html")
    records = [{"id": "c1", "name": None, "updatedAt": "2020-01-01T00:00:00Z"}]
    with Emulator(records) as api, Client("demo", "demo", base_url=api.url) as client:
        snapshot("collections", tmp_path / "lake", date="2026-11-01", client=client)
    write_report(tmp_path / "lake", tmp_path / "report.html")
    told = words((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "items - assets - models - owners 0 empty 0 not updated for 90 days 1" in told


def test_the_command_writes_it_or_says_what_is_missing(run, tmp_path: Path, lake: Path) -> None:
    done = run("report", lake, "page.html")
    assert (done.returncode, said(done.stderr)) == (0, ["page.html: 3 runs of collections"])
    assert (tmp_path / "page.html").stat().st_size > 10_000
    empty = run("report", tmp_path / "nothing", "page.html")
    assert empty.returncode == 78
    assert "has no snapshot of collections; check the path, or make one with `scenario-etl snapshot`" in empty.stderr
    assert run("report", lake, "missing/page.html").returncode == 74
    assert (tmp_path / "page.html").stat().st_size > 10_000


def test_without_the_extra_the_error_says_how_to_install_it(tmp_path: Path, lake: Path, run) -> None:
    (tmp_path / "matplotlib.py").write_text("raise ModuleNotFoundError('no', name='matplotlib')")
    done = run("report", lake, "page.html", PYTHONPATH=str(tmp_path))
    assert done.returncode == 78
    assert re.search(r"a report needs matplotlib; install it: pip install '/.*\[report\]'", done.stderr)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM:
        pytest.skip("needs Chromium; .ci/run installs it")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield chromium
        chromium.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_shows_it_at_desktop_and_phone_width_without_complaint(
    browser: Browser, lake: Path, tmp_path: Path, width: int
) -> None:
    shown = browser.new_page(viewport={"width": width, "height": 900})
    said: list[str] = []
    asked: list[str] = []
    shown.on("console", lambda message: said.append(message.text))
    shown.on("pageerror", lambda error: said.append(str(error)))
    shown.on("dialog", lambda dialog: said.append(dialog.message))
    shown.on("request", lambda request: asked.append(request.url))
    address = (lake / "report.html").as_uri()
    shown.goto(address)
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [address]
    assert shown.evaluate("document.documentElement.scrollWidth") == width
    assert shown.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    charts = shown.evaluate("[...document.querySelectorAll('picture img')].map(image => image.naturalWidth)")
    assert charts == [1800 if width > 600 else 840] * 3
    assert len(shown.screenshot(path=tmp_path / "page.png", full_page=True)) > 50_000
    shown.close()
