"""Incremental snapshots: what is read, what is merged, and when the whole list is read."""

import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa
import pytest
import requests

from scenario_etl import Client, ConfigError, Emulator, SnapshotReport, changes, read_snapshot, snapshot
from scenario_etl.emulator import Fault
from scenario_etl.errors import APIError
from scenario_etl.lake_reader import newest_footer

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
DAYS = [date(2026, 11, day) for day in range(1, 20)]


@pytest.fixture
def api() -> Iterator[Emulator]:
    with Emulator(20, assets=900, now=NOW) as emulator:
        yield emulator


@pytest.fixture
def client(api: Emulator) -> Iterator[Client]:
    with Client("demo", "demo", base_url=api.url, requests_per_minute=None) as client:
        yield client


def take(lake: Path, day: date, client: Client, resource: str = "assets", **arguments: Any) -> SnapshotReport:
    return snapshot(resource, lake, date=day, client=client, **{"incremental": True} | arguments)


def rows(lake: Path, resource: str = "assets", key: str = "id") -> pa.Table:
    return read_snapshot(lake, resource).sort_by(key)


def update(api: Emulator, identifier: str, description: str = "new") -> None:
    asset = f"{api.url}/assets/{identifier}"
    requests.put(asset, json={"description": description}, auth=("demo", "demo"), timeout=60).raise_for_status()


def delete(api: Emulator, identifier: str) -> None:
    requests.delete(f"{api.url}/assets/{identifier}", auth=("demo", "demo"), timeout=60).raise_for_status()


def later(api: Emulator, **duration: float) -> None:
    assert api.now
    api.now += timedelta(**duration)


def test_only_what_was_updated_is_read_and_the_result_is_that_of_a_full_run(lake, tmp_path, api, client) -> None:
    first = take(lake, DAYS[0], client)
    assert (first.incremental, first.added) == (False, first.scan.rows)
    later(api, hours=5)
    for identifier in read_snapshot(lake, "assets")["id"].to_pylist()[:7]:
        update(api, identifier)
    created = api.create_assets(3)
    later(api, hours=5)
    second = take(lake, DAYS[1], client)
    assert (second.incremental, second.added, second.updated, second.deleted) == (True, 3, 7, 0)
    assert second.scan.requests == 4  # the time of the server, a page, a check of its bounds, and the names of projects
    snapshot("assets", tmp_path / "full", date=DAYS[1], client=client)
    assert rows(lake).equals(rows(tmp_path / "full"))
    assert {*created} <= {*changes(lake, "assets", since=DAYS[1])["id"].to_pylist()}


def test_an_update_at_any_time_around_a_run_is_in_the_next_one(lake, api, client) -> None:
    take(lake, DAYS[0], client)
    identifiers = read_snapshot(lake, "assets")["id"].to_pylist()[:4]
    # up to ten minutes late, at the time of the run, and just before the next
    for identifier, moment in zip(identifiers, (-599, 0, 0.001, 3599.999), strict=True):
        api.now = NOW + timedelta(seconds=moment)
        update(api, identifier)
    api.now = NOW + timedelta(hours=1)
    assert take(lake, DAYS[1], client).updated == 4


def test_deletions_are_found_by_the_full_run_that_is_due(lake, api, client) -> None:
    take(lake, DAYS[0], client, full_every=3)
    delete(api, read_snapshot(lake, "assets")["id"][0].as_py())
    found = []
    for day in DAYS[1:7]:
        later(api, days=1)
        report = take(lake, day, client, full_every=3)
        found.append((report.incremental, report.deleted))
    assert found == [(True, 0), (True, 0), (False, 1), (True, 0), (True, 0), (False, 0)]


def test_full_every_1_reads_the_whole_list_each_time(lake, client) -> None:
    assert [take(lake, day, client, full_every=1).incremental for day in DAYS[:3]] == [False] * 3


@pytest.mark.parametrize(
    "second",
    [{"signed_urls": "omit"}, {"author_id": "user_1", "accept_scope": True, "accept_shrink": True}],
    ids=["signed URLs", "scope"],
)
def test_a_run_with_other_options_reads_the_whole_list(lake, client, second) -> None:
    take(lake, DAYS[0], client)
    assert not take(lake, DAYS[1], client, **second).incremental


def test_a_run_after_one_without_incremental_reads_the_whole_list(lake, client) -> None:
    take(lake, DAYS[0], client, incremental=False)
    assert [take(lake, day, client).incremental for day in DAYS[1:3]] == [False, True]


def test_a_project_that_is_new_or_was_skipped_is_read_completely(lake, api, client) -> None:
    api.forbidden_projects = {api.project_ids[0]}
    first = take(lake, DAYS[0], client, all_projects=True, skip_forbidden=True)
    still_forbidden = take(lake, DAYS[1], client, all_projects=True, skip_forbidden=True)
    assert (still_forbidden.incremental, still_forbidden.scan.rows) == (True, first.scan.rows)
    api.forbidden_projects = set()
    allowed = take(lake, DAYS[2], client, all_projects=True, skip_forbidden=True)
    assert (allowed.incremental, allowed.scan.rows, allowed.deleted) == (False, 900, 0)


def test_a_change_without_a_new_date_is_counted_and_warned_about_by_a_full_run(lake, api, client, caplog) -> None:
    take(lake, DAYS[0], client, full_every=1)
    identifier = read_snapshot(lake, "assets")["id"][5].as_py()
    api.now = NOW - timedelta(days=2)
    update(api, identifier)
    api.now = NOW + timedelta(hours=1)
    with caplog.at_level(logging.WARNING):
        report = take(lake, DAYS[1], client, full_every=1)
    assert (report.unexplained, report.updated) == (1, 1)
    assert "1 row has changed, but kept an old date of the last update" in caplog.text


def test_jobs_are_read_from_the_oldest_unfinished_one(lake, tmp_path, api, client) -> None:
    first = take(lake, DAYS[0], client, "jobs")
    later(api, hours=1)
    second = take(lake, DAYS[1], client, "jobs")
    assert second.incremental
    assert second.scan.requests < first.scan.requests
    snapshot("jobs", tmp_path / "full", date=DAYS[1], client=client)
    assert rows(lake, "jobs", "job_id").equals(rows(tmp_path / "full", "jobs", "job_id"))


def start_of_jobs(lake: Path, day: date, api: Emulator, client: Client) -> datetime:
    """Take an incremental snapshot of jobs, and return the first date of creation that it requests."""
    api.requests.clear()
    assert take(lake, day, client, "jobs").incremental
    queries = [parse_qs(urlsplit(target).query) for _, target in api.requests]
    (after,) = {query["createdAfter"][0] for query in queries if "createdAfter" in query}
    return datetime.fromisoformat(after) + timedelta(milliseconds=1)  # the bound is exclusive


def test_the_oldest_unfinished_job_is_read_again_for_thirty_days(lake, api, client) -> None:
    take(lake, DAYS[0], client, "jobs")
    jobs = read_snapshot(lake, "jobs", columns=["status", "created_at"]).to_pylist()
    oldest = min(job["created_at"] for job in jobs if job["status"] not in {"success", "failure", "canceled"})
    for day, days, start in ((DAYS[1], 1, oldest), (DAYS[2], 16, NOW - timedelta(days=14))):
        api.now = NOW + timedelta(days=days)
        assert start_of_jobs(lake, day, api, client) == start


def test_all_jobs_since_the_last_snapshot_are_read_even_if_it_is_older_than_thirty_days(lake, api, client) -> None:
    take(lake, DAYS[0], client, "jobs")
    api.now = NOW + timedelta(days=45)
    assert start_of_jobs(lake, DAYS[1], api, client) <= NOW


def test_a_list_whose_filters_are_applied_late_is_read_completely_and_merged(lake, tmp_path) -> None:
    with Emulator(20, assets=900, now=NOW, late_filters=True) as api:
        client = Client("demo", "demo", base_url=api.url, requests_per_minute=None)
        take(lake, DAYS[0], client)
        update(api, read_snapshot(lake, "assets")["id"][7].as_py())
        later(api, hours=1)
        assert take(lake, DAYS[1], client).updated == 1
        snapshot("assets", tmp_path / "full", date=DAYS[1], client=client)
    assert rows(lake).equals(rows(tmp_path / "full"))


@pytest.mark.parametrize(
    ("resource", "filters"),
    [("collections", {}), ("models", {}), ("tags", {}), ("assets", {"created_after": "2026-01-01"}),
     ("assets", {"updated_before": "2026-01-01"}), ("assets", {"deleted": True}), ("jobs", {"status": "success"}),
     ("jobs", {"created_after": "2026-01-01"})],
)  # fmt: skip
def test_a_list_that_cannot_be_read_incrementally_is_an_error_before_any_request(
    lake, api, client, resource, filters
) -> None:
    with pytest.raises(ConfigError, match=f"{resource} cannot be read incrementally"):
        take(lake, DAYS[0], client, resource, **filters)
    assert not api.requests


def test_a_response_without_a_date_is_an_error_and_the_lake_is_unchanged(lake, api, client, monkeypatch) -> None:
    take(lake, DAYS[0], client)
    monkeypatch.setattr("scenario_etl.pages.parse_date_header", lambda _: None)
    with pytest.raises(APIError, match="no valid Date header"):
        take(lake, DAYS[1], client)
    assert rows(lake).num_rows == 900


def test_the_watermark_moves_only_with_a_snapshot_that_is_published(lake, api, client) -> None:
    take(lake, DAYS[0], client)
    update(api, read_snapshot(lake, "assets")["id"][0].as_py())
    later(api, days=1)
    api.on_request = lambda *_: Fault(status=404)
    with pytest.raises(APIError):
        take(lake, DAYS[1], client)
    api.on_request = None
    later(api, days=1)
    assert take(lake, DAYS[2], client).updated == 1


def test_a_run_that_is_resumed_has_the_watermark_of_its_start(lake, api, client) -> None:
    api.on_request = lambda _, target: Fault(status=404) if f"projectId={api.project_ids[3]}" in target else None
    with pytest.raises(APIError):
        take(lake, DAYS[0], client, project_id=api.project_ids, workers=1)
    api.on_request = None
    later(api, hours=6)
    resumed = take(lake, DAYS[0], client, project_id=api.project_ids, workers=1)
    assert resumed.scan.reused_parts > 0
    assert newest_footer(lake, "assets")["watermark"] == NOW.isoformat()


def test_a_watermark_of_the_future_is_not_used(lake, api, client) -> None:
    take(lake, DAYS[0], client)
    later(api, days=-1)  # the clock of the server was wrong
    assert not take(lake, DAYS[1], client).incremental
    later(api, hours=1)
    assert take(lake, DAYS[2], client).incremental


def test_a_row_is_not_replaced_by_an_older_version_of_it(lake, api, client) -> None:
    take(lake, DAYS[0], client)
    identifier = read_snapshot(lake, "assets")["id"][3].as_py()
    later(api, hours=1)
    update(api, identifier, "older")
    older = requests.get(f"{api.url}/assets/{identifier}", auth=("demo", "demo"), timeout=60).json()["asset"]
    later(api, minutes=1)
    update(api, identifier, "newer")
    later(api, minutes=1)
    assert take(lake, DAYS[1], client).updated == 1
    stale = Fault(status=200, body={"assets": [older]})  # as a replica has it that lags behind
    api.on_request = lambda _, target: stale if "updatedAfter" in target else None
    report = take(lake, DAYS[2], client)
    assert (report.incremental, report.updated, report.scan.rows) == (True, 0, 900)
    assert "newer" in read_snapshot(lake, "assets")["description"].to_pylist()
