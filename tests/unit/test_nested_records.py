import re

import pytest

from scenario_etl.column_types import ANY, JSON, STRING
from scenario_etl.errors import SchemaError
from scenario_etl.records import RecordReader
from scenario_etl.schema import Column, Resource
from scenario_etl.signed_urls import SignedURLs

SIGNED = "https://cdn.example/assets-transform/asset_1?Policy=p&Signature=s"
PUBLIC = "https://cdn.example/thumbnails/asset_1"
ID = Column("id", "id", STRING, nullable=False)


def of_columns(*columns: Column) -> Resource:
    return Resource("jobs", "/jobs", "jobs", "job", ("id",), (1, 10), (ID, *columns))


def of_fields(**fields) -> Resource:
    """A resource with an id, and a column for each dotted field."""
    return of_columns(*(Column(name, name.replace("__", "."), kind) for name, kind in fields.items()))


def test_a_path_of_any_depth_leads_to_its_value() -> None:
    jobs = of_fields(metadata__input__modelId=STRING, metadata__kind=STRING)
    reader = RecordReader(jobs)
    batch = reader.read(
        [
            {"id": "j1", "metadata": {"kind": "a", "input": {"modelId": "m1"}}},
            {"id": "j2", "metadata": {"kind": "b", "input": {}}},
            {"id": "j3", "metadata": {"kind": "c"}},
            {"id": "j4", "metadata": None},
            {"id": "j5"},
        ]
    )
    assert batch["metadata__input__modelId"].to_pylist() == ["m1", None, None, None, None]
    assert batch["metadata__kind"].to_pylist() == ["a", "b", "c", None, None]
    assert reader.missing_fields == {"metadata.input.modelId": 1}


def test_unknown_fields_are_counted_at_every_depth() -> None:
    reader = RecordReader(of_fields(metadata__input__modelId=STRING))
    reader.read([{"id": "j1", "x": 1, "metadata": {"y": 1, "input": {"modelId": "m", "z": 1}}}])
    assert reader.unknown_fields == {"x": 1, "metadata.y": 1, "metadata.input.z": 1}


@pytest.mark.parametrize(
    ("changes", "path"), [({"metadata": 3}, "metadata"), ({"metadata": {"input": []}}, "metadata.input")]
)
def test_a_parent_that_is_not_an_object_is_rejected_by_its_path(changes: dict, path: str) -> None:
    with pytest.raises(SchemaError, match=rf"jobs: field {re.escape(path)} of record j1 must be a JSON object, got "):
        RecordReader(of_fields(metadata__input__modelId=STRING)).read([{"id": "j1"} | changes])


def test_nothing_is_unknown_in_an_object_that_is_kept_as_json() -> None:
    reader = RecordReader(of_fields(metadata=JSON, metadata__kind=STRING))
    batch = reader.read([{"id": "j1", "metadata": {"kind": "a", "other": {"b": 1, "a": [2]}}}, {"id": "j2"}])
    assert batch["metadata"].to_pylist() == ['{"kind":"a","other":{"a":[2],"b":1}}', None]
    assert batch["metadata__kind"].to_pylist() == ["a", None]
    assert reader.unknown_fields == {}


def test_nothing_is_unknown_in_an_object_below_one_that_is_kept_as_json() -> None:
    reader = RecordReader(of_fields(metadata=JSON, metadata__input__modelId=STRING))
    batch = reader.read([{"id": "j1", "metadata": {"input": {"modelId": "m", "prompt": "p"}}}])
    assert batch["metadata__input__modelId"].to_pylist() == ["m"]
    assert reader.unknown_fields == {}


@pytest.mark.parametrize("parent", [{}, {"owner": None}, {"owner": {}}, {"owner": {"id": ""}}])
def test_a_required_column_needs_its_parent_object_as_well(parent: dict) -> None:
    reader = RecordReader(of_columns(Column("owner_id", "owner.id", STRING, nullable=False)))
    with pytest.raises(SchemaError, match=r"jobs: owner\.id of record j1 must be a string, got "):
        reader.read([{"id": "j1"} | parent])


@pytest.mark.parametrize(
    ("form", "document"),
    [
        (
            "keep",
            f'{{"frames":["{SIGNED}",null],"thumbnail":{{"assetId":"asset_1","url":"{SIGNED}"}},"url":"{SIGNED}"}}',
        ),
        ("public", f'{{"frames":[null,null],"thumbnail":{{"assetId":"asset_1","url":"{PUBLIC}"}},"url":null}}'),
        ("omit", '{"frames":[null,null],"thumbnail":{"assetId":"asset_1","url":null},"url":null}'),
    ],
)
def test_signed_urls_in_json_take_the_form_asked_for(form: SignedURLs, document: str) -> None:
    reader = RecordReader(of_fields(document=JSON), signed_urls=form)
    thumbnail = {"assetId": "asset_1", "url": SIGNED}
    batch = reader.read([{"id": "j1", "document": {"url": SIGNED, "frames": [SIGNED, None], "thumbnail": thumbnail}}])
    assert batch["document"].to_pylist() == [document]


def test_json_that_is_too_deeply_nested_is_a_schema_error() -> None:
    nested: list = []
    for _ in range(100_000):
        nested = [nested]
    reader = RecordReader(of_fields(document=JSON), signed_urls="omit")
    with pytest.raises(SchemaError, match=r"jobs: document of record j1 must be a JSON object or list, got "):
        reader.read([{"id": "j1", "document": nested}])


@pytest.mark.parametrize("value", ["https://cdn.example/a?Policy=x", {"url": "https://cdn.example/a?Policy=x"}])
def test_a_value_of_any_type_loses_its_signed_urls(value: object) -> None:
    reader = RecordReader(of_fields(prompt=ANY), signed_urls="public")
    (text,) = reader.read([{"id": "j1", "prompt": value}])["prompt"].to_pylist()
    assert "Policy" not in (text or "")
