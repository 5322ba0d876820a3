"""Conversion of records to RecordBatches: nested fields, type checks, missing and unknown fields."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Any, NoReturn

import pyarrow as pa

from scenario_etl.column_types import ANY, JSON, STRING, STRINGS, strings
from scenario_etl.errors import SchemaError
from scenario_etl.redact import redact
from scenario_etl.schema import Column, Resource
from scenario_etl.signed_urls import SignedURLs, apply_form, apply_form_to_url, contain_urls, cut_signatures

TEXT_TYPES = (STRING, STRINGS, JSON, ANY)  # of columns that may contain URLs
MAX_UNKNOWN_FIELDS = 1000  # names in the report; there is no warning about later ones

_DOES_NOT_FIT = (ValueError, OverflowError, RecursionError)  # the last for JSON that is nested too deeply

logger = logging.getLogger("scenario_etl")

Records = Sequence[Any]


class RecordReader:
    """Reads records as RecordBatches of a resource's schema.

    Args:
        resource: The resource of the records.
        strict: Whether a missing or unknown field raises SchemaError.
        signed_urls: The form of signed URLs, as in `scan`.
        redact: A function that redacts a value of the API for a message.
        warned: The warnings so far, which are not repeated; several readers can share them.

    Attributes:
        missing_fields: Number of records in which a declared field is missing or null, by the dotted name of the field.
        unknown_fields: Number of records that have an unknown field, by the dotted name of the field.
        key_fields: Names of the fields that identify a record.

    """

    def __init__(
        self,
        resource: Resource,
        *,
        strict: bool = False,
        signed_urls: SignedURLs = "keep",
        redact: Callable[[object], str] = redact,
        warned: set[str] | None = None,
    ) -> None:
        self.missing_fields: Counter[str] = Counter()
        self.unknown_fields: Counter[str] = Counter()
        self._resource = resource
        self._schema = resource.record_schema
        self._strict = strict
        self._warned = set() if warned is None else warned
        self._signed_urls = signed_urls
        self._prepared = _prepared_columns(resource, signed_urls)
        self._redact = lru_cache(redact)
        self._known = _known_names(resource)
        self.key_fields = resource.key_fields
        self._errors = _Errors(resource.name, self.key_fields, self._redact)

    def read(self, records: Records) -> pa.RecordBatch:
        """Return records of one or more pages as a RecordBatch with one row per record.

        Raises:
            SchemaError: A value does not fit its column, or `strict` is set and a field is missing or unknown.

        """
        self._check_objects("", records, records, {dict})
        objects: dict[str, Records] = {"": records}
        for path in self._known:
            if path:
                parent, _, name = path.rpartition(".")
                objects[path] = [None if item is None else item.get(name) for item in objects[parent]]
                self._check_objects(path, objects[path], records, {dict, type(None)})
        arrays = [self._array(column, objects, records) for column in self._resource.columns]
        for path, values in objects.items():
            self._count_unknown(path, values, records)
        self._errors.records_read += len(records)
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def explode(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return a batch with one row for each distinct item of the exploded column in each record."""
        if not (name := self._resource.exploded):
            return batch
        import pyarrow.compute as pc  # noqa: PLC0415 - takes 30 ms, and only an exploded list needs it

        parents, items = pc.list_parent_indices(batch[name]), batch[name].flatten()
        columns = [items if each == name else batch[each].take(parents) for each in batch.schema.names]
        rows = pa.RecordBatch.from_arrays(columns, schema=self._resource.schema)
        first: dict[tuple[int, str], int] = {}
        for position, pair in enumerate(zip(parents.to_pylist(), items.to_pylist(), strict=True)):
            first.setdefault(pair, position)
        return rows if len(first) == rows.num_rows else rows.take(list(first.values()))

    def keys(self, records: Sequence[dict[str, Any]]) -> list[Any]:
        """Return the primary key of each record; `read` has checked that it exists."""
        if len(self.key_fields) == 1:
            name = self.key_fields[0]
            return [record[name] for record in records]
        return [tuple(record[name] for name in self.key_fields) for record in records]

    def _check_objects(self, path: str, values: Records, records: Records, types: set[type]) -> None:
        if set(map(type, values)) <= types:
            return
        position = next(i for i, value in enumerate(values) if type(value) not in types)
        what = f"field {path} of record" if path else "record"
        self._errors.reject(what, records, position, values[position], "a JSON object")

    def _array(self, column: Column, objects: dict[str, Records], records: Records) -> pa.Array:
        path, _, name = column.field.rpartition(".")
        parents = objects[path]
        if path:
            values = [None if item is None else item.get(name) for item in parents]
        else:
            values = [item.get(name) for item in parents]
        is_optional = path and column.nullable and path not in self._resource.required_objects
        nulls = values.count(None) - (parents.count(None) if is_optional else 0)
        if nulls and column.nullable and not column.optional:
            self._count_missing(column, nulls, parents, values, records)
        try:
            if not column.nullable and (nulls or "" in values):
                raise ValueError
            if column.name in self._prepared:
                return _convert(column, values, self._signed_urls, column.name == self._resource.exploded)
            return column.type.convert(values)
        except _DOES_NOT_FIT:
            self._raise_schema_error(column, values, records)

    def _raise_schema_error(self, column: Column, values: Records, records: Records) -> NoReturn:
        """Raise SchemaError for the value that does not fit, which is found by converting one value at a time."""
        for position, value in enumerate(values):
            try:
                if not column.nullable and value in (None, ""):
                    raise ValueError
                if column.name in self._prepared:
                    _convert(column, [value], self._signed_urls, column.name == self._resource.exploded)
                column.type.convert([value])
            except _DOES_NOT_FIT:
                self._errors.reject(f"{column.field} of record", records, position, value, column.type.description)
        raise AssertionError(f"column {column.name} cannot be converted, but each of its values can")

    def _count_missing(self, column: Column, nulls: int, parents: Records, values: Records, records: Records) -> None:
        if self._strict:
            position = next(
                i
                for i, value in enumerate(values)
                if value is None and (parents[i] is not None or column.parent in self._resource.required_objects)
            )
            self._errors.reject_field(column.field, records, position, "has no value for the field")
        message = f"field {column.field} is missing or null in at least one record; the column is null there"
        self._count(self.missing_fields, column.field, nulls, message)

    def _count_unknown(self, path: str, objects: Records, records: Records) -> None:
        known = self._known[path]
        if known is None:
            return
        present = [item for item in objects if item is not None] if path else objects
        for name in set().union(*present) - known:
            dotted = f"{path}.{name}" if path else name
            having = [i for i, item in enumerate(objects) if item is not None and name in item]
            if self._strict:
                self._errors.reject_field(dotted, records, having[0], "has the unknown field")
            shown = self._redact(dotted)
            self._count(self.unknown_fields, shown, len(having), f"ignoring the unknown field {shown}")

    def _count(self, counter: Counter[str], name: str, times: int, message: str) -> None:
        if name not in counter:
            if len(counter) >= MAX_UNKNOWN_FIELDS:
                return
            if message not in self._warned:
                self._warned.add(message)
                logger.warning("%s: %s", self._resource.name, message)
        counter[name] += times


def with_project(rows: pa.RecordBatch, project: str, resource: Resource) -> pa.RecordBatch:
    """Return rows with a first column for their project."""
    column = pa.repeat(strings([project])[0], rows.num_rows)  # pa.scalar imports pandas
    return pa.RecordBatch.from_arrays([column, *rows.columns], schema=resource.schema)


@dataclass
class _Errors:
    """Raises errors that identify a record by its primary key or its number."""

    resource: str
    key_fields: Sequence[str]
    redact: Callable[[object], str]
    records_read: int = 0  # in earlier batches

    def reject(self, what: str, records: Records, position: int, value: object, expected: str) -> NoReturn:
        """Raise SchemaError for a value that does not fit."""
        named = self._name(records, position)
        text = value if isinstance(value, str) else redact(value)
        found = f'"{self.redact(text)}"' if isinstance(value, str) else self.redact(text)
        raise SchemaError(
            f"{self.resource}: {what} {named} must be {expected}, got {found}; report it to the vendor, or open an "
            "issue if the API has changed"
        )

    def reject_field(self, field: str, records: Records, position: int, problem: str) -> NoReturn:
        """Raise SchemaError for a field that is missing or unknown, because `strict` is set."""
        raise SchemaError(
            f"{self.resource}: record {self._name(records, position)} {problem} {self.redact(field)}; to accept "
            "it, omit --strict (in Python, use strict=False)"
        )

    def _name(self, records: Records, position: int) -> str:
        record = records[position]
        key = [record.get(name) for name in self.key_fields] if isinstance(record, dict) else []
        return (
            ", ".join(self.redact(part if isinstance(part, str) else redact(part)) for part in key if part)
            or f"number {self.records_read + position + 1:,}"
        )


def _prepared_columns(resource: Resource, form: SignedURLs) -> set[str]:
    """Return the names of the columns for which `_convert` is needed; a primary key keeps its URLs."""
    return {
        column.name
        for column in resource.columns
        if column.name == resource.exploded
        or (form != "keep" and column.type in TEXT_TYPES and column.name not in resource.primary_key)
    }


def _convert(column: Column, values: Records, form: SignedURLs, is_exploded: bool) -> pa.Array:
    """Return values as an array, with signed URLs in the given form; raise an error if a value does not fit."""
    convert = column.type.convert
    if is_exploded:
        _check_items(values)
        return convert(values)
    if column.signed_url:
        return convert([apply_form_to_url(value, form, column.signed_url) for value in values])
    if column.type in (JSON, ANY):
        return convert([apply_form(value, form) for value in values])
    array = convert(values)
    return convert([cut_signatures(value) for value in values]) if contain_urls(array) else array


def _check_items(values: Records) -> None:
    """Raise ValueError if an item that becomes a key is empty."""
    if any(isinstance(value, list) and "" in value for value in values):
        raise ValueError


def _known_names(resource: Resource) -> dict[str, set[str] | None]:
    """Return the known field names of each object, by its dotted path, parents first; "" is the record.

    They are None for an object that is kept whole, as JSON, and for the objects in it: nothing in them is unknown. The
    same is true for a record of which only a list is exploded.
    """
    known: dict[str, set[str] | None] = {"": None if resource.exploded else set()}
    fields = [*(column.field for column in resource.columns), *resource.ignored_fields]
    paths = [part for field in fields for part in _prefixes(field)]
    whole = {column.field for column in resource.columns if column.type == JSON}
    for path in sorted(paths, key=lambda each: each.count(".")):
        parent, _, name = path.rpartition(".")
        names = known.setdefault(parent, set() if whole.isdisjoint(_prefixes(parent)) else None)
        if names is not None:
            names.add(name)
    return known


def _prefixes(path: str) -> Iterator[str]:
    """Yield the dotted paths that lead to a field, the shortest first: "a", "a.b", "a.b.c"."""
    return accumulate(path.split("."), "{}.{}".format)
