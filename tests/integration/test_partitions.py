import pickle
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest

from scenario_etl import Client, Emulator, Scan, scan
from scenario_etl.errors import AuthError, ConfigError
from tests.dated import NOW, START, DatedAPI, asset, assets, ids, repeated
from tests.helpers import environment

SKEWED = [
    *range(0, 10**6, 5000),
    *range(10**6, 10**6 + 16_000, 10),
    *[10**6 + 20_000] * 30,
    *range(2 * 10**6, 10**7, 10**6),
]
PAGE_SIZE = 10


def read(api: DatedAPI, part: Scan) -> list[str]:
    """The ids of a partition, pickled and given a client."""
    assert part.client is None
    return ids(pickle.loads(pickle.dumps(part)).with_client(api.client()))


@pytest.mark.parametrize("count", [1, 2, 3, 8, 40])
def test_partitions_have_each_row_once_and_about_as_many_rows(count: int) -> None:
    api = DatedAPI(assets(*SKEWED))
    parts = api.scan(page_size=PAGE_SIZE).partitions(count)
    found = [read(api, part) for part in parts]
    together = [key for each in found for key in each]
    assert len(parts) <= count
    assert sorted(together) == [row["id"] for row in api.records]
    if count <= 8:
        assert len(parts) == count
        assert max(map(len, found)) <= 3 * len(SKEWED) / count


@pytest.mark.parametrize("dates", [(), (1,), (5,) * 40, (0, 10**9)])
def test_lists_of_few_dates_are_cut_too(dates: tuple[int, ...]) -> None:
    api = DatedAPI(assets(*dates))
    found = [key for part in api.scan(page_size=PAGE_SIZE).partitions(4) for key in read(api, part)]
    assert sorted(found) == [row["id"] for row in api.records]


def test_a_row_that_is_created_later_is_in_no_partition() -> None:
    api = DatedAPI(assets(*SKEWED))
    parts = api.scan(page_size=PAGE_SIZE).partitions(3)
    later = (NOW - START) // timedelta(milliseconds=1) + 1000
    api.records.append(asset("later", later))
    assert all("later" not in read(api, part) for part in parts)
    assert parts[-1].source.window.end == NOW + timedelta(seconds=1)
    api.records.append(asset("in-time", later - 1))
    assert "in-time" in read(api, parts[-1])


def test_partitions_keep_the_filters_and_the_bounds() -> None:
    api = DatedAPI(assets(*SKEWED))
    bounds = {"created_after": START + timedelta(seconds=900), "created_before": START + timedelta(seconds=1001)}
    described = api.scan(page_size=PAGE_SIZE, **bounds)
    found = [key for part in described.partitions(4) for key in read(api, part)]
    assert sorted(found) == sorted(ids(described))
    assert repeated(found) == []


@pytest.mark.parametrize("is_sorted", [True, False])
def test_a_list_that_windows_cannot_read_is_one_partition(is_sorted: bool) -> None:
    api = DatedAPI(assets(*reversed(range(90))))
    api.is_sorted, api.has_bounds = is_sorted, False
    (part,) = api.scan(page_size=PAGE_SIZE).partitions(4)
    assert part.source.window is None
    assert sorted(read(api, part)) == sorted(row["id"] for row in api.records)


@pytest.mark.parametrize(("count", "groups"), [(1, [3]), (2, [1, 2]), (3, [1, 1, 1])])
def test_a_partition_has_some_of_the_projects(count: int, groups: list[int]) -> None:
    api = DatedAPI({f"p{number}": assets(number) for number in range(3)})
    for arguments in ({"all_projects": True}, {"project_id": ["p0", "p1", "p2"]}):
        parts = api.scan(**arguments).partitions(count)
        assert [len(part.source.projects.ids) for part in parts] == groups
        tables = [part.with_client(api.client()).to_arrow() for part in parts]
        assert [key for table in tables for key in table["project_id"].to_pylist()] == ["p0", "p1", "p2"]


def test_projects_with_more_rows_have_more_partitions() -> None:
    api = DatedAPI({"large": assets(*range(900)), "small": assets(*range(30))})
    parts = api.scan(project_id=["large", "small"], page_size=PAGE_SIZE).partitions(6)
    sizes = [(part.source.projects.ids, len(read(api, part))) for part in parts]
    assert [names for names, _ in sizes].count(("small",)) == 1
    assert len(sizes) <= 6
    assert sum(size for _, size in sizes) == 930


@pytest.mark.parametrize("count", [2, 6])
def test_forbidden_projects_are_skipped_in_partitions_too(count: int) -> None:
    api = DatedAPI({"p1": assets(*range(90))})
    described = api.scan(project_id=["p1", "forbidden"], page_size=PAGE_SIZE, skip_forbidden=True)
    assert sorted(key for part in described.partitions(count) for key in read(api, part)) == sorted(ids(described))
    with pytest.raises(AuthError):
        for part in api.scan(project_id=["p1", "forbidden"], page_size=PAGE_SIZE).partitions(count):
            read(api, part)


def test_a_list_without_filters_by_date_is_one_partition(connect) -> None:
    with Emulator(250) as api:
        (part,) = scan("collections", client=connect(api)).partitions(8)
        assert api.requests == []
        assert part.with_client(connect(api)).to_arrow().num_rows == 250


@pytest.mark.parametrize("count", [0, -1, 1.5, "2", None])
def test_count_is_a_positive_integer(count: Any) -> None:
    with pytest.raises(ConfigError, match="count must be "):
        DatedAPI().scan().partitions(count)


def test_a_window_cannot_be_cut_again_and_has_a_head() -> None:
    api = DatedAPI(assets(*SKEWED))
    part = api.scan(page_size=PAGE_SIZE).partitions(2)[0].with_client(api.client())
    with pytest.raises(ConfigError, match="cannot be partitioned again"):
        part.partitions(2)
    assert part.head(3)["id"].tolist() == ids(part)[:3]


def test_a_partition_is_read_in_another_process_with_the_credentials_of_its_environment() -> None:
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer).to_arrow().num_rows)"
    with Emulator(12) as api, Client("demo", "demo", base_url=api.url) as client:
        described = scan("assets", client=client)
        parts = [pickle.dumps(part) for part in described.partitions(2)]
        command, env = [sys.executable, "-c", code], environment(api)
        counts = [int(subprocess.check_output(command, input=part, env=env)) for part in parts]
        assert sum(counts) == described.to_arrow().num_rows
    assert not any(b"demo" in part for part in parts)


def test_with_client_takes_a_client() -> None:
    with pytest.raises(ConfigError, match="client must be "):
        DatedAPI().scan().with_client("key")
    client = Client("k", "s", base_url="https://api.example/v1")
    assert scan("assets").with_client(client).client is client


def test_no_record_is_left_out_if_the_clock_of_the_server_is_slow() -> None:
    late = round((NOW - START).total_seconds() * 1000) + 3_600_000
    api = DatedAPI(assets(*range(0, late, late // 500)))
    parts = api.scan().partitions(4)
    assert sorted(key for part in parts for key in read(api, part)) == sorted(row["id"] for row in api.records)


def test_no_record_before_an_end_is_left_out_if_the_clock_of_the_server_is_slow() -> None:
    hour = 3_600_000
    api = DatedAPI(assets(*range(0, 1000 * hour, hour)))  # until 11 days after the header Date
    parts = api.scan(page_size=PAGE_SIZE, created_before="2026-12-01").partitions(4)
    assert sum(len(read(api, part)) for part in parts) == 1000


@pytest.mark.parametrize("count", [1, 2, 4])
def test_if_all_projects_are_forbidden_partitions_are_an_error(count: int) -> None:
    api = DatedAPI({"p1": assets(1), "p2": assets(2)})
    api.answer = lambda query: (403, {"reason": "not a member"})
    with pytest.raises(AuthError):
        api.scan(project_id=["p1", "p2"], skip_forbidden=True).partitions(count)


def test_a_record_between_two_milliseconds_is_in_one_partition() -> None:
    records = [asset(number, number) for number in range(400)]
    for record in records:
        record["createdAt"] = record["createdAt"].replace("Z", "500Z")
    api = DatedAPI(records)
    found = [key for part in api.scan().partitions(4) for key in read(api, part)]
    assert sorted(found) == sorted(row["id"] for row in records)
