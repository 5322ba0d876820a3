from pathlib import Path

import pyarrow.parquet as pq
import pytest

from scenario_etl import Client, Emulator, snapshot
from scenario_etl.emulator import Fault
from scenario_etl.errors import ConfigError
from tests.helpers import record
from tests.lakes import API, DAYS, connected, take


@pytest.mark.parametrize(
    ("first", "second", "named"),
    [
        ({}, {"project_id": "project"}, "no project_id, but this run uses project_id proj_"),
        ({"project_id": "project"}, {}, "project_id proj_[^ ]+, but this run uses no project_id"),
        (
            {"project_id": "project"},
            {"project_id": "other"},
            "project_id proj_[^ ]+, but this run uses project_id proj_",
        ),
    ],
)
def test_a_run_of_another_project_is_rejected_before_the_first_request(lake: Path, first, second, named: str) -> None:
    projects = {"project": API.project_ids[0], "other": API.project_ids[1]}
    first, second = ({name: projects[value] for name, value in each.items()} for each in (first, second))
    rows = [record(id=f"c{number}", ownerId=API.project_ids[number % 2]) for number in range(6)]
    take(lake, DAYS[0], *rows, **first)
    with pytest.raises(ConfigError, match=f"was made with {named}.*another lake.*--accept-scope"):
        take(lake, DAYS[1], *rows, **second)
    assert API.requests == []
    with pytest.raises(ConfigError):
        take(lake, DAYS[0], *rows, **second)
    take(lake, DAYS[1], *rows, **second, accept_scope=True, accept_shrink=True)
    take(lake, DAYS[2], *rows, **second)
    with pytest.raises(ConfigError):
        take(lake, DAYS[3], *rows, **first)


def test_rows_outside_an_accepted_scope_are_deleted_although_the_api_still_has_them(lake: Path) -> None:
    rows = [record(id=f"c{number}", ownerId=API.project_ids[number % 2]) for number in range(6)]
    take(lake, DAYS[0], *rows)
    report = take(lake, DAYS[1], *rows, project_id=API.project_ids[0], accept_scope=True)
    assert (report.scan.rows, report.deleted, report.recovered, report.unverified) == (3, 3, 0, 0)


def test_a_rerun_does_not_bring_the_rows_of_an_earlier_scope_back(lake: Path) -> None:
    rows = [record(id=f"c{number}", ownerId=API.project_ids[number % 2]) for number in range(6)]
    project = {"project_id": API.project_ids[0]}
    take(lake, DAYS[0], *rows)
    take(lake, DAYS[1], *rows, accept_scope=True, **project)
    for day in DAYS[1:3]:
        report = take(lake, day, *rows, **project)
        assert (report.scan.rows, report.recovered, report.unverified) == (3, 0, 0)


def test_a_row_of_an_accepted_scope_counts_as_deleted_where_none_of_its_project_is_listed(lake: Path) -> None:
    first, second = API.project_ids[:2]
    take(lake, DAYS[0], record(id="c1", ownerId=first), record(id="c2", ownerId=first), project_id=first)
    look_ups = [Fault(body={"collection": record(id=key, ownerId=first)}, status=200) for key in ("c1", "c2")]
    new = [record(id="c3", ownerId=second)]
    report = take(lake, DAYS[1], *new, faults=[None, *look_ups], accept_scope=True, accept_shrink=True)
    assert (report.scan.rows, report.deleted, report.recovered, report.unverified) == (1, 2, 0, 0)


def test_more_rows_of_another_scope_than_the_bound_do_not_stay(lake: Path) -> None:
    first, second = API.project_ids[:2]
    rows = [record(id=f"c{number}", ownerId=second if number < 2 else first) for number in range(12)]
    take(lake, DAYS[0], *rows, project_id=first)
    accepted = {"accept_scope": True, "accept_shrink": True, "max_lookups": 3}
    report = take(lake, DAYS[1], *rows, project_id=second, **accepted)
    assert (report.scan.rows, report.deleted, report.unverified, report.scan.requests) == (2, 10, 0, 2)


def test_a_base_url_that_has_moved_still_looks_each_missing_row_up(lake: Path) -> None:
    take(lake, DAYS[0], record(id="c1", ownerId=API.project_ids[0]), record(id="c2", ownerId=API.project_ids[1]))
    with connected() as client:
        client.api_name = "https://api.example/v1"
        API.faults.append(Fault(body={"collections": [record(id="c1", ownerId=API.project_ids[0])]}))
        API.collections = [record(id="c1"), record(id="c2", ownerId=API.project_ids[1])]
        report = snapshot("collections", lake, date=DAYS[1], client=client, accept_scope=True)
    assert report.scan.rows + report.deleted == 2
    assert report.scan.requests == 1 + 1 + 1  # the list, a look-up, the names of projects


def test_another_base_url_is_another_scope_however_it_is_spelt(lake: Path) -> None:
    take(lake, DAYS[0], record())
    with Emulator([record()]) as api, connected(base_url=api.url) as client:
        with pytest.raises(ConfigError, match=f"{API.url}.*{api.url}"):
            snapshot("collections", lake, date=DAYS[1], client=client)
        assert api.requests == []
        assert snapshot("collections", lake, date=DAYS[1], client=client, accept_scope=True).deleted == 0
    with connected() as client:
        client.api_name = "https://API.Example:443/v1"
        snapshot("collections", lake, date=DAYS[1], client=client, accept_scope=True)
        client.api_name = "https://api.example/v1"
        snapshot("collections", lake, date=DAYS[2], client=client)


def test_the_scope_of_the_demo_is_demo_whatever_its_port(run, lake: Path) -> None:
    for day in DAYS[:2]:
        done = run("snapshot", "collections", lake, "--demo", "--date", day)
        assert (done.returncode, done.stderr.endswith("0 updated, 0 deleted\n")) == (0, True), done.stderr
    with Emulator() as api:
        refused = run("snapshot", "collections", lake, "--date", DAYS[2], "--project-id", api.project_ids[0], api=api)
        assert (refused.returncode, api.requests) == (78, [])
        assert "demo" in refused.stderr
        assert "--accept-scope" in refused.stderr
        accepted = run("snapshot", "collections", lake, "--date", DAYS[2], "--accept-scope", api=api)
        assert (accepted.returncode, "0 deleted" in accepted.stderr) == (0, True)


@pytest.mark.parametrize(
    ("name", "value"),
    [("filters", "not json"), ("filters", "[1]"), ("filters", "null"), ("base_url", "http://[")],
)
def test_a_damaged_scope_is_a_config_error_that_names_the_file_and_can_be_accepted(
    lake: Path, name: str, value: str
) -> None:
    take(lake, DAYS[0], record())
    path = lake / f"collections/snapshot_date={DAYS[0]}/part-0.parquet"
    footer = pq.read_metadata(path).metadata | {f"scenario_etl.{name}".encode(): value.encode()}
    pq.write_table(pq.read_table(path, partitioning=None).replace_schema_metadata(footer), path)
    with pytest.raises(ConfigError, match=r"part-0\.parquet.*--accept-scope"):
        take(lake, DAYS[1], record())
    assert take(lake, DAYS[1], record(), accept_scope=True).scan.rows == 1


def test_the_error_after_an_emulator_has_moved_to_another_port_names_the_option(lake: Path) -> None:
    take(lake, DAYS[0], record())
    with Emulator([record()]) as api, Client("demo", "demo", base_url=api.url) as client:
        with pytest.raises(ConfigError, match=r"; or start the emulator with the same --port \(port=\) as before$"):
            take(lake, DAYS[1], record(), client=client)
        with pytest.raises(ConfigError, match=r"\(accept_scope=True\)$"):
            take(lake, DAYS[1], record(), project_id=API.project_ids[0])
