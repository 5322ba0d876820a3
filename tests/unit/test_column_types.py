import math
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenario_etl.column_types import ANY, BOOLEAN, FLOAT, INTEGER, JSON, STRING, STRINGS, TIMESTAMP, ColumnType

TYPES = {
    "string": STRING, "integer": INTEGER, "float": FLOAT, "boolean": BOOLEAN,
    "timestamp": TIMESTAMP, "strings": STRINGS, "json": JSON,
}  # fmt: skip


texts = st.text(st.characters(codec="utf-8"), max_size=5)


VALUES: dict[str, Any] = {
    "string": texts,
    "integer": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53),
    "boolean": st.booleans(),
    "strings": st.lists(texts, max_size=4),
}


@pytest.mark.parametrize("name", VALUES)
@given(st.data())
def test_values_become_what_pyarrow_makes_of_them(name: str, data) -> None:
    values = data.draw(st.lists(st.none() | VALUES[name], max_size=20))
    converted = TYPES[name].convert(values)
    converted.validate(full=True)
    assert converted.equals(pa.array(values, TYPES[name].arrow))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        *[(STRING, value) for value in (7, True, [], {}, "\ud800")],
        *[(INTEGER, value) for value in (3.5, True, "7", math.nan, 2**63, [3])],
        *[(FLOAT, value) for value in (True, "1.5", math.nan, math.inf, 2**53 + 1, 10**400, [])],
        *[(BOOLEAN, value) for value in (0, 1, "true", 1.0, [])],
        *[(TIMESTAMP, value) for value in ("soon", "2026-04-22", 5, {})],
        *[(STRINGS, value) for value in ("abc", [1], [None], ["a", ["b"]], {}, ["\ud800"])],
        *[(JSON, value) for value in ("text", 5, True, {"a": math.nan})],
    ],
)
def test_a_value_of_another_type_is_rejected(kind: ColumnType, value: Any) -> None:
    with pytest.raises((ValueError, OverflowError)):
        kind.convert([None, value])


def test_equal_objects_are_equal_json_strings() -> None:
    objects = [{"b": [1, {"y": 1, "x": "é"}], "a": None}, {"a": None, "b": [1, {"x": "é", "y": 1}]}, None]
    (first, second, third) = JSON.convert(objects)
    assert first.as_py() == second.as_py() == '{"a":null,"b":[1,{"x":"é","y":1}]}'
    assert third.as_py() is None


def test_a_lone_surrogate_in_json_is_escaped() -> None:
    (text,) = JSON.convert([{"prompt": "cut \ud83d", "\udfff": "é"}])
    assert text.as_py() == '{"prompt":"cut \\ud83d","\\udfff":"é"}'


def test_a_value_of_any_type_is_a_string_or_json_text() -> None:
    values = ["text", None, 7, True, ["a", {"x": 1}], {"b": 1, "a": "é"}, ""]
    assert ANY.convert(values).to_pylist() == ["text", None, "7", "true", '["a",{"x":1}]', '{"a":"é","b":1}', ""]


@pytest.mark.parametrize("name", TYPES)
def test_the_comparable_form_is_equal_only_for_equal_values(name: str) -> None:
    examples = {
        "string": ["a", "b"], "integer": [1, 2], "float": [1.5, 2], "boolean": [True, False],
        "timestamp": ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"],
        "strings": [["a,b"], ["a", "b"]], "json": [{"a": 1}, {"a": 2}],
    }[name]  # fmt: skip
    column = pa.chunked_array([TYPES[name].convert(examples), TYPES[name].convert([None])])
    comparable = TYPES[name].comparable(column)
    assert pc.not_equal(comparable.slice(0, 1), comparable.slice(1, 1)).to_pylist() == [True]
    assert pc.not_equal(comparable, comparable).to_pylist() == [False, False, None]
