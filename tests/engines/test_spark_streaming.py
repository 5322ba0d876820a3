"""Streams of Spark: nothing is lost, and rows are repeated only as documented."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession

from scenario_etl import Client, Emulator, scan
from tests.engines.stream import append
from tests.helpers import environment

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
LOOKBACK = timedelta(minutes=10)

pytestmark = pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning")


@pytest.fixture
def api() -> Iterator[Emulator]:
    with Emulator(20, assets=400, now=NOW) as emulator:
        yield emulator


def update(api: Emulator, identifier: str) -> None:
    asset = f"{api.url}/assets/{identifier}"
    requests.put(asset, json={"description": "new"}, auth=("demo", "demo"), timeout=60).raise_for_status()


def appended(spark: SparkSession, folder: Path) -> list[dict]:
    """The rows of all batches that were completed."""
    return spark.read.parquet(str(folder / "rows")).toArrow().to_pylist()


def newest(rows: list[dict], key: str) -> dict[str, dict]:
    """The row of each key that was updated last."""
    return {row[key]: row for row in sorted(rows, key=lambda row: row["updated_at"])}


def without_urls(rows: dict[str, dict]) -> dict[str, dict]:
    """The rows without signed URLs, which differ in each response."""
    return {key: {name: value for name, value in row.items() if "url" not in name} for key, row in rows.items()}


def offsets(folder: Path) -> list[dict]:
    """The offsets of the batches, in order."""
    files = sorted((folder / "checkpoint/offsets").glob("[0-9]*"), key=lambda path: int(path.name))
    return [json.loads(path.read_text().splitlines()[-1]) for path in files]


def run_driver(api: Emulator, folder: Path, kill_at: int | None) -> int:
    """Run a driver, and kill it with its executors at a request of its newest batch; return its exit code."""
    program = subprocess.Popen(
        [sys.executable, "-m", "tests.engines.stream", folder], env=environment(api), start_new_session=True
    )
    end = f"{api.now:%Y-%m-%dT%H:%M:%S.000Z}"
    pages = []

    def kill(_: str, path: str) -> None:
        if parse_qs(urlsplit(path).query).get("updatedBefore") == [end]:
            pages.append(path)
            if len(pages) == kill_at:
                os.killpg(program.pid, signal.SIGKILL)

    api.on_request = kill
    return program.wait(300)


def test_a_driver_that_is_killed_three_times_loses_nothing_and_repeats_only_the_lookback(spark, api, tmp_path) -> None:
    client = Client("demo", "demo", base_url=api.url, requests_per_minute=None)
    first = scan("assets", client=client, all_projects=True).to_arrow()["id"].to_pylist()
    for number, kill_at in enumerate((5, 1, 2)):
        assert run_driver(api, tmp_path, kill_at) == -signal.SIGKILL
        api.now += timedelta(minutes=4)  # within the lookback, then beyond it
        for identifier in first[number * 50 : number * 50 + 30]:
            update(api, identifier)
        api.create_assets(30)
        api.create_assets(3, created_at=api.now - timedelta(minutes=9))  # listed late
        api.now += timedelta(minutes=number * 20)
    assert run_driver(api, tmp_path, None) == 0
    rows = appended(spark, tmp_path)
    expected = scan("assets", client=client, all_projects=True).to_arrow().to_pylist()
    assert without_urls(newest(rows, "id")) == without_urls(newest(expected, "id"))
    ends = [datetime.fromisoformat(each["until"]) for each in offsets(tmp_path)]
    copies = Counter((row["id"], row["updated_at"]) for row in rows)
    repeated = [moment for (_, moment), count in copies.items() if count > 1]
    assert all(any(end - LOOKBACK <= moment < end for end in ends) for moment in repeated)
    assert repeated


def test_each_batch_is_the_window_between_two_offsets(spark, api, tmp_path) -> None:
    client = Client("demo", "demo", base_url=api.url, requests_per_minute=None)
    append(spark, client, tmp_path)
    known = {row["id"] for row in appended(spark, tmp_path)}
    api.now += timedelta(hours=1)
    created = api.create_assets(5)
    api.now += timedelta(hours=1)
    api.requests.clear()
    append(spark, client, tmp_path)
    assert [each["until"] for each in offsets(tmp_path)] == [
        f"{NOW + timedelta(hours=hours):%FT%T+00:00}" for hours in (0, 2)
    ]
    assert {row["id"] for row in appended(spark, tmp_path)} - known == {*created}
    assert len(api.requests) == 3  # the time of the server, one page, and a check of its bounds


def test_a_watermark_beyond_the_lookback_drops_what_is_repeated(spark, api, tmp_path) -> None:
    client = Client("demo", "demo", base_url=api.url, requests_per_minute=None)
    for _ in range(4):
        api.create_assets(5)
        api.now += timedelta(minutes=4)
        append(spark, client, tmp_path, is_deduplicated=True)
    expected = scan("assets", client=client).to_arrow()["id"].to_pylist()
    assert sorted(row["id"] for row in appended(spark, tmp_path)) == sorted(expected)


def test_a_stream_whose_filters_are_applied_late_has_only_the_rows_of_its_window(spark, tmp_path) -> None:
    with Emulator(20, assets=400, now=NOW, late_filters=True) as api:
        client = Client("demo", "demo", base_url=api.url, requests_per_minute=None)
        append(spark, client, tmp_path)
        first = appended(spark, tmp_path)
        api.now += timedelta(hours=1)
        created = api.create_assets(5)
        api.now += timedelta(hours=1)
        append(spark, client, tmp_path)
    rows = Counter(row["id"] for row in appended(spark, tmp_path))
    assert rows - Counter(row["id"] for row in first) == Counter(created)


def test_a_clock_of_the_server_that_went_back_by_less_than_the_lookback_repeats_no_batch(spark, api, tmp_path) -> None:
    client = Client("demo", "demo", base_url=api.url, requests_per_minute=None)
    append(spark, client, tmp_path)
    api.now -= timedelta(minutes=9)
    append(spark, client, tmp_path)
    assert len(offsets(tmp_path)) == 1


def test_a_clock_of_the_server_that_went_back_by_more_is_an_error(spark, api, tmp_path) -> None:
    client = Client("demo", "demo", base_url=api.url, requests_per_minute=None)
    append(spark, client, tmp_path)
    api.now -= timedelta(hours=1)
    with pytest.raises(
        StreamingQueryException, match=r"APIError: the clock of the server .* is before that of the last"
    ):
        append(spark, client, tmp_path)


@pytest.mark.parametrize("options", [{"resource": "jobs"}, {"projectId": "other"}, {"type": "inference"}], ids=str)
def test_a_checkpoint_of_another_scope_is_an_error(spark, api, tmp_path, options) -> None:
    client = Client("demo", "demo", base_url=api.url, requests_per_minute=None)
    append(spark, client, tmp_path)
    options = {name: api.project_ids[0] if value == "other" else value for name, value in options.items()}
    with pytest.raises(
        StreamingQueryException, match=r"ConfigError: the checkpoint was made with .* use another checkpoint"
    ):
        append(spark, client, tmp_path, **options)


def test_jobs_are_read_again_until_they_are_finished(spark, api, tmp_path) -> None:
    client = Client("demo", "demo", base_url=api.url, requests_per_minute=None)
    for _ in range(3):
        append(spark, client, tmp_path, "jobs")
        api.now += timedelta(minutes=40)
    append(spark, client, tmp_path, "jobs")
    rows = appended(spark, tmp_path)
    expected = scan("jobs", client=client).to_arrow().to_pylist()
    assert newest(rows, "job_id") == newest(expected, "job_id")
    assert "unfinished" in offsets(tmp_path)[0]
    assert len(rows) < 1.5 * len(expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resource": "collections"}, "collections cannot be streamed, because the API cannot filter them"),
        ({"createdAfter": "2026-01-01"}, "assets cannot be streamed with created_after; omit the filter, or use spark"),
        ({"projectId": "p,q", "skipForbidden": "true"}, "skipForbidden cannot be used with a stream"),
        ({"limit": "5"}, "limit cannot be used with a stream, which does not end; omit it"),
    ],
)
def test_what_cannot_be_streamed_is_an_error(spark, api, tmp_path, options, message) -> None:
    client = Client("demo", "demo", base_url=api.url)
    with pytest.raises(StreamingQueryException, match=f"ConfigError: {message}"):
        append(spark, client, tmp_path, **options)
    assert not api.requests
