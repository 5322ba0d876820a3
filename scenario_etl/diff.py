"""Differences between two snapshots: added, updated and deleted rows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from scenario_etl.column_types import strings
from scenario_etl.dedupe import digests
from scenario_etl.errors import SchemaError
from scenario_etl.lake import changes_schema
from scenario_etl.lake_file import LakeFile
from scenario_etl.schema import Column, Resource

CHANGES = ("added", "updated", "deleted")


@dataclass(frozen=True, slots=True)
class Diff:
    """The differences between two snapshots, row by row, as numpy arrays of booleans.

    Attributes:
        resource: The resource of both snapshots.
        old: The previous snapshot, None for the first.
        new: The new snapshot.
        added: For each row of the new snapshot, whether its key is new.
        changed: For each column with a change, whether the value changed in each row of the new snapshot.
        deleted: For each row of the old snapshot, whether the new one lacks its key.

    """

    resource: Resource
    old: LakeFile | None
    new: LakeFile
    added: Any
    changed: Mapping[str, Any]
    deleted: Any

    @property
    def updated(self) -> Any:
        """For each row of the new snapshot, whether a value has changed."""
        return np.logical_or.reduce([np.zeros(self.new.rows, bool), *self.changed.values()])

    @property
    def counts(self) -> dict[str, int]:
        """Number of rows that are added, updated and deleted."""
        masks = zip(CHANGES, (self.added, self.updated, self.deleted), strict=True)
        return {name: int(mask.sum()) for name, mask in masks}


def compare(resource: Resource, old: LakeFile | None, new: LakeFile) -> Diff:
    """Compare two snapshots by key, one column at a time to save memory.

    A new signature on a URL does not count as a change, and neither does a new column.

    Raises:
        SchemaError: A file has a column that cannot be compared.

    """
    import pyarrow.compute as pc  # noqa: PLC0415 - takes 30 ms, and only a comparison needs it

    if old is None:
        return Diff(resource, old, new, np.ones(new.rows, bool), {}, np.zeros(0, bool))
    positions = pc.index_in(keys_of(resource, new), value_set=keys_of(resource, old)).combine_chunks()
    added = to_numpy(pc.is_null(positions))
    deleted = np.ones(old.rows, bool)
    deleted[to_numpy(positions.drop_null())] = False
    changed = {}
    for column in resource.columns:
        name = column.name
        if name in resource.primary_key or column.signed_url or not old.has(name):
            continue
        before, after = _comparable(column, old).take(positions), _comparable(column, new)
        differs = pc.coalesce(pc.not_equal(before, after), pc.xor(pc.is_valid(before), pc.is_valid(after)))
        mask = to_numpy(differs) & ~added
        if mask.any():
            changed[name] = mask
    return Diff(resource, old, new, added, changed, deleted)


def _comparable(column: Column, file: LakeFile) -> pa.ChunkedArray:
    """Return the values of a column in a form that Arrow can compare; texts as digests, which need less memory."""
    values = map(column.type.comparable, file.chunks(column.name))
    if not pa.types.is_primitive(column.type.arrow):
        return pa.chunked_array([_digests(texts) for texts in values], pa.int64())
    return pa.chunked_array(chain.from_iterable(each.chunks for each in values), column.type.arrow)


def _digests(texts: pa.ChunkedArray) -> pa.Array:
    """Return a digest of each text, null for a null; a change is missed with a probability of 2**-64."""
    import pyarrow.compute as pc  # noqa: PLC0415 - takes 30 ms, and only a comparison needs it

    found = digests([text or b"" for text in texts.cast(pa.binary()).to_pylist()])
    return pc.if_else(texts.is_valid().combine_chunks(), to_arrow(found), pa.nulls(len(found), pa.int64()))


def keys_of(resource: Resource, file: LakeFile) -> pa.ChunkedArray:
    """Return the key of each row of a file.

    Raises:
        SchemaError: Two rows have the same key, because another program has rewritten the file.

    """
    keys = joined_keys([file.column(name) for name in resource.primary_key])
    if repeated := len(keys) - len(keys.unique()):
        raise SchemaError(f"{file.uri}: {repeated:,} duplicate keys; restore the file, or remove its folder")
    return keys


def count_missing(resource: Resource, old: LakeFile, new: LakeFile) -> int:
    """Return the number of rows of an old snapshot whose key is missing from a new one."""
    import pyarrow.compute as pc  # noqa: PLC0415 - takes 30 ms, and only a comparison needs it

    keys = keys_of(resource, old)
    return len(keys) - int(pc.sum(pc.is_in(keys, value_set=keys_of(resource, new))).as_py() or 0)


def joined_keys(columns: Sequence[pa.ChunkedArray]) -> pa.ChunkedArray:
    """Return one string per row, which is equal for two rows only if all of their columns are equal."""
    import pyarrow.compute as pc  # noqa: PLC0415 - takes 30 ms, and only a comparison needs it

    texts = [column.cast(pa.string()) for column in columns]
    if len(texts) == 1:
        return texts[0]
    parts = [part for text in texts for part in (pc.binary_length(text).cast(pa.string()), text)]
    return pc.binary_join_element_wise(*parts, ":")


def changed_rows(diff: Diff) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file of changes, in the order of the snapshots, the deleted ones last."""
    schema = changes_schema(diff.resource)
    updated = diff.updated
    for start, rows in diff.new.row_groups(diff.added | updated):
        chosen = slice(start, start + rows.num_rows)
        picked = diff.added[chosen] | updated[chosen]
        kinds = np.where(diff.added[chosen][picked], 0, 1)
        names = _column_names([(name, mask[chosen][picked]) for name, mask in diff.changed.items()], len(kinds))
        yield from _with_change(rows.filter(to_arrow(picked)), kinds, names, schema)
    if diff.old is not None:
        for start, rows in diff.old.row_groups(diff.deleted):
            deleted = rows.filter(to_arrow(diff.deleted[start : start + rows.num_rows]))
            yield from _with_change(deleted, np.full(deleted.num_rows, 2), _column_names([], deleted.num_rows), schema)


def _with_change(rows: pa.Table, kinds: Any, names: pa.Array, schema: pa.Schema) -> list[pa.RecordBatch]:
    """Return rows preceded by the columns `change`, given as positions in CHANGES, and `changed_columns`."""
    table = pa.table([strings(CHANGES).take(to_arrow(kinds)), names, *rows.columns], schema=schema)
    batches: list[pa.RecordBatch] = table.combine_chunks().to_batches()
    return batches


def _column_names(changed: Sequence[tuple[str, Any]], rows: int) -> pa.Array:
    """Return the names of the changed columns of each row, as an Arrow array of lists."""
    masks = np.array([mask for _, mask in changed], bool).reshape(len(changed), rows).T
    ends = np.cumsum(np.concatenate([[0], masks.sum(axis=1)]), dtype=np.int32)
    columns = np.nonzero(masks)[1]
    names = strings([name for name, _ in changed]).take(to_arrow(columns.astype(np.int64)))
    return pa.ListArray.from_arrays(to_arrow(ends), names)


def to_numpy(values: pa.Array | pa.ChunkedArray) -> Any:
    """Return booleans or 32-bit integers without nulls as a numpy array; pyarrow's own conversion imports pandas."""
    values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    if values.type == pa.bool_():
        return np.frombuffer(values.cast(pa.uint8()).buffers()[1], np.bool_, len(values))
    return np.frombuffer(values.buffers()[1], np.int32, len(values), 4 * values.offset)


def to_arrow(values: Any) -> pa.Array:
    """Return a numpy array of booleans or integers as an Arrow array; pyarrow's own conversion imports pandas."""
    if values.dtype == np.bool_:
        return to_arrow(values.astype(np.int8)).cast(pa.bool_())
    kind = {np.dtype(np.int8): pa.int8(), np.dtype(np.int64): pa.int64(), np.dtype(np.int32): pa.int32()}[values.dtype]
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])
