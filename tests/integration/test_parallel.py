import os
import tempfile
import threading
import time
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from scenario_etl import Client, Emulator, scan
from scenario_etl.emulator import Fault
from scenario_etl.errors import APIError, AuthError, ConfigError, PaginationError
from scenario_etl.records import RecordReader
from scenario_etl.schedule import Schedule
from scenario_etl.windows import MILLISECOND, Cursor, Window
from tests.dated import START, DatedAPI, Query, asset, assets, ids

SKEWED = [*range(0, 4000, 100), *range(4000, 4300), *[4300] * 50, *range(10**6, 10**9, 10**7)]


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.parametrize("workers", [2, 3, 8, 32])
def test_any_number_of_workers_gives_the_table_of_one_worker(workers: int) -> None:
    api = DatedAPI(assets(*SKEWED))
    wanted = api.scan(workers=1, page_size=7).to_arrow()
    described = api.scan(workers=workers, page_size=7)
    assert described.to_arrow().equals(wanted)
    assert (described.report.rows, described.report.duplicates) == (len(SKEWED), 0)
    assert sorted(ids(wanted)) == sorted(ids(api.scan()))


@pytest.mark.parametrize("resource", ["assets", "models"])
def test_windows_have_the_rows_of_a_plain_scan_of_the_emulator(connect, resource: str) -> None:
    with Emulator(60, assets=900) as api:
        client = connect(api, requests_per_minute=0)
        plain = scan(resource, client=client, signed_urls="omit").to_arrow().sort_by("id")
        for workers in (1, 4):
            described = scan(resource, client=client, workers=workers, page_size=9, signed_urls="omit")
            table = described.to_arrow()
            assert table["created_at"].to_pylist() == sorted(table["created_at"].to_pylist())
            assert table.sort_by("id").equals(plain)
            assert described.report.duplicates == 0
            assert described.report.parts > 1 or resource == "models"


def test_filters_by_date_that_are_applied_late_are_read_in_one_pass(connect, caplog) -> None:
    with Emulator(60, assets=900, late_filters=True) as api:
        client = connect(api, requests_per_minute=0)
        plain = scan("assets", client=client).to_arrow()["id"].to_pylist()
        middle = scan("assets", client=client).to_arrow()["created_at"].sort()[len(plain) // 2].as_py()
        for bounds in ({}, {"created_after": middle}, {"created_before": middle}):
            wanted = ids(scan("assets", client=client, **bounds))
            caplog.clear()
            found = ids(scan("assets", client=client, workers=4, page_size=20, **bounds))
            assert sorted(found) == sorted(wanted)
            assert sum("cannot be read in windows" in line for line in caplog.messages) == 1


@pytest.mark.parametrize(
    ("resource", "filters"),
    [("collections", {}), ("jobs", {}), ("assets", {"sort_by": "updatedAt"}), ("assets", {"sort_direction": "desc"}),
     ("assets", {"deleted": True}), ("assets", {"updated_after": START}), ("models", {"status": "trained"})],
)  # fmt: skip
def test_with_workers_a_list_without_windows_has_the_rows_and_order_of_a_plain_scan(connect, resource, filters) -> None:
    with Emulator(60, assets=300) as api:
        client = connect(api, requests_per_minute=0)
        plain = scan(resource, client=client, signed_urls="omit", **filters).to_arrow()
        found = scan(resource, client=client, signed_urls="omit", workers=3, **filters).to_arrow()
        assert found.sort_by(plain.schema.names[0]).equals(plain.sort_by(plain.schema.names[0]))
        assert resource == "models" or found.equals(plain)


def test_workers_read_windows_side_by_side() -> None:
    api = DatedAPI(assets(*range(0, 4000, 10)))
    together = threading.Barrier(2)
    have_met = threading.Event()

    def meet(query: Query) -> None:
        if query["sortDirection"] == "asc" and len(api.queries) > 3 and not have_met.is_set():
            with suppress(threading.BrokenBarrierError):
                together.wait(timeout=10)
                have_met.set()

    api.answer = meet
    assert len(ids(api.scan(workers=3, page_size=5))) == 400
    assert have_met.is_set()


@pytest.mark.parametrize("workers", [1, 3])
def test_no_more_requests_are_under_way_than_workers(workers: int) -> None:
    projects = [f"p{number}" for number in range(6)]
    api = DatedAPI({name: assets(*range(0, 3000, 10), prefix=name) for name in projects})
    lock = threading.Lock()
    under_way: list[Query] = []
    most = 0

    def count_requests(query: Query) -> None:
        nonlocal most
        with lock:
            under_way.append(query)
            most = max(most, len(under_way))
        os.sched_yield()
        with lock:
            under_way.remove(query)

    api.answer = count_requests
    for window in ({}, {"created_after": START}):
        most = 0
        assert api.scan(project_id=projects, workers=workers, page_size=5, **window).to_arrow().num_rows >= 1794
        assert most <= workers


def test_pages_are_read_while_the_records_of_another_part_are_converted(monkeypatch) -> None:
    api = DatedAPI({name: assets(*range(20), prefix=name) for name in ("p0", "p1")})
    is_requested = threading.Event()
    api.answer = lambda query: is_requested.set() if query["projectId"] == "p1" else None
    read = RecordReader.read
    waits: list[bool] = []

    def wait_for_the_other_project(self: RecordReader, records: list[Any]) -> Any:
        waits.append(is_requested.wait(10))
        return read(self, records)

    monkeypatch.setattr(RecordReader, "read", wait_for_the_other_project)
    assert api.scan(project_id=["p0", "p1"], workers=1).to_arrow().num_rows == 40
    assert waits == [True, True]


@pytest.mark.parametrize("workers", [0, 33, -1, 1.5, "2", True])
def test_workers_is_a_whole_number_from_1_to_32(workers: object) -> None:
    with pytest.raises(ConfigError, match="workers must be "):
        scan("assets", workers=workers)


class Failing:
    """Fails one request when other threads are in theirs, which end after the run."""

    def __init__(self, api: DatedAPI, answer: Any) -> None:
        self.api, self.answer, self.is_over = api, answer, threading.Event()
        self.lock, self.waiting, self.later = threading.Lock(), 0, 0

    def __call__(self, query: Query) -> Any:
        if query["projectId"] == "p0":
            while self.waiting < 3:
                pass
            return self.answer
        with self.lock:
            self.waiting += 1
            self.later += self.is_over.is_set()
        return 503, {}


@pytest.mark.parametrize(("answer", "error"), [((403, {}), AuthError), ((404, {}), APIError)])
def test_an_error_ends_the_waits_of_the_other_projects(temporary: Path, tmp_path: Path, answer, error) -> None:
    api = DatedAPI({f"p{number}": assets(1) for number in range(4)})
    api.answer = failing = Failing(api, answer)
    threads = threading.active_count()
    client = api.client(sleep=time.sleep, deadline=3600)  # a retry would wait for longer and longer
    for use in ("to_arrow", "to_parquet"):
        failing.waiting = 0
        with pytest.raises(error):
            getattr(api.scan(client, project_id=[*api.projects]), use)(*[tmp_path / "out.parquet"][: use != "to_arrow"])
        failing.is_over.set()
        assert threading.active_count() == threads
        failing.is_over.clear()
    assert failing.later == 0
    assert list(temporary.iterdir()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["temporary"]


def test_an_iteration_that_ends_early_leaves_no_thread_and_no_file(temporary: Path) -> None:
    api = DatedAPI(assets(*range(5000)))
    threads = threading.active_count()
    batches = api.scan(workers=4, page_size=10).to_batches()
    assert next(batches).num_rows > 0
    assert list(temporary.iterdir())
    batches.close()
    assert threading.active_count() == threads
    assert list(temporary.iterdir()) == []
    requests = len(api.queries)
    assert requests < 500


def test_no_thread_sends_another_request_after_the_end_of_a_run(monkeypatch) -> None:
    monkeypatch.setattr("scenario_etl.parallel.MAX_SECONDS_TO_STOP", 0.01)
    api = DatedAPI(assets(*range(200)))
    is_waiting, is_over = threading.Event(), threading.Event()

    def wait(query: Query) -> None:
        if len(api.queries) > 14:
            is_waiting.set()
            is_over.wait(10)

    api.answer = wait
    batches = api.scan(workers=1, page_size=5).to_batches()
    assert next(batches).num_rows > 0
    assert is_waiting.wait(10)
    threads = [each for each in threading.enumerate() if each.daemon and "_work" in each.name]
    batches.close()
    is_over.set()
    for thread in threads:
        thread.join(10)
    assert len(api.queries) == 16


def test_a_forked_process_does_not_wait_for_the_threads_of_its_parent(monkeypatch) -> None:
    monkeypatch.setattr("scenario_etl.parallel.MAX_SECONDS_TO_STOP", 0.01)
    api = DatedAPI(assets(*range(200)))
    is_over = threading.Event()

    def wait(query: Query) -> Any:
        if len(api.queries) <= 20:
            return None
        is_over.wait(10)
        return 404, {}

    api.answer = wait
    batches = api.scan(workers=1, page_size=5).to_batches()
    assert next(batches).num_rows > 0
    monkeypatch.setattr("scenario_etl.schedule.os.getpid", lambda: -1)
    with pytest.raises(ConfigError, match="cannot continue in a forked process"):
        list(batches)
    is_over.set()


def test_a_client_whose_sleep_is_its_own_is_still_asked_to_sleep(connect) -> None:
    api = DatedAPI({"p1": assets(1), "p2": assets(2)})
    waits: list[float] = []
    api.answer = lambda query: (503, {}) if query["projectId"] == "p1" and not waits else None
    described = api.scan(api.client(sleep=waits.append), project_id=["p1", "p2"])
    assert ids(described) == ["a00000", "a00000"]
    assert (len(waits), described.report.retries) == (1, 1)
    assert described.report.seconds_waited == pytest.approx(waits[0], abs=0.001)


def test_a_value_that_does_not_fit_is_an_error_whatever_thread_reads_it() -> None:
    api = DatedAPI([*assets(*range(500)), asset("bad", 400, tags=7)])
    for workers in (1, 4):
        with pytest.raises(Exception, match="tags"):
            api.scan(workers=workers, page_size=10).to_arrow()


def test_max_pages_counts_the_pages_of_each_project() -> None:
    api = DatedAPI({"p1": assets(*range(30)), "p2": assets(*range(30))})
    assert len(ids(api.scan(project_id=["p1", "p2"], page_size=10, max_pages=3))) == 60
    with pytest.raises(PaginationError, match="more than 2 pages"):
        api.scan(project_id=["p1", "p2"], page_size=10, max_pages=2).to_arrow()


def test_the_progress_bar_counts_the_projects(capsys) -> None:
    api = DatedAPI({"p1": assets(*range(30)), "p2": assets(*range(12))})
    api.scan(project_id=["p1", "p2"], progress=True).to_arrow()
    shown = capsys.readouterr().err
    assert "42 records" in shown
    assert "projects" in shown


def test_a_record_is_in_one_half_of_a_window_that_is_split_while_a_page_is_under_way() -> None:
    cursor = Cursor(Window(START, None))
    assert cursor.split(None) is None
    assert cursor.split(START) is None
    newest = START.replace(day=3)
    half = cursor.split(newest)
    assert (cursor.end, half) == (START.replace(day=2), Window(START.replace(day=2), None))
    assert cursor.close() == Window(START, START.replace(day=2))
    assert cursor.split(newest) is None


def test_a_window_is_split_at_a_whole_millisecond_as_bounds_have_no_finer_one() -> None:
    cursor = Cursor(Window(START, START + 5 * MILLISECOND))
    half = cursor.split(None)
    assert half == Window(START + 2 * MILLISECOND, START + 5 * MILLISECOND)
    assert cursor.end == half.start


def test_by_default_at_most_eight_projects_are_read_at_once(monkeypatch) -> None:
    projects = [f"p{number}" for number in range(9)]
    readers: list[int] = []

    def note(*arguments: Any) -> Schedule:
        readers.append(arguments[-1])
        return Schedule(*arguments)

    monkeypatch.setattr("scenario_etl.source.Schedule", note)
    api = DatedAPI({name: assets(1) for name in projects})
    for given in (projects, projects[:2]):
        assert api.scan(project_id=given).to_arrow().num_rows == len(given)
    assert readers == [8, 2]


def test_a_429_of_one_project_does_not_slow_another() -> None:
    with Emulator(20, assets=800, projects=2) as api:
        slow, fast = api.project_ids
        is_read = threading.Event()
        numbers = count()

        def refuse_first(_: str, target: str) -> Fault | None:
            if slow in target:
                return Fault(status=429, headers={"Retry-After": "30"}) if next(numbers) == 0 else None
            if sum(fast in each for _, each in api.requests) == 4:  # pages
                is_read.set()
            return None

        api.on_request = refuse_first
        # the wait for the slow project ends when all pages of the other one have been requested
        client = Client("demo", "demo", base_url=api.url, requests_per_minute=None, sleep=lambda _: is_read.wait(60))
        described = scan("assets", client=client, project_id=[slow, fast])
        assert described.to_arrow().num_rows == 800
    assert is_read.is_set()
    assert described.report.retries == 1
