import re
import subprocess
import sys
import threading
import time
from dataclasses import replace
from functools import partial

import pyarrow.parquet as pq
import pytest
from pyarrow import fs

from scenario_etl import Emulator, export_collections, publish, snapshot, stores
from scenario_etl.errors import DestinationError, TransientError
from scenario_etl.retry import Retry, RetryableError
from tests.helpers import FakeClock, environment
from tests.lakes import DAYS
from tests.object_stores import content, keys
from tests.store_faults import DENIED, SLOW_DOWN, StoreFault, StoreProxy, is_any, is_copy, is_upload

UPLOAD_KILLED = """
import os, signal, sys, threading
import scenario_etl.publish as publish

chunks = 0
def count(frame, event, argument):
    global chunks
    if event == "c_call" and argument.__name__ == "read" and frame.f_code.co_name == "copyfileobj":
        chunks += 1
        if chunks == int(sys.argv[1]):
            os.kill(os.getpid(), signal.SIGKILL)

publish.UPLOAD_BYTES = 4096
threading.setprofile(count)
from scenario_etl import export_collections
export_collections("s3://bucket/killed/c.parquet")
"""


@pytest.mark.parametrize("chunk", [1, 3, 20])
def test_an_upload_killed_half_way_leaves_the_old_object_whole(s3, run, api, chunk: int) -> None:
    uri = "s3://bucket/killed/c.parquet"
    assert run("export", "collections", uri, api=api).returncode == 0
    store, _ = fs.FileSystem.from_uri("s3://bucket")
    old = store.open_input_file("bucket/killed/c.parquet").read()
    killed = subprocess.run([sys.executable, "-c", UPLOAD_KILLED, str(chunk)], env=environment(api), check=False)
    assert killed.returncode == -9
    assert store.open_input_file("bucket/killed/c.parquet").read() == old
    assert not [key for key in keys("killed") if key.endswith(".parquet") and key != "c.parquet"]
    assert run("export", "collections", uri, api=api).returncode == 0
    assert pq.read_table(store.open_input_file("bucket/killed/c.parquet")).num_rows == 250


@pytest.fixture
def proxy(s3, monkeypatch):
    with StoreProxy(s3) as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL", running.url)
        yield running


@pytest.fixture
def patient(monkeypatch, clock: FakeClock) -> FakeClock:
    """Let uploads be tried again without a wait."""
    monkeypatch.setattr(publish, "Retry", partial(Retry, sleep=clock.sleep, clock=clock))
    return clock


def after_extraction(api: Emulator, wanted):
    """Choose requests as `wanted` does, once the list has been read."""
    return lambda *request: bool(api.requests) and wanted(*request)


@pytest.mark.parametrize(
    "fault",
    [
        StoreFault(is_upload, times=4, answer=SLOW_DOWN),
        StoreFault(is_upload, times=4, answer=(500, b"")),
        StoreFault(is_copy, times=4, answer=SLOW_DOWN),
        StoreFault(is_copy, times=4, drops=True),
        StoreFault(is_any, times=4, drops=True),
    ],
    ids=["slow down", "500", "copy slow down", "copy dropped", "all dropped"],
)
def test_a_finished_file_is_uploaded_again_and_the_list_read_once(api, client, proxy, patient, fault) -> None:
    proxy.faults.append(replace(fault, wanted=after_extraction(api, fault.wanted)))
    report = export_collections("s3://bucket/again/c.parquet", client=client)
    assert patient.waits
    assert (report.rows, len(api.requests)) == (250, 3)
    assert keys("again") == ["c.parquet"]
    assert report.bytes == len(content("again/c.parquet"))


def test_a_copy_that_was_made_although_its_response_is_an_error_is_published(client, proxy, patient) -> None:
    proxy.faults.append(StoreFault(is_copy, reaches=True, answer=SLOW_DOWN))
    report = export_collections("s3://bucket/unclear/c.parquet", client=client)
    assert patient.waits == []
    assert report.bytes == len(content("unclear/c.parquet"))


@pytest.mark.parametrize("answer", [(200, b""), (200, b"<html>Sign in</html>"), (204, b"")])
def test_a_copy_that_is_confirmed_and_was_not_made_is_made_again(proxy, patient, answer) -> None:
    for words in ("yesterday", "today"):
        if words == "today":
            proxy.faults.append(StoreFault(is_copy, times=1, answer=answer))
        with publish.atomic_write("s3://bucket/confirmed/c.parquet") as path:
            path.write_text(words)
    assert len(patient.waits) == 1
    assert content("confirmed/c.parquet") == b"today"


def test_an_upload_that_is_confirmed_and_is_not_there_is_made_again(api, client, proxy, patient) -> None:
    is_completion = after_extraction(api, lambda method, path, _: method == "POST" and "uploadId=" in path)
    proxy.faults.append(StoreFault(is_completion, times=1, answer=(200, b"")))
    report = export_collections("s3://bucket/completed/c.parquet", client=client)
    assert len(patient.waits) == 1
    assert report.bytes == len(content("completed/c.parquet"))


def test_an_attempt_that_takes_too_long_is_aborted_and_retried() -> None:
    held = threading.Event()
    with pytest.raises(RetryableError, match=r"cannot write s3://bucket/x: no response within 0\.01 s") as caught:
        publish.call_in_time(0.01, lambda _: held.wait(), "s3://bucket/x")
    assert type(caught.value.error) is TransientError
    with pytest.raises(TimeoutError, match=r"no response within 0\.01 s"):
        stores.call(held.wait, seconds=0.01)
    assert stores.is_transient(TimeoutError("no response within 1 s"))
    held.set()


def test_an_object_of_the_same_size_is_not_taken_for_the_new_one(proxy, patient) -> None:
    uri = "s3://bucket/same/c.parquet"
    with publish.atomic_write(uri) as path:
        path.write_text("yesterday")
    proxy.faults.append(StoreFault(is_copy, times=4, answer=SLOW_DOWN))
    with publish.atomic_write(uri) as path:
        path.write_text("today....")
    assert content("same/c.parquet") == b"today...."


def test_a_store_that_stays_down_is_a_transient_error_and_the_old_object_stays(api, connect, proxy, patient) -> None:
    client = connect(api, deadline=10)
    export_collections("s3://bucket/down/c.parquet", client=client)
    old = content("down/c.parquet")
    proxy.faults.append(StoreFault(is_copy, answer=SLOW_DOWN))
    with pytest.raises(TransientError, match=r"SLOW_DOWN.* \(\d+ attempts in \d+ s\); run again later"):
        export_collections("s3://bucket/down/c.parquet", client=client)
    assert 2 < patient.now <= client.deadline
    assert content("down/c.parquet") == old
    assert keys("down") == ["c.parquet"]


def test_a_refusal_of_a_store_is_not_tried_again(api, client, proxy, patient) -> None:
    proxy.faults.append(StoreFault(is_copy, answer=DENIED))
    with pytest.raises(DestinationError, match="ACCESS_DENIED"):
        export_collections("s3://bucket/denied/c.parquet", client=client)
    assert patient.waits == []


@pytest.mark.parametrize("failure", [(SLOW_DOWN, 75), (DENIED, 74)])
@pytest.mark.parametrize(
    "command",
    [
        ("export", "collections", "s3://bucket/busy/c.parquet"),
        ("snapshot", "collections", "s3://bucket/busy"),
        ("changes", "collections", "s3://bucket/busy"),
        ("report", "s3://bucket/busy", "report.html"),
    ],
)
def test_the_exit_code_depends_on_whether_a_failure_of_the_store_is_transient(
    run, api, proxy, command, failure
) -> None:
    answer, code = failure
    proxy.faults.append(StoreFault(is_any, answer=answer))
    done = run(*command, api=api)
    assert (done.returncode, done.stderr.count("\n"), api.requests) == (code, 1, []), done.stderr
    assert ("run again later" in done.stderr) == (code == 75)


def test_a_store_that_fails_after_the_extraction_ends_with_75_once_the_deadline_is_over(run, api, proxy) -> None:
    proxy.faults.append(StoreFault(after_extraction(api, is_upload), answer=SLOW_DOWN))
    done = run("snapshot", "collections", "s3://bucket/late", "--deadline", "0.5", api=api)
    assert (done.returncode, done.stderr.count("\n")) == (75, 1), done.stderr
    assert keys("late") == []


def test_the_last_snapshot_is_read_again_where_the_store_fails_for_now(api, client, proxy, clock, monkeypatch) -> None:
    monkeypatch.setattr("tenacity.nap.time.sleep", clock.sleep)
    for day in DAYS[:2]:
        snapshot("collections", "s3://bucket/read", date=day, client=client)
    api.requests.clear()
    is_read = after_extraction(api, lambda method, path, _: method == "GET" and DAYS[1] in path)
    proxy.faults.append(StoreFault(is_read, times=4, answer=SLOW_DOWN))
    report = snapshot("collections", "s3://bucket/read", date=DAYS[2], client=client)
    assert clock.waits
    assert (report.scan.rows, report.updated, len(api.requests)) == (250, 0, 3 + 1)


def test_a_copy_that_takes_longer_than_the_3_s_of_pyarrow_succeeds(client, proxy, patient) -> None:
    proxy.faults.append(StoreFault(is_copy, times=1, holds=True))
    threading.Timer(3.5, proxy.released.set).start()
    assert export_collections("s3://bucket/slow/c.parquet", client=client).rows == 250
    assert patient.waits == []


def test_a_terminated_run_leaves_a_stalled_copy_at_once_and_no_temporary_object(api, proxy, tmp_path) -> None:
    with publish.atomic_write("s3://bucket/stalled/c.parquet") as path:
        path.write_text("yesterday")
    proxy.faults.append(StoreFault(is_copy, holds=True))
    process = subprocess.Popen(
        ["scenario-etl", "export", "collections", "s3://bucket/stalled/c.parquet"], env=environment(api), cwd=tmp_path
    )
    assert proxy.held.wait(30)
    started = time.monotonic()
    process.terminate()
    assert process.wait(30) == 143
    assert time.monotonic() - started < 8
    assert keys("stalled") == ["c.parquet"]
    assert content("stalled/c.parquet") == b"yesterday"


def test_a_temporary_object_that_cannot_be_removed_is_a_warning(client, proxy, patient, caplog) -> None:
    proxy.faults.append(StoreFault(lambda method, *_: method == "DELETE", answer=DENIED))
    export_collections("s3://bucket/left/c.parquet", client=client)
    assert re.search(r"cannot remove the temporary object bucket/left/\.c\.parquet\..*ACCESS_DENIED", caplog.text)


def test_a_listing_that_the_store_refuses_after_the_snapshot_is_a_warning(client, proxy, monkeypatch) -> None:
    for day in DAYS[:2]:
        snapshot("collections", "s3://bucket/kept", date=day, client=client)
    proxy.faults.append(StoreFault(lambda method, *_: method == "DELETE", answer=DENIED))
    report = snapshot("collections", "s3://bucket/kept", date=DAYS[2], keep=1, client=client)
    assert len(report.warnings) == 2
    assert all("cannot remove s3://bucket/kept/collections/snapshot_date=" in warning for warning in report.warnings)


def test_the_file_that_waits_for_its_upload_is_readable_by_its_owner_only(s3) -> None:
    with publish.atomic_write("s3://bucket/private/c.parquet") as path:
        assert path.stat().st_mode & 0o777 == 0o600
