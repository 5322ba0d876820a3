"""A run stores thumbnails in a lake, and they can be read later."""

import io
import sys
import threading
from pathlib import Path

import pytest
from PIL import Image

from scenario_etl import ConfigError, lake_thumbnails, read_snapshot
from scenario_etl.lake_thumbnails import read_thumbnails
from tests.helpers import record
from tests.lakes import API, DAYS, take
from tests.system.faults.server import FaultServer


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return tmp_path / "lake"


def with_thumbnail(number: int, asset_id: str | None = None, **more: object) -> dict:
    """A collection with a thumbnail that the emulator serves; a higher number was updated later."""
    thumbnail = {"assetId": asset_id or f"asset_{number}"}
    return record(id=f"c{number}", thumbnail=thumbnail, updatedAt=f"2026-04-{number + 1:02d}T00:00:00Z", **more)


def stored(lake: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (lake / ".thumbnails").iterdir()}


def test_a_run_stores_the_thumbnails_of_its_rows_as_small_jpegs(lake: Path) -> None:
    report = take(lake, DAYS[0], with_thumbnail(1), with_thumbnail(2), record(id="c3", thumbnail=...), thumbnails=True)
    assert (report.thumbnails, report.warnings) == (2, ())
    assert sorted(stored(lake)) == ["asset_1.jpg", "asset_2.jpg"]
    assert {Image.open(io.BytesIO(content)).format for content in stored(lake).values()} == {"JPEG"}
    assert read_thumbnails(lake, ["asset_1", "asset_9", None, float("nan")]) == {"asset_1": stored(lake)["asset_1.jpg"]}


def test_without_the_argument_nothing_is_stored(lake: Path) -> None:
    assert take(lake, DAYS[0], with_thumbnail(1)).thumbnails == 0
    assert not (lake / ".thumbnails").exists()


def test_only_new_assets_are_fetched(lake: Path) -> None:
    take(lake, DAYS[0], with_thumbnail(1), thumbnails=True)
    (lake / ".thumbnails/asset_1.jpg").write_bytes(b"as it was")
    assert take(lake, DAYS[1], with_thumbnail(1), with_thumbnail(2), thumbnails=True).thumbnails == 1
    assert stored(lake)["asset_1.jpg"] == b"as it was"


def test_only_thumbnails_of_the_most_recently_updated_rows_are_stored(lake: Path, monkeypatch) -> None:
    monkeypatch.setattr(lake_thumbnails, "MAX_ROWS", 2)
    take(lake, DAYS[0], with_thumbnail(1), with_thumbnail(9), with_thumbnail(5), thumbnails=True)
    assert sorted(stored(lake)) == ["asset_5.jpg", "asset_9.jpg"]


def test_a_failed_download_is_a_warning_with_its_reason_and_the_snapshot_is_published(lake: Path, caplog) -> None:
    with FaultServer(lambda exchange: exchange.send(b"no", 404), breaks=0) as server:
        url = f"{server.origin}/gone.png"
        gone = [with_thumbnail(n) | {"thumbnail": {"assetId": f"a{n}", "url": url + str(n)}} for n in range(3)]
        report = take(lake, DAYS[0], *gone, with_thumbnail(7), thumbnails=True)
    (warning,) = report.warnings
    assert warning == "3 of 4 new thumbnails could not be stored: HTTP 404 (3)"
    assert warning in caplog.text
    assert (report.thumbnails, read_snapshot(lake, "collections").num_rows) == (1, 4)


def test_a_folder_that_cannot_be_written_is_a_warning_and_the_snapshot_is_published(lake: Path) -> None:
    lake.mkdir()
    (lake / ".thumbnails").touch()
    report = take(lake, DAYS[0], with_thumbnail(1), thumbnails=True)
    assert report.thumbnails == 0
    assert report.warnings[0].startswith("thumbnails could not be stored: ")
    assert read_snapshot(lake, "collections").num_rows == 1


def test_images_are_stored_even_if_one_server_does_not_respond(lake: Path, monkeypatch) -> None:
    monkeypatch.setattr(lake_thumbnails, "FETCH_SECONDS", 2.0)
    over = threading.Event()
    with FaultServer(lambda exchange: over.wait(60), breaks=0) as silent:
        stalled = with_thumbnail(9) | {"thumbnail": {"assetId": "silent", "url": f"{silent.origin}/x.png"}}
        report = take(lake, DAYS[0], with_thumbnail(1), stalled, with_thumbnail(2), thumbnails=True)
        over.set()
    assert report.thumbnails == 2
    assert report.warnings == ("1 of 3 new thumbnails could not be stored: timed out (1)",)


def test_any_error_with_thumbnails_is_a_warning(lake: Path, monkeypatch) -> None:
    def no_threads(*_: object, **__: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(lake_thumbnails, "fetch_images", no_threads)
    report = take(lake, DAYS[0], with_thumbnail(1), thumbnails=True)
    assert report.warnings == ("thumbnails could not be stored: can't start new thread",)


def test_no_thumbnail_is_stored_on_a_nearly_full_disk(lake: Path, monkeypatch) -> None:
    monkeypatch.setattr(lake_thumbnails, "MIN_FREE", 2**62)
    report = take(lake, DAYS[0], with_thumbnail(1), thumbnails=True)
    assert report.thumbnails == 0
    assert "MiB free on the disk (1)" in report.warnings[0]


def test_links_are_not_followed(lake: Path) -> None:
    outside = lake.parent / "outside"
    outside.mkdir()
    (lake / ".thumbnails").mkdir(parents=True)
    (lake / ".thumbnails/asset_1.jpg").symlink_to(outside / "victim")
    assert (
        take(lake, DAYS[0], with_thumbnail(1), thumbnails=True)
        .warnings[0]
        .endswith("the file already exists, or its folder is a symbolic link (1)")
    )
    (lake / ".thumbnails/asset_1.jpg").unlink()
    (lake / ".thumbnails").rmdir()
    (lake / ".thumbnails").symlink_to(outside)
    assert take(lake, DAYS[1], with_thumbnail(1), thumbnails=True).thumbnails == 0
    assert list(outside.iterdir()) == []


def test_other_files_in_the_folder_are_left_alone(lake: Path) -> None:
    (lake / ".thumbnails").mkdir(parents=True)
    (lake / ".thumbnails/asset_1").write_bytes(b"foreign")
    too_large = lake_thumbnails.JPEG_SIGNATURE + bytes(lake_thumbnails.MAX_FILE_BYTES)
    (lake / ".thumbnails/asset_2.jpg").write_bytes(too_large)
    assert take(lake, DAYS[0], with_thumbnail(1), with_thumbnail(2), thumbnails=True).thumbnails == 1
    assert list(read_thumbnails(lake, ["asset_1", "asset_2"])) == ["asset_1"]


@pytest.mark.parametrize("asset_id", ["../../evil", ".", "..", "a/b", "a\\b", "a b", "x" * 201, "\u00e4", "a\n"])
def test_an_asset_id_that_is_not_a_safe_file_name_is_skipped(lake: Path, asset_id: str) -> None:
    before = set(lake.parent.rglob("*"))
    report = take(lake, DAYS[0], with_thumbnail(1, asset_id), thumbnails=True)
    assert report.thumbnails == 0
    assert not [path for path in set(lake.parent.rglob("*")) - before if path.suffix == ".jpg"]
    assert read_thumbnails(lake, [asset_id]) == {}


def test_other_files_than_jpegs_are_not_read(lake: Path) -> None:
    take(lake, DAYS[0], with_thumbnail(1), with_thumbnail(2), thumbnails=True)
    (lake / ".thumbnails/asset_1.jpg").write_bytes(b"<svg onload=alert(1)>")
    assert list(read_thumbnails(lake, ["asset_1", "asset_2"])) == ["asset_2"]


def test_invalid_arguments_and_a_missing_pillow_are_errors_before_the_first_request(lake: Path, monkeypatch) -> None:
    with pytest.raises(ConfigError, match="thumbnails must be True or False, got 1"):
        take(lake, DAYS[0], thumbnails=1)
    with pytest.raises(
        ConfigError, match="signed_urls must be 'public' or 'keep' if thumbnails are stored, got 'omit'"
    ):
        take(lake, DAYS[0], thumbnails=True, signed_urls="omit")
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ConfigError, match=r"thumbnails require Pillow; install it: pip install '.*\[report\]'"):
        take(lake, DAYS[0], thumbnails=True)
    assert API.requests == []
