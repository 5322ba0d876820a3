import json

import boto3
import pytest

from scenario_etl import Emulator, history, read_snapshot, snapshot
from scenario_etl.emulator import Fault
from scenario_etl.errors import TransientError
from scenario_etl.lake_thumbnails import read_thumbnails
from tests.lakes import DAYS
from tests.object_stores import content, keys


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


def test_metrics_in_an_object_store_keep_the_last_success(s3, run, api) -> None:
    command = ("export", "collections", "c.parquet", "--metrics-file", "s3://bucket/m.prom")
    assert run(*command, api=api).returncode == 0
    api.faults.append(Fault(status=404))
    assert run(*command, api=api).returncode == 69
    metrics = content("m.prom").decode()
    assert 'exit_code{resource="collections"} 69' in metrics
    assert 'last_success_timestamp_seconds{resource="collections"} ' in metrics


def test_an_export_to_an_object_store_and_the_places_it_cannot_go(s3, run, api) -> None:
    assert run("export", "collections", "s3://bucket/deep/c.parquet", api=api).returncode == 0
    assert keys("deep") == ["c.parquet"]
    served = len(api.requests)
    for uri, code in (("s3://no-such-bucket/c.parquet", 74), ("nonsense://bucket/c.parquet", 78)):
        done = run("export", "collections", uri, api=api)
        assert (done.returncode, done.stderr.count("\n")) == (code, 1)
    assert len(api.requests) == served


def test_a_page_in_an_object_store_has_the_content_type_of_a_page(s3, run, api) -> None:
    assert run("snapshot", "collections", "s3://bucket/shown", api=api).returncode == 0
    assert run("report", "s3://bucket/shown", "s3://bucket/report.html").returncode == 0
    found = boto3.client("s3", endpoint_url=s3).head_object(Bucket="bucket", Key="report.html")
    assert (found["ContentType"], found["ContentLength"] > 10_000) == ("text/html", True)


def test_an_object_store_that_cannot_be_reached_is_a_transient_error_before_any_request(s3, api, run) -> None:
    done = run("export", "collections", "s3://bucket/c.parquet", api=api, AWS_ENDPOINT_URL="http://127.0.0.1:1")
    assert done.returncode == 75
    assert api.requests == []
    assert "Traceback" not in done.stderr


def test_a_run_that_was_overtaken_publishes_nothing(s3, connect) -> None:
    """Two runs on a store, which has no locks: the one of the next day is done first."""
    lake = "s3://bucket/overtaken"

    waiting = [DAYS[2]]

    class Overtaken(Emulator):
        def respond(self, *request):
            if waiting:
                snapshot("collections", lake, date=waiting.pop(), client=other)
            return super().respond(*request)

    with Emulator(5) as api, Overtaken(5) as slow:
        other, client = connect(api), connect(slow)
        client.api_name = other.api_name
        snapshot("collections", lake, date=DAYS[0], client=other)
        with pytest.raises(
            TransientError, match="another run has published a snapshot in s3://bucket/overtaken in the meantime"
        ):
            snapshot("collections", lake, date=DAYS[1], client=client)
    assert [day["date"].isoformat() for day in history(lake, "collections").to_pylist()] == [DAYS[0], DAYS[2]]


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
