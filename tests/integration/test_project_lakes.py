"""A lake with the rows of several projects."""

from pathlib import Path
from typing import Any

import pytest

from scenario_etl import Client, Emulator, changes, history, read_snapshot, snapshot
from scenario_etl.emulator import Fault
from scenario_etl.errors import APIError, ConfigError, GuardError
from scenario_etl.lake_reader import newest_footer
from scenario_etl.snapshots import SnapshotReport
from tests.dated import DatedAPI, asset, assets, respond
from tests.lakes import DAYS, files


class Lookups(DatedAPI):
    """Also returns single assets by id, if they are in the project that is given."""

    def __init__(self, projects: dict) -> None:
        super().__init__(projects)
        self.lookups: list[tuple[str, str]] = []

    def send(self, request: Any, *arguments: Any, **settings: Any) -> Any:
        path, _, query = str(request.url).partition("?")
        head, _, key = path.rpartition("/")
        if not head.endswith("/assets"):
            return super().send(request, *arguments, **settings)
        project = query.removeprefix("projectId=")
        self.lookups.append((project, key))
        found = [row for row in self.projects[project] if row["id"] == key]
        return respond(request, (200, {"asset": found[0]}) if found else (404, {"reason": "no such asset"}))


@pytest.fixture
def api() -> Lookups:
    return Lookups({"p1": assets(1, 2, 3, prefix="a"), "p2": assets(1, 2, prefix="b"), "p3": assets(9, prefix="a")})


def take(api: DatedAPI, lake: Path, day: str, **arguments: Any) -> SnapshotReport:
    return snapshot("assets", lake, date=day, client=api.client(), **({"project_id": ["p1", "p2", "p3"]} | arguments))


def rows(lake: Path, day: str | None = None) -> list[tuple[str, str]]:
    table = read_snapshot(lake, "assets", day, columns=["project_id", "id"])
    return list(zip(*table.to_pydict().values(), strict=True))


def test_snapshots_changes_and_history_have_the_projects(api: Lookups, lake: Path) -> None:
    take(api, lake, DAYS[0])
    del api.projects["p3"][0]
    api.projects["p2"].append(asset("new", 7))
    api.projects["p1"][0] |= {"description": "changed"}
    report = take(api, lake, DAYS[1])
    assert (report.added, report.updated, report.deleted, report.carried_over) == (1, 1, 1, 0)
    assert api.lookups == [("p3", "a00000")]  # not the asset with that id in p1
    assert len(rows(lake, DAYS[0])) == len(rows(lake)) == 6
    found = changes(lake, "assets", since=DAYS[1])
    assert {(row["change"], row["project_id"], row["id"]) for row in found.to_pylist()} == {
        ("added", "p2", "new"), ("updated", "p1", "a00000"), ("deleted", "p3", "a00000"),
    }  # fmt: skip
    assert found.schema.names[:4] == ["snapshot_date", "change", "changed_columns", "project_id"]
    assert history(lake, "assets")["rows"].to_pylist() == [6, 6]
    assert newest_footer(lake, "assets")["project_id"] == "p1,p2,p3"


def test_a_row_that_the_list_skipped_is_looked_up_in_its_project(api: Lookups, lake: Path) -> None:
    with Emulator(3, assets=9) as emulator:
        response = emulator.respond("GET", "/v1/assets?pageSize=1", "Basic ZGVtbzpkZW1v", b"")
    whole = response.body["assets"][0]  # with all fields
    api = Lookups({name: [whole | row | {"ownerId": name} for row in rows] for name, rows in api.projects.items()})
    take(api, lake, DAYS[0])
    api.answer = lambda query: (
        {"assets": api.projects["p2"][1:]} if query["projectId"] == "p2" else None  # the first is skipped
    )
    report = take(api, lake, DAYS[1])
    assert api.lookups == [("p2", "b00000")]
    assert (report.recovered, report.deleted, report.unverified) == (1, 0, 0)
    assert ("p2", "b00000") in rows(lake)


def test_rows_of_skipped_projects_keep_their_values_and_are_counted(api: Lookups, lake: Path) -> None:
    take(api, lake, DAYS[0], skip_forbidden=True)
    gone = api.projects.pop("p1")
    report = take(api, lake, DAYS[1], skip_forbidden=True)
    assert (report.carried_over, report.deleted, report.added, report.updated) == (3, 0, 0, 0)
    assert report.scan.skipped_projects == ("p1",)
    assert (report.scan.rows, api.lookups) == (6, [])
    assert report.to_dict()["carried_over"] == 3
    assert newest_footer(lake, "assets")["carried_over"] == "3"
    del api.projects["p2"][0]
    report = take(api, lake, DAYS[2], skip_forbidden=True)
    assert (report.carried_over, report.deleted) == (3, 1)
    api.projects["p1"] = gone[1:]
    report = take(api, lake, DAYS[3], skip_forbidden=True)
    assert (report.carried_over, report.deleted) == (0, 1)
    assert history(lake, "assets")["deleted"].to_pylist() == [0, 0, 1, 1]


def test_a_second_read_verifies_deletions_although_another_project_is_skipped(api: Lookups, lake: Path) -> None:
    filtered = {"author_id": "x", "skip_forbidden": True}  # so rows cannot be looked up
    take(api, lake, DAYS[0], **filtered)
    del api.projects["p1"]
    del api.projects["p2"][0]
    report = take(api, lake, DAYS[1], **filtered)
    assert (report.deleted, report.carried_over, report.unverified) == (1, 3, 0)


def test_a_project_that_only_the_second_read_may_read_has_each_row_once(api: Lookups, lake: Path) -> None:
    filtered = {"author_id": "x", "skip_forbidden": True}
    take(api, lake, DAYS[0], **filtered)
    del api.projects["p2"][0]
    refusals = iter([(403, {"reason": "not a member"})])
    api.answer = lambda query: next(refusals, None) if query["projectId"] == "p1" else None
    report = take(api, lake, DAYS[1], **filtered)
    assert (report.deleted, report.carried_over) == (1, 3)
    assert len(rows(lake)) == len({*rows(lake)}) == 5


def test_the_second_read_of_a_run_that_is_resumed_uses_no_part_of_the_first(api: Lookups, lake: Path) -> None:
    filtered = {"author_id": "x", "workers": 1}
    take(api, lake, DAYS[0], **filtered)
    answers = {"p2": {"assets": api.projects["p2"][1:]}, "p3": (404, {"reason": "gone"})}  # p2 without its first row
    api.answer = lambda query: answers.get(query["projectId"])
    with pytest.raises(APIError, match="gone"):
        take(api, lake, DAYS[1], **filtered)
    api.answer = lambda query: None
    report = take(api, lake, DAYS[1], **filtered)
    assert (report.scan.reused_parts, report.recovered, report.deleted) == (2, 1, 0)


def test_a_forbidden_project_without_permission_to_skip_it_publishes_nothing(api: Lookups, lake: Path) -> None:
    take(api, lake, DAYS[0])
    before = files(lake)
    api.projects.pop("p1")
    with pytest.raises(APIError, match="403"):
        take(api, lake, DAYS[1])
    assert [name for name in files(lake) if ".parts" not in name] == before


def test_the_guard_does_not_count_skipped_projects_as_missing(api: Lookups, lake: Path) -> None:
    take(api, lake, DAYS[0], skip_forbidden=True, max_lookups=0)
    api.projects.pop("p1")
    api.projects["p2"].clear()
    take(api, lake, DAYS[1], skip_forbidden=True, max_shrink=0.5)
    assert len(rows(lake)) == 4
    api.projects["p3"].clear()
    with pytest.raises(GuardError):
        take(api, lake, DAYS[2], skip_forbidden=True, max_shrink=0.1)


@pytest.mark.parametrize("accept_scope", [False, True])
def test_lakes_with_and_without_a_column_for_the_project_are_not_mixed(api: Lookups, lake: Path, accept_scope) -> None:
    take(api, lake, DAYS[0])
    with pytest.raises(ConfigError, match=r"has the column project_id, .*another lake"):
        take(api, lake, DAYS[1], project_id="p1", accept_scope=accept_scope)
    take(api, lake / "..", DAYS[0], project_id="p1")
    with pytest.raises(ConfigError, match="has no column project_id"):
        take(api, lake / "..", DAYS[1], accept_scope=accept_scope)


def test_other_projects_are_another_scope(api: Lookups, lake: Path) -> None:
    take(api, lake, DAYS[0])
    for other in ({"project_id": ["p1", "p2"]}, {"project_id": None, "all_projects": True}):
        with pytest.raises(ConfigError, match=r"project_id .*--accept-scope"):
            take(api, lake, DAYS[1], **other)
    assert take(api, lake, DAYS[1], project_id=["p3", "p2", "p1"]).deleted == 0


def test_an_interrupted_snapshot_is_resumed_for_the_same_date_only(api: Lookups, lake: Path) -> None:
    api.answer = lambda query: (404, {"reason": "gone"}) if query["projectId"] == "p3" else None
    with pytest.raises(APIError, match="gone"):
        take(api, lake, DAYS[0], workers=1)
    api.answer = lambda query: None
    assert {Path(name).parts[0] for name in files(lake)} >= {".assets.parts"}
    api.queries.clear()
    assert take(api, lake, DAYS[0], workers=1).scan.reused_parts == 2
    assert {query["projectId"] for query in api.queries} >= {"p3"}
    assert [name for name in files(lake) if "parts" in name] == []
    assert len(rows(lake)) == 6


def test_a_snapshot_of_another_date_uses_no_part_of_an_interrupted_one(api: Lookups, lake: Path) -> None:
    api.answer = lambda query: (404, {"reason": "gone"}) if query["projectId"] == "p3" else None
    with pytest.raises(APIError, match="gone"):
        take(api, lake, DAYS[0], workers=1)
    api.answer = lambda query: None
    assert take(api, lake, DAYS[1], workers=1).scan.reused_parts == 0


def test_a_project_that_is_no_longer_listed_deletes_nothing(lake: Path) -> None:
    with Emulator(20, assets=200) as api:
        client = Client("demo", "demo", base_url=api.url, requests_per_minute=None)
        before = snapshot("models", lake, date="2026-11-01", client=client, all_projects=True).scan.rows
        gone = api.project_ids[0]
        records = read_snapshot(lake, "models")["project_id"].to_pylist().count(gone)
        api.forbidden_projects = {gone}
        listed = [each for each in api.project_ids if each != gone]
        teams = Fault(status=200, body={"teams": []})
        projects = Fault(status=200, body={"projects": [{"id": each, "name": each} for each in listed]})
        api.on_request = lambda _, target: {"/v1/projects": projects, "/v1/teams": teams}.get(target.partition("?")[0])
        report = snapshot("models", lake, date="2026-11-02", client=client, all_projects=True)
    assert (report.scan.rows, report.deleted, report.carried_over) == (before, 0, records)
    assert records


def test_a_run_with_incremental_does_not_continue_one_without(lake: Path) -> None:
    with Emulator(20, assets=300) as api:
        client = Client("demo", "demo", base_url=api.url, requests_per_minute=None, attempts=1)
        api.on_request = lambda _, target: Fault(status=404) if api.project_ids[3] in target else None
        with pytest.raises(APIError):
            snapshot("assets", lake, client=client, project_id=api.project_ids)
        api.on_request = None
        report = snapshot("assets", lake, client=client, project_id=api.project_ids, incremental=True)
    assert report.scan.reused_parts == 0
