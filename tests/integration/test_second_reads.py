from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scenario_etl import SnapshotReport, changes, history, read_snapshot, snapshot
from scenario_etl.column_types import INTEGER, STRING
from scenario_etl.errors import ConfigError, GuardError
from scenario_etl.filters import PROJECT_ID, TEXT, Filter
from scenario_etl.resources import RESOURCES
from scenario_etl.schema import Column, Resource
from tests.lakes import DAYS, connected
from tests.system.faults.server import Exchange, FaultServer

TAGS = Resource(
    name="tags",
    path="/tags",
    records_key="tags",
    record_key=None,
    primary_key=("project", "name"),
    page_sizes=(1, 100),
    columns=(
        Column("project", "projectId", STRING, nullable=False),
        Column("name", "name", STRING, nullable=False),
        Column("items", "items", INTEGER),
    ),
)


UNABLE = [
    TAGS,
    replace(TAGS, record_key="tag"),  # of which id would be the key?
    replace(TAGS, primary_key=("name",)),
]


@pytest.fixture(params=UNABLE, ids=["composite key, no endpoint", "composite key", "no endpoint"])
def tags(request, monkeypatch) -> Resource:
    monkeypatch.setitem(RESOURCES, "tags", request.param)
    return request.param


def tag(project: str, name: str, items: int = 1) -> dict[str, Any]:
    return {"projectId": project, "name": name, "items": items}


def take_tags(lake: Path, day: str, *lists: list[dict], **arguments: Any) -> SnapshotReport:
    """Make a snapshot of a list that has these records at its first, second, ... read; there is no other request."""
    bodies = [{"tags": records} for records in lists]

    def send(exchange: Exchange) -> None:
        exchange.send({"projects": []} if "/projects" in exchange.target else bodies.pop(0))

    with FaultServer(send, breaks=0) as server, connected(base_url=f"{server.origin}/v1") as client:
        client.api_name = "https://api.example/v1"
        report = snapshot("tags", lake, date=day, client=client, **arguments)
        assert report.scan.requests == server.requests == len(lists) + 1
    assert bodies == []
    return report


def changed_tags(lake: Path, day: str) -> list[tuple]:
    rows = changes(lake, "tags", since=day, until=day).to_pylist()
    return [(row["change"], row["project"], row["name"], row["changed_columns"]) for row in rows]


def test_a_composite_primary_key_works_from_snapshot_to_changes(lake: Path, monkeypatch) -> None:
    monkeypatch.setitem(RESOURCES, "tags", TAGS)
    first = [tag("p1", "a"), tag("p1", "b"), tag("p2", "a"), tag("p:2", "1:a"), tag("p:2:1", "a")]
    assert take_tags(lake, DAYS[0], first).added == 5
    second = [tag("p2", "b"), tag("p2", "a"), tag("p1", "a", 2), tag("p:2:1", "a")]
    report = take_tags(lake, DAYS[1], second, second)
    assert (report.added, report.updated, report.deleted, report.recovered, report.unverified) == (1, 1, 2, 0, 0)
    assert changed_tags(lake, DAYS[1]) == [
        ("added", "p2", "b", []),
        ("updated", "p1", "a", ["items"]),
        ("deleted", "p1", "b", []),
        ("deleted", "p:2", "1:a", []),
    ]
    assert take_tags(lake, DAYS[2], second).updated == 0
    assert history(lake, "tags")["deleted"].to_pylist() == [0, 2, 0]


def test_a_row_that_cannot_be_looked_up_is_deleted_only_where_a_second_read_lacks_it_too(lake: Path, tags) -> None:
    take_tags(lake, DAYS[0], [tag("p1", name) for name in "abcd"])
    now = [tag("p1", "a"), tag("p1", "c", 7), tag("p1", "e")]
    report = take_tags(lake, DAYS[1], [tag("p1", "a"), tag("p1", "b")], now)
    assert (report.added, report.updated, report.deleted, report.recovered, report.unverified) == (1, 1, 1, 1, 0)
    assert read_snapshot(lake, "tags").to_pydict() == {
        "project": ["p1"] * 4, "name": ["a", "b", "c", "e"], "items": [1, 1, 7, 1],
    }  # fmt: skip


@pytest.mark.parametrize("max_lookups", [0, 1, 200])
def test_a_second_read_needs_no_look_ups_and_leaves_nothing_unverified(lake: Path, tags, max_lookups: int) -> None:
    take_tags(lake, DAYS[0], [tag("p1", name) for name in "abcd"])
    report = take_tags(lake, DAYS[1], *[[tag("p1", "a"), tag("p1", "b")]] * 2, max_lookups=max_lookups)
    assert (report.deleted, report.recovered, report.unverified) == (2, 0, 0)


def test_where_no_row_is_missing_there_is_no_second_read(lake: Path, tags) -> None:
    take_tags(lake, DAYS[0], [tag("p1", "a")])
    assert take_tags(lake, DAYS[1], [tag("p1", "b"), tag("p1", "a")]).added == 1


def test_the_guard_of_rows_that_cannot_be_looked_up_has_no_advice_about_look_ups(lake: Path, tags) -> None:
    take_tags(lake, DAYS[0], [tag("p1", name) for name in "abcd"])
    with pytest.raises(GuardError, match=r"3 of the 4 rows .*accept_shrink=True\)$"):
        take_tags(lake, DAYS[1], [tag("p1", "a")], max_lookups=1)


NAMED = replace(TAGS, record_key="tag", primary_key=("name",))  # a record of it can be looked up


@pytest.mark.parametrize(
    ("declared", "filters"),
    [(Filter("status", "status", TEXT, "Limit to one status."), {"status": "new"}), (PROJECT_ID, {"project_id": "p1"})],
    ids=["another filter", "project without owner_id"],
)
def test_a_row_that_may_no_longer_pass_a_filter_is_not_looked_up(
    lake: Path, monkeypatch, declared: Filter, filters: dict[str, str]
) -> None:
    monkeypatch.setitem(RESOURCES, "tags", replace(NAMED, filters=(declared,)))
    take_tags(lake, DAYS[0], [tag("p1", name) for name in "abcd"], **filters)
    report = take_tags(lake, DAYS[1], *[[tag("p1", name) for name in "abc"]] * 2, **filters)
    assert (report.deleted, report.recovered, report.unverified) == (1, 0, 0)


def test_a_look_up_has_the_parameters_that_every_request_of_the_list_has(lake: Path, monkeypatch) -> None:
    monkeypatch.setitem(RESOURCES, "tags", replace(NAMED, fixed_query={"full": "false"}))
    take_tags(lake, DAYS[0], [tag("p1", "a"), tag("p1", "b")])
    targets = []

    def send(exchange: Exchange) -> None:
        targets.append(exchange.target)
        exchange.send({"tag": tag("p1", "b")} if "/tags/b" in exchange.target else {"tags": [tag("p1", "a")]})

    with FaultServer(send, breaks=0) as server, connected(base_url=f"{server.origin}/v1") as client:
        client.api_name = "https://api.example/v1"
        assert snapshot("tags", lake, date=DAYS[1], client=client).recovered == 1
    assert [target for target in targets if "/tags" in target] == [
        "/v1/tags?full=false&pageSize=100", "/v1/tags/b?full=false",
    ]  # fmt: skip


def test_thumbnails_of_a_list_without_them_are_rejected_before_any_request(lake: Path, tags) -> None:
    with pytest.raises(ConfigError, match=r"tags has no thumbnails; omit --thumbnails \(thumbnails=\)"):
        snapshot("tags", lake, thumbnails=True)


@pytest.mark.parametrize("accept_shrink", [False, True])
@pytest.mark.parametrize("second", [[], ["a", "b"], list("abcd")], ids=["empty", "incomplete", "as many"])
def test_a_second_read_that_lacks_more_rows_than_the_first_deletes_none(
    lake: Path, tags: Resource, second, accept_shrink: bool
) -> None:
    names = [f"{letter}" for letter in "abcdefgh"]
    take_tags(lake, DAYS[0], [tag("p1", name) for name in names])
    reads = [[tag("p1", name) for name in listed] for listed in (names[:-2], second)]
    report = take_tags(lake, DAYS[1], *reads, accept_shrink=accept_shrink)
    assert (report.deleted, report.recovered, report.unverified) == (0, 0, 2)
    assert read_snapshot(lake, "tags").num_rows == 8
    report = take_tags(lake, DAYS[2], *[[tag("p1", name) for name in names[:-2]]] * 2)
    assert (report.deleted, report.unverified) == (2, 0)
