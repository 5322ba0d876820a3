"""A scan as a Polars LazyFrame: the first rows, columns and bounds of dates that a query needs."""

import operator
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from scenario_etl.errors import ConfigError
from scenario_etl.filters import DATE, can_add
from scenario_etl.source import Source

if TYPE_CHECKING:
    import polars as pl

DATE_COLUMNS = ("created_at", "updated_at")
COMPARISONS: dict[Callable[[Any, Any], Any], tuple[str, ...]] = {
    operator.gt: ("after",), operator.ge: ("after",), operator.lt: ("before",), operator.le: ("before",),
    operator.eq: ("after", "before"),
}  # fmt: skip
OPPOSITE = {"after": "before", "before": "after"}
NANOSECONDS = {"ns": 1, "us": 1000, "ms": 1_000_000, "day": 86_400_000_000_000}
MARGIN = timedelta(seconds=2)  # bounds of the API are exclusive, and it may round them
MAX_DEPTH = 100  # of a predicate
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Bounds = dict[str, datetime]  # widened by MARGIN, by the name of the filter, such as "created_after"
ReadBatches = Callable[[Source, int | None], Iterator[pa.RecordBatch]]


def lazy_frame(source: Source, read: ReadBatches) -> "pl.LazyFrame":
    """Return a LazyFrame of a source.

    Args:
        source: What is read.
        read: Function of a source and a number of rows that starts a new run, and yields all rows for None, or the
            first ones.

    Raises:
        ConfigError: Polars is not installed, or too old.

    """
    try:
        import polars as pl  # noqa: PLC0415 - not installed with the package
        from polars.io.plugins import register_io_source  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError("to_polars requires polars 1.30 or later; install it: pip install 'polars>=1.30'") from error

    def frames(
        columns: list[str] | None, predicate: "pl.Expr | None", n_rows: int | None, _: int | None
    ) -> Iterator["pl.DataFrame"]:
        """Yield the rows that match the predicate, among the first `n_rows` if both are set."""
        used = source if predicate is None or n_rows is not None else with_bounds(source, predicate)
        # in the order of the schema, because the streaming engine of Polars 1.30 mixes up columns in another order
        names = [name for name in source.resource.schema.names if columns is None or name in columns]
        for batch in read(used, n_rows):
            frame = pl.DataFrame(batch)
            yield (frame if predicate is None else frame.filter(predicate)).select(names)

    schema = pl.DataFrame(source.resource.schema.empty_table()).schema
    return register_io_source(frames, schema=schema, validate_schema=True)


def with_bounds(source: Source, predicate: "pl.Expr") -> Source:
    """Return a source with the filters by date that follow from a predicate, as far as the list has them.

    It has all rows that match the predicate, and usually others.
    """
    if source.window is not None:
        return source
    filters = {each.name: each for each in source.resource.filters}
    for name, bound in sorted(_bounds(predicate, MAX_DEPTH).items()):
        if not can_add(source.resource.filters, source.query, [name]) or filters[name].api_name in source.query:
            continue
        sent = {**filters[name].adds, filters[name].api_name: DATE.encode(name, bound)}
        filtered = replace(source, query={**source.query, **sent})
        if filtered.is_windowed == source.is_windowed:  # which a filter by date of update would change
            source = filtered
    return source


def _bounds(predicate: "pl.Expr", depth: int) -> Bounds:
    """Return the bounds on dates that follow from a predicate.

    Polars does not expose the operator of an expression, so it is compared with the expressions of each operator with
    the same operands.
    """
    operands = predicate.meta.pop()[::-1] if depth else []
    if len(operands) == 3:
        return _bounds_of_between(predicate, *operands)
    if len(operands) != 2:
        return {}
    left, right = operands
    if predicate.meta.eq(left & right):
        return _merge(_bounds(left, depth - 1), _bounds(right, depth - 1), is_and=True)
    if predicate.meta.eq(left | right):
        return _merge(_bounds(left, depth - 1), _bounds(right, depth - 1), is_and=False)
    return _bounds_of_comparison(predicate, left, right)


def _bounds_of_comparison(predicate: "pl.Expr", left: "pl.Expr", right: "pl.Expr") -> Bounds:
    for compare, sides in COMPARISONS.items():
        if predicate.meta.eq(compare(left, right)):
            return _bounds_of(left, right, sides) or _bounds_of(right, left, tuple(OPPOSITE[side] for side in sides))
    return {}


def _bounds_of_between(predicate: "pl.Expr", column: "pl.Expr", lower: "pl.Expr", upper: "pl.Expr") -> Bounds:
    closed: tuple[Any, ...] = ("both", "left", "right", "none")
    if any(predicate.meta.eq(column.is_between(lower, upper, closed=each)) for each in closed):
        return _bounds_of(column, lower, ("after",)) | _bounds_of(column, upper, ("before",))
    return {}


def _bounds_of(column: "pl.Expr", value: "pl.Expr", sides: tuple[str, ...]) -> Bounds:
    """Return a value as the bound of a column on these sides; empty if these are not a column and a constant date."""
    import polars as pl  # noqa: PLC0415 - not installed with the package

    name = next((each for each in DATE_COLUMNS if column.meta.eq(pl.col(each))), None)
    moment = _constant_date(value) if name else None
    if name is None or moment is None:
        return {}
    try:
        margins = {"after": moment - MARGIN, "before": moment + MARGIN}
    except OverflowError:
        return {}
    return {f"{name.removesuffix('_at')}_{side}": margins[side] for side in sides}


def _constant_date(expression: "pl.Expr") -> datetime | None:
    """Return the value of an expression of literals, None if it is no date, or there are other expressions in it."""
    import polars as pl  # noqa: PLC0415 - not installed with the package

    if not _is_constant(expression):
        return None
    value = pl.select(expression).to_series()
    unit = "day" if value.dtype == pl.Date else getattr(value.dtype, "time_unit", None)
    if value.dtype not in (pl.Date, pl.Datetime) or len(value) != 1 or value.has_nulls() or unit is None:
        return None
    try:
        return EPOCH + timedelta(microseconds=value.to_physical().item() * NANOSECONDS[unit] // 1000)
    except OverflowError:
        return None


def _is_constant(expression: "pl.Expr") -> bool:
    operands = expression.meta.pop()
    return all(map(_is_constant, operands)) if operands else expression.meta.is_literal()


def _merge(left: Bounds, right: Bounds, *, is_and: bool) -> Bounds:
    """Return the bounds that follow from both predicates (`and`), or from either (`or`)."""
    names = left.keys() | right.keys() if is_and else left.keys() & right.keys()
    merged = {}
    for name in names:
        values = [bounds[name] for bounds in (left, right) if name in bounds]
        merged[name] = max(values) if name.endswith("_after") == is_and else min(values)
    return merged
