import json
import logging
import math
from datetime import UTC, datetime

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenario_etl.column_types import INTEGER, STRING, STRINGS, TIMESTAMP
from scenario_etl.errors import ScenarioError, SchemaError
from scenario_etl.records import RecordReader
from scenario_etl.resources import COLLECTIONS
from scenario_etl.schema import Column, Resource
from tests.helpers import RIGHT, record


def read(*records, strict: bool = False) -> pa.RecordBatch:
    return RecordReader(COLLECTIONS, strict=strict).read(list(records))


def refused(*records, strict: bool = False) -> str:
    with pytest.raises(SchemaError) as caught:
        read(*records, strict=strict)
    return str(caught.value)


def test_a_record_becomes_a_row_of_the_declared_schema() -> None:
    batch = read(record())
    assert batch.schema == COLLECTIONS.schema
    assert batch.to_pylist() == [
        {
            "id": "c1",
            "name": "Key Art",
            "owner_id": "proj_1",
            "asset_count": 3,
            "model_count": 1,
            "item_count": 4,
            "thumbnail_asset_id": "asset_1",
            "thumbnail_url": RIGHT["thumbnail"]["url"],
            "created_at": pd.Timestamp("2026-04-22T08:57:03.106Z"),
            "updated_at": pd.Timestamp("2026-04-23T08:57:03.106Z"),
        }
    ]
    batch.validate(full=True)


def test_no_records_become_no_rows_of_the_same_schema() -> None:
    assert (read().schema, read().num_rows) == (COLLECTIONS.schema, 0)


texts = st.none() | st.text(st.characters(codec="utf-8"))
numbers = st.none() | st.integers(-(2**63), 2**63 - 1) | st.integers(1 - 2**53, 2**53 - 1).map(float)
dates = st.none() | st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30))


@given(st.lists(st.tuples(texts, numbers, dates), max_size=30))
def test_columns_built_from_buffers_are_what_pyarrow_would_build(rows) -> None:
    records = [
        record(id=f"c{i}", name=text, assetCount=number, createdAt=date and f"{date.isoformat()}Z")
        for i, (text, number, date) in enumerate(rows)
    ]
    batch = read(*records)
    batch.validate(full=True)
    assert batch["name"].equals(pa.array([text for text, _, _ in rows], STRING.arrow))
    whole = [None if number is None else int(number) for _, number, _ in rows]
    assert batch["asset_count"].equals(pa.array(whole, INTEGER.arrow))
    assert batch["created_at"].equals(
        pa.array([date and date.replace(tzinfo=UTC) for _, _, date in rows], TIMESTAMP.arrow)
    )


@pytest.mark.parametrize(
    ("value", "number"),
    [(3, 3), (3.0, 3), (0, 0), (-1, -1), (2**53 + 1, 2**53 + 1), (2**63 - 1, 2**63 - 1), (1e3, 1000)],
)
def test_a_whole_number_is_kept_exactly(value, number: int) -> None:
    assert read(record(assetCount=value))["asset_count"].to_pylist() == [number]


@pytest.mark.parametrize("value", [3.5, math.nan, math.inf, 1e20, 2.0**53, 2**63, True, False, "7", [3], {}])
def test_a_count_that_is_not_an_integer_is_rejected(value) -> None:
    text = f'"{value}"' if isinstance(value, str) else json.dumps(value)
    assert f"collections: assetCount of record c1 must be a 64-bit integer, got {text}" in refused(
        record(assetCount=value)
    )


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-04-22T08:57:03.106Z", "2026-04-22T08:57:03.106Z"),
        ("2026-04-22T08:57:03Z", "2026-04-22T08:57:03Z"),
        ("2026-04-22T08:57:03.123456Z", "2026-04-22T08:57:03.123456Z"),
        ("2026-04-22T08:57:03+02:00", "2026-04-22T06:57:03Z"),
    ],
)
def test_a_date_is_an_instant_in_utc(text: str, instant: str) -> None:
    assert read(record(createdAt=text))["created_at"].to_pylist() == [pd.Timestamp(instant)]


@pytest.mark.parametrize(
    "value",
    ["soon", "", "2026-04-22", "2026-04-22T08:57:03", "2026-13-01T00:00:00Z", "2026-04-22T08:57:03.1234567Z", 5, {}],
)
def test_a_date_that_is_not_a_timestamp_is_rejected(value) -> None:
    assert "createdAt of record c1" in refused(record(createdAt=value))


@pytest.mark.parametrize("value", [..., None, "", 7, True, ["c1"], {}])
def test_a_record_without_a_key_is_rejected_by_its_position(value) -> None:
    assert "id of record" in refused(record(), record(id=value))
    if value in (..., None, ""):
        assert "id of record number 2 must be a string, got" in refused(record(), record(id=value))


@pytest.mark.parametrize("value", [7, True, ["x"], {}, "\ud800"])
def test_a_name_that_is_not_a_string_is_rejected(value) -> None:
    assert "name of record c1" in refused(record(name=value))


@pytest.mark.parametrize("value", [None, "x", 7, [], True])
def test_a_record_that_is_not_an_object_is_rejected(value) -> None:
    assert "collections: record number 2 must be a JSON object, got" in refused(record(), value)


@pytest.mark.parametrize("value", ["x", 7, [], False])
def test_a_thumbnail_that_is_not_an_object_is_rejected(value) -> None:
    assert "collections: field thumbnail of record c1 must be a JSON object, got" in refused(record(thumbnail=value))


def test_a_record_is_numbered_from_the_start_of_the_run() -> None:
    reader = RecordReader(COLLECTIONS)
    reader.read([record(id=f"c{number}") for number in range(1234)])
    with pytest.raises(SchemaError, match="id of record number 1,236 must be a string, got null"):
        reader.read([record(), record(id=None)])


def test_the_first_wrong_record_of_a_page_is_named() -> None:
    assert "of record c2 must be a 64-bit integer, got 1.5;" in refused(
        record(), record(id="c2", itemCount=1.5), record(id="c3", itemCount=2.5)
    )


def test_a_shown_value_is_short_and_without_a_signature() -> None:
    message = refused(record(createdAt="https://cdn.example/x?Signature=hush" + "y" * 10**6))
    assert "hush" not in message
    assert len(message) < 300


@pytest.mark.parametrize("thumbnail", [..., None])
def test_no_thumbnail_is_null_twice_and_nothing_missing(thumbnail) -> None:
    reader = RecordReader(COLLECTIONS)
    batch = reader.read([record(thumbnail=thumbnail)])
    assert batch["thumbnail_asset_id"].to_pylist() == batch["thumbnail_url"].to_pylist() == [None]
    assert reader.missing_fields == {}


def test_missing_and_unknown_fields_are_counted_by_dotted_name_and_warned_of_once(caplog) -> None:
    reader = RecordReader(COLLECTIONS)
    for _ in range(2):
        reader.read([record(name=..., ownerId=None, colour="red", thumbnail={"assetId": "a", "width": 3}), record()])
    assert reader.missing_fields == {"name": 2, "ownerId": 2, "thumbnail.url": 2}
    assert reader.unknown_fields == {"colour": 2, "thumbnail.width": 2}
    warned = [entry.getMessage() for entry in caplog.records if entry.levelno == logging.WARNING]
    assert len(warned) == 5
    assert "collections: ignoring the unknown field thumbnail.width" in warned


def test_the_report_of_unknown_fields_is_bounded(caplog) -> None:
    reader = RecordReader(COLLECTIONS)
    for number in range(3):
        reader.read([record(**{f"x{number}_{i}": 1 for i in range(500)})])
    assert len(reader.unknown_fields) == 1000


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": ...}, "record c1 has no value for the field name; to accept it, omit --strict"),
        ({"thumbnail": {"assetId": "a"}}, "record c1 has no value for the field thumbnail.url;"),
        ({"colour": "red"}, "record c1 has the unknown field colour; to accept it, omit --strict"),
        ({"thumbnail": {"assetId": "a", "url": "u", "w": 1}}, "record c1 has the unknown field thumbnail.w;"),
    ],
)
def test_strict_makes_missing_and_unknown_fields_errors(changes, words: str) -> None:
    assert words in refused(record(id="c0"), record(**changes), strict=True)


def test_strict_is_content_with_a_record_without_thumbnail() -> None:
    assert read(record(thumbnail=...), strict=True).num_rows == 1


def test_keys_of_several_columns_are_tuples() -> None:
    columns = (Column("owner_id", "ownerId", STRING, nullable=False), Column("tag", "name", STRING, nullable=False))
    tags = Resource("tags", "/tags", "tags", "tag", ("owner_id", "tag"), (1, 100), columns)
    reader = RecordReader(tags)
    assert reader.keys([record()]) == [("proj_1", "Key Art")]


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | st.text()
    | st.sampled_from(["id", "2026-04-22T08:57:03Z"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*RIGHT, "x"]), inner, max_size=9),
    max_leaves=12,
)


@given(st.lists(anything | st.fixed_dictionaries({}, optional=dict.fromkeys(RIGHT, anything)), max_size=4))
def test_any_json_gives_a_table_of_the_declared_schema_or_a_scenario_error(records) -> None:
    try:
        batch = read(*records)
    except ScenarioError:
        return
    batch.validate(full=True)
    assert (batch.schema, batch.num_rows) == (COLLECTIONS.schema, len(records))


@pytest.mark.parametrize(
    "date",
    ["0000-01-01T00:00:00Z", "0000-12-31T23:59:59.999Z", "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"],
)
def test_a_date_outside_the_years_1_to_9999_is_rejected(date: str) -> None:
    with pytest.raises(SchemaError, match=r"createdAt of record c1 .*a year from 1 to 9999"):
        RecordReader(COLLECTIONS).read([record(id="c0"), record(createdAt=date)])


@pytest.mark.parametrize(
    "date", ["0001-01-01T00:00:00Z", "0001-01-01T00:01:00+00:01", "9999-12-31T23:59:59.999999Z", None]
)
def test_the_first_and_the_last_date_are_taken(date: str | None) -> None:
    (value,) = RecordReader(COLLECTIONS).read([record(createdAt=date)])["created_at"].to_pylist()
    assert (value is None) == (date is None)


SIGNED = "see https://cdn.example/a?Policy=p&Signature=s3cr3t"


@pytest.mark.parametrize(("form", "text"), [("keep", SIGNED), ("public", SIGNED[:25]), ("omit", SIGNED[:25])])
def test_signatures_are_cut_off_in_strings_and_lists_of_strings_but_not_in_a_key(form, text: str) -> None:
    columns = (
        Column("id", "id", STRING, nullable=False), Column("error", "error", STRING), Column("tags", "tags", STRINGS),
    )  # fmt: skip
    jobs = Resource("jobs", "/jobs", "jobs", "job", ("id",), (1, 100), columns)
    records = [{"id": SIGNED, "error": SIGNED, "tags": ["a", SIGNED]}, {"id": "b", "error": None, "tags": None}]
    assert RecordReader(jobs, signed_urls=form).read(records).to_pylist() == [
        {"id": SIGNED, "error": text, "tags": ["a", text]}, {"id": "b", "error": None, "tags": None},
    ]  # fmt: skip


def test_a_wrong_value_in_a_column_of_signed_urls_is_rejected_in_each_form() -> None:
    for form in ("keep", "public", "omit"):
        with pytest.raises(SchemaError, match=r"thumbnail\.url of record c1 must be a string, got 7"):
            RecordReader(COLLECTIONS, signed_urls=form).read([record(thumbnail={"assetId": "a", "url": 7})])
