import json
import os
import resource
import stat
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from scenario_etl import ScanReport, parts
from scenario_etl.errors import APIError, ConfigError, DestinationError, ScenarioError
from scenario_etl.source import parts_folder
from tests.dated import START, DatedAPI, Query, asset, assets, ids

ROWS = 400
FOLDER = ".out.parquet.parts"


@pytest.fixture
def api() -> DatedAPI:
    return DatedAPI(assets(*range(0, 10 * ROWS, 10)))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.parquet"


def failing_after(requests: int) -> Callable[[Query], Any]:
    left = iter(range(requests))
    return lambda query: None if next(left, None) is not None else (404, {"reason": "gone"})


def interrupt(api: DatedAPI, out: Path, after: int = 45, **arguments: Any) -> int:
    """Let a run fail after some requests; return the number of parts that it leaves."""
    api.answer = failing_after(after)
    with pytest.raises(APIError, match="gone"):
        api.scan(**{"workers": 1, "page_size": 4} | arguments).to_parquet(out)
    api.answer = lambda query: None
    api.queries.clear()
    return len(list((out.parent / FOLDER).glob("*.arrow")))


def resume(api: DatedAPI, out: Path, resume_within: float = parts.RESUME_WITHIN, **arguments: Any) -> ScanReport:
    return api.scan(**{"workers": 1, "page_size": 4} | arguments).to_parquet(out, resume_within=resume_within)


def found(out: Path) -> list[str]:
    return ids(pq.read_table(out))


@pytest.mark.parametrize("workers", [1, 3])
def test_the_next_run_requests_only_what_is_missing_and_has_the_same_rows(api, out: Path, workers: int) -> None:
    wanted = api.scan(workers=1).to_arrow()
    left = interrupt(api, out, workers=workers)
    assert left >= 3
    report = resume(api, out, workers=workers)
    assert pq.read_table(out).equals(wanted)
    assert (report.rows, report.duplicates, report.reused_parts) == (ROWS, 0, left)
    assert report.requests == len(api.queries) < 110
    assert report.parts > left
    assert os.listdir(out.parent) == ["out.parquet"]


def test_missing_fields_and_pages_of_reused_parts_are_in_the_report(api, out: Path) -> None:
    whole = resume(api, out)
    interrupt(api, out)
    report = resume(api, out)
    assert report.missing_fields["url"] == ROWS == whole.missing_fields["url"]
    assert report.pages == whole.pages


def test_extracted_at_is_the_start_of_the_first_run(api, out: Path) -> None:
    interrupt(api, out)
    started = json.loads((out.parent / FOLDER / "run.json").read_text())["started"]
    assert resume(api, out).extracted_at.isoformat() == started
    assert resume(api, out).extracted_at.isoformat() > started


def test_parts_are_private_and_no_glob_for_parquet_matches_them(api, out: Path) -> None:
    interrupt(api, out)
    folder = out.parent / FOLDER
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert list(out.parent.rglob("*.parquet")) == []


def test_a_failed_run_without_a_finished_part_leaves_nothing(api, out: Path) -> None:
    assert interrupt(api, out, after=2) == 0
    assert os.listdir(out.parent) == []


def test_an_old_file_is_unchanged_until_a_run_succeeds(api, out: Path) -> None:
    out.write_bytes(b"yesterday's")
    interrupt(api, out)
    assert out.read_bytes() == b"yesterday's"
    assert resume(api, out).rows == ROWS


def test_rows_that_were_created_since_are_in_the_result(api, out: Path) -> None:
    interrupt(api, out)
    api.records.append(asset("new", 20 * ROWS))
    resume(api, out)
    assert found(out)[-1] == "new"
    api = DatedAPI({"p1": assets(*range(90)), "p2": assets(1)})
    api.answer = lambda query: (
        (404, {"reason": "gone"}) if query["projectId"] == "p2" and len(api.queries) > 25 else None
    )
    several = {"workers": 1, "page_size": 4, "project_id": ["p1", "p2"]}
    with pytest.raises(APIError):
        api.scan(**several).to_parquet(out)
    api.answer = lambda query: None
    api.projects["p1"].append(asset("new", 90))
    report = resume(api, out, project_id=["p1", "p2"])
    assert (report.reused_parts > 0, report.rows) == (True, 92)  # the last record of p1 was requested again
    assert "new" in found(out)


def test_projects_that_were_read_are_not_requested_again(api, out: Path) -> None:
    api = DatedAPI({f"p{number}": assets(*range(9)) for number in range(5)})
    api.answer = lambda query: (404, {"reason": "gone"}) if query["projectId"] == "p3" else None
    arguments = {"project_id": [*api.projects], "workers": 1}
    with pytest.raises(APIError):
        api.scan(sort_by="updatedAt", **arguments).to_parquet(out)
    api.answer = lambda query: None
    api.queries.clear()
    report = api.scan(sort_by="updatedAt", **arguments).to_parquet(out)
    assert [query["projectId"] for query in api.queries] == ["p3", "p4"]
    assert (report.rows, report.reused_parts, report.parts) == (45, 3, 5)


@pytest.mark.parametrize(
    "other",
    [{"page_size": 5}, {"created_before": START + timedelta(seconds=3)}, {"privacy": "private"}, {"strict": True},
     {"signed_urls": "omit"}, {"project_id": ["p1"]}, {"all_projects": True}],
)  # fmt: skip
def test_parts_of_another_scan_are_not_used(api, out: Path, other: dict) -> None:
    api.projects["p1"] = api.records
    api.projects.pop(None) if other.get("all_projects") else None
    interrupt(api, out, **({"project_id": ["p1", "p1"]} if other.get("all_projects") else {}))
    try:
        assert resume(api, out, **other).reused_parts == 0
    except ScenarioError as error:
        assert "strict" in str(error)


def test_parts_of_another_key_are_not_used(api, out: Path) -> None:
    interrupt(api, out)
    report = api.scan(api.client(api_key="another"), workers=1, page_size=4).to_parquet(out)
    assert report.reused_parts == 0


def test_parts_of_another_server_are_not_used(api, out: Path) -> None:
    interrupt(api, out)
    report = api.scan(api.client(base_url="https://other.example/v1"), workers=1, page_size=4).to_parquet(out)
    assert report.reused_parts == 0


def test_parts_that_are_older_than_resume_within_are_not_used(api, out: Path, monkeypatch) -> None:
    left = interrupt(api, out)
    now = time.time()
    monkeypatch.setattr(parts.time, "time", lambda: now + 60)
    assert interrupt(api, out, after=0) == left
    assert resume(api, out, resume_within=50).reused_parts == 0


def test_parts_of_the_future_are_not_used(api, out: Path, monkeypatch) -> None:
    interrupt(api, out)
    now = time.time()
    monkeypatch.setattr(parts.time, "time", lambda: now - 60)  # the clock was set back, so their age is unknown
    assert resume(api, out).reused_parts == 0


def test_resume_within_0_uses_and_keeps_nothing(api, out: Path) -> None:
    interrupt(api, out)
    assert resume(api, out, resume_within=0).reused_parts == 0
    out.unlink()
    assert not (out.parent / FOLDER).exists()
    api.answer = failing_after(45)
    with pytest.raises(APIError):
        resume(api, out, resume_within=0)
    assert os.listdir(out.parent) == []


@pytest.mark.parametrize("value", [-1, 8 * 24 * 3600, "1", None, float("nan")])
def test_resume_within_is_a_number_of_seconds_up_to_a_week(api, out: Path, value: Any) -> None:
    with pytest.raises(ConfigError, match="resume_within must be "):
        resume(api, out, resume_within=value)
    assert api.queries == []


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("suffix", ["arrow", "json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "remove"])
def test_a_damaged_part_is_read_again(api, out: Path, suffix: str, damage: str) -> None:
    wanted = api.scan(workers=1).to_arrow()
    left = interrupt(api, out)
    path = sorted((out.parent / FOLDER).glob(f"*.{suffix}"))[0]
    content = path.read_bytes()
    if damage == "flip":
        flip(path, len(content) // 2)
    elif damage == "remove":
        path.unlink()
    else:
        path.write_bytes(content[:-1] if damage == "cut" else b"")
    report = resume(api, out)
    assert pq.read_table(out).equals(wanted)
    assert report.reused_parts < left or path.name == "run.json"


def test_a_part_whose_window_was_changed_is_read_again(api, out: Path) -> None:
    left = interrupt(api, out)
    path = sorted((out.parent / FOLDER).glob("*.json"), key=lambda path: path.stat().st_size)[-1]  # not run.json
    end = json.loads(path.read_text().partition("\n")[2])["window"]["end"]
    later = (datetime.fromisoformat(end) + timedelta(milliseconds=50)).isoformat()
    path.write_text(path.read_text().replace(end, later))
    assert resume(api, out).reused_parts == left - 1
    assert found(out) == [row["id"] for row in api.records]


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff\x00", b"null"])
def test_without_the_metadata_of_its_run_no_part_is_used(api, out: Path, content: bytes) -> None:
    interrupt(api, out)
    (out.parent / FOLDER / "run.json").write_bytes(content)
    assert resume(api, out).reused_parts == 0
    assert found(out) == [f"a{number:05}" for number in range(ROWS)]


def test_of_two_runs_at_once_one_keeps_parts_and_both_have_all_rows(api, out: Path) -> None:
    interrupt(api, out)
    other = out.with_name("other.parquet")

    def run_another(query: Query) -> None:
        api.answer = lambda query: None
        report = resume(api, out)
        assert (report.rows, report.reused_parts) == (ROWS, 0)
        os.rename(out, other)

    api.answer = run_another
    assert resume(api, out).reused_parts > 0
    assert pq.read_table(out).equals(pq.read_table(other))
    assert sorted(os.listdir(out.parent)) == ["other.parquet", "out.parquet"]


def test_a_thread_that_outlives_its_run_does_no_harm_to_the_next(out: Path, monkeypatch) -> None:
    monkeypatch.setattr("scenario_etl.parallel.MAX_SECONDS_TO_STOP", 0.01)
    api = DatedAPI({"p1": assets(1), "p2": assets(2)})
    is_waiting, may_end = threading.Event(), threading.Event()

    def answer(query: Query) -> Any:
        if query["projectId"] == "p2":
            is_waiting.set()
            may_end.wait(10)
            return None
        is_waiting.wait(10)
        return 404, {"reason": "gone"}

    api.answer = answer
    with pytest.raises(APIError, match="gone"):
        api.scan(project_id=["p1", "p2"]).to_parquet(out)
    (thread,) = [each for each in threading.enumerate() if each.daemon and "_work" in each.name]

    def let_it_end(query: Query) -> None:
        may_end.set()
        thread.join(10)

    api.answer = let_it_end
    report = api.scan(project_id=["p1", "p2"]).to_parquet(out)
    assert (report.rows, os.listdir(out.parent)) == (2, ["out.parquet"])


def test_parts_remain_until_the_file_is_published(api, out: Path, monkeypatch) -> None:
    real = os.replace

    def replace(source: Any, target: Any) -> None:
        if str(target) == str(out):
            raise OSError(28, "No space left on device")
        real(source, target)

    with monkeypatch.context() as patched:
        patched.setattr("scenario_etl.publish.os.replace", replace)
        with pytest.raises(ScenarioError, match="No space left"):
            resume(api, out)
    api.queries.clear()
    assert resume(api, out).reused_parts > 5
    assert len(api.queries) < 5


def test_a_disk_that_cannot_hold_a_part_is_named(api, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(DestinationError, match=rf"^cannot write to {tmp_path}/.*; free space there, or set TMPDIR"):
            api.scan(workers=2).to_arrow()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(tmp_path) == []


def test_a_disk_that_loses_rows_is_noticed(api, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    empty = len(api.scan().schema.serialize())
    monkeypatch.setattr(parts.os, "fsync", lambda descriptor: os.ftruncate(descriptor, empty))
    with pytest.raises(DestinationError, match=r": wrote [0-9]+ rows, but read back 0; free space"):
        api.scan(workers=1, page_size=4).to_arrow()


def test_parts_are_not_written_through_a_link(api, out: Path, caplog) -> None:
    elsewhere = out.with_name("elsewhere")
    elsewhere.mkdir(mode=0o700)
    (out.parent / FOLDER).symlink_to(elsewhere)
    interrupt(api, out)
    assert list(elsewhere.iterdir()) == []
    assert any("it is a symbolic link" in line for line in caplog.messages)


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o755])
def test_parts_that_another_user_can_read_or_change_are_not_used(api, out: Path, mode: int) -> None:
    left = interrupt(api, out)
    (out.parent / FOLDER).chmod(mode)
    assert interrupt(api, out, after=45) == left
    assert resume(api, out).reused_parts == 0


def test_parts_of_all_projects_of_an_unknown_account_are_not_kept(out: Path) -> None:
    api = DatedAPI({"p1": assets(1), "p2": assets(2)})
    client = api.client(api_key=None, api_secret=None, bearer_token="token")
    api.answer = lambda query: (404, {"reason": "gone"}) if query["projectId"] == "p2" else None
    for arguments, kept in (({"all_projects": True}, False), ({"project_id": ["p1", "p2"]}, True)):
        with pytest.raises(APIError, match="gone"):
            api.scan(client, workers=1, **arguments).to_parquet(out)
        assert (out.parent / FOLDER).exists() == kept


def test_a_destination_that_cannot_be_written_is_known_before_any_request(api, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="does not exist; create it first"):
        resume(api, tmp_path / "missing" / "out.parquet")
    with pytest.raises(ScenarioError, match="it is a folder"):
        resume(api, tmp_path)
    assert (os.listdir(tmp_path), api.queries) == ([], [])


def test_parts_for_an_object_store_are_in_a_new_private_folder_of_the_user(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home" / "state"))
    folder = parts_folder("s3://bucket/assets.parquet?region=eu-west-1")
    with parts.open_parts(folder, "description", 60) as store:
        assert store.setdefault("name", lambda: "value") == "value"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert (tmp_path / "home" / "state" / "scenario-etl") == folder.parent
    assert folder != parts_folder("s3://bucket/jobs.parquet?region=eu-west-1")
