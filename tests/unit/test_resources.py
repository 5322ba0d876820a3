import json
import re
from typing import Any

import pytest

from scenario_etl import scan
from scenario_etl.column_types import ANY, BOOLEAN, FLOAT, FLOATS, INTEGER, JSON, STRING, STRINGS, TIMESTAMP
from scenario_etl.errors import ConfigError
from scenario_etl.filters import DATE, END_DATE, FLAG, TEXT, TEXTS, Filter
from scenario_etl.records import RecordReader
from scenario_etl.resources import INCLUDE_ARGUMENTS, RESOURCES, resource_of
from scenario_etl.schema import Resource
from tests.helpers import answering
from tests.versions import DTYPES

RIGHT = {
    STRING: "text", ANY: "text", INTEGER: 7, FLOAT: 1.5, BOOLEAN: True, TIMESTAMP: "2026-04-22T08:57:03.106Z",
    STRINGS: ["a", "b"], FLOATS: [0.5], JSON: {"x": 1},
}  # fmt: skip
EXAMPLES = {TEXT: "x", TEXTS: ["x"], DATE: "2026-11-23", END_DATE: "2026-11-23", FLAG: True}


def right_record(resource: Resource, number: int = 0) -> dict[str, Any]:
    """A record that has every field that the resource's columns know."""
    made: dict[str, Any] = {}
    for column in sorted(resource.columns, key=lambda each: each.field.count(".")):
        *parents, name = column.field.split(".")
        inner = made
        for parent in parents:
            inner = inner.setdefault(parent, {})
        is_key = column.name in resource.primary_key and column.name != resource.exploded
        value = f"key {number}" if is_key else RIGHT[column.type]
        inner.setdefault(name, dict(value) if isinstance(value, dict) else value)
    return made


def dtypes(resource: Resource) -> list[str]:
    return [DTYPES[STRING if column.name == resource.exploded else column.type] for column in resource.columns]


def example(each: Filter) -> Any:
    return each.type.choices[0] if each.type.choices else EXAMPLES[each.type]


def with_needs(resource: Resource, each: Filter) -> dict[str, Any]:
    """The values of a filter and of those that it needs."""
    declared = {other.name: other for other in resource.filters}
    values = {each.name: example(each)}
    while missing := [
        declared[name].needs[0]
        for name in values
        if declared[name].needs and not any(need.partition("=")[0] in values for need in declared[name].needs)
    ]:
        name, _, value = missing[0].partition("=")
        values[name] = value or example(declared[name])
    return values | ({"allow_public": True} if "allow_public" in declared and values.get("privacy") == "public" else {})


RESOURCE_LIST = [resource_of(name) for name in RESOURCES]


@pytest.mark.parametrize("resource", RESOURCE_LIST, ids=RESOURCES)
class TestEveryResource:
    """The conformance that each entry of resources.py gets for free."""

    def test_is_named_as_it_is_found(self, resource: Resource) -> None:
        assert resource_of(resource.name) == resource
        assert re.fullmatch("[a-z]+(_[a-z]+)*", resource.name)

    def test_columns_are_unique_and_in_snake_case(self, resource: Resource) -> None:
        names = [column.name for column in resource.columns]
        assert len(set(names)) == len(names)
        assert all(re.fullmatch("[a-z]+(_[a-z]+)*", name) for name in names)

    def test_every_column_is_described_in_one_phrase(self, resource: Resource) -> None:
        for column in RESOURCES[resource.name].columns:
            assert re.fullmatch(r"[A-Z][^.]*\.", re.sub(r"flux\.1", "flux", column.description)), column.name
            assert len(column.description) <= 80

    def test_key_columns_come_first_and_are_never_null(self, resource: Resource) -> None:
        for name, field in zip(resource.primary_key, resource.schema, strict=False):
            assert (field.name, field.nullable) == (name, False)

    def test_a_column_is_named_after_its_path(self, resource: Resource) -> None:
        for column in resource.columns:
            if not resource.exploded:
                assert column.name.replace("_", "") == column.field.replace(".", "").lower()

    def test_a_complete_record_is_a_row_even_when_strict(self, resource: Resource) -> None:
        reader = RecordReader(resource, strict=True)
        batch = reader.explode(reader.read([right_record(resource)]))
        assert batch.schema == resource.schema
        assert all(column.null_count == 0 for column in batch.columns)
        assert not reader.missing_fields + reader.unknown_fields

    def test_a_bare_key_is_a_row_of_nulls_and_counts_each_required_field_as_missing(self, resource: Resource) -> None:
        keys = [column for column in resource.columns if not column.nullable]
        reader = RecordReader(resource)
        batch = reader.read([{each.field: ["a"] if each.type == STRINGS else f"key {each.name}" for each in keys}])
        assert sum(column.null_count for column in batch.columns) == len(resource.columns) - len(keys)
        assert set(reader.missing_fields) == {
            column.field for column in resource.columns
            if column.nullable and not column.optional
            and (column.parent in resource.required_objects or not column.parent)
        }  # fmt: skip

    def test_a_run_returns_every_record_once_with_the_declared_types(self, resource: Resource) -> None:
        records = [right_record(resource, number) for number in range(5)]
        pages = [records[:3], records[2:]] if resource.page_sizes else [[*records, records[2]]]
        tokens = [{"nextPaginationToken": "t"}, {}] if resource.page_sizes else [{}]
        responses = [{resource.records_key: page} | token for page, token in zip(pages, tokens, strict=True)]
        client, adapter = answering(*responses)
        described = scan(resource.name, client=client)
        frame = described.to_pandas()
        assert len(frame) == (10 if resource.exploded else 5)
        assert described.report.duplicates == 1
        assert [str(kind) for kind in frame.dtypes] == dtypes(resource)
        if resource.page_sizes:
            assert f"pageSize={resource.page_sizes[1]}" in adapter.requests[0].url

    def test_an_empty_list_has_the_same_types(self, resource: Resource) -> None:
        frame = scan(resource.name, client=answering({resource.records_key: []})[0]).to_pandas()
        assert [str(kind) for kind in frame.dtypes] == dtypes(resource)

    def test_each_filter_reaches_the_api_by_its_own_name(self, resource: Resource) -> None:
        for each in resource.filters:
            client, adapter = answering({resource.records_key: []})
            scan(resource.name, client=client, **with_needs(resource, each)).to_arrow()
            assert not each.api_name or f"{each.api_name}=" in adapter.requests[0].url

    def test_each_condition_of_a_filter_names_a_filter_of_the_list(self, resource: Resource) -> None:
        names = {each.name for each in resource.filters}
        for each in resource.filters:
            conditions = [*each.needs, *each.excludes, *(each.only_with or ()), *sum(each.needs_for.values(), ())]
            assert {condition.partition("=")[0] for condition in conditions} <= names


def test_filters_of_one_name_are_one_option_of_the_command_line() -> None:
    declared = [each for resource in RESOURCES.values() for each in resource.filters]
    options = {(each.name, each.type.is_list, each.type is FLAG, each.description) for each in declared}
    assert len(options) == len({each.name for each in declared})


WRONG_FILTERS = [
    ("assets", {"privacy": "public"}, "privacy=public requires allow_public=true"),
    ("assets", {"privacy": "public", "allow_public": False}, "requires allow_public=true"),
    ("assets", {"type": "a", "types": ["b"]}, "type and types cannot be used together"),
    (
        "assets",
        {"created_after": "2026-01-01", "updated_after": "2026-01-01"},
        "created_after and updated_after cannot be used",
    ),
    ("assets", {"created_after": "2026-01-01", "sort_by": "updatedAt"}, "sort_by and created_after cannot be used"),
    ("assets", {"tags": ["a"]}, "tags requires privacy=public"),
    ("assets", {"deleted": True, "kind": "image"}, "unknown argument 'kind'; the filters of assets are: "),
    ("assets", {"deleted": True, "author_id": "a"}, "deleted and author_id cannot be used together"),
    ("assets", {"sort_direction": "up"}, "sort_direction must be one of 'asc', 'desc', got 'up'"),
    ("models", {"updated_after": "2026-01-01"}, "updated_after requires privacy=public"),
    ("models", {"collection_id": "c", "privacy": "public"}, "collection_id and privacy=public cannot be used together"),
    ("models", {"collection_ids": ["c"]}, "collection_ids requires privacy=public"),
    ("jobs", {"author_id": "a"}, "author_id requires created_after or updated_after"),
    ("jobs", {"hide_results": False}, "hide_results=false requires created_after or updated_after"),
    ("jobs", {"created_after": "2026-01-01", "status": "success"}, "created_after and status cannot be used together"),
    ("jobs", {"updated_after": "2026-01-01"}, "updated_after requires status or type or types"),
    ("jobs", {"created_before": "2026-01-01"}, "unknown argument 'created_before'; the filters of jobs are: "),
    ("projects", {"project_id": "p"}, "unknown argument 'project_id'; the filters of projects are: team_id"),
    ("teams", {"project_id": "p"}, "unknown argument 'project_id'; teams has no filters"),
    (
        "tags",
        {"include_personal": True},
        "include_personal is not supported for tags, because it adds no column there; omit it",
    ),
    ("teams", {"page_size": 10}, "page_size is not supported for teams, which is not paginated, got 10; omit it"),
]


@pytest.mark.parametrize(("name", "arguments", "message"), WRONG_FILTERS, ids=[str(each[:2]) for each in WRONG_FILTERS])
def test_what_the_api_would_ignore_or_refuse_is_refused_before_any_request(name: str, arguments, message) -> None:
    client, adapter = answering()
    with pytest.raises(ConfigError, match=re.escape(message)):
        scan(name, client=client, **arguments)
    assert adapter.requests == []


def test_deleted_false_excludes_nothing() -> None:
    assert scan("assets", deleted=False, author_id="a").source.query == {"deleted": "false", "authorId": "a"}


@pytest.mark.parametrize("argument", INCLUDE_ARGUMENTS)
def test_columns_that_must_be_asked_for_do_not_exist_otherwise(argument: str) -> None:
    for name, resource in RESOURCES.items():
        added = [column.name for column in resource.columns if column.included_by == argument]
        assert not set(added) & set(resource_of(name).schema.names)
        if added:
            assert scan(name, **{argument: True}).schema.names == resource_of(name, [argument]).schema.names
            assert set(added) < set(scan(name, **{argument: True}).schema.names)


def test_the_keys_of_a_project_are_never_in_a_table() -> None:
    project = right_record(RESOURCES["projects"]) | {
        "keys": [{"apiKeyId": "hush"}],
        "users": [{"email": "a@b.example"}],
    }
    for included, is_there in ((), False), (("include_personal",), True):
        reader = RecordReader(resource_of("projects", included), strict=True)
        text = json.dumps(reader.read([project]).to_pylist(), default=str)
        assert "hush" not in text
        assert ("a@b.example" in text) == is_there
