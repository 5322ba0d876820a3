"""The records of the emulator: made up, changed by users and clients, read and written by many at once."""

import hashlib
import json
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from itertools import islice

import pytest
import requests

from scenario_etl import Emulator
from scenario_etl.emulator.index import BLOCK_ROWS, Index
from tests.integration.test_emulator import get, post


def test_the_team_is_the_same_for_the_same_seed() -> None:
    def rows(seed: int) -> list[dict]:
        with Emulator(20, seed=seed) as api:
            listed = get(api, "/collections?pageSize=100").json()["collections"]
        return [{k: v for k, v in row.items() if k != "thumbnail"} for row in listed]

    assert rows(1) == rows(1) != rows(2)
    assert len({row["id"] for row in rows(1)}) == 20


def test_made_up_records_and_days_are_those_of_every_version() -> None:
    with Emulator(300) as api:
        everything = [[api.record(number, signed=False) for number in range(300)]]
        everything += [[str(day), *api.collections] for day in api.days(12, date(2026, 11, 23))]
    digest = hashlib.sha256(json.dumps(everything).encode()).hexdigest()
    assert digest == "481cbd719ae1b96fc221065a160aff3490da893b2caaa3ee82528d9096d57779"


def test_days_change_the_team_on_weekdays_and_lists_too_little_on_two_nights() -> None:
    with Emulator(100) as api:
        counts = {str(day): len(api.collections) for day in api.days(30, date(2026, 11, 23))}
        assert len(api.collections) == counts["2026-11-23"]
    assert [day for day, count in counts.items() if count < 50] == ["2026-11-04", "2026-11-17"]
    assert counts["2026-11-07"] == counts["2026-11-08"] == counts["2026-11-09"]  # Saturday's snapshot to Monday's


def test_days_that_are_left_early_leave_all_collections_and_keep_those_of_clients() -> None:
    with Emulator(100) as api:
        for day in api.days(30, date(2026, 11, 23)):
            if str(day) == "2026-10-26":
                created = post(api, "Mine").json()["collection"]["id"]
            if str(day) == "2026-11-04":
                break
        assert len(api.collections) > 100
        assert created in {record["id"] for record in api.collections}


def test_its_collections_can_be_replaced_while_it_serves() -> None:
    with Emulator(3) as api:
        ask = {"url": f"{api.url}/collections", "auth": ("demo", "demo"), "timeout": 5}
        records = requests.get(**ask).json()["collections"]
        api.collections = [records[1] | {"name": "renamed"}, records[0] | {"thumbnail": {"assetId": "asset_1"}}]
        first, second = requests.get(**ask).json()["collections"]
    assert first == records[1] | {"name": "renamed"}
    assert "/assets-transform/asset_1?" in second["thumbnail"]["url"]


def listed(api: Emulator, project: str) -> list[str]:
    """The ids on all pages of a project."""
    ids, token = [], ""
    while token is not None:
        query = {"projectId": project, "pageSize": 7, "paginationToken": token}
        page = get(api, "/collections", params=query).json()
        ids += [record["id"] for record in page["collections"]]
        token = page.get("nextPaginationToken")
    return ids


def replace_all(api: Emulator) -> None:
    api.collections = [3, api.record(5), 4]


def replace_and_append(api: Emulator) -> None:
    api.collections = rows = list(range(10))
    listed(api, api.project_ids[0])
    rows.append(11)


def move_in_place(api: Emulator) -> None:
    api.collections[2] = api.record(2)
    listed(api, api.project_ids[0])
    for project in reversed(api.project_ids):
        api.collections[2]["ownerId"] = project


CHANGES: dict[str, Callable[[Emulator], object]] = {
    "assign": replace_all,
    "assign, then append": replace_and_append,
    "append": lambda api: api.collections.append(api.record(4) | {"id": "mine"}),
    "append a number": lambda api: api.collections.append(10**9),
    "delete": lambda api: api.collections.__delitem__(slice(0, 20)),
    "insert": lambda api: api.collections.insert(0, 77),
    "item": lambda api: api.collections.__setitem__(0, api.record(0) | {"ownerId": api.project_ids[3]}),
    "item in place": move_in_place,
    "shuffle": lambda api: random.Random(0).shuffle(api.collections),
    "clear": lambda api: api.collections.clear(),
    "no record": lambda api: api.collections.append("junk"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_pages_of_a_project_are_right_after_any_change_of_the_rows(change) -> None:
    with Emulator(60) as api:
        for _ in range(2):
            records = [api.record(row) for row in api.collections if row != "junk"]
            for project in api.project_ids:
                assert listed(api, project) == [each["id"] for each in records if each["ownerId"] == project]
            change(api)


def test_a_record_is_made_up_once_for_a_filter_and_only_as_far_as_a_page_reaches() -> None:
    made: list[int] = []

    def make(number: int) -> dict[str, int]:
        made.append(number)
        return {"parity": number % 2}

    index, rows = Index(make, "parity"), range(1_000_000)
    assert list(islice(index.select(rows, 1), 100)) == list(range(1, 200, 2))
    assert len(made) == BLOCK_ROWS
    assert list(islice(index.select(rows, 0), 100)) == list(range(0, 200, 2))
    assert len(made) == BLOCK_ROWS
    assert list(index.select([10**9, {"parity": 0}, -1, "x", {}], 0)) == [10**9, {"parity": 0}]
    assert len(made) == 3 * BLOCK_ROWS


class HookedRecord(dict):
    """A record that calls a function when one of its fields is read."""

    def __init__(self, record: dict, hook: Callable[[], object]) -> None:
        super().__init__(record)
        self.hook = hook

    def get(self, *arguments):
        self.hook()
        return super().get(*arguments)


@pytest.mark.parametrize("path", ["/collections", "/collections?projectId=", "/collections/slow"])
def test_a_read_does_not_wait_for_another_one(path: str) -> None:
    reached, release = threading.Event(), threading.Event()

    def wait() -> None:
        reached.set()
        assert release.wait(5)

    with Emulator(5) as api, ThreadPoolExecutor() as pool:
        path += api.project_ids[0] if path.endswith("=") else ""
        others = api.collections
        api.collections = [HookedRecord(api.record(0) | {"id": "slow", "ownerId": api.project_ids[0]}, wait)]
        slow = pool.submit(get, api, path)
        assert reached.wait(5)
        api.collections = others
        assert len(get(api, "/collections").json()["collections"]) == 5
        assert not slow.done()
        release.set()
        assert slow.result().status_code == 200


def test_a_read_sees_the_rows_of_one_moment_though_rows_are_deleted_meanwhile() -> None:
    deletions = 0

    def delete_one() -> None:
        nonlocal deletions
        if deletions:
            deletions -= 1
            del rows[0]

    with Emulator(1) as api:
        project = api.project_ids[0]
        rows = [{"id": f"c{number}", "ownerId": project} for number in range(6)]
        api.collections = rows
        rows[3] = HookedRecord(rows[3], delete_one)
        deletions = 1
        assert listed(api, project) == ["c0", "c1", "c2", "c3", "c4", "c5"]
        deletions = 1
        assert get(api, "/collections/c4").status_code == 200
        assert listed(api, project) == ["c2", "c3", "c4", "c5"]


class SlowlyRead(list):
    """A list that lets other threads go on between the moment it is read and the moment it is changed."""

    def __iter__(self):
        rows = self.copy()
        for _ in range(50):
            time.sleep(0)
        return iter(rows)


def test_changes_by_many_clients_at_once_are_all_made() -> None:
    def change(api: Emulator, number: int) -> str:
        kept, deleted = (post(api, f"{number} {name}").json()["collection"]["id"] for name in ("kept", "deleted"))
        url = f"{api.url}/collections"
        requests.delete(f"{url}/{deleted}", auth=("demo", "demo"), timeout=5)
        requests.put(f"{url}/{kept}", json={"name": f"kept {number}"}, auth=("demo", "demo"), timeout=5)
        return kept

    with Emulator(0) as api, ThreadPoolExecutor(8) as pool:
        api.collections = SlowlyRead()
        kept = list(pool.map(lambda number: change(api, number), range(24)))
        names = {record["id"]: record["name"] for record in api.collections}
    assert names == {identifier: f"kept {number}" for number, identifier in enumerate(kept)}


def test_a_million_rows_stay_numbers_until_they_are_read() -> None:
    with Emulator(1_000_000) as api:
        assert get(api, "/collections").json()["nextPaginationToken"]
        assert api.collections == list(range(1_000_000))
