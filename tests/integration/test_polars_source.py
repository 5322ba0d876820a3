"""A LazyFrame of a scan has the rows of the eager frame, with fewer requests."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import reduce
from operator import and_, eq, ge, gt, le, lt, ne, or_, xor
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from scenario_etl import AuthError, Emulator, scan
from scenario_etl.errors import ConfigError
from scenario_etl.polars_source import with_bounds
from tests.dated import BOUNDS, START, DatedAPI, asset, assets, text

ENGINES = ("in-memory", "streaming")
created, updated = pl.col("created_at"), pl.col("updated_at")
OFFSETS = [
    timedelta(milliseconds=ms, microseconds=us)
    for ms in (-1000, 0, 1000, 2000, 5000, 9000)
    for us in (-1, 0, 1, 500, 999)
]
LITERALS: list[Callable[[datetime], Any]] = [
    lambda moment: moment,
    pl.lit,
    lambda moment: moment.astimezone(timezone(timedelta(hours=-7))),
    lambda moment: pl.lit(moment).dt.convert_time_zone("Asia/Tokyo").dt.convert_time_zone("UTC"),
    lambda moment: pl.lit(moment).cast(pl.Datetime("ns", "UTC")),
    lambda moment: pl.lit(moment).cast(pl.Datetime("ms", "UTC")),
    lambda moment: pl.datetime(
        moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second, moment.microsecond,
        time_zone="UTC",
    ),
    lambda moment: moment.date(),
    lambda moment: pl.lit(None, pl.Datetime("us", "UTC")),
]  # fmt: skip

moments = st.sampled_from(OFFSETS).map(lambda offset: START + offset)
literals = st.builds(lambda make, moment: make(moment), st.sampled_from(LITERALS), moments)
columns = st.sampled_from([created, updated])
comparisons = st.sampled_from([gt, ge, lt, le, eq, ne])
leaves = st.one_of(
    st.builds(lambda compare, column, value: compare(column, value), comparisons, columns, literals),
    st.builds(lambda compare, column, value: compare(pl.lit(value), column), comparisons, columns, moments),
    st.builds(
        lambda column, bounds, closed: column.is_between(*bounds, closed=closed),
        columns, st.tuples(literals, literals), st.sampled_from(["both", "left", "right", "none"]),
    ),
    st.builds(
        lambda compare, moment: compare(
            created.dt.convert_time_zone("Asia/Tokyo"), pl.lit(moment).dt.convert_time_zone("Asia/Tokyo")
        ),
        comparisons, moments,
    ),
    st.sampled_from([
        created.is_null(), updated.is_not_null(), created < updated, created.dt.second() > 3, pl.lit(True),
        pl.col("id") > "a00003", pl.col("id").is_in(["a00001", "a00007"]), created.is_in([START]),
    ]),
)  # fmt: skip
predicates = st.recursive(
    leaves,
    lambda parts: (
        st.builds(lambda join, left, right: join(left, right), st.sampled_from([and_, or_, xor]), parts, parts)
        | parts.map(lambda part: ~part)
    ),
    max_leaves=6,
)
slices = st.none() | st.tuples(st.integers(0, 5), st.integers(0, 9))
dates = st.sampled_from(["", *map(text, range(0, 10_000, 1000))])  # of no date, or in order
rows = st.lists(st.tuples(dates, dates), max_size=12).map(
    lambda pairs: [
        asset(f"a{number:05}", 0, createdAt=first or None, updatedAt=second or None)
        for number, (first, second) in enumerate(sorted(pairs))  # in the order of windows
    ]
)


@dataclass(frozen=True)
class Query:
    """Slice, filter, sort, slice again and select."""

    predicate: pl.Expr
    first: tuple[int, int] | None
    then: tuple[int, int] | None
    names: list[str] | None

    def __call__(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        frame = frame.slice(*self.first) if self.first else frame
        frame = frame.filter(self.predicate).sort(pl.col("^(id|project_id)$"))
        frame = frame.slice(*self.then) if self.then else frame
        return frame.select(self.names) if self.names else frame


names = st.sampled_from([None, ["id"], ["updated_at", "kind", "id"]])
queries = st.builds(Query, predicates, slices, slices, names)


@settings(max_examples=500)
@given(predicates)
def test_no_row_that_matches_a_predicate_is_outside_of_the_bounds(predicate: pl.Expr) -> None:
    moments = [None, *(START + offset for offset in OFFSETS)]
    rows = pl.DataFrame({"id": ["a00003"], "created_at": [moments], "updated_at": [moments]})
    rows = rows.explode("created_at").explode("updated_at").filter(predicate)
    query = with_bounds(scan("assets").source, predicate).query
    for name, (field, compare) in BOUNDS.items():
        if name in query:
            column = rows[{"createdAt": "created_at", "updatedAt": "updated_at"}[field]]
            assert column.null_count() == 0
            assert compare(column, datetime.fromisoformat(query[name])).all()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("arguments", [{}, {"workers": 2}, {"project_id": ["p", "q"]}], ids=str)
@settings(max_examples=60)
@given(rows=rows, query=queries, has_bounds=st.booleans())
def test_any_query_gives_the_rows_of_the_eager_frame(engine: str, arguments, rows, query, has_bounds) -> None:
    api = DatedAPI({None: rows, "p": rows, "q": rows[::2]})
    api.has_bounds = has_bounds
    described = api.scan(page_size=3, **arguments)

    lazy = query(described.to_polars())
    expected = query(pl.DataFrame(described).lazy()).collect()
    assert_frame_equal(lazy.collect(engine=engine), expected)
    assert_frame_equal(lazy.collect(engine=engine), expected)


NINE = datetime(2026, 3, 1, 0, 0, 9, tzinfo=UTC)
RECENT = [  # bounds that Polars 1.30 does not push down
    (created.is_between(START, NINE), {"createdAfter": text(-2000), "createdBefore": text(11000)}),
    (created >= pl.datetime(2026, 3, 1, time_zone="UTC"), {"createdAfter": text(-2000)}),
    (created >= START.date(), {"createdAfter": text(-2000)}),
]


@pytest.mark.parametrize(
    ("predicate", "sent"),
    [
        (created > NINE, {"createdAfter": text(7000)}),
        (pl.lit(NINE) >= created, {"createdBefore": text(11000)}),
        (created == NINE, {"createdAfter": text(7000), "createdBefore": text(11000)}),
        ((created > START) & (created > NINE) & pl.col("kind").is_null(), {"createdAfter": text(7000)}),
        ((created > START) | (created > NINE), {"createdAfter": text(-2000)}),
        ((created > NINE) & (updated > NINE), {"createdAfter": text(7000)}),
        (updated < NINE, {"updatedBefore": text(11000)}),
        *(RECENT if int(pl.__version__.partition(".")[0]) >= 2 else ()),
        ((created > START) | pl.col("kind").is_null(), {}),
        ((created > START) ^ (created > NINE), {}),
        (created.is_null(), {}),
        (created > updated, {}),
        (created != NINE, {}),
        (created < created.max(), {}),
        (created > datetime(1, 1, 1, tzinfo=UTC), {}),
        (created < pl.lit(2**62).cast(pl.Datetime("us", "UTC")), {}),
        (reduce(or_, [created == NINE + timedelta(number) for number in range(300)]), {}),
    ],
    ids=lambda value: str(value)[:60],
)
def test_bounds_of_dates_are_sent_to_the_api(predicate: pl.Expr, sent: dict[str, str]) -> None:
    api = DatedAPI(assets(*range(0, 20_000, 1000)))
    frame = api.scan().to_polars().filter(predicate).collect()
    used = {name: value for name, value in api.queries[0].items() if name.endswith(("After", "Before"))}
    assert used == sent
    assert frame.sort("id").equals(pl.DataFrame(api.scan()).filter(predicate))


@pytest.mark.parametrize(
    "arguments",
    [
        {"created_after": START},
        {"deleted": True},
        {"sort_by": "updatedAt"},
        {"privacy": "public", "allow_public": True},
    ],
    ids=str,
)  # fmt: skip
def test_a_bound_is_not_sent_if_it_cannot_be_used_with_the_filters_of_the_scan(arguments) -> None:
    api = DatedAPI(assets(*range(0, 20_000, 1000)))
    assert api.scan(**arguments).to_polars().filter(created > NINE).collect()["id"].min() == "a00010"
    assert text(7000) not in api.queries[0].values()


def test_a_bound_that_prevents_reading_in_windows_is_not_sent() -> None:
    api = DatedAPI(assets(*range(0, 20_000, 1000)))
    assert api.scan(workers=2).to_polars().filter(updated > NINE).collect().height == 10
    assert not any("updatedAfter" in query for query in api.queries)
    assert api.scan(workers=2).to_polars().filter(created > NINE).collect().height == 10
    assert api.queries[-1]["createdAfter"] >= text(6000)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("workers", [None, 2])
def test_the_first_rows_need_few_requests(engine: str, workers: int | None) -> None:
    api = DatedAPI(assets(*range(200)))
    frame = api.scan(page_size=50, workers=workers).to_polars()
    assert frame.head(3).collect(engine=engine)["id"].to_list() == ["a00000", "a00001", "a00002"]
    assert [query["pageSize"] for query in api.queries] == ["3"]
    assert frame.head(60).filter(created > START + timedelta(milliseconds=58)).collect(engine=engine).height == 1
    assert len(api.queries) == 3
    assert frame.head(0).collect(engine=engine).shape == (0, len(frame.collect_schema()))
    assert len(api.queries) == 3


def test_a_partition_takes_a_client_and_is_a_lazy_frame_too() -> None:
    api = DatedAPI(assets(*range(0, 40_000, 100)))
    parts = [part.with_client(api.client()).to_polars() for part in api.scan(page_size=20).partitions(3)]
    recent = pl.concat(parts).filter(created > START + timedelta(seconds=10))
    assert sorted(recent.collect()["id"]) == [f"a{number:05}" for number in range(101, 400)]


def test_each_collect_is_a_new_run(connect) -> None:
    with Emulator(12, late_filters=True) as api:
        described = scan("assets", client=connect(api))
        frame, middle = described.to_polars(), described.to_arrow()["created_at"][50].as_py()
        assert described.report.rows == frame.select(pl.len()).collect().item()
        both = frame.filter(middle < created).collect(), frame.filter(middle < created).collect()
        assert both[0].equals(both[1])
        assert both[0].sort("id").equals(pl.DataFrame(described).filter(middle < created).sort("id"))
        assert frame.join(frame, on="id").collect().height == described.report.rows


@pytest.mark.parametrize("engine", ENGINES)
def test_an_error_has_the_message_of_the_run(connect, engine: str) -> None:
    with Emulator(3) as api, connect(api, api_secret="wrong") as client:
        with pytest.raises((AuthError, pl.exceptions.ComputeError), match="check api_key and api_secret") as caught:
            scan("collections", client=client).to_polars().collect(engine=engine)
        assert "wrong" not in str(caught.value)


@pytest.mark.parametrize("missing", ["polars", "polars.io.plugins"])
def test_without_polars_the_error_says_what_to_install(monkeypatch, missing: str) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ConfigError, match=r"requires polars 1.30 or later; install it: pip install 'polars>=1.30'$"):
        scan("collections").to_polars()


def test_the_schema_needs_no_request() -> None:
    assert scan("assets").to_polars().collect_schema() == pl.DataFrame(scan("assets").schema.empty_table()).schema
