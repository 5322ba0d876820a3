"""Distinguish the rows that were deleted from those that a list skipped because it moved while it was read.

The cursor of a list is an offset. Where a record is deleted while the list is read, each later one moves up a place,
and the one at the boundary of two pages is skipped. So a row that is missing is asked for by its id before it counts as
deleted.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from scenario_etl.diff import joined_keys, keys_of, to_arrow, to_numpy
from scenario_etl.errors import APIError, TransientError
from scenario_etl.lake import LakeFile
from scenario_etl.redact import redact
from scenario_etl.schema import Reader, Resource, strings

OWNER = "owner_id"
LOGGED_LOOKUPS = 50  # after so many each, progress is logged

logger = logging.getLogger("scenario_etl")


@dataclass
class MissingRows:
    """Completes a list by the rows of earlier snapshots that it skipped.

    Attributes:
        resource: of the list and the snapshots.
        known: earlier snapshots, the newest first, each with whether it has the scope of the list.
        of_one_project: whether the list is that of one project.
        look_up: given an id, returns the record as the API has it now, None where it is gone.
        read_again: reads the whole list a second time.
        reader: of single records.
        is_plausible: given the rows of a snapshot, how many of them are missing, and the rows of the list, whether to
            go on; where it says no, nothing is asked for.
        max_lookups: how many rows are asked for by id; the list is read a second time where more are missing.
        listed: how many rows the list had, set while it is read.
        recovered: how many rows the list had skipped.
        unverified: how many missing rows stay as they were last seen, because the API gave no clear answer, or because
            there were more than `max_lookups`.

    """

    resource: Resource
    known: Sequence[tuple[LakeFile, bool]]
    of_one_project: bool
    look_up: Callable[[str], dict[str, Any] | None]
    read_again: Callable[[], Iterable[pa.RecordBatch]]
    reader: Reader
    is_plausible: Callable[[int, int, int], bool]
    max_lookups: int
    listed: int = 0
    recovered: int = 0
    unverified: int = 0
    _keys: list[pa.Array] = field(default_factory=list)
    _owners: set[Any] = field(default_factory=set)

    def completed(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the batches of the list, then the rows that it skipped or that could not be verified.

        Raises:
            AuthError: the API no longer takes the credentials (401).
            SchemaError: a record that was asked for has a value that does not fit its column.

        """
        for batch in batches:
            self.listed += batch.num_rows
            if self.known:
                self._remember(batch)
            yield batch
        missing, in_scope = self._missing()
        if missing.num_rows > self.max_lookups:
            logger.warning(
                "%s: %s rows of the last snapshot are missing, more than max_lookups %s; reading the list again",
                self.resource.name, f"{missing.num_rows:,}", f"{self.max_lookups:,}",
            )  # fmt: skip
            candidates = missing.num_rows
            yield from self._second_read()
            still_missing = to_numpy(_not_in(_keys(self.resource, missing), self._seen()))
            missing, in_scope = missing.filter(to_arrow(still_missing)), in_scope[still_missing]
            self.recovered += candidates - missing.num_rows
        if missing.num_rows:
            yield from self._verified(missing, in_scope)

    def _remember(self, batch: pa.RecordBatch) -> None:
        self._keys += _keys(self.resource, batch).chunks
        if OWNER in batch.schema.names:
            self._owners.update(batch[OWNER].unique().to_pylist())

    def _seen(self) -> pa.ChunkedArray:
        return pa.chunked_array(self._keys, pa.string())

    def _missing(self) -> tuple[pa.Table, Any]:
        """Return the rows of earlier snapshots that the list did not have, each as it was last seen.

        The second value, a numpy array, tells for each of them whether its snapshot has the scope of the list. Where
        that of another scope is compared with one project, only rows whose owner is in the list can be missing.
        """
        tables = [pa.Table.from_batches([], schema=self.resource.schema)]  # empty_table() imports pandas
        in_scope = [np.zeros(0, bool)]
        for file, is_same_scope in self.known:
            keys = keys_of(self.resource, file)
            mask = to_numpy(_not_in(keys, self._seen()))
            if not mask.any():
                continue
            if not self.is_plausible(file.rows, int(mask.sum()), self.listed):
                return tables[0], in_scope[0]
            rows = pa.concat_tables(
                [rows.filter(to_arrow(mask[start : start + rows.num_rows])) for start, rows in file.row_groups(mask)]
            )
            if self.of_one_project and not is_same_scope and OWNER in rows.column_names:
                rows = rows.filter(_is_in(rows[OWNER], strings([*self._owners])))
            newer = pa.concat_tables(tables)
            tables.append(rows.filter(_not_in(_keys(self.resource, rows), _keys(self.resource, newer))))
            in_scope.append(np.full(tables[-1].num_rows, is_same_scope))
        return pa.concat_tables(tables), np.concatenate(in_scope)

    def _second_read(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows that the list has now and had not before."""
        for batch in self.read_again():
            fresh = batch.filter(_not_in(_keys(self.resource, batch), self._seen()).combine_chunks())
            self._remember(fresh)
            yield fresh

    def _verified(self, missing: pa.Table, in_scope: Any) -> Iterator[pa.RecordBatch]:
        """Ask for each missing row by its id, within the bound, and yield those that are not deleted."""
        bound = min(missing.num_rows, self.max_lookups)
        if bound:
            logger.info("%s: %s missing; looking up by id", self.resource.name, _rows(bound))
        owners = missing[OWNER].to_pylist() if OWNER in missing.column_names else [None] * missing.num_rows
        is_unverified = np.ones(missing.num_rows, bool)
        for position, key in enumerate(_keys(self.resource, missing).to_pylist()[: self.max_lookups]):
            try:
                found = self._found(key, owners[position], bool(in_scope[position]))
            except APIError as error:
                if error.status == 401:
                    raise
                logger.warning("%s: %s cannot be verified: %s", self.resource.name, redact(key), error)
                if isinstance(error, TransientError) or error.attempts > 1:
                    break  # each of the others would wait as long
                continue
            is_unverified[position] = False
            if found is not None:
                self.recovered += 1
                yield found
            if (position + 1) % LOGGED_LOOKUPS == 0:
                logger.info("%s: %s of %s looked up", self.resource.name, f"{position + 1:,}", f"{bound:,}")
        self.unverified = int(is_unverified.sum())
        if missing.num_rows > bound:
            logger.warning(
                "%s: %s not looked up, so the last values stay; max_lookups is %s (--max-lookups)",
                self.resource.name, _rows(missing.num_rows - bound), f"{self.max_lookups:,}",
            )  # fmt: skip
        yield from missing.filter(to_arrow(is_unverified)).combine_chunks().to_batches()

    def _found(self, key: str, owner: str | None, is_same_scope: bool) -> pa.RecordBatch | None:
        """Return a missing row as the API has it now, None where it is deleted, in the trash, or moved elsewhere."""
        record = self.look_up(key)
        if record is None or record.get("deletedAt"):
            return None
        found = self.reader.read([record])
        if _keys(self.resource, found)[0].as_py() != key:
            raise APIError(f"the API was asked for {redact(key)} and sent another record")
        return found if self._is_in_scope(found, owner, is_same_scope) else None

    def _is_in_scope(self, found: pa.RecordBatch, owner: str | None, is_same_scope: bool) -> bool:
        """Whether a record belongs to the list: it has the owner that it had, or one of the others in the list."""
        if OWNER not in found.schema.names:
            return True
        owner_now = found[OWNER][0].as_py()
        if owner_now is None and owner is not None:
            raise APIError("the API sent the record without its owner, so whether it has moved is unknown")
        return owner_now in self._owners or (is_same_scope and owner_now == owner)


def _keys(resource: Resource, rows: pa.Table | pa.RecordBatch) -> pa.ChunkedArray:
    columns = [rows[name] for name in resource.key]
    return joined_keys([each if isinstance(each, pa.ChunkedArray) else pa.chunked_array([each]) for each in columns])


def _not_in(keys: pa.ChunkedArray, others: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow.compute as pc  # noqa: PLC0415 - 30 ms that only a comparison is worth

    return pc.invert(_is_in(keys, others))


def _is_in(values: pa.ChunkedArray, others: pa.Array | pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow.compute as pc  # noqa: PLC0415 - 30 ms that only a comparison is worth

    return pc.is_in(values, value_set=others)


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"
