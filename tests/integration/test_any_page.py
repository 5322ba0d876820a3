"""Pages that are nearly right: a table of the declared schema or a clear error, and nothing else."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scenario_etl import scan
from scenario_etl.errors import APIError, PaginationError, SchemaError
from scenario_etl.resources import resource_of
from tests.helpers import RIGHT, answering, page, record

CASES = 10_000
REMOVED = "removed"


def nested(number: int) -> dict[str, Any]:
    return {
        "id": f"a{number}", "ownerId": "proj_1", "collectionIds": ["c1", "c2"], "tags": [],
        "metadata": {"kind": "image", "modelId": "m", "input": {"deep": [1, {"x": None}]}}, "properties": {"size": 7},
        "thumbnail": {"assetId": "t", "url": "https://cdn.example/assets-transform/t?Signature=s"},
        "createdAt": "2026-04-22T08:57:03.106Z",
    }  # fmt: skip


PAGES = {
    "collections": page(record(), record(id="c2", thumbnail=...), record(id="c3"), token="t"),
    "assets": {"assets": [nested(1), nested(2)], "nextPaginationToken": "t"},
    "collection_assets": {"assets": [nested(1), nested(2)], "nextPaginationToken": "t"},
    "tags": {
        "tags": [{"ownerId": "p", "tagName": name, "itemCount": 3} for name in "ab"], "nextPaginationToken": "t",
    },
}  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON value, as the keys that lead there."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from places(item, (*path, key))


def mutated(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The document with another value at a place, or without the place; a place that is gone is left alone."""
    if not path:
        return document if value is REMOVED else value
    try:
        for key in path[:-1]:
            document = document[key]
        if value is REMOVED:
            del document[path[-1]]
        else:
            document[path[-1]] = value
    except (KeyError, IndexError, TypeError):
        pass
    return document


scalars = st.one_of(
    st.sampled_from([None, True, False, 0, -1, 3.0, 3.5, 1e20, 2**53 + 1, 2**63, 10**400, float("nan"), float("inf")]),
    st.sampled_from(
        ["", "7", "c1", "t", "2026-04-22T08:57:03Z", "2026-04-22", "\ud800", "\0", "é" * 50, "a?Signature=s"]
    ),
    st.text(max_size=8),
    st.integers(),
    st.floats(),
)
values = st.one_of(
    st.just(REMOVED),
    scalars,
    st.lists(scalars, max_size=2),
    st.dictionaries(st.sampled_from([*RIGHT, "x"]), scalars, max_size=2),
)


@pytest.mark.parametrize("name", PAGES)
@settings(max_examples=CASES // len(PAGES), suppress_health_check=list(HealthCheck))
@given(data=st.data(), strict=st.booleans())
def test_ten_thousand_nearly_right_pages_give_a_table_of_the_declared_schema_or_an_error(
    name: str, data, strict: bool
) -> None:
    body = deepcopy(PAGES[name])
    mutation = st.tuples(st.sampled_from(list(places(body))), values)
    for path, value in data.draw(st.lists(mutation, min_size=1, max_size=3)):
        document = mutated(body, path, deepcopy(value))
        body = document if not path else body
    resource = resource_of(name)
    end = {resource.records_key: []}
    described = scan(name, client=answering((200, {}, body), end, attempts=1)[0], strict=strict)
    try:
        table = described.to_arrow()
    except (SchemaError, APIError, PaginationError) as error:
        assert len(str(error)) < 1000
        assert "\n" not in str(error)
    else:
        table.validate(full=True)
        assert table.schema == resource.schema
        keys = list(zip(*(table[key].to_pylist() for key in resource.primary_key), strict=True))
        assert all(all(key) for key in keys)
        assert len(set(keys)) == table.num_rows
