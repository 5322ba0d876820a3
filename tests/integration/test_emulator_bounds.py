"""Bounds of dates on sorted lists: each finds what a filter over the whole list finds, also while records change."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
import requests

from scenario_etl import Emulator
from tests.integration.test_emulator import get
from tests.integration.test_emulator_lists import NOW
from tests.integration.test_emulator_team import AUTH, read


@pytest.fixture(scope="module")
def many() -> Iterator[Emulator]:
    with Emulator(20, assets=700, projects=3, now=NOW) as running:
        yield running


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("field", ["created", "updated"])
@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_any_bounds_give_the_records_between_them_in_their_order(many, field: str, direction: str, late: bool) -> None:
    many._account.filters_dates_late = late
    rng = random.Random(f"{field} {direction}")
    order = {"sortBy": f"{field}At", "sortDirection": direction}
    everything = read(many, "assets", **order)
    dates = [each[f"{field}At"] for each in everything]
    for _ in range(12):
        low, high = (shifted(rng.choice(dates), rng.choice((-1, 0, 0, 1))) for _ in range(2))
        project = rng.choice(many.project_ids)
        bounds = {f"{field}After": low, f"{field}Before": high}
        found = read(many, "assets", projectId=project, **order, **bounds)
        assert found == [each for each in everything if each["ownerId"] == project and low < each[f"{field}At"] < high]
        found = read(many, "assets", **order, **{f"{field}After": low})
        assert found == [each for each in everything if low < each[f"{field}At"]]


def shifted(text: str, milliseconds: int) -> str:
    moment = datetime.fromisoformat(text) + timedelta(milliseconds=milliseconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def test_bounds_outside_of_the_list_give_all_or_nothing(many) -> None:
    many._account.filters_dates_late = False
    early, late = "2000-01-01T00:00:00Z", "2100-01-01T00:00:00Z"
    everything = read(many, "assets", sortBy="createdAt")
    assert read(many, "assets", sortBy="createdAt", createdAfter=early, createdBefore=late) == everything
    for wrong in ({"createdAfter": late}, {"createdBefore": early}, {"createdAfter": late, "createdBefore": early}):
        assert read(many, "assets", sortBy="createdAt", **wrong) == []
    nobody = {"authorId": "nobody", "sortBy": "createdAt", "createdAfter": early}
    assert read(many, "assets", **nobody) == []
    assert get(many, "/assets?sortBy=createdAt&authorId=nobody&createdAfter=yesterday").status_code == 400


def test_a_change_is_seen_by_the_next_request_with_another_bound() -> None:
    with Emulator(5, assets=50, now=NOW) as api:
        query = {"sortBy": "updatedAt", "sortDirection": "asc"}
        first = read(api, "assets", **query)[0]
        assert read(api, "assets", **query, updatedAfter="2026-11-01T00:00:00Z") == []
        api.now = NOW + timedelta(hours=1)
        requests.put(f"{api.url}/assets/{first['id']}", json={"description": "new"}, **AUTH)
        (found,) = read(api, "assets", **query, updatedAfter="2026-11-01T00:59:59.999Z")
        assert (found["id"], found["description"]) == (first["id"], "new")
        assert read(api, "assets", **query, updatedAfter="2026-11-01T01:00:00Z") == []
        requests.delete(f"{api.url}/assets/{first['id']}", **AUTH)
        assert read(api, "assets", **query, updatedAfter="2026-11-01T00:00:00Z") == []


def test_threads_read_whole_lists_while_others_write() -> None:
    with Emulator(8, assets=600, projects=4 + 1, now=NOW) as api:
        before = {each["id"]: each for each in read(api, "assets")}
        doomed, changed = list(before)[:30], list(before)[30:60]
        kept = {*before} - {*doomed}

        def write(number: int) -> None:
            requests.delete(f"{api.url}/assets/{doomed[number]}", **AUTH).raise_for_status()
            url = f"{api.url}/assets/{changed[number]}"
            requests.put(url, json={"description": "changed"}, **AUTH).raise_for_status()
            created = requests.post(f"{api.url}/assets", json={"name": f"{number}.png"}, **AUTH).json()["asset"]
            assert get(api, f"/assets/{created['id']}").json() == {"asset": created}

        def scan(_: int) -> None:
            records, bound = [], "2000-01-01T00:00:00Z"
            while page := page_after(api, bound):
                dates = [each["createdAt"] for each in page]
                assert dates == sorted(dates)
                assert bound < dates[0]
                records += page
                bound = dates[-1]
            assert kept <= {each["id"] for each in records}

        with ThreadPoolExecutor(10) as pool:
            readers = [pool.submit(scan, number) for number in range(16)]
            writers = [pool.submit(write, number) for number in range(30)]
            for each in [*readers, *writers]:
                each.result()
        after = {each["id"]: each for each in read(api, "assets")}
        assert len(after) == len(before)
        assert kept < {*after}
        assert {after[each]["description"] for each in changed} == {"changed"}


def page_after(api: Emulator, bound: str) -> list[dict[str, Any]]:
    """The next records; no page ends between two that were created at the same time."""
    query = {"sortBy": "createdAt", "sortDirection": "asc", "createdAfter": bound, "pageSize": "100"}
    page = get(api, "/assets", params=query).json()["assets"]
    last = page[-1]["createdAt"] if len(page) == 100 else None
    shorter = [each for each in page if each["createdAt"] != last]
    return shorter or page
