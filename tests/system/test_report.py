import base64
import io
import random
import re
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from scenario_etl import Client, DestinationError, Emulator, GuardError, charts, read_snapshot, snapshot
from scenario_etl.dashboard.page import write_report
from scenario_etl.lake_reader import newest_footer
from tests.helpers import record
from tests.lakes import take
from tests.system.conftest import HOSTILE


class Tags(HTMLParser):
    """The tags of a page with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes) -> None:
        self.found.append((tag, dict(attributes)))


@pytest.fixture(scope="module")
def page(lake: Path) -> str:
    return (lake / "report.html").read_text(encoding="utf-8")


def read_footer(lake: Path) -> dict[str, str]:
    return newest_footer(lake, "collections")


def page_of(folder: Path) -> str:
    """Write the page of `folder/lake`, and return it."""
    write_report(folder / "lake", folder / "report.html")
    return (folder / "report.html").read_text(encoding="utf-8")


def text_of(page: str) -> str:
    """Return the text of a page as one line."""
    body = re.sub("<style>.*?</style>", "", page, flags=re.DOTALL)
    return " ".join(re.sub("<[^>]*>", " ", body).split())


def test_the_page_has_totals_changes_and_runs(page: str, lake: Path) -> None:
    text = text_of(page)
    assert "Snapshot of 2026-11-02 (UTC). History of 2 snapshots since 2026-11-01 . 1 snapshot was rejected" in text
    assert "because too many rows were missing (2026-11-03). Lake: " in text
    assert "collections 57 items in collections " in text
    assert re.search(r"2026-11-02 updated コレクション 🎮 &amp; Söhne 5,001 asset_count, item_count", text)
    assert text.count("2026-11-02 deleted") == 3
    assert "All 4 changes since 2026-11-02 ." in text
    assert "2026-11-03 rejected too many rows were missing 2026-11-02 published" in text
    ninety_days_before = datetime(2026, 8, 4, tzinfo=UTC)
    stale = sum(row["updated_at"] < ninety_days_before for row in read_snapshot(lake, "collections").to_pylist())
    assert f"not updated for 90 days {stale}" in text
    assert "date outcome rows added updated deleted pages retries duplicates 2026-11-03" in text
    assert "2026-11-02 published 57 0 1 3 1 0 0" in text
    assert "2026-11-01 published 60 60 0 0 1 0 0" in text
    assert "All 3 days with a run." in text


def test_all_images_are_in_the_page_with_alternative_texts_and_nothing_is_loaded(page: str, lake: Path) -> None:
    tags = Tags(page).found
    images = [attributes for tag, attributes in tags if tag == "img"]
    assert len(images) > 40
    assert all(image["alt"] and image["src"].startswith("data:image/") for image in images)
    growth, changes, activity = (image["alt"] for image in images[:3])
    assert growth == "Line chart of collections and items per snapshot. 57 collections, 3 fewer than on Nov 1"
    assert changes.startswith("Bar chart of added, updated and deleted collections over time. ")
    assert activity.startswith("Heat map of changes by owner and week. ")
    assert not {"script", "link", "iframe", "object", "form"} & {tag for tag, _ in tags}
    linked = [
        value for _, attributes in tags for name, value in attributes.items() if name in {"src", "href", "srcset"}
    ]
    assert all(value.startswith("data:image/") for value in linked)
    assert re.findall(r"https?://[^<]*", page) == [read_footer(lake)["base_url"]]  # as text
    assert base64.b64decode(images[0]["src"].partition(",")[2]).startswith(b"\x89PNG")


def test_text_from_collections_is_escaped(page: str) -> None:
    tags = Tags(page).found
    assert not any(name.startswith("on") for _, attributes in tags for name in attributes)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "{{ 7 * 7 }}" in page
    assert {f"Thumbnail of {name if len(name) <= 200 else name[:199] + '…'}" for name in HOSTILE} <= {
        attributes.get("alt") for _, attributes in tags
    }


def test_bidi_controls_in_names_are_removed(tmp_path: Path) -> None:
    reversed_name = record(name="\u202egnp.exe\u2066")
    with Emulator([reversed_name]) as api, Client("demo", "demo", base_url=api.url) as client:
        for day in ("2026-11-01", "2026-11-02"):
            snapshot("collections", tmp_path / "lake", date=day, client=client)
            api.collections[0] = reversed_name | {"itemCount": 9}
    page = page_of(tmp_path)
    assert page.count("<bdi>gnp.exe</bdi>") == 2
    assert "\u202e" not in page


def test_sums_of_more_than_64_bits_are_exact(tmp_path: Path) -> None:
    most = 2**63 - 1
    counts = {"assetCount": most, "modelCount": 0, "itemCount": most}
    with (
        Emulator([record(id=f"c{n}", **counts) for n in range(3)]) as api,
        Client("demo", "demo", base_url=api.url) as client,
    ):
        snapshot("collections", tmp_path / "lake", date="2026-11-01", client=client)
    write_report(tmp_path / "lake", tmp_path / "report.html")
    assert f"{3 * most:,}" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_the_page_is_reproducible_and_states_once_why_thumbnails_are_missing(
    lake: Path, tmp_path: Path, caplog
) -> None:
    write_report(lake, tmp_path / "a.html")
    write_report(lake, tmp_path / "b.html")
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert page == (tmp_path / "b.html").read_text(encoding="utf-8")
    missing = "45 of 45 thumbnails could not be read: no response (45); "  # the emulator has stopped
    assert page.count(missing + "run scenario-etl snapshot with --thumbnails, which stores them in the lake.") == 1
    assert missing in caplog.text
    assert '<div class="missing">' not in page


def test_a_collection_without_a_thumbnail_says_so_and_a_failed_image_is_an_empty_box(tmp_path: Path) -> None:
    with Emulator(9) as api, Client("demo", "demo", base_url=api.url) as client:
        missing = {"assetId": "asset_1", "url": f"{api.url}/nothing"}
        thumbnails = [api.record(0)["thumbnail"], missing, None]
        api.collections = [record(id=f"c{number}", thumbnail=each) for number, each in enumerate(thumbnails)]
        snapshot("collections", tmp_path / "lake", date="2026-11-01", client=client)
        page = page_of(tmp_path)
    assert page.count('<img src="data:image/jpeg') == 1
    assert re.findall('<div class="missing">(.*)</div>', page) == ["", "no thumbnail"]
    assert "1 of 2 thumbnails could not be read: HTTP 401 (1); " in page


def test_a_single_empty_snapshot_is_enough(tmp_path: Path) -> None:
    take(tmp_path / "lake", "2026-11-01")
    text = text_of(page_of(tmp_path))
    assert "Snapshot of 2026-11-01 (UTC), the first one in this lake. Lake: " in text
    assert "Recent changes Charts and changes start with the second snapshot." in text
    assert "Most recently updated collections The snapshot has no collections. Runs" in text
    assert "1 day with a run." in text


def test_sections_without_changes_have_no_chart(tmp_path: Path) -> None:
    for day in ("2026-11-01", "2026-11-02"):
        take(tmp_path / "lake", day, record())
        page = page_of(tmp_path)
        assert not re.findall("<h2>(Changes|Activity)", page)
        assert ("<h2>Growth</h2>" in page) == (day == "2026-11-02")  # a single snapshot has none
    assert "Recent changes No changes since 2026-11-02 ." in text_of(page)


def test_activity_states_its_period_if_the_history_is_longer(tmp_path: Path) -> None:
    for number, day in enumerate(("2026-08-24", "2026-11-14", "2026-11-15")):
        take(tmp_path / "lake", day, record(itemCount=number))
        assert "<h2>Activity by owner in the last 12 weeks</h2>" not in page_of(tmp_path)
    take(tmp_path / "lake", "2026-11-16", record(itemCount=9))  # a Monday, so the first week is that of August 31
    page = page_of(tmp_path)
    assert "<h2>Activity by owner in the last 12 weeks</h2>" in page
    assert "All 3 changes since 2026-11-14 ." in text_of(page)


def test_a_change_of_the_date_only_is_stated(tmp_path: Path) -> None:
    for day in ("2026-11-01", "2026-11-02"):
        take(tmp_path / "lake", day, record(name=" ", itemCount=1, updatedAt=f"{day}T00:00:00Z"))
    assert "2026-11-02 updated (no name) 1 only updated_at 1 change since 2026-11-02 ." in text_of(page_of(tmp_path))


def test_a_lake_of_all_projects_shows_how_many_and_the_project_of_each_change(tmp_path: Path) -> None:
    with Emulator(9) as api, Client("demo", "demo", base_url=api.url) as client:
        for day in ("2026-11-01", "2026-11-02"):
            snapshot("collections", tmp_path / "lake", date=day, client=client, all_projects=True)
            api.collections = [api.record(number) | {"itemCount": 12345} for number in range(9)]
        page = page_of(tmp_path)
    owners = {each["ownerId"] for each in api.collections}
    text = text_of(page)
    assert f"{api.url}, all projects ({len(owners)} with collections) Snapshot of" in text
    assert "date change collection project items changed columns 2026-11-02 updated" in text
    assert len(re.findall("(?:Emberfall|Skyward Isles|Neon Harbor|Live Ops) 12,345 item_count", text)) == 9


def test_a_day_with_a_snapshot_and_a_later_rejected_run_shows_both(tmp_path: Path) -> None:
    with Emulator(9) as api, Client("demo", "demo", base_url=api.url) as client:
        for day in ("2026-11-01", "2026-11-02"):
            snapshot("collections", tmp_path / "lake", date=day, client=client)
        api.collections = []
        with pytest.raises(GuardError):
            snapshot("collections", tmp_path / "lake", date="2026-11-02", client=client)
    text = text_of(page_of(tmp_path))
    assert "2026-11-02 published, then rejected 9 0 0 0 1 0 0" in text
    assert "History of 2 snapshots since 2026-11-01 . 1 snapshot was rejected because" in text


def test_an_unreadable_lake_is_an_error_and_an_unknown_count_is_a_dash(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DestinationError, match="cannot read"):
        write_report(tmp_path / "file", tmp_path / "report.html")
    records = [{"id": "c1", "name": None, "updatedAt": "2020-01-01T00:00:00Z"}]
    with Emulator(records) as api, Client("demo", "demo", base_url=api.url) as client:
        snapshot("collections", tmp_path / "lake", date="2026-11-01", client=client)
    text = text_of(page_of(tmp_path))
    assert "items in collections - assets in collections - models in collections - owners 0" in text
    assert "empty collections 0 not updated for 90 days 1" in text


def test_stored_thumbnails_are_read_from_the_lake(tmp_path: Path, caplog) -> None:
    with Emulator(9) as api, Client("demo", "demo", base_url=api.url) as client:
        snapshot("collections", tmp_path / "lake", date="2026-11-01", client=client, thumbnails=True)
    write_report(tmp_path / "lake", tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8").count('<img src="data:image/jpeg') == 9
    assert "WARNING" not in caplog.text


def test_the_page_is_at_most_1_mb_with_any_thumbnails(tmp_path: Path, lake: Path, monkeypatch) -> None:
    rng = random.Random(1)
    target = io.BytesIO()
    Image.frombytes("RGB", (160, 160), rng.randbytes(3 * 160 * 160)).save(target, "JPEG", quality=95)
    assert 48 * len(target.getvalue()) > 10**6
    monkeypatch.setattr("scenario_etl.dashboard.page.fetch_images", lambda urls: dict.fromkeys(urls, target.getvalue()))
    write_report(lake, tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size < 10**6
    assert (tmp_path / "report.html").read_text(encoding="utf-8").count('<img src="data:image/jpeg') == 45


def test_the_page_names_its_source_and_the_owners(tmp_path: Path, monkeypatch) -> None:
    drawn = []
    monkeypatch.setattr("scenario_etl.charts.activity", recorded(drawn, charts.activity))
    with Emulator(9) as api, Client("demo", "demo", base_url=api.url) as client:
        for day in ("2026-11-01", "2026-11-02"):
            snapshot(
                "collections", tmp_path / "lake", date=day, client=client, project_id=api.project_ids[0], max_shrink=1
            )
            api.collections = [api.record(0), api.record(1) | {"name": "other", "ownerId": api.project_ids[0]}]
    text = text_of(page_of(tmp_path))
    assert f"{api.url}, project Emberfall Snapshot of 2026-11-02 (UTC). History of 2 snapshots" in text
    assert {charts.title_of(figure) for _, figure in drawn} == {"Emberfall has all changes on Nov 2: 5"}


def recorded(calls: list, function):
    """Return the function, and append the first argument and the result of each call to a list."""

    def record_and_call(first, **more):
        result = function(first, **more)
        calls.append((first, result))
        return result

    return record_and_call


def test_charts_have_all_dates_after_retention(tmp_path: Path, monkeypatch) -> None:
    drawn = []
    monkeypatch.setattr("scenario_etl.charts.growth", recorded(drawn, charts.growth))
    with Emulator(9) as api, Client("demo", "demo", base_url=api.url) as client:
        for day in api.days(6, date(2026, 11, 6)):
            if len(api.collections) > 2:
                snapshot("collections", tmp_path / "lake", date=day, client=client, keep=1)
    write_report(tmp_path / "lake", tmp_path / "report.html")
    history, _ = drawn[0]
    assert len(history) == 4
    assert "History of 4 snapshots since 2026-11-01 , of which the lake still has 1." in text_of(
        (tmp_path / "report.html").read_text(encoding="utf-8")
    )
    assert history[["rows", "items"]].notna().all(axis=None)
