"""Types of columns: conversion of JSON values to Arrow arrays, dtypes in pandas, and comparison."""

import json
import math
import re
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Any

import numpy as np
import pyarrow as pa

from scenario_etl.signed_urls import FORMS_IN_JSON

MAX_EXACT_FLOAT = 2**53  # a JSON number with a decimal point may lose precision from here on
MIN_TIMESTAMP = -62_135_596_800_000_000  # microseconds since 1970: the start of year 1, the minimum of datetime
MAX_TIMESTAMP = 253_402_300_799_999_999  # the end of year 9999

Values = Sequence[Any]


def _identity(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column


@dataclass(frozen=True, slots=True)
class ColumnType:
    """The conversion of the values of a JSON field to a column. The types are the constants at the end of this module.

    Attributes:
        arrow: Arrow type.
        pandas: Values of pandas_type and numpy_type in the metadata of an Arrow schema, from which pandas takes the
            dtype.
        description: Description of a valid value for error messages, such as "a string".
        convert: Function that converts JSON values and nulls to an Arrow array; it raises ValueError or OverflowError
            if a value does not fit.
        comparable: Function that converts a column to one whose values Arrow can compare, because it cannot compare
            lists.

    """

    arrow: pa.DataType
    pandas: tuple[str, str]
    description: str
    convert: Callable[[Values], pa.Array]
    comparable: Callable[[pa.ChunkedArray], pa.ChunkedArray] = _identity


def strings(values: Values) -> pa.Array:
    """Return an Arrow array of strings and nulls, built from buffers: `pa.array` of a list imports pandas."""
    types = set(map(type, values))
    if not types <= {str, type(None)}:
        raise ValueError
    texts = values if type(None) not in types else [value or "" for value in values]
    joined = "".join(texts)
    encoded = joined.encode()
    lengths = map(len, texts) if len(encoded) == len(joined) else (len(text.encode()) for text in texts)
    offsets = array("i", accumulate(lengths, initial=0))
    buffers = [_validity(values, types), pa.py_buffer(offsets), pa.py_buffer(encoded)]
    return pa.Array.from_buffers(pa.string(), len(values), buffers)


def _integers(values: Values) -> pa.Array:
    types = set(map(type, values))
    if not types <= {int, float, type(None)}:
        raise ValueError
    numbers = values if types == {int} else [_whole(value) for value in values]
    return pa.Array.from_buffers(pa.int64(), len(values), [_validity(values, types), pa.py_buffer(array("q", numbers))])


def _whole(value: float | None) -> int:
    if isinstance(value, float) and not (value.is_integer() and abs(value) < MAX_EXACT_FLOAT):
        raise ValueError
    return int(value or 0)


def _floats(values: Values) -> pa.Array:
    types = set(map(type, values))
    if not types <= {int, float, type(None)}:
        raise ValueError
    numbers = array("d", [_finite(value or 0) for value in values])
    return pa.Array.from_buffers(pa.float64(), len(values), [_validity(values, types), pa.py_buffer(numbers)])


def _finite(value: float) -> float:
    if not math.isfinite(value) or (isinstance(value, int) and abs(value) > MAX_EXACT_FLOAT):
        raise ValueError
    return float(value)


def _booleans(values: Values) -> pa.Array:
    types = set(map(type, values))
    if not types <= {bool, type(None)}:
        raise ValueError
    bits = _bitmap([bool(value) for value in values])
    return pa.Array.from_buffers(pa.bool_(), len(values), [_validity(values, types), bits])


def _timestamps(values: Values) -> pa.Array:
    import pyarrow.compute as pc  # noqa: PLC0415 - the cast imports it, too

    moments = strings(values).cast(TIMESTAMP.arrow)
    bounds = pc.min_max(moments.view(pa.int64())).as_py()
    if bounds["min"] is not None and (bounds["min"] < MIN_TIMESTAMP or bounds["max"] > MAX_TIMESTAMP):
        raise ValueError
    return moments


def _lists(values: Values, convert: Callable[[Values], pa.Array]) -> pa.Array:
    """Return an Arrow array of lists whose items are converted by `convert` and are not null."""
    types = set(map(type, values))
    if not types <= {list, type(None)}:
        raise ValueError
    items = convert(list(chain.from_iterable(value for value in values if value)))
    if items.null_count:
        raise ValueError
    offsets = pa.py_buffer(array("i", accumulate((len(value or ()) for value in values), initial=0)))
    return pa.Array.from_buffers(
        pa.list_(items.type), len(values), [_validity(values, types), offsets], children=[items]
    )


def _string_lists(values: Values) -> pa.Array:
    return _lists(values, strings)


def _float_lists(values: Values) -> pa.Array:
    return _lists(values, _floats)


def _json_texts(values: Values) -> pa.Array:
    if not set(map(type, values)) <= {dict, list, type(None)}:
        raise ValueError
    return strings([None if value is None else _as_json(value) for value in values])


def _as_json(value: Any) -> str:
    """Return JSON text; a character that UTF-8 cannot encode (a lone surrogate) is escaped."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return re.sub("[\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):x}", text)


def _texts(values: Values) -> pa.Array:
    return strings([value if value is None or isinstance(value, str) else _as_json(value) for value in values])


def _without_signed_urls(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return JSON texts in which signed and permanent URLs are null, except in keys: their form does not matter."""
    import pyarrow.compute as pc  # noqa: PLC0415 - takes 30 ms, and only a comparison needs it

    for pattern, replacement in FORMS_IN_JSON:
        texts = pc.replace_substring_regex(texts, pattern, replacement)
    return texts


def _comparable_lists(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pa.chunked_array([_list_texts(chunk) for chunk in column.chunks], pa.string())


def _list_texts(lists: pa.ListArray) -> pa.Array:
    """Return one string per list of strings, equal only for equal lists; null for a null list.

    Each string is preceded by its length in bytes and a colon, and a null is "-", so that the result is unambiguous.
    """
    import pyarrow.compute as pc  # noqa: PLC0415 - takes 30 ms, and only a comparison needs it

    values = lists.values.cast(pa.string())
    texts = pc.binary_join_element_wise(pc.binary_length(values).cast(pa.string()), values, ":")
    joined = pc.binary_join(pa.ListArray.from_arrays(lists.offsets, pc.fill_null(texts, "-")), "")
    return pc.if_else(lists.is_valid(), joined, pa.scalar(None, pa.string()))


def _validity(values: Values, types: set[type]) -> pa.Buffer | None:
    """Return the validity bitmap of Arrow, None if there are no nulls."""
    return _bitmap([value is not None for value in values]) if type(None) in types else None


def _bitmap(flags: list[bool]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(np.array(flags, np.bool_), bitorder="little"))


STRING = ColumnType(pa.string(), ("unicode", "str"), "a string", strings)
ANY = ColumnType(pa.string(), ("unicode", "str"), "a JSON value", _texts)  # of any type, as JSON text but for strings
INTEGER = ColumnType(pa.int64(), ("int64", "Int64"), "a 64-bit integer", _integers)
FLOAT = ColumnType(pa.float64(), ("float64", "Float64"), "a number", _floats)
BOOLEAN = ColumnType(pa.bool_(), ("bool", "boolean"), "true or false", _booleans)
TIMESTAMP = ColumnType(
    pa.timestamp("us", tz="UTC"),
    ("datetimetz", "datetime64[us, UTC]"),
    "an ISO 8601 timestamp with a UTC offset, at most microsecond precision, and a year from 1 to 9999",
    _timestamps,
)
STRINGS = ColumnType(
    pa.list_(pa.string()), ("list[unicode]", "object"), "a list of strings", _string_lists,
    _comparable_lists,
)  # fmt: skip
FLOATS = ColumnType(
    pa.list_(pa.float64()), ("list[float64]", "object"), "a list of numbers", _float_lists,
    _comparable_lists,
)  # fmt: skip
JSON = ColumnType(pa.string(), ("unicode", "str"), "a JSON object or list", _json_texts, _without_signed_urls)

PANDAS_TYPES = {each.arrow: each.pandas for each in (STRING, INTEGER, FLOAT, BOOLEAN, TIMESTAMP, STRINGS, FLOATS)}
