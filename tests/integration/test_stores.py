import json
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import boto3
import pyarrow.parquet as pq
import pytest
import requests
from moto.server import ThreadedMotoServer
from pyarrow import fs

from scenario_etl import Emulator, export_collections, history, publish, read_snapshot, snapshot, stores
from scenario_etl.errors import ConfigError, DestinationError, TransientError
from scenario_etl.lake_thumbnails import read_thumbnails
from scenario_etl.retry import Retry, RetryableError
from tests.helpers import FakeClock, environment, said
from tests.lakes import DAYS
from tests.store_faults import DENIED, SLOW_DOWN, StoreFault, StoreProxy, is_any, is_copy, is_upload

# URIs


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("s3://bucket/lake#1", "has a fragment; write # as %23"),
        ("s3://bucket#1", "has a fragment"),
        ("file:///tmp/a#b", "has a fragment"),
        ("s3://bucket", "has no path below the bucket"),
        ("s3://bucket/", "has no path below the bucket"),
        ("s3://bucket?region=eu-west-1", "has no path below the bucket"),
        ("gs://bucket", "has no path below the bucket"),
        ("s3://bucket//lake", "contains '//', which an object store"),
        ("s3://bucket/a//b", "contains '//', which an object store"),
        ("s3://bucket/lake//", "contains '//', which an object store"),
        ("file:///tmp//b", "contains '//', which an object store"),
        ("file:///tmp/a?b=1", "has a query, which file:// and hdfs:// do not support"),
        (None, "a path must be a string or a PathLike, got None"),
        (7, "a path must be a string or a PathLike, got 7"),
        (b"lake", "a path must be a string or a PathLike"),
    ],
)
def test_a_uri_of_which_pyarrow_would_ignore_a_part_is_refused(uri, words) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)):
        stores.filesystem(uri)


@pytest.mark.parametrize(
    "uri", ["", "a\0b", "caf\udce9", "nonsense://bucket/x", "mock://bucket/x", "://", "gs://b/x?y=1"]
)
def test_text_that_is_not_a_path_is_a_destination_error(uri: str) -> None:
    with pytest.raises(DestinationError, match=r"is not a path|is not supported|cannot open"):
        stores.filesystem(uri)


def test_a_working_folder_that_is_gone_is_an_error(tmp_path: Path, monkeypatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(DestinationError, match="the current folder is gone"):
        stores.filesystem("lake")


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("snapshot", "collections", "s3://bucket/lake#1"), 78),
        (("snapshot", "collections", "s3://bucket"), 78),
        (("export", "collections", "s3://bucket//c.parquet"), 78),
        (("export", "collections", "file:///tmp/c.parquet?x=1"), 78),
        (("export", "collections", "mock://bucket/c.parquet"), 74),
        (("changes", "collections", "s3://bucket"), 78),
        (("report", "s3://bucket#", "report.html"), 78),
    ],
)
def test_a_wrong_uri_ends_the_command_before_any_request(run, api, command, code) -> None:
    done = run(*command, api=api)
    assert (done.returncode, done.stderr.count("\n"), api.requests) == (code, 1, [])
    assert "Traceback" not in done.stderr


def test_a_store_without_credentials_ends_the_command_before_any_request(run, api) -> None:
    done = run("export", "collections", "abfss://container@account.dfs.core.windows.net/c.parquet", api=api)
    assert (done.returncode, api.requests) == (74, [])
    (error,) = said(done.stderr.splitlines()[-1])  # Azure's library may write lines of its own before
    assert error.startswith("error: cannot write abfss://container@account.dfs")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("lake", "lake/a/b"),
        ("/", "/a/b"),
        ("s3://bucket/lake", "s3://bucket/lake/a/b"),
        ("s3://bucket/lake/", "s3://bucket/lake/a/b"),
        ("s3://bucket/lake?region=eu-west-1", "s3://bucket/lake/a/b?region=eu-west-1"),
        ("lake?", "lake?/a/b"),
    ],
)
def test_a_path_is_joined_before_the_query_of_a_uri(uri: str, path: str) -> None:
    assert stores.join_uri(uri, "a/b") == path


@pytest.mark.parametrize(
    ("uri", "redacted"),
    [
        ("s3://KEY:SECRET@bucket/lake", "s3://bucket/lake"),
        ("s3://KEY:SEC/RET@bucket/lake", "s3://bucket/lake"),
        ("s3://KEY@bucket/lake?region=eu-west-1", "s3://bucket/lake"),
        ("s3://bucket/a@b.parquet", "s3://bucket/a@b.parquet"),
        ("abfss://container@account.dfs.core.windows.net/lake", "abfss://container@account.dfs.core.windows.net/lake"),
        ("abfss://container:SECRET@account.dfs.core.windows.net/x", "abfss://account.dfs.core.windows.net/x"),
        ("a folder/lake", "a folder/lake"),
        ('s3://KEY:SEC RET<"@bucket/lake', "s3://bucket/lake"),
        ("s3://KEY:SEC\nRET@bucket/lake", "s3://bucket/lake"),
        ("s3:/KEY:SECRET@bucket/lake", "s3:/bucket/lake"),
        ("s3:KEY:SECRET@bucket/lake", "s3:bucket/lake"),
        ("s3://KEY:SECRET", "s3://..."),
        ("s3://bucket/x?region=SECRET", "s3://bucket/x"),
        ("s3://host:9000/x", "s3://host:9000/x"),
    ],
)
def test_the_credentials_of_a_uri_are_redacted(uri: str, redacted: str) -> None:
    assert stores.redact_uri(uri) == redacted


@pytest.mark.parametrize(
    ("uri", "timeouts"),
    [
        ("s3://bucket/x?region=eu-west-1", {"request_timeout": 60.0, "connect_timeout": 5.0}),
        ("gs://bucket/x", {"retry_time_limit": timedelta(seconds=15)}),
    ],
)
def test_a_store_is_waited_for_neither_too_briefly_nor_for_ever(uri: str, timeouts: dict) -> None:
    store, _ = stores.filesystem(uri)
    _, (arguments,) = store.__reduce__()
    assert timeouts.items() <= arguments.items()


# Transient failures


@pytest.mark.parametrize(
    ("words", "passes"),
    [
        ("AWS Error SLOW_DOWN during PutObject operation: Please reduce your request rate.", True),
        ("AWS Error UNKNOWN (HTTP status 500) during HeadBucket operation: No response body.", True),
        ("AWS Error INTERNAL_FAILURE during CopyObject operation: We encountered an internal error.", True),
        ("AWS Error NETWORK_CONNECTION during CopyObject operation: curlCode: 28, Timeout was reached", True),
        ("AWS Error NETWORK_CONNECTION during HeadBucket operation: curlCode: 6, Could not resolve hostname", True),
        ("AWS Error NETWORK_CONNECTION during HeadBucket operation: curlCode: 60, SSL peer certificate", False),
        ("AWS Error ACCESS_DENIED during PutObject operation: Access Denied", False),
        ("AWS Error UNKNOWN (HTTP status 404) during HeadObject operation: No response body.", False),
        ("AWS Error NO_SUCH_BUCKET during ListObjectsV2 operation: The specified bucket does not exist", False),
        ("google::cloud::Status(UNAVAILABLE: Retry policy exhausted)", True),
        ("google::cloud::Status(PERMISSION_DENIED: Permanent error)", False),
        ("Azure Error: ServerBusy; 503 The server is busy.", True),
        ("Azure Error: AuthorizationFailure; 403 This request is not authorized.", False),
    ],
)
def test_the_error_text_of_a_store_decides_whether_a_failure_is_transient(words: str, passes: bool) -> None:
    assert stores.is_transient(OSError(words)) is passes


def test_neither_a_local_path_nor_the_name_of_an_object_makes_a_failure_transient(run, api) -> None:
    done = run("export", "collections", "nowhere/INTERNAL/timeout/c.parquet", api=api)
    assert (done.returncode, api.requests) == (74, [])
    assert not stores.is_transient(OSError("When reading key 'timeout/SLOW_DOWN' in bucket 'INTERNAL': no such"))


# Calls


class StoppedError(Exception):
    pass


def test_a_signal_ends_the_wait_for_a_call_at_once(monkeypatch) -> None:
    released = threading.Event()

    def stop(*_: object) -> None:
        raise StoppedError

    monkeypatch.setattr(stores, "_calls", set())
    before = signal.signal(signal.SIGALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(StoppedError):
            stores.call(released.wait)
        assert stores.has_unfinished_calls()
    finally:
        signal.signal(signal.SIGALRM, before)
        released.set()


def test_a_call_returns_its_value_or_raises_its_error_within_its_time() -> None:
    released = threading.Event()
    assert stores.call(pow, 2, 3) == 8
    with pytest.raises(ZeroDivisionError):
        stores.call(divmod, 1, 0)
    with pytest.raises(TimeoutError):
        stores.call(released.wait, seconds=0.01)
    released.set()


# A real S3, over HTTP


@pytest.fixture(scope="module")
def s3():
    """A real S3 endpoint over HTTP with a bucket, its address and keys in the environment."""
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    endpoint = f"http://127.0.0.1:{port}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", endpoint)
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        requests.put(f"{endpoint}/bucket", timeout=5).raise_for_status()
        yield endpoint
    server.stop()


def keys(prefix: str) -> list[str]:
    store, _ = fs.FileSystem.from_uri("s3://bucket")
    found = store.get_file_info(fs.FileSelector(f"bucket/{prefix}", recursive=True, allow_not_found=True))
    return sorted(item.path.removeprefix(f"bucket/{prefix}/") for item in found if item.type == fs.FileType.File)


def test_a_lake_in_an_object_store_is_like_a_folder(s3, run, api) -> None:
    uri = "s3://bucket/lake"
    for day in DAYS[:3]:
        done = run("snapshot", "collections", uri, "--date", day, "--keep", "2", api=api)
        assert done.returncode == 0, done.stderr
        api.collections.pop()
    assert keys("lake") == [
        f"{table}/snapshot_date={day}/part-0.parquet"
        for table, days in (("collections", DAYS[1:3]), ("collections_changes", DAYS[:3]))
        for day in days
    ]
    assert [day["deleted"] for day in history(uri, "collections").to_pylist()] == [0, 1, 1]
    assert read_snapshot(uri, "collections").num_rows == 248
    del api.collections[10:]
    refused = run("snapshot", "collections", uri, "--date", DAYS[3], api=api)
    assert refused.returncode == 65
    assert ".collections.snapshot_date=2026-11-04.rejected" in keys("lake")
    assert history(uri, "collections")["rejected"].to_pylist() == [False, False, False, True]


def test_thumbnails_are_stored_and_read_in_an_object_store(s3, api, client) -> None:
    del api.collections[9:]
    report = snapshot("collections", "s3://bucket/thumbnails", date=DAYS[0], client=client, thumbnails=True)
    names = [key for key in keys("thumbnails") if key.startswith(".thumbnails/")]
    assert (report.thumbnails, report.warnings, len(names)) == (9, (), 9)
    asset_ids = [name.removeprefix(".thumbnails/").removesuffix(".jpg") for name in names]
    assert sorted(read_thumbnails("s3://bucket/thumbnails", asset_ids)) == asset_ids


def test_an_export_to_an_object_store_and_the_places_it_cannot_go(s3, run, api) -> None:
    assert run("export", "collections", "s3://bucket/deep/c.parquet", api=api).returncode == 0
    assert keys("deep") == ["c.parquet"]
    served = len(api.requests)
    for uri in ("s3://no-such-bucket/c.parquet", "nonsense://bucket/c.parquet"):
        done = run("export", "collections", uri, api=api)
        assert (done.returncode, done.stderr.count("\n")) == (74, 1)
    assert len(api.requests) == served


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


def test_a_page_in_an_object_store_has_the_content_type_of_a_page(s3, run, api) -> None:
    assert run("snapshot", "collections", "s3://bucket/shown", api=api).returncode == 0
    assert run("report", "s3://bucket/shown", "s3://bucket/report.html").returncode == 0
    found = boto3.client("s3", endpoint_url=s3).head_object(Bucket="bucket", Key="report.html")
    assert (found["ContentType"], found["ContentLength"] > 10_000) == ("text/html", True)


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


def test_an_object_store_that_cannot_be_reached_is_a_transient_error_before_any_request(s3, api, run) -> None:
    done = run("export", "collections", "s3://bucket/c.parquet", api=api, AWS_ENDPOINT_URL="http://127.0.0.1:1")
    assert done.returncode == 75
    assert api.requests == []
    assert "Traceback" not in done.stderr


# Faults of a store


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


def content(key: str) -> bytes:
    store, _ = fs.FileSystem.from_uri("s3://bucket")
    return store.open_input_file(f"bucket/{key}").read()


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


def test_a_run_that_was_overtaken_publishes_nothing(s3, connect) -> None:
    """Two runs on a store, which has no locks: the one of the next day is done first."""
    lake = "s3://bucket/overtaken"

    waiting = [DAYS[2]]

    class Overtaken(Emulator):
        def answer(self, *request):
            if waiting:
                snapshot("collections", lake, date=waiting.pop(), client=other)
            return super().answer(*request)

    with Emulator(5) as api, Overtaken(5) as slow:
        other, client = connect(api), connect(slow)
        client.api_name = other.api_name
        snapshot("collections", lake, date=DAYS[0], client=other)
        with pytest.raises(TransientError, match="another run has published in s3://bucket/overtaken meanwhile"):
            snapshot("collections", lake, date=DAYS[1], client=client)
    assert [day["date"].isoformat() for day in history(lake, "collections").to_pylist()] == [DAYS[0], DAYS[2]]


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
    with pytest.raises(TransientError, match=r"SLOW_DOWN.*tried \d+ times in \d+ s; run again later"):
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


# Secrets


def test_the_file_that_waits_for_its_upload_is_readable_by_its_owner_only(s3) -> None:
    with publish.atomic_write("s3://bucket/private/c.parquet") as path:
        assert path.stat().st_mode & 0o777 == 0o600


def test_keys_in_a_uri_appear_nowhere(s3, run, api, tmp_path) -> None:
    lake = f"s3://KEYOFMINE:S3CR3T%2FOFMINE@bucket/secret?endpoint_override={s3[7:]}&scheme=http&region=us-east-1"
    without = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_ENDPOINT_URL": ""}
    more = ("--report", "report.json", "--log-format", "json", "-v", "--keep", "1")
    for day in DAYS[:2]:
        done = run("snapshot", "collections", lake, "--date", day, *more, api=api, **without)
        assert done.returncode == 0, done.stderr
        report = json.loads((tmp_path / "report.json").read_text())
        assert report["path"] == f"s3://bucket/secret/collections/snapshot_date={day}/part-0.parquet"
        assert report["changes_path"] == f"s3://bucket/secret/collections_changes/snapshot_date={day}/part-0.parquet"
    assert read_snapshot(lake, "collections").num_rows == 250
    texts = [done.stdout, done.stderr, json.dumps(report)]
    api.collections.clear()
    for command in (
        ("snapshot", "collections", lake, "--date", DAYS[2], "-v"),
        ("snapshot", "collections", lake, "--date", DAYS[0], "-v"),
        ("snapshot", "collections", lake.replace("bucket", "no-such-bucket"), "-v"),
        ("export", "collections", lake.replace("/secret", "//secret"), "-v"),
        ("export", "collections", lake.replace("%2F", "/"), "-v"),
        ("changes", "collections", lake.replace("/secret", "/nothing"), "-v"),
        ("report", lake, "report.html"),
    ):
        done = run(*command, api=api, **without)
        assert done.returncode == (0 if command[0] == "report" else done.returncode or 1)
        texts += [done.stdout, done.stderr]
    texts.append((tmp_path / "report.html").read_text())
    assert not [text for text in texts if "CR3T" in text or "KEYOFMINE" in text]
