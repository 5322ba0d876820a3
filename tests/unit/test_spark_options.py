"""The options of the Spark data source read what the arguments of a scan with these names read."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenario_etl import ConfigError, scan, spark_options
from scenario_etl.filters import FLAG
from scenario_etl.resources import RESOURCES
from scenario_etl.spark_options import parse_options

FILTERS = [(resource, each) for resource in RESOURCES.values() for each in resource.filters]


def outcome(function: Any, *arguments: Any, **named: Any) -> Any:
    """The source that a function returns, or the text of its error."""
    try:
        return function(*arguments, **named).source
    except ConfigError as error:
        resource = RESOURCES[arguments[0]] if function is scan else None
        return (
            spark_options._with_option_names(str(error), spark_options._parsers(resource)) if resource else str(error)
        )


@pytest.mark.parametrize(("resource", "declared"), FILTERS, ids=lambda each: each.name)
def test_each_filter_is_an_option_with_its_name_in_the_api(resource, declared) -> None:
    kind = declared.type
    text = (kind.choices or ("true" if kind == FLAG else "2026-01-02",))[0]
    value: Any = text == "true" if kind == FLAG else text
    name = declared.api_name or "allowPublic"
    assert outcome(parse_options, {"resource": resource.name, name: text}) == outcome(
        scan, resource.name, **{declared.name: value}
    )


@given(st.data(), st.integers(1, 100), st.booleans(), st.lists(st.sampled_from("abc"), min_size=2, unique=True))
def test_names_in_any_case_and_values_as_text_are_the_arguments_of_a_scan(data, size, strict, projects) -> None:
    texts = {"resource": "assets", "pageSize": f"{size}", "strict": f"{strict}", "projectId": ", ".join(projects)}
    in_any_case = {"".join(data.draw(st.sampled_from([c.lower(), c.upper()])) for c in n): t for n, t in texts.items()}
    expected = scan("assets", page_size=size, strict=strict, project_id=projects).source
    assert parse_options(in_any_case).source == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "the option resource is missing; set it to one of: collections, assets, "),
        ({"resource": "assets", "path": "x"}, "unknown option 'path'; "),
        (
            {"resource": "teams", "projectid": "a"},
            "unknown option 'projectid'; the options of teams are: resource, strict, ",
        ),
        ({"resource": "assets", "columns": "id,creatd_at"}, "unknown column 'creatd_at'; did you mean 'created_at'?"),
        ({"resource": "assets", "columns": "id,id"}, "columns contains id more than once; list each column once"),
        ({"resource": "assets", "partitions": "many"}, "partitions must be an integer, got 'many'"),
        ({"resource": "assets", "partitions": "0"}, "partitions must be at least 1, got 0"),
        ({"resource": "assets", "limit": "-1"}, "limit must be at least 1, got -1"),
        (
            {"resource": "assets", "limit": "5", "partitions": "2"},
            "limit cannot be used with more than one partition, got limit",
        ),
        ({"resource": "assets", "deleted": "1"}, "deleted must be true or false, got '1'"),
        ({"resource": "assets", "pageSize": "500"}, "pageSize must be between 1 and 100, got 500"),
        ({"resource": "assets", "createdAfter": "yesterday"}, "createdAfter must be a date or time"),
        ({"resource": "assets", "projectId": "a", "allProjects": "true"}, "cannot be used together"),
        ({"resource": "assets", "projectId": "a,"}, "projectId must be a string of 1 to 1,000 printable characters"),
    ],
)
def test_an_option_that_is_not_valid_is_an_error_of_one_line(options, message) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_options(options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_columns_that_an_argument_adds_are_an_option() -> None:
    assert parse_options({"resource": "assets", "includeEmbedding": "true"}).columns[-1] == "embedding"
