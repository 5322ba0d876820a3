"""What a column and a resource are: records -> RecordBatch of the declared schema, or a SchemaError."""

import json
import logging
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate, repeat
from operator import is_not
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa

from scenario_etl.errors import SchemaError
from scenario_etl.redact import redact
from scenario_etl.signed_urls import SignedURLs, in_form

STRING = pa.string()
INTEGER = pa.int64()
TIMESTAMP = pa.timestamp("us", tz="UTC")

MAX_EXACT_FLOAT = 2**53  # from it on a JSON number with a point may no longer be the one that was written
MIN_TIMESTAMP = -62_135_596_800_000_000  # microseconds since 1970: the start of year 1; Python knows no other years
MAX_TIMESTAMP = 253_402_300_799_999_999  # the end of year 9999
MAX_UNKNOWN_FIELDS = 1000  # names that the report keeps; what comes after is warned of no more

logger = logging.getLogger("scenario_etl")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a resource.

    Attributes:
        name: in the table, in snake_case.
        field: in the JSON record; a dot leads into a nested object that may be absent, as in "thumbnail.url".
        type: STRING, INTEGER or TIMESTAMP.
        nullable: False for keys, which a record must have.
        few_values: whether most records share a handful of values, so that a dictionary encodes them best.
        signed_url: whether the values are URLs whose query is a credential that expires.

    """

    name: str
    field: str
    type: pa.DataType
    nullable: bool = True
    few_values: bool = False
    signed_url: bool = False


@dataclass(frozen=True, slots=True)
class Resource:
    """A list endpoint of the API, and the table that it becomes.

    Attributes:
        name: of the table and in the command line.
        path: below the base URL.
        records_key: the key of the page's list of records.
        record_key: the key of the record in the response to `GET /collections/{id}`; None without such an endpoint.
        key: the names of the columns that identify a row.
        page_sizes: the least and the most records that a page may be asked for.
        columns: in the order of the table.
        filters: the names of the query's filters, in snake_case, and what the API calls them.

    """

    name: str
    path: str
    records_key: str
    record_key: str | None
    key: tuple[str, ...]
    page_sizes: tuple[int, int]
    columns: tuple[Column, ...]
    filters: Mapping[str, str] = field(default_factory=dict)

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of the table."""
        return with_pandas_types([pa.field(c.name, c.type, c.nullable) for c in self.columns])

    @property
    def dictionary_columns(self) -> list[str]:
        """The names of the columns with few values."""
        return [column.name for column in self.columns if column.few_values]


def with_pandas_types(fields: Iterable[pa.Field]) -> pa.Schema:
    """Return a schema whose metadata makes pandas read the same dtypes whether or not a null occurs.

    The metadata is what pandas itself writes into Parquet files (its "Storing pandas DataFrame objects in Apache
    Parquet format"). Columns of other types than those of a Resource are left to pandas.
    """
    fields = list(fields)
    columns = [
        {"name": field.name, "field_name": field.name, "pandas_type": kind, "numpy_type": dtype, "metadata": details}
        for field in fields
        if field.type in _PANDAS_TYPES
        for kind, dtype, details in [_PANDAS_TYPES[field.type]]
    ]
    document = {"index_columns": [], "column_indexes": [], "columns": columns, "pandas_version": "3.0.0"}
    return pa.schema(fields, metadata={"pandas": json.dumps(document)})


_PANDAS_TYPES = {
    STRING: ("unicode", "str", None),
    INTEGER: ("int64", "Int64", None),
    TIMESTAMP: ("datetimetz", "datetime64[us, UTC]", {"timezone": "UTC"}),
}


class Reader:
    """Reads records as RecordBatches of a resource's schema.

    Attributes:
        missing_fields: how often a documented field was absent or null, by its dotted name.
        unknown_fields: how often a field came that no column knows, by its dotted name.

    """

    def __init__(
        self,
        resource: Resource,
        *,
        strict: bool = False,
        signed_urls: SignedURLs = "keep",
        show: Callable[[object], str] = redact,
    ) -> None:
        self.missing_fields: Counter[str] = Counter()
        self.unknown_fields: Counter[str] = Counter()
        self._records_read = 0
        self._resource = resource
        self._schema = resource.schema
        self._strict = strict
        self._signed_urls = signed_urls
        self._show = lru_cache(show)
        self._places = [column.field.rpartition(".")[::2] for column in resource.columns]
        self._objects = sorted({parent for parent, _ in self._places if parent})
        self._known = {
            parent: {name for place, name in self._places if place == parent} for parent in ("", *self._objects)
        }
        self._known[""].update(self._objects)
        self._key_fields = [column.field for column in resource.columns if column.name in resource.key]

    def read(self, records: Sequence[Any]) -> pa.RecordBatch:
        """Return records, those of a page or of several, as a RecordBatch with one row each.

        Raises:
            SchemaError: a value does not fit its column, or `strict` and a field is missing or unknown.

        """
        self._check_objects("", records, records, {dict})
        objects = {"": records}
        for name in self._objects:
            objects[name] = [record.get(name) for record in records]
            self._check_objects(name, objects[name], records, {dict, type(None)})
        arrays = [
            self._array(column, objects[parent], name, records)
            for column, (parent, name) in zip(self._resource.columns, self._places, strict=True)
        ]
        for parent, values in objects.items():
            self._count_unknown(parent, values, records)
        self._records_read += len(records)
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def keys(self, records: Sequence[dict[str, Any]]) -> list[Any]:
        """Return what identifies each record; `read` has made sure that every record has it."""
        if len(self._key_fields) == 1:
            name = self._key_fields[0]
            return [record[name] for record in records]
        return [tuple(record[name] for name in self._key_fields) for record in records]

    def _check_objects(self, name: str, values: Sequence[Any], records: Sequence[Any], types: set[type]) -> None:
        if set(map(type, values)) <= types:
            return
        position = next(i for i, value in enumerate(values) if type(value) not in types)
        self._refuse(name or "the record", records, position, values[position], "a JSON object")

    def _array(self, column: Column, objects: Sequence[Any], name: str, records: Sequence[Any]) -> pa.Array:
        if objects is records:
            values = [record.get(name) for record in objects]
            nulls = values.count(None)
        else:
            values = [None if item is None else item.get(name) for item in objects]
            nulls = values.count(None) - objects.count(None)
        if nulls and column.nullable:
            self._count_missing(column, nulls, objects, values, records)
        if column.signed_url and self._signed_urls != "keep":
            values = [in_form(value, self._signed_urls) if isinstance(value, str) else value for value in values]
        try:
            if not column.nullable and (nulls or "" in values):
                raise ValueError
            return _CONVERSIONS[column.type](values)
        except (ValueError, OverflowError):
            self._explain(column, values, records)

    def _explain(self, column: Column, values: Sequence[Any], records: Sequence[Any]) -> NoReturn:
        """Find the value that made a whole column fail, by the same rules, one at a time."""
        for position, value in enumerate(values):
            try:
                if not column.nullable and value in (None, ""):
                    raise ValueError
                _CONVERSIONS[column.type]([value])
            except (ValueError, OverflowError):
                self._refuse(column.name, records, position, value, _EXPECTED[column.type])
        raise AssertionError(f"{column.name} fails as a whole, but no value of it does")

    def _refuse(self, what: str, records: Sequence[Any], position: int, value: object, expected: str) -> NoReturn:
        named = self._name(records, position)
        text = value if isinstance(value, str) else redact(value)
        found = f'"{self._show(text)}"' if isinstance(value, str) else self._show(text)
        raise SchemaError(
            f"{self._resource.name}: {what} of record {named} is {found}, not {expected}; report it to the vendor, or "
            "change the column in resources.py"
        )

    def _refuse_strictly(self, field: str, records: Sequence[Any], position: int, problem: str) -> NoReturn:
        raise SchemaError(
            f"{self._resource.name}: {problem} {self._show(field)} in record {self._name(records, position)}, and "
            "strict is set; run without it (--strict, strict=True) to accept that"
        )

    def _name(self, records: Sequence[Any], position: int) -> str:
        record = records[position]
        key = [record.get(name) for name in self._key_fields] if isinstance(record, dict) else []
        return (
            ", ".join(self._show(part if isinstance(part, str) else redact(part)) for part in key if part)
            or f"number {self._records_read + position + 1:,}"
        )

    def _count_missing(
        self, column: Column, nulls: int, objects: Sequence[Any], values: Sequence[Any], records: Sequence[Any]
    ) -> None:
        if self._strict:
            position = next(i for i, value in enumerate(values) if value is None and objects[i] is not None)
            self._refuse_strictly(column.field, records, position, "there is no value for the field")
        self._count(self.missing_fields, column.field, nulls, "is missing or null; such rows have null")

    def _count_unknown(self, parent: str, objects: Sequence[Any], records: Sequence[Any]) -> None:
        present = objects if objects is records else [item for item in objects if item is not None]
        unknown = set().union(*present) - self._known[parent]
        for name in unknown:
            dotted = f"{parent}.{name}" if parent else name
            having = [i for i, item in enumerate(objects) if item is not None and name in item]
            if self._strict:
                self._refuse_strictly(dotted, records, having[0], "there is an unknown field")
            self._count(self.unknown_fields, self._show(dotted), len(having), "is not known, and ignored")

    def _count(self, counter: Counter[str], name: str, times: int, what: str) -> None:
        if name not in counter:
            if len(counter) >= MAX_UNKNOWN_FIELDS:
                return
            logger.warning("%s: field %s %s", self._resource.name, name, what)
        counter[name] += times


def strings(values: Sequence[Any]) -> pa.Array:
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
    return pa.Array.from_buffers(STRING, len(values), buffers)


def _integers(values: Sequence[Any]) -> pa.Array:
    types = set(map(type, values))
    if not types <= {int, float, type(None)}:
        raise ValueError
    numbers = values if types == {int} else [_whole(value) for value in values]
    return pa.Array.from_buffers(INTEGER, len(values), [_validity(values, types), pa.py_buffer(array("q", numbers))])


def _whole(value: float | None) -> int:
    if isinstance(value, float) and not (value.is_integer() and abs(value) < MAX_EXACT_FLOAT):
        raise ValueError
    return int(value or 0)


def _timestamps(values: Sequence[Any]) -> pa.Array:
    import pyarrow.compute as pc  # noqa: PLC0415 - the cast imports it, too

    moments = strings(values).cast(TIMESTAMP)
    bounds = pc.min_max(moments.view(INTEGER)).as_py()
    if bounds["min"] is not None and (bounds["min"] < MIN_TIMESTAMP or bounds["max"] > MAX_TIMESTAMP):
        raise ValueError
    return moments


def _validity(values: Sequence[Any], types: set[type]) -> pa.Buffer | None:
    """Return Arrow's bitmap of which values are not null, None where all are."""
    if type(None) not in types:
        return None
    flags = np.frombuffer(bytes(map(is_not, values, repeat(None))), np.uint8)
    return pa.py_buffer(np.packbits(flags, bitorder="little"))


_CONVERSIONS: dict[pa.DataType, Callable[[Sequence[Any]], pa.Array]] = {
    STRING: strings,
    INTEGER: _integers,
    TIMESTAMP: _timestamps,
}
_EXPECTED = {
    STRING: "a string",
    INTEGER: "a whole number of at most 64 bits",
    TIMESTAMP: "an ISO 8601 date from year 1 to 9999 with an offset and at most 6 digits of a second",
}
