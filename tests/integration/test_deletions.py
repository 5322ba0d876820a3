import random
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenario_etl import Emulator, SnapshotReport, read_snapshot, snapshot
from scenario_etl.emulator import Fault, Response
from scenario_etl.errors import AuthError, GuardError
from tests.helpers import record
from tests.lakes import API, DAYS, changes_on, connected, take


def looked_up() -> list[str]:
    """The ids that were looked up, in order."""
    return [urlsplit(path).path.rpartition("/")[2] for _, path in API.requests if "/collections/" in path]


def requests_but_projects(api: Emulator = API) -> list[str]:
    """What was requested, without the names of the projects."""
    return [path for _, path in api.requests if "/projects" not in path]


def ids(lake: Path, day: str) -> list[str]:
    return read_snapshot(lake, "collections", day)["id"].to_pylist()


def many(count: int, **changes: object) -> list[dict]:
    return [record(id=f"c{number}", **changes) for number in range(count)]


class MovingList(Emulator):
    """An emulator whose list changes after each page, as the functions in `moves` change its records."""

    def __init__(self, records: list[dict], moves: list) -> None:
        super().__init__(records)
        self.moves = moves

    def respond(self, method: str, target: str, authorization: str | None, body: bytes) -> Response:
        response = super().respond(method, target, authorization, body)
        if self.moves and urlsplit(target).path == "/v1/collections":
            self.moves.pop(0)(self.collections)
        return response


def take_from(lake: Path, day: str, api: Emulator, **arguments: Any) -> SnapshotReport:
    """Make a snapshot from another server, which passes for the one of the snapshot before."""
    with connected(base_url=api.url) as client:
        client.api_name = API.url
        return snapshot("collections", lake, date=day, client=client, **arguments)


def test_a_row_that_was_skipped_while_the_list_moved_is_recovered_with_its_current_values(lake: Path) -> None:
    take(lake, DAYS[0], *many(4))

    def move(records: list[dict]) -> None:
        del records[0]
        records[1] = records[1] | {"name": "renamed"}

    with MovingList(many(4), [move]) as api:
        report = take_from(lake, DAYS[1], api, page_size=2)
    assert ids(lake, DAYS[1]) == ["c0", "c1", "c3", "c2"]
    assert (report.recovered, report.unverified, report.deleted, report.added) == (1, 0, 0, 0)
    assert changes_on(lake, DAYS[1]) == [("updated", "c2", ["name"])]
    assert report.scan.rows == 4


edits = st.tuples(st.sampled_from(["insert", "update", "delete"]), st.integers(0, 40), st.booleans())


@given(st.integers(1, 12), st.lists(st.lists(edits, max_size=4), max_size=6), st.integers(1, 3), st.integers(0, 3))
def test_no_row_that_stays_is_missing_and_no_deletion_is_false_however_the_list_moves(
    tmp_path_factory, count, pages, page_size, max_lookups
) -> None:
    """Rows are inserted, updated and deleted between the pages of an offset cursor."""
    lake = tmp_path_factory.mktemp("moving") / "lake"
    take(lake, DAYS[0], *many(count))
    rng = random.Random(7)

    def moving(edits):
        def move(records: list[dict]) -> None:
            for kind, position, at_end in edits:
                place = position % (len(records) + 1)
                if kind == "insert":
                    records.insert(len(records) if at_end else place, record(id=f"new{rng.random()}"))
                elif records and kind == "delete":
                    del records[place % len(records)]
                elif records:
                    records.append(records.pop(place % len(records)) | {"name": f"moved {rng.random()}"})

        return move

    with MovingList(many(count), [moving(each) for each in pages]) as api:
        take_from(lake, DAYS[1], api, page_size=page_size, max_lookups=max_lookups, accept_shrink=True)
        after = {each["id"] for each in api.collections}
    found = set(ids(lake, DAYS[1]))
    before = {f"c{number}" for number in range(count)}
    deleted = {key for change, key, _ in changes_on(lake, DAYS[1]) if change == "deleted"}
    assert before & after <= found
    assert deleted & after == set()
    assert deleted == before - found


def test_a_quiet_day_costs_no_request_more_than_the_list_and_the_names_of_projects(lake: Path) -> None:
    take(lake, DAYS[0], *many(3))
    take(lake, DAYS[1], *many(4, name="other"))
    assert [path.partition("?")[0] for _, path in API.requests] == ["/v1/collections", "/v1/projects"]


@pytest.mark.parametrize(
    ("status", "counts"),
    [(404, (1, 0, 0)), (410, (1, 0, 0)), (403, (0, 0, 1)), (400, (0, 0, 1)), (422, (0, 0, 1)), (204, (0, 0, 1))],
)
def test_a_row_is_deleted_only_where_its_look_up_is_a_404_or_410(
    lake: Path, status: int, counts: tuple[int, int, int]
) -> None:
    take(lake, DAYS[0], *many(3))
    report = take(lake, DAYS[1], *many(2), faults=[None, Fault(status=status, body={"reason": "so it is"})])
    assert (report.deleted, report.recovered, report.unverified) == counts
    assert report.scan.rows == 3 - counts[0]
    assert ids(lake, DAYS[1]) == ["c0", "c1", "c2"][: report.scan.rows]


@pytest.mark.parametrize(
    ("now", "counts"),
    [
        ({}, (0, 1, 0)),
        ({"deletedAt": "2026-11-02T00:00:00Z"}, (1, 0, 0)),
        ({"deletedAt": None}, (0, 1, 0)),
        ({"ownerId": "proj_other"}, (1, 0, 0)),
        ({"ownerId": None}, (0, 0, 1)),
        ({"id": "another"}, (0, 0, 1)),
    ],
)
def test_a_row_in_the_trash_or_in_another_project_is_deleted_and_a_skipped_one_is_not(
    lake: Path, now, counts: tuple[int, int, int]
) -> None:
    take(lake, DAYS[0], *many(3))
    body = {"collection": record(**({"id": "c2", "name": "now"} | now))}
    report = take(lake, DAYS[1], *many(2), faults=[None, Fault(status=200, body=body)])
    assert (report.deleted, report.recovered, report.unverified) == counts
    names = read_snapshot(lake, "collections", DAYS[1])["name"].to_pylist()
    assert names == ["Key Art", "Key Art"] + ["now"] * counts[1] + ["Key Art"] * counts[2]


@pytest.mark.parametrize("body", [{"collections": []}, {}, [], {"collection": None}, "<html>"])
def test_a_response_without_a_record_leaves_the_row_unverified(lake: Path, body) -> None:
    take(lake, DAYS[0], *many(3))
    report = take(lake, DAYS[1], *many(2), faults=[None, *[Fault(status=200, body=body)] * 8])
    assert (report.deleted, report.unverified) == (0, 1)


def test_an_unverified_row_is_looked_up_again_the_next_day(lake: Path) -> None:
    take(lake, DAYS[0], *many(3))
    take(lake, DAYS[1], *many(2), faults=[None, Fault(status=403)])
    report = take(lake, DAYS[2], *many(2))
    assert (report.deleted, report.unverified) == (1, 0)


def test_an_api_key_that_is_no_longer_accepted_ends_the_run(lake: Path) -> None:
    take(lake, DAYS[0], *many(3))
    with pytest.raises(AuthError):
        take(lake, DAYS[1], *many(2), faults=[None, Fault(status=401)])
    assert ids(lake, DAYS[0]) == ["c0", "c1", "c2"]


@pytest.mark.parametrize("changes", [{"assetCount": 1.5}, {"ownerId": None}, {"name": None, "updatedAt": None}])
def test_a_row_whose_record_is_not_valid_or_lacks_a_field_is_unverified(lake: Path, changes) -> None:
    take(lake, DAYS[0], *many(3))
    body = {"collection": record(id="c2") | changes}
    report = take(lake, DAYS[1], *many(2), faults=[None, Fault(status=200, body=body)])
    assert (report.deleted, report.updated, report.recovered, report.unverified) == (0, 0, 0, 1)
    assert read_snapshot(lake, "collections", DAYS[1]) == read_snapshot(lake, "collections", DAYS[0])


def test_more_missing_rows_than_the_limit_are_read_in_a_second_read(lake: Path) -> None:
    take(lake, DAYS[0], *many(10))

    def cut(records: list[dict]) -> None:
        del records[:3]

    with MovingList(many(10), [cut, lambda records: records.extend(many(3))]) as api:
        report = take_from(lake, DAYS[1], api, page_size=5, max_lookups=2)
        lists = [path for path in requests_but_projects(api) if "/collections/" not in path]
    assert sorted(ids(lake, DAYS[1])) == [f"c{number}" for number in range(10)]
    assert (report.recovered, report.deleted, report.unverified) == (3, 0, 0)
    assert len(lists) > 2


def test_rows_missing_from_a_second_read_are_looked_up_to_the_limit_and_unverified_beyond_it(lake: Path) -> None:
    take(lake, DAYS[0], *many(10))
    report = take(lake, DAYS[1], *many(6), max_lookups=3)
    assert looked_up() == ["c6", "c7", "c8"]
    assert (report.deleted, report.unverified, report.scan.rows) == (3, 1, 7)


def test_a_row_is_not_deleted_where_the_404_is_a_web_page(lake: Path) -> None:
    take(lake, DAYS[0], *many(3))
    gateway = Fault(status=404, headers={"Content-Type": "text/html"}, body="\n<html><h1>404 Not Found</h1>nginx")
    report = take(lake, DAYS[1], *many(2), faults=[None, gateway])
    assert (report.deleted, report.unverified) == (0, 1)


def test_look_ups_and_a_second_read_are_counted_as_requests(lake: Path, caplog) -> None:
    take(lake, DAYS[0], *many(8))
    with MovingList(many(5), []) as api:
        report = take_from(lake, DAYS[1], api, page_size=5, max_lookups=2, max_shrink=0.9)
        assert report.scan.requests == len(api.requests) == 2 + 2 + 1
    assert (report.scan.pages, report.deleted, report.unverified) == (1, 2, 1)
    assert (
        "1 missing row was not looked up and keeps its last values, because max_lookups is 2; increase --max-lookups"
        in caplog.text
    )


def test_a_response_that_stays_wrong_ends_the_look_ups(lake: Path) -> None:
    take(lake, DAYS[0], *many(9))
    wrong = Fault(status=200, body={"data": {}})
    report = take(lake, DAYS[1], *many(5), faults=[None, *[wrong] * 20])
    assert (report.unverified, report.deleted, report.scan.requests) == (4, 0, 1 + 8 + 1)


def test_the_error_of_the_guard_has_the_number_of_look_ups_that_verify_all_missing_rows(lake: Path) -> None:
    take(lake, DAYS[0], *many(8))
    with pytest.raises(
        GuardError, match=r"--accept-shrink \(accept_shrink=True\), and --max-lookups 7 to verify the missing"
    ):
        take(lake, DAYS[1], *many(1), max_lookups=3)


def test_where_the_guard_rejects_the_snapshot_nothing_is_looked_up(lake: Path) -> None:
    take(lake, DAYS[0], *many(10))
    with pytest.raises(GuardError):
        take(lake, DAYS[1], *many(2))
    assert len(requests_but_projects()) == 1


def test_an_api_that_fails_ends_the_look_ups_and_not_the_run(lake: Path, caplog) -> None:
    take(lake, DAYS[0], *many(6))
    report = take(lake, DAYS[1], *many(3), faults=[None, *[Fault(status=503)] * 8])
    assert (report.deleted, report.unverified, report.scan.rows) == (0, 3, 6)
    assert len(requests_but_projects()) == 9
    assert caplog.messages[-1] == "collections: the lookups end after this failure; not looked up: 2 rows"


@pytest.mark.parametrize("key", ["a/b", "a b", "a?b=c", "a#b", "\u00e4%2F", "a;b", "+"])
def test_an_id_is_percent_encoded(lake: Path, key: str) -> None:
    take(lake, DAYS[0], *many(2), record(id=key))
    report = take(lake, DAYS[1], *many(2), faults=[None, Fault(status=200, body={"collection": record(id=key)})])
    assert (report.recovered, report.deleted) == (1, 0)
    assert take(lake, DAYS[2], *many(2)).deleted == 1


@pytest.mark.parametrize("key", [".", ".."])
def test_an_id_that_a_url_cannot_contain_is_unverified(lake: Path, key: str) -> None:
    take(lake, DAYS[0], *many(2), record(id=key))
    report = take(lake, DAYS[1], *many(2))
    assert (report.unverified, report.deleted) == (1, 0)
    assert len(requests_but_projects()) == 1


def test_the_project_is_a_parameter_of_the_look_up(lake: Path) -> None:
    project = API.project_ids[0]
    rows = many(3, ownerId=project)
    take(lake, DAYS[0], *rows, project_id=project)
    take(lake, DAYS[1], *rows[:2], project_id=project)
    assert parse_qs(urlsplit(requests_but_projects()[-1]).query) == {"projectId": [project]}
