"""Rows that are missing from a list: deleted, or skipped because the list changed while it was read.

The token of a page is an offset. If a record is deleted while the list is read, all later records move up by one, and
the first record of the next page is skipped. A missing row is therefore looked up by its id before it counts as
deleted. If rows cannot be looked up, the list is read a second time instead.
"""

import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from scenario_etl.column_types import strings
from scenario_etl.diff import joined_keys, keys_of, to_arrow, to_numpy
from scenario_etl.errors import APIError, AuthError, SchemaError, TransientError
from scenario_etl.guard import Baseline, Guard
from scenario_etl.lookups import OWNER, Lookups
from scenario_etl.redact import redact
from scenario_etl.schema import PROJECT, Resource

LOG_INTERVAL = 50  # lookups between two log messages

logger = logging.getLogger("scenario_etl")


class ListedRows:
    """The rows of a list so far: their number, keys and owners.

    Attributes:
        count: Number of rows.
        owners: Pairs of a project, None without the column `project_id`, and a value of `owner_id`.

    """

    def __init__(self, resource: Resource) -> None:
        self.count = 0
        self.owners: set[tuple[str | None, Any]] = set()
        self._resource = resource
        self._keys: list[pa.Array] = []

    def add(self, rows: pa.RecordBatch) -> None:
        """Add the rows of a batch."""
        self.count += rows.num_rows
        self._keys += _keys(self._resource, rows).chunks
        if OWNER in rows.schema.names:
            owners = rows[OWNER] if PROJECT.name in rows.schema.names else rows[OWNER].unique()
            self.owners.update(zip(_projects(rows), owners.to_pylist(), strict=False))

    def lacks(self, keys: pa.ChunkedArray) -> pa.ChunkedArray:
        """Return for each key whether it is missing from the list."""
        return _not_in(keys, pa.chunked_array(self._keys, pa.string()))

    def is_in_scope(self, row: pa.RecordBatch, project: str | None, owner: str | None, *, is_same_scope: bool) -> bool:
        """Return whether a row that was looked up belongs to the list.

        Args:
            row: The row.
            project: Its project, None without the column `project_id`.
            owner: The owner that it had in an earlier snapshot.
            is_same_scope: Whether that snapshot has the scope of the list, so that a row with this owner belongs to it.

        Raises:
            APIError: The row has no owner anymore.

        """
        if OWNER not in row.schema.names:
            return True
        owner_now = row[OWNER][0].as_py()
        if owner_now is None and owner is not None:
            raise APIError("the API returned the record without an owner, so it may have moved to another project")
        return (project, owner_now) in self.owners or (is_same_scope and owner_now == owner)


@dataclass
class MissingRows:
    """Completes a list with the rows of earlier snapshots that it skipped.

    Attributes:
        resource: The resource of the list and the snapshots.
        baselines: The earlier snapshots, newest first.
        has_project_filter: Whether the list is limited to one project.
        lookups: The lookups of rows by id, None if rows of this list cannot be looked up.
        read_again: A function that reads the whole list a second time.
        guard: The guard; no row is looked up if it will reject the snapshot.
        max_lookups: Maximum number of rows to look up; if more are missing, the list is read again before any lookup.
        recovered: Number of rows that the list skipped.
        unverified: Number of missing rows that keep their last values, because it is unclear whether they are deleted,
            or because there are more than `max_lookups`.
        carried_over: Number of rows that keep their last values, because their project was skipped or is not listed.
        projects: The projects of the list, if there may be several; the API no longer lists the others.
        skipped_projects: The projects that were skipped, known after the batches of the list.

    """

    resource: Resource
    baselines: Sequence[Baseline]
    has_project_filter: bool
    lookups: Lookups | None
    read_again: Callable[[], Iterable[pa.RecordBatch]]
    guard: Guard
    max_lookups: int
    recovered: int = 0
    unverified: int = 0
    carried_over: int = 0
    projects: Sequence[str] = ()
    skipped_projects: Sequence[str] = ()
    _listed: ListedRows = field(init=False)
    _carried: ListedRows = field(init=False)

    def __post_init__(self) -> None:
        self._listed, self._carried = ListedRows(self.resource), ListedRows(self.resource)

    def complete(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the batches of the list, then the rows that it skipped or that could not be verified.

        Raises:
            AuthError: The API no longer accepts the credentials (401).
            SchemaError: A value of the second read does not fit its column, or an earlier snapshot is not valid.

        """
        for batch in batches:
            if self.baselines:
                self._listed.add(batch)
            yield batch
        missing, in_scope = self._missing()
        if self.resource.has_projects:
            is_carried = in_scope & ~self._is_read(missing[PROJECT.name])
            yield from self._carry_over(missing.filter(to_arrow(is_carried)))
            missing, in_scope = missing.filter(to_arrow(~is_carried)), in_scope[~is_carried]
        if missing.num_rows and (self.lookups is None or missing.num_rows > self.max_lookups):
            _log_second_read(self.resource.name, missing.num_rows, None if self.lookups is None else self.max_lookups)
            lacking = yield from self._second_read()
            still_missing = to_numpy(self._listed.lacks(_keys(self.resource, missing)))
            self.recovered += missing.num_rows - int(still_missing.sum())
            is_incomplete = 0 < lacking >= missing.num_rows
            missing, in_scope = missing.filter(to_arrow(still_missing)), in_scope[still_missing]
            if self.lookups is None and is_incomplete:
                _log_incomplete_read(self.resource.name, lacking, missing.num_rows)
                self.unverified = missing.num_rows
                yield from missing.combine_chunks().to_batches()
                return
        if missing.num_rows and self.lookups is not None:
            yield from self._look_up(missing, in_scope, self.lookups)

    def _missing(self) -> tuple[pa.Table, Any]:
        """Return the rows of earlier snapshots that are missing from the list, with their last values.

        The second result is a numpy array: for each row, whether its snapshot has the scope of the list. If the list is
        limited to one project and a snapshot has a different scope, only rows whose owner is listed can be missing.
        """
        tables = [pa.Table.from_batches([], schema=self.resource.schema)]  # empty_table() imports pandas
        in_scope = [np.zeros(0, bool)]
        for baseline in self.baselines:
            file = baseline.file
            mask = to_numpy(self._listed.lacks(keys_of(self.resource, file)))
            if not mask.any():
                continue
            carried = np.zeros(file.rows, bool)
            if self.resource.has_projects and baseline.is_same_scope:
                carried = mask & ~self._is_read(file.column(PROJECT.name))
            left = self._listed.count + int(carried.sum())
            if not self.guard.accepts(file.rows, int((mask & ~carried).sum()), left):
                return tables[0], in_scope[0]
            rows = pa.concat_tables(
                [rows.filter(to_arrow(mask[start : start + rows.num_rows])) for start, rows in file.row_groups(mask)]
            )
            if self.has_project_filter and not baseline.is_same_scope and OWNER in rows.column_names:
                rows = rows.filter(_is_in(rows[OWNER], strings([owner for _, owner in self._listed.owners])))
            newer = pa.concat_tables(tables)
            tables.append(rows.filter(_not_in(_keys(self.resource, rows), _keys(self.resource, newer))))
            in_scope.append(np.full(tables[-1].num_rows, baseline.is_same_scope))
        return pa.concat_tables(tables), np.concatenate(in_scope)

    def _carry_over(self, rows: pa.Table) -> Iterator[pa.RecordBatch]:
        self.carried_over = rows.num_rows
        if rows.num_rows:
            number = _rows(rows.num_rows)
            logger.warning("%s: %s of projects that cannot be read keep their last values", self.resource.name, number)
        for batch in rows.combine_chunks().to_batches():
            self._carried.add(batch)
            yield batch

    def _is_read(self, projects: pa.ChunkedArray) -> Any:
        """Return for each row whether its project was read, as a numpy array."""
        read = [each for each in self.projects if each not in self.skipped_projects]
        return to_numpy(_is_in(projects, strings(read)))

    def _second_read(self) -> Generator[pa.RecordBatch, None, int]:
        """Read the list again, yield the rows that the first read skipped, and return how many others it lacks."""
        lacking = self._listed.count
        for batch in self.read_again():
            new = batch.filter(self._listed.lacks(_keys(self.resource, batch)).combine_chunks())
            lacking -= batch.num_rows - new.num_rows
            self._listed.add(new)
            yield new.filter(self._carried.lacks(_keys(self.resource, new)).combine_chunks())  # readable by now
        return lacking

    def _look_up(self, missing: pa.Table, in_scope: Any, lookups: Lookups) -> Iterator[pa.RecordBatch]:
        """Look up missing rows by id, up to the limit, and yield those that are not deleted."""
        limit = min(missing.num_rows, self.max_lookups)
        if limit:
            found = _rows(missing.num_rows)
            logger.info("%s: %s missing; looking up %s by id", self.resource.name, found, f"{limit:,}")
        owners = missing[OWNER].to_pylist() if OWNER in missing.column_names else [None] * missing.num_rows
        projects = _projects(missing)
        is_unverified = np.ones(missing.num_rows, bool)
        for position, key in enumerate(missing[self.resource.primary_key[-1]].to_pylist()[:limit]):
            project = projects[position]
            try:
                row = lookups.row(key, project)
                is_listed = row is not None and self._listed.is_in_scope(
                    row, project, owners[position], is_same_scope=bool(in_scope[position])
                )
            except (APIError, SchemaError) as error:
                if isinstance(error, AuthError) and error.status == 401:
                    raise
                logger.warning("%s: %s cannot be verified: %s", self.resource.name, redact(key), error)
                if isinstance(error, APIError) and (isinstance(error, TransientError) or error.attempts > 1):
                    _log_lookups_ended(self.resource.name, limit - position - 1)
                    break  # each of the others would wait as long
                continue
            is_unverified[position] = False
            if is_listed:
                self.recovered += 1
                yield row
            if (position + 1) % LOG_INTERVAL == 0:
                logger.info("%s: looked up %s of %s rows", self.resource.name, f"{position + 1:,}", f"{limit:,}")
        self.unverified = int(is_unverified.sum())
        if missing.num_rows > limit:
            _log_not_looked_up(self.resource.name, missing.num_rows - limit, limit)
        yield from missing.filter(to_arrow(is_unverified)).combine_chunks().to_batches()


def _log_second_read(name: str, missing: int, max_lookups: int | None) -> None:
    reason = "which cannot be looked up by id" if max_lookups is None else f"more than max_lookups ({max_lookups:,})"
    logger.warning("%s: %s missing, %s; reading the list again", name, _rows(missing), reason)


def _log_not_looked_up(name: str, left: int, max_lookups: int) -> None:
    was, keeps, it = ("was", "keeps its", "it") if left == 1 else ("were", "keep their", "them")
    logger.warning(
        "%s: %s missing %s %s not looked up and %s last values, because max_lookups is %s; "
        "increase --max-lookups to verify %s",
        name, f"{left:,}", "row" if left == 1 else "rows", was, keeps, f"{max_lookups:,}", it,
    )  # fmt: skip


def _log_lookups_ended(name: str, left: int) -> None:
    if left:
        logger.warning("%s: the lookups end after this failure; not looked up: %s", name, _rows(left))


def _log_incomplete_read(name: str, lacking: int, missing: int) -> None:
    logger.warning(
        "%s: the second read lacks %s of the first one, so the deletion of %s cannot be verified; the last values are "
        "kept",
        name, _rows(lacking), _rows(missing),
    )  # fmt: skip


def _projects(rows: pa.Table | pa.RecordBatch) -> list[str | None]:
    """Return the project of each row, None without the column `project_id`."""
    names = rows.schema.names
    return rows[PROJECT.name].to_pylist() if PROJECT.name in names else [None] * rows.num_rows


def _keys(resource: Resource, rows: pa.Table | pa.RecordBatch) -> pa.ChunkedArray:
    columns = [rows[name] for name in resource.primary_key]
    return joined_keys([each if isinstance(each, pa.ChunkedArray) else pa.chunked_array([each]) for each in columns])


def _not_in(keys: pa.ChunkedArray, others: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow.compute as pc  # noqa: PLC0415 - takes 30 ms, and only a comparison needs it

    return pc.invert(_is_in(keys, others))


def _is_in(values: pa.ChunkedArray, others: pa.Array | pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow.compute as pc  # noqa: PLC0415 - takes 30 ms, and only a comparison needs it

    return pc.is_in(values, value_set=others)


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"
