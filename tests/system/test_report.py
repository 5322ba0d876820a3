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
from tests.helpers import record, said
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


def text_of(page: str) -> str:
    """Return the text of a page as one line."""
    body = re.sub("<style>.*?</style>", "", page, flags=re.DOTALL)
    return " ".join(re.sub("<[^>]*>", " ", body).split())


def test_the_page_has_totals_changes_and_runs(page: str, lake: Path) -> None:
    text = text_of(page)
    assert "Snapshot of 2026-11-02 (UTC). 2 snapshots since 2026-11-01 , 1 snapshot rejected because " in text
    assert "because too many rows were missing. Lake: " in text
    assert "collections 57" in text
    assert re.search(r"2026-11-02 updated コレクション 🎮 &amp; Söhne 5,001 asset_count, item_count", text)
    assert text.count("2026-11-02 deleted") == 3
    assert "2026-11-03 rejected: too many rows were missing - - - - - - -" in text
    ninety_days_before = datetime(2026, 8, 4, tzinfo=UTC)
    stale = sum(row["updated_at"] < ninety_days_before for row in read_snapshot(lake, "collections").to_pylist())
    assert f"not updated for 90 days {stale}" in text
    assert "2026-11-02 published 57 1 0 0 0 1 3" in text
    assert "2026-11-01 published 60 1 0 0 60 0 0" in text


def test_all_images_are_in_the_page_with_alternative_texts_and_nothing_is_loaded(page: str, lake: Path) -> None:
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
    write_report(tmp_path / "lake", tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
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


def test_the_page_is_reproducible_and_names_the_reason_for_missing_thumbnails(
    lake: Path, tmp_path: Path, caplog
) -> None:
    write_report(lake, tmp_path / "a.html")
    write_report(lake, tmp_path / "b.html")
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert page == (tmp_path / "b.html").read_text(encoding="utf-8")
    assert page.count('<div class="missing">no response</div>') == 45  # the emulator has stopped
    assert page.count('<div class="missing">no thumbnail</div>') == 3
    assert "45 of 48 thumbnails are missing: no response (45)" in caplog.text


def test_a_single_empty_snapshot_is_enough(tmp_path: Path) -> None:
    with Emulator(0) as api, Client("demo", "demo", base_url=api.url) as client:
        snapshot("collections", tmp_path / "lake", date="2026-11-01", client=client)
    write_report(tmp_path / "lake", tmp_path / "report.html")
    text = text_of((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "No changes yet." in text
    assert "1 snapshot since 2026-11-01" in text


def test_a_day_with_a_snapshot_and_a_later_rejected_run_shows_both(tmp_path: Path) -> None:
    with Emulator(9) as api, Client("demo", "demo", base_url=api.url) as client:
        for day in ("2026-11-01", "2026-11-02"):
            snapshot("collections", tmp_path / "lake", date=day, client=client)
        api.collections = []
        with pytest.raises(GuardError):
            snapshot("collections", tmp_path / "lake", date="2026-11-02", client=client)
    write_report(tmp_path / "lake", tmp_path / "report.html")
    text = text_of((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "2026-11-02 published; a later run was rejected: too many rows were missing 9 1 0 0 0 0 0" in text


def test_an_unreadable_lake_is_an_error_and_an_unknown_count_is_a_dash(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DestinationError, match="cannot read"):
        write_report(tmp_path / "file", tmp_path / "report.html")
    records = [{"id": "c1", "name": None, "updatedAt": "2020-01-01T00:00:00Z"}]
    with Emulator(records) as api, Client("demo", "demo", base_url=api.url) as client:
        snapshot("collections", tmp_path / "lake", date="2026-11-01", client=client)
    write_report(tmp_path / "lake", tmp_path / "report.html")
    text = text_of((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "items - assets - models - owners 0 empty 0 not updated for 90 days 1" in text


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
    write_report(tmp_path / "lake", tmp_path / "report.html")
    text = text_of((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert f"{api.url}, project Emberfall Snapshot of 2026-11-02 (UTC). 2 snapshots" in text
    assert {charts.title_of(figure) for _, figure in drawn} == {"Emberfall has all changes since Nov 2: 5"}


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
    assert history[["rows", "items"]].notna().all(axis=None)


def test_the_command_writes_the_page_or_an_error(run, tmp_path: Path, lake: Path) -> None:
    done = run("report", lake, "page.html")
    assert done.returncode == 0
    started, missing, finished = said(done.stderr)
    assert started.endswith(": writing the HTML report; this may take a few seconds")
    assert "thumbnails are missing: no response (45); `scenario-etl snapshot --thumbnails` stores them" in missing
    assert finished == "wrote page.html with the history of 3 runs; open it in a browser"
    assert (tmp_path / "page.html").stat().st_size > 10_000
    empty = run("report", tmp_path / "nothing", "page.html")
    assert empty.returncode == 78
    assert "has no snapshot of collections; check the path, or add one with `scenario-etl snapshot`" in empty.stderr
    assert run("report", lake, "missing/page.html").returncode == 74
    assert (tmp_path / "page.html").stat().st_size > 10_000


def test_the_page_of_a_demo_without_thumbnails_advises_a_new_lake(run) -> None:
    assert run("snapshot", "collections", "lake", "--demo", "--days", "2", "--no-thumbnails").returncode == 0
    done = run("report", "lake", "page.html")
    assert done.returncode == 0
    assert re.search(
        r"thumbnails are missing: no response \(\d+\); create a new lake with --demo$", said(done.stderr)[1]
    )


def test_another_file_suffix_is_a_config_error(run, tmp_path: Path, lake: Path) -> None:
    done = run("report", lake, "page.pdf")
    assert (done.returncode, list(tmp_path.glob("page*"))) == (78, [])
    assert "DESTINATION must end in .html or .htm, got page.pdf" in done.stderr


def test_without_the_extra_the_error_has_the_install_command(tmp_path: Path, lake: Path, run) -> None:
    (tmp_path / "matplotlib.py").write_text("raise ModuleNotFoundError('no', name='matplotlib')")
    done = run("report", lake, "page.html", PYTHONPATH=str(tmp_path))
    assert done.returncode == 78
    assert re.search(r"the HTML report requires matplotlib; install it: pip install '/.*\[report\]'", done.stderr)
