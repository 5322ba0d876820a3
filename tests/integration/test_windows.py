from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenario_etl.errors import PaginationError
from scenario_etl.windows import MILLISECOND
from tests.dated import START, DatedAPI, Query, asset, assets, ids, text

MINUTE = 60_000  # ms


@pytest.mark.parametrize("page_size", [1, 2, 3, 7, 100])
def test_rows_are_sorted_by_date_and_those_of_one_date_as_the_api_has_them(page_size: int) -> None:
    api = DatedAPI(assets(5, 3, 3, 9, 3, 0, 9, 9, 9, 1))
    described = api.scan(workers=1, page_size=page_size)
    assert ids(described) == [f"a0000{number}" for number in (5, 9, 1, 2, 4, 0, 3, 6, 7, 8)]
    assert described.report.duplicates == 0


def test_300_assets_of_one_millisecond_are_read_with_pages_of_100() -> None:
    api = DatedAPI(assets(*([1] * 50 + [2] * 300 + [3] * 50)))
    assert ids(api.scan(workers=1, page_size=100)) == [f"a{number:05}" for number in range(400)]


@pytest.mark.parametrize("page_size", [1, 2, 3, 4])
def test_records_between_two_milliseconds_are_read_once_although_bounds_have_no_such_date(page_size: int) -> None:
    api = DatedAPI(assets(*[1] * 3, *[2] * 3, *[3] * 3))
    for row in api.records:
        row["createdAt"] = row["createdAt"].replace("Z", f"{100 + int(row['id'][1:])}Z")

    def with_microseconds(query: Query) -> object:
        return api.page(
            {name: text.replace("Z", "000Z") if name[:7] == "created" else text for name, text in query.items()}
        )

    api.answer = with_microseconds
    described = api.scan(workers=1, page_size=page_size, max_pages=100)
    assert ids(described) == [row["id"] for row in api.records]
    assert described.report.duplicates == 0


@pytest.mark.parametrize("more", [0, 1])
def test_a_full_page_of_one_date_at_the_end_is_the_last_or_is_not(more: int) -> None:
    api = DatedAPI(assets(1, 2, *[3] * (4 + more)))
    assert ids(api.scan(workers=1, page_size=4)) == [f"a{number:05}" for number in range(6 + more)]


@pytest.mark.parametrize(("workers", "lost"), [(None, {"a00004"}), (1, set())])
def test_a_record_that_is_deleted_meanwhile_costs_pages_by_token_another_but_not_windows(workers, lost: set) -> None:
    api = DatedAPI(assets(*range(10)))

    def delete_the_first(query: Query) -> None:
        if len(api.queries) == 1:
            del api.records[0]

    api.answer = delete_the_first
    assert {row["id"] for row in assets(*range(10))} - {*ids(api.scan(workers=workers, page_size=4))} == lost


def test_the_first_record_after_a_full_millisecond_is_not_skipped_when_one_of_it_is_deleted() -> None:
    api = DatedAPI(assets(1, 1, 5, 9, 12))

    def delete_once(query: Query) -> None:
        if "paginationToken" in query and api.records[0]["id"] == "a00000":
            del api.records[0]

    api.answer = delete_once
    assert ids(api.scan(workers=1, page_size=2)) == [f"a{number:05}" for number in range(5)]


def test_a_millisecond_of_several_pages_is_read_until_nothing_was_deleted_meanwhile() -> None:
    api = DatedAPI(assets(*[1] * 9, 5))
    victims = iter(["a00000", "a00001"])

    def delete_twice(query: Query) -> None:
        if query.get("paginationToken") == "2" and (victim := next(victims, None)):
            api.records[:] = [row for row in api.records if row["id"] != victim]

    api.answer = delete_twice
    assert {f"a{number:05}" for number in range(2, 10)} <= {*ids(api.scan(workers=1, page_size=2))}


class Changes:
    """Changes a list before each request, as the numbers say."""

    def __init__(self, api: DatedAPI, numbers: list[int], deletions: int) -> None:
        self.api, self.numbers, self.deletions, self.created = api, list(numbers), deletions, 0
        self.deleted: set[str] = set()

    def __call__(self, query: Query) -> None:
        for _ in range(2):
            number = self.numbers.pop() if self.numbers else 0
            rows = self.api.records
            kind, place = number % 4, number // 4
            if kind == 1 and rows and self.deletions:
                self.deletions -= 1
                self.deleted.add(rows.pop(place % len(rows))["id"])
            elif kind == 2:
                self.created += 1
                rows.append(asset(f"new{self.created}", place % 8))
            elif kind == 3 and rows:
                rows[place % len(rows)] |= {"description": str(number)}


@settings(max_examples=150)
@given(
    dates=st.lists(st.integers(0, 6), max_size=16),
    numbers=st.lists(st.integers(0, 255), max_size=60),
    page_size=st.integers(1, 5),
    has_bounds=st.booleans(),
)
def test_rows_from_before_to_after_a_run_are_in_it_whatever_changes_meanwhile(
    dates: list[int], numbers: list[int], page_size: int, has_bounds: bool
) -> None:
    api = DatedAPI(assets(*dates))
    before = {row["id"] for row in api.records}
    api.answer = changing = Changes(api, numbers, deletions=4)  # more could spoil each of the five reads of one date
    bounds = {"created_before": START + timedelta(milliseconds=20)} if has_bounds else {}
    described = api.scan(workers=1, page_size=page_size, **bounds)
    found = described.to_arrow()
    assert before - changing.deleted <= {*ids(found)}
    assert len({*ids(found)}) == found.num_rows
    dates_read = found["created_at"].to_pylist()
    assert all(first <= second for first, second in pairwise(dates_read))
    assert described.report.duplicates == 0


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [text for text in caplog.messages if "cannot be read in windows" in text]


def test_a_list_that_is_not_sorted_is_read_in_one_pass(caplog) -> None:
    api = DatedAPI(assets(9, 3, 5, 7, 1, 0, 2, 4))
    api.is_sorted = False
    assert ids(api.scan(workers=3, page_size=3)) == [f"a0000{number}" for number in range(8)]
    assert warnings_of(caplog) == [
        "assets: the list cannot be read in windows, because it is not sorted by date; reading it in one pass"
    ]


def test_a_list_that_ignores_the_bounds_is_read_in_one_pass(caplog) -> None:
    api = DatedAPI(assets(*range(0, 80, 2)))
    api.has_bounds = False
    assert sorted(ids(api.scan(workers=3, page_size=10))) == [f"a{number:05}" for number in range(40)]
    assert len(warnings_of(caplog)) == 1


def test_a_list_that_is_filtered_after_paging_is_read_in_one_pass(caplog) -> None:
    api = DatedAPI(assets(*range(60)))

    def filter_late(query: Query) -> object:
        page = api.page({name: value for name, value in query.items() if not name.startswith("created")})
        after = query.get("createdAfter", "")
        return page | {"assets": [row for row in page["assets"] if row["createdAt"] > after]}

    api.answer = filter_late
    described = api.scan(workers=2, page_size=5, max_pages=20, created_after=START + timedelta(milliseconds=22))
    assert sorted(ids(described)) == [f"a{number:05}" for number in range(23, 60)]
    assert len(warnings_of(caplog)) == 1


@pytest.mark.parametrize(("up", "down"), [(True, True), (True, False), (False, True)])
def test_a_list_whose_bounds_are_rounded_to_seconds_is_read_in_one_pass(caplog, up: bool, down: bool) -> None:
    api = DatedAPI(assets(*range(0, 40_000, 170)))

    def with_rounded_bounds(query: Query) -> object:
        rounded = {}
        if up and "createdAfter" in query:
            rounded["createdAfter"] = query["createdAfter"][:-5] + ".999Z"  # as good as the next second
        if down and "createdBefore" in query:
            rounded["createdBefore"] = query["createdBefore"][:-5] + ".000Z"
        return api.page(query | rounded)

    api.answer = with_rounded_bounds
    assert sorted(ids(api.scan(workers=3, page_size=10))) == [row["id"] for row in api.records]
    assert warnings_of(caplog) == [
        "assets: the list cannot be read in windows, because the API rounds the bounds of dates; reading it in one pass"
    ]


@pytest.mark.parametrize("unit", [10, 100, 1000])
@pytest.mark.parametrize("step", [1, 5, 250, 500])
def test_a_list_whose_bounds_are_rounded_to_the_nearest_unit_has_all_rows(unit: int, step: int) -> None:
    api = DatedAPI(assets(*(number * number * step % 200_003 for number in range(300))))

    def nearest(query: Query) -> object:
        bounds = {name: query[name] for name in ("createdAfter", "createdBefore") if name in query}
        numbers = {name: round((datetime.fromisoformat(each) - START) / MILLISECOND) for name, each in bounds.items()}
        return api.page(query | {name: text((number + unit // 2) // unit * unit) for name, number in numbers.items()})

    api.answer = nearest
    assert sorted(ids(api.scan(workers=2, page_size=10))) == [row["id"] for row in api.records]


@pytest.mark.parametrize("created", [None, "yesterday", 7, "2026-03-01T00:00:00", ""])
def test_a_list_with_a_record_without_a_date_is_read_in_one_pass(caplog, created: object) -> None:
    api = DatedAPI(assets(*range(30)))
    api.is_sorted = api.has_bounds = False

    def without_date(query: Query) -> object:
        page = api.page(query)
        rows = [row | {"createdAt": created} if row["id"] == "a00004" else row for row in page["assets"]]
        if query.get("sortBy"):
            return page | {"assets": rows}
        return None

    api.answer = without_date
    assert ids(api.scan(workers=2, page_size=10)) == [f"a{number:05}" for number in range(30)]
    assert len(warnings_of(caplog)) == 1


@pytest.mark.parametrize("workers", [1, 4])
def test_one_pass_has_the_bounds_that_the_caller_gave(caplog, workers: int) -> None:
    api = DatedAPI(assets(*reversed(range(0, 50 * MINUTE, MINUTE))))
    api.is_sorted = False
    bounds = {"created_after": START + timedelta(minutes=9), "created_before": START + timedelta(minutes=40)}
    plain = ids(api.scan(page_size=5, **bounds))
    assert len(plain) == 30
    assert ids(api.scan(page_size=5, workers=workers, **bounds)) == plain
    assert len(warnings_of(caplog)) == 1


def test_a_list_of_one_page_needs_one_request() -> None:
    api = DatedAPI(assets(1, 2, 2, 3))
    assert ids(api.scan(workers=1)) == ["a00000", "a00001", "a00002", "a00003"]
    assert api.queries == [{"sortBy": "createdAt", "sortDirection": "asc", "pageSize": "100"}]
    assert api.scan(workers=1, created_after=START + timedelta(days=1)).to_arrow().num_rows == 0


def test_a_list_that_is_longer_than_max_pages_is_a_pagination_error() -> None:
    api = DatedAPI(assets(*range(40)))
    for workers in (1, 3):
        with pytest.raises(PaginationError, match=r"more than 3 pages.*--max-pages"):
            api.scan(workers=workers, page_size=5, max_pages=3).to_arrow()


@pytest.mark.parametrize("workers", [1, 3])
def test_max_pages_counts_the_pages_of_all_windows(workers: int) -> None:
    api = DatedAPI(assets(*range(100)))  # 50 pages, of which a part has ten
    with pytest.raises(PaginationError, match=r"more than 25 pages.*--max-pages"):
        api.scan(workers=workers, page_size=2, max_pages=25).to_arrow()


def test_one_pass_over_a_list_that_ignores_the_bounds_has_no_row_outside_of_them() -> None:
    api = DatedAPI(assets(*range(40)))
    api.has_bounds = False
    bounds = {"created_after": START + timedelta(milliseconds=9), "created_before": START + timedelta(milliseconds=30)}
    assert sorted(ids(api.scan(workers=2, page_size=5, **bounds))) == [f"a{number:05}" for number in range(10, 30)]


@pytest.mark.parametrize("page_size", [1, 2, 100])
def test_a_list_in_descending_order_is_read_by_token_even_if_its_newest_page_has_one_date(page_size: int) -> None:
    api = DatedAPI(assets(*range(150), *[200] * page_size))
    api.is_sorted = False
    api.projects[None].reverse()
    assert sorted(ids(api.scan(workers=2, page_size=page_size))) == sorted(row["id"] for row in api.records)
