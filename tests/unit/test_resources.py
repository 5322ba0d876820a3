import re

import pytest

from scenario_etl import scan
from scenario_etl.records import RecordReader
from scenario_etl.resources import RESOURCES
from scenario_etl.schema import INTEGER, STRING, TIMESTAMP, Resource
from tests.helpers import answering
from tests.versions import DTYPES

RIGHT = {STRING: "text", INTEGER: 7, TIMESTAMP: "2026-04-22T08:57:03.106Z"}


def right_record(resource: Resource, number: int = 0) -> dict:
    """A record that has every field that the resource's columns know."""
    made: dict = {}
    for column in resource.columns:
        parent, _, name = column.field.rpartition(".")
        value = f"key {number}" if column.name in resource.primary_key else RIGHT[column.type]
        (made.setdefault(parent, {}) if parent else made)[name] = value
    return made


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=RESOURCES)
class TestEveryResource:
    """The conformance that each entry of resources.py gets for free."""

    def test_is_named_as_it_is_found(self, resource: Resource) -> None:
        assert RESOURCES[resource.name] is resource
        assert re.fullmatch("[a-z]+(_[a-z]+)*", resource.name)

    def test_columns_are_unique_and_in_snake_case(self, resource: Resource) -> None:
        names = [column.name for column in resource.columns]
        assert len(set(names)) == len(names)
        assert all(re.fullmatch("[a-z]+(_[a-z]+)*", name) for name in names)

    def test_key_columns_come_first_and_are_never_null(self, resource: Resource) -> None:
        for name, column in zip(resource.primary_key, resource.columns, strict=False):
            assert (column.name, column.nullable) == (name, False)

    def test_a_complete_record_is_a_row_even_when_strict(self, resource: Resource) -> None:
        batch = RecordReader(resource, strict=True).read([right_record(resource)])
        assert batch.schema == resource.schema
        assert all(column.null_count == 0 for column in batch.columns)

    def test_a_bare_key_is_a_row_of_nulls(self, resource: Resource) -> None:
        fields = {
            column.field: f"key {column.name}" for column in resource.columns if column.name in resource.primary_key
        }
        batch = RecordReader(resource).read([fields])
        assert sum(column.null_count for column in batch.columns) == len(resource.columns) - len(resource.primary_key)

    def test_a_run_returns_every_record_once_with_the_declared_types(self, resource: Resource) -> None:
        records = [right_record(resource, number) for number in range(5)]
        client, adapter = answering(
            {resource.records_key: records[:3], "nextPaginationToken": "t"}, {resource.records_key: records[2:]}
        )
        described = scan(resource.name, client=client)
        frame = described.to_pandas()
        assert len(frame) == 5
        assert described.report.duplicates == 1
        assert [str(kind) for kind in frame.dtypes] == [DTYPES[column.type] for column in resource.columns]
        assert f"{resource.path}?pageSize={resource.page_sizes[1]}" in adapter.requests[0].url

    def test_an_empty_list_has_the_same_types(self, resource: Resource) -> None:
        frame = scan(resource.name, client=answering({resource.records_key: []})[0]).to_pandas()
        assert [str(kind) for kind in frame.dtypes] == [DTYPES[column.type] for column in resource.columns]

    def test_each_filter_reaches_the_api_by_its_own_name(self, resource: Resource) -> None:
        for each in resource.filters:
            client, adapter = answering({resource.records_key: []})
            scan(resource.name, client=client, **{each.name: "x"}).to_arrow()
            assert f"{each.api_name}=x" in adapter.requests[0].url


def test_filters_of_one_name_are_one_option_of_the_command_line() -> None:
    declared = [each for resource in RESOURCES.values() for each in resource.filters]
    assert len({(each.name, each.type, each.description) for each in declared}) == len({each.name for each in declared})
