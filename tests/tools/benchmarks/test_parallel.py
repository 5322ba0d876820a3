"""The server of the parallel benchmarks pages, filters, sorts, changes and counts as the API does."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest
import requests

from tests.tools.benchmarks.__main__ import serving

ROWS, PROJECTS = 250, 3
FIRST, SECOND, LAST = "proj_0000", "proj_0001", "proj_0002"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(ROWS, 0, "assets", PROJECTS) as running:
        yield running


def read(url: str, **query: str) -> list[dict]:
    """All pages of a list of assets; each but the last is full."""
    found, token = [], {}
    while True:
        page = requests.get(f"{url}/assets", {"pageSize": "100", **query, **token}, timeout=60).json()
        found += page["assets"]
        if "nextPaginationToken" not in page:
            return found
        assert len(page["assets"]) == 100
        token = {"paginationToken": page["nextPaginationToken"]}


def test_projects_have_their_own_records_and_are_listed_alone_and_with_their_team(url: str) -> None:
    found = {name: read(url, projectId=name) for name in (FIRST, SECOND, LAST)}
    assert {name: {record["ownerId"] for record in records} for name, records in found.items()} == {
        name: {name} for name in found
    }
    assert len({record["id"] for records in found.values() for record in records}) == ROWS * PROJECTS
    assert read(url) == found[FIRST]
    first = requests.get(f"{url}/projects", {"pageSize": "2"}, timeout=60).json()
    query = {"pageSize": "2", "paginationToken": first["nextPaginationToken"]}
    second = requests.get(f"{url}/projects", query, timeout=60).json()
    assert "nextPaginationToken" not in second
    assert [each["id"] for each in first["projects"] + second["projects"]] == list(found)
    (team,) = requests.get(f"{url}/teams", timeout=60).json()["teams"]
    assert [each["id"] for each in team["projects"]] == list(found)


def test_windows_have_each_record_once_and_none_at_their_bounds(url: str) -> None:
    created = {"projectId": LAST, "sortBy": "createdAt", "sortDirection": "asc"}
    everything = read(url, **created)
    assert everything == read(url, projectId=LAST)
    times = [record["createdAt"] for record in everything]
    assert times == sorted(times)
    assert len(set(times)) == ROWS * 49 // 50
    assert times[48] == times[49]
    bounds = times[60], times[48], times[140]
    windows = [
        read(url, **created, **{name: bound for name, bound in edges.items() if bound})
        for edges in (
            {"createdAfter": after, "createdBefore": before}
            for after, before in itertools.pairwise(["", *sorted(bounds), ""])
        )
    ]
    assert [record for window in windows for record in window] == [
        record for record in everything if record["createdAt"] not in bounds
    ]
    assert read(url, **created | {"sortDirection": "desc"}) == everything[::-1]
    newest = requests.get(f"{url}/assets", created | {"sortDirection": "desc", "pageSize": "1"}, timeout=60).json()
    assert newest["assets"] == everything[-1:]
    assert read(url, **created, createdAfter=times[5], createdBefore=times[3]) == []


def test_half_of_the_records_were_created_in_a_tenth_of_the_time(url: str) -> None:
    times = [datetime.fromisoformat(record["createdAt"]) for record in read(url)]
    share = (times[ROWS * 3 // 4] - times[ROWS // 4]) / (times[-1] - times[0])
    assert share == pytest.approx(0.1, abs=0.02)


def test_a_filter_by_one_date_is_refused_in_a_list_sorted_by_another(url: str) -> None:
    query = {"sortBy": "updatedAt", "createdAfter": "2024-01-01T00:00:00.000Z"}
    assert requests.get(f"{url}/assets", query, timeout=60).status_code == 400


def test_changed_records_are_those_updated_after_the_newest_of_before_and_not_after_now() -> None:
    updated = {"sortBy": "updatedAt", "sortDirection": "asc"}
    with serving(ROWS, 0, "assets", PROJECTS) as url:
        names = (FIRST, SECOND, LAST)
        before = {name: read(url, projectId=name, **updated) for name in names}
        newest = before[FIRST][-1]["updatedAt"]
        assert before[FIRST] == read(url)
        requests.put(f"{url}/changes", params={"records": "6"}, timeout=60).close()
        date = parsedate_to_datetime(requests.get(f"{url}/teams", timeout=60).headers["Date"])
        changed = [record for name in names for record in read(url, projectId=name, **updated, updatedAfter=newest)]
        assert [record["ownerId"] for record in changed] == [FIRST, FIRST, SECOND, SECOND, LAST, LAST]
        times = [record["updatedAt"] for record in changed]
        assert times == sorted(set(times))
        assert datetime.fromisoformat(times[-1]) < date + timedelta(seconds=1)
        old = {record["id"]: record for records in before.values() for record in records}
        for record in changed:
            assert record["description"] == f"Changed at {record['updatedAt']}."
            same = record.keys() - {"description", "updatedAt"}
            assert {name: record[name] for name in same} == {name: old[record["id"]][name] for name in same}
            found = requests.get(f"{url}/assets/{record['id']}", timeout=60).json()
            assert found == {"asset": record}
        assert len(read(url, projectId=LAST, **updated, updatedBefore=times[0])) == ROWS - 2
        after = read(url, projectId=LAST)
        assert [record["id"] for record in after] == [record["id"] for record in before[LAST]]
        assert sorted(after, key=lambda record: record["updatedAt"]) == read(url, projectId=LAST, **updated)


def test_requests_are_counted_by_project() -> None:
    with serving(ROWS, 0, "assets", PROJECTS) as url:
        read(url, projectId=SECOND)
        read(url)
        for path in ("projects", "teams", "requests"):
            requests.get(f"{url}/{path}", timeout=60).close()
        counts = requests.get(f"{url}/requests", timeout=60).json()
    assert counts == {"total": 8, "by_project": {FIRST: 3, SECOND: 3}}


def test_the_date_of_a_response_is_the_time_of_the_server(url: str) -> None:
    date = parsedate_to_datetime(requests.get(f"{url}/teams", timeout=60).headers["Date"])
    assert abs(datetime.now(UTC) - date) < timedelta(minutes=1)
