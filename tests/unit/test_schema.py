from datetime import UTC, datetime

import pandas as pd
import pyarrow as pa
import pytest

from scenario_etl.column_types import BOOLEAN, FLOAT, INTEGER, JSON, STRING, STRINGS, TIMESTAMP
from scenario_etl.errors import ConfigError
from scenario_etl.schema import Column, Resource, with_pandas_types
from tests.versions import PANDAS_2

TYPES = {
    "string": STRING, "integer": INTEGER, "float": FLOAT, "boolean": BOOLEAN,
    "timestamp": TIMESTAMP, "strings": STRINGS, "json": JSON,
}  # fmt: skip


@pytest.mark.parametrize("rows", [0, 1])
def test_pandas_reads_the_declared_dtypes_with_and_without_nulls(rows: int) -> None:
    columns = tuple(Column(name, name, kind) for name, kind in TYPES.items())
    schema = with_pandas_types(pa.field(column.name, column.type.arrow) for column in columns)
    frame = pa.table([pa.nulls(rows, each.type) for each in schema], schema=schema).to_pandas()
    dtypes = {name: str(dtype) for name, dtype in frame.dtypes.items()}
    text = "object" if PANDAS_2 else "str"
    assert dtypes == {
        "string": text, "integer": "Int64", "float": "Float64", "boolean": "boolean",
        "timestamp": "datetime64[us, UTC]", "strings": "object", "json": text,
    }  # fmt: skip


@pytest.mark.parametrize(
    "column",
    [
        Column("id", "id", INTEGER, nullable=False),
        Column("id", "id", STRING),
        Column("id", "parent.id", STRING, nullable=False),
        Column("other", "id", STRING, nullable=False),
    ],
    ids=["integer", "nullable", "nested", "not a column"],
)
def test_a_primary_key_consists_of_required_strings_of_the_record_itself(column: Column) -> None:
    with pytest.raises(ConfigError, match="things: the primary key must consist of STRING columns"):
        Resource("things", "/things", "things", None, ("id",), (1, 10), (column,))


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (Column("id", "other", STRING), "the column name id is reserved or already used"),
        (Column("change", "change", STRING), "the column name change is reserved or already used"),
        (Column("snapshot_date", "date", STRING), "the column name snapshot_date is reserved or already used"),
        (Column("document", "document", JSON, signed_url=True), "document has signed URLs"),
        (Column("url", "url", STRING, nullable=False, signed_url=True), "url has signed URLs"),
    ],
)
def test_a_column_that_a_lake_cannot_keep_is_rejected(column: Column, message: str) -> None:
    with pytest.raises(ConfigError, match=f"things: .*{message}"):
        Resource(
            "things", "/things", "things", None, ("id",), (1, 10), (Column("id", "id", STRING, nullable=False), column)
        )


def test_a_resource_needs_a_primary_key() -> None:
    with pytest.raises(ConfigError, match=r"things: the primary key .* no column"):
        Resource("things", "/things", "things", None, (), (1, 10), (Column("id", "id", STRING, nullable=False),))


def test_columns_of_other_types_are_left_to_pandas() -> None:
    schema = with_pandas_types([pa.field("day", pa.date32())])
    frame = pa.table([pa.array([datetime(2026, 1, 1, tzinfo=UTC).date()])], schema=schema).to_pandas()
    assert frame["day"].dtype == pd.Series([None], dtype=object).dtype
