import re
import signal
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from scenario_etl import stores
from scenario_etl.errors import ConfigError, DestinationError
from tests.helpers import said

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
        ("s3://bucket//lake", "contains '//', which is a folder with an empty name"),
        ("s3://bucket/a//b", "contains '//', which is a folder with an empty name"),
        ("s3://bucket/lake//", "contains '//', which is a folder with an empty name"),
        ("file:///tmp//b", "contains '//', which is a folder with an empty name"),
        ("file:///tmp/a?b=1", "has a query, which file:// and hdfs:// do not support"),
        (None, "a path must be a string or a PathLike, got None"),
        (7, "a path must be a string or a PathLike, got 7"),
        (b"lake", "a path must be a string or a PathLike"),
    ],
)
def test_a_uri_of_which_pyarrow_would_ignore_a_part_is_rejected(uri, words) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)):
        stores.filesystem(uri)


@pytest.mark.parametrize("uri", ["", "a\0b", "caf\udce9", "nonsense://bucket/x", "mock://bucket/x", "://"])
def test_text_that_is_not_a_path_or_has_an_unknown_scheme_is_a_config_error(uri: str) -> None:
    with pytest.raises(ConfigError, match=r"is not a valid path|is not supported"):
        stores.filesystem(uri)


def test_a_uri_that_pyarrow_cannot_open_is_a_destination_error() -> None:
    with pytest.raises(DestinationError, match="cannot open gs://b/x"):
        stores.filesystem("gs://b/x?y=1")


def test_a_working_folder_that_is_gone_is_an_error(tmp_path: Path, monkeypatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(DestinationError, match="the current folder no longer exists"):
        stores.filesystem("lake")


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("snapshot", "collections", "s3://bucket/lake#1"), 78),
        (("snapshot", "collections", "s3://bucket"), 78),
        (("export", "collections", "s3://bucket//c.parquet"), 78),
        (("export", "collections", "file:///tmp/c.parquet?x=1"), 78),
        (("export", "collections", "mock://bucket/c.parquet"), 78),
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
def test_a_store_has_other_timeouts_than_the_defaults_of_pyarrow(uri: str, timeouts: dict) -> None:
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


@pytest.mark.parametrize("uri", ["s3:/bucket/c.parquet", "S3:bucket/c.parquet", "gs:/bucket/c.parquet"])
def test_a_uri_that_lost_its_slashes_is_rejected_and_not_taken_for_a_path(uri: str) -> None:
    with pytest.raises(
        ConfigError, match=f"^'{uri}' is not a valid URI; expected something like {uri[:2].lower()}://bucket/path$"
    ):
        stores.filesystem(uri)
