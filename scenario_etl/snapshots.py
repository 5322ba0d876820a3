"""Scheduled exports: dated snapshots, what changed between them, the guard against a bad day, and retention.

A lake holds, for each resource, `RESOURCE/snapshot_date=YYYY-MM-DD/part-0.parquet` and, what changed since the snapshot
before, `RESOURCE_changes/snapshot_date=YYYY-MM-DD/part-0.parquet`. The API has no list of deletions: only a complete
walk beside the one before tells what is gone.
"""

import datetime as dt
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import copyfile
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from scenario_etl import parquet
from scenario_etl.client import Client
from scenario_etl.errors import ConfigError, DestinationError, GuardError, TransientError
from scenario_etl.extract import ScanReport, scan
from scenario_etl.publish import filesystem, published
from scenario_etl.redact import redact
from scenario_etl.resources import RESOURCES
from scenario_etl.schema import STRING, Resource, strings
from scenario_etl.signed_urls import SignedURLs

_PARTITION = re.compile(r"snapshot_date=(\d{4}-\d{2}-\d{2})/part-0\.parquet$")


@dataclass(frozen=True, slots=True)
class SnapshotReport:
    """The facts of one published snapshot.

    Attributes:
        scan: the facts of the walk; its path and bytes are those of the snapshot.
        date: of the snapshot, in UTC.
        previous_date: of the snapshot that it was compared with, None for the first.
        added: rows whose key is new.
        updated: rows in which a column changed; a URL that was signed anew is no change.
        deleted: rows whose key is gone.
        changes_path: of the file with these rows.
        removed_dates: of the snapshots that retention removed.

    """

    scan: ScanReport
    date: dt.date
    previous_date: dt.date | None
    added: int
    updated: int
    deleted: int
    changes_path: str
    removed_dates: tuple[dt.date, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return all facts by name, ready for JSON: dates in ISO 8601."""
        facts = {name: getattr(self, name) for name in self.__slots__ if name != "scan"}
        dates = {
            "date": self.date.isoformat(),
            "previous_date": self.previous_date and self.previous_date.isoformat(),
            "removed_dates": [removed.isoformat() for removed in self.removed_dates],
        }
        return self.scan.to_dict() | facts | dates


def snapshot(
    resource: str,
    lake: str | os.PathLike[str],
    *,
    date: dt.date | str | None = None,
    max_shrink: float = 0.5,
    accept_shrink: bool = False,
    keep: int | None = None,
    lock_timeout: float = 0.0,
    client: Client | None = None,
    page_size: int | None = None,
    strict: bool = False,
    progress: bool = False,
    signed_urls: SignedURLs = "public",
    **filters: str | None,
) -> SnapshotReport:
    """Publish today's rows of a resource in a lake, and what changed since the snapshot of an earlier date.

    A second run for the newest date replaces it. What a run that died half-way left undone, the next one completes.

    Args:
        resource: its name, such as "collections".
        lake: a folder, which is made if the one above it is there, or the URI of a prefix in an object store.
        date: of the snapshot, in UTC; None is today. One before the newest snapshot is refused: the API tells of now.
        max_shrink: the largest share of the rows of the last snapshot that may be gone, from 0 to 1; a fall to no rows
            always counts as too much.
        accept_shrink: publish whatever the guard says.
        keep: how many snapshots to keep; older ones are removed after the new one is published, changes never.
        lock_timeout: seconds to wait for another run on a local lake. On an object store the last to finish wins.
        client: as in `scan`, and so are the others below.
        page_size: as in `scan`.
        strict: as in `scan`.
        progress: as in `scan`.
        signed_urls: as in `scan`, but durable by default: signed they are credentials, and dead within two weeks.
        **filters: as in `scan`.

    Raises:
        ConfigError: an argument is wrong.
        TransientError: another run holds the lake.
        GuardError: too many rows are gone; the snapshot is kept beside the lake under a name that no glob matches.
        ScenarioError: as `Scan.to_parquet`; whatever was published before is untouched.

    """
    described = scan(
        resource,
        client=client,
        page_size=page_size,
        strict=strict,
        progress=progress,
        signed_urls=signed_urls,
        **filters,
    )
    day = _as_date(date) or dt.datetime.now(dt.UTC).date()
    if not 0 <= max_shrink <= 1:
        raise ConfigError(f"max_shrink is {max_shrink}: give a share from 0 to 1")
    if keep is not None and keep < 1:
        raise ConfigError(f"keep is {keep}: at least the newest snapshot stays")
    if not lock_timeout >= 0:
        raise ConfigError(f"lock_timeout is {lock_timeout}: give the seconds to wait, or 0")
    with described.connected() as connected, _locked(lake, resource, lock_timeout):
        snapshots, changed = _Dataset.of(lake, resource), _Dataset.of(lake, f"{resource}_changes")
        previous = _previous(snapshots, changed, day)
        _complete(described.resource, snapshots, changed)
        # Of the two, the snapshot is published first: what changed can be made again from it, but not the reverse.
        with (
            published(changed.uri(day), staging=lake) as changes_path,
            published(snapshots.uri(day), staging=lake) as path,
        ):
            walked = described.write(path, connected)
            with snapshots.opened_if(previous) as old, parquet.opened(path) as new:
                comparison = _compare(described.resource, old, new)
                if not accept_shrink:
                    _guard(comparison, max_shrink, path, snapshots.rejected_uri(day))
                counts = _write_changes(changes_path, comparison, previous)
        snapshots.forget_rejected(day)
        return SnapshotReport(
            scan=replace(walked, path=snapshots.uri(day)),
            date=day,
            previous_date=previous,
            **counts,
            changes_path=changed.uri(day),
            removed_dates=snapshots.keep_newest(keep),
        )


def read_snapshot(
    lake: str | os.PathLike[str],
    resource: str,
    date: dt.date | str | None = None,
    columns: Sequence[str] | None = None,
) -> pa.Table:
    """Return the rows of one snapshot: of `date`, or of the newest one; only some columns where they are named.

    A column of the resource that a file is too old to have is null.

    Raises:
        ConfigError: there is none, or no such column.
        DestinationError: the lake cannot be read.

    """
    schema = _known(resource).schema
    if unknown := [name for name in columns or () if name not in schema.names]:
        raise ConfigError(f"{resource} have no column {unknown[0]!r}: choose {', '.join(schema.names)}")
    schema = pa.schema([schema.field(name) for name in columns or schema.names])
    snapshots = _Dataset.of(lake, resource)
    dates = snapshots.dates()
    day = _as_date(date) or (dates[-1] if dates else None)
    if day is None or day not in dates:
        raise ConfigError(f"{redact(os.fspath(lake))} has no snapshot of {resource}{f' for {day}' if day else ''}")
    with snapshots.opened(day) as file:
        return _in_schema(file.read(columns=schema.names), schema)


def changes(
    lake: str | os.PathLike[str],
    resource: str,
    since: dt.date | str | None = None,
    until: dt.date | str | None = None,
) -> pa.Table:
    """Return what changed from `since` to `until`, both included; all there is where None.

    Returns:
        One row for each change, oldest first: `snapshot_date`, `change` ("added", "updated" or "deleted"),
        `changed_columns` (a list of names, empty unless updated), then the columns of the resource: the new row, for a
        deletion the last known.

    """
    described = _known(resource)
    changed = _Dataset.of(lake, f"{resource}_changes")
    first, last = _as_date(since), _as_date(until)
    tables = [_dated(dt.date.min, changes_schema(described).empty_table())]
    for day in changed.dates():
        if (first is None or day >= first) and (last is None or day <= last):
            with changed.opened(day) as file:
                tables.append(_dated(day, file.read()))
    return pa.concat_tables(tables, promote_options="default")


def history(lake: str | os.PathLike[str], resource: str) -> pa.Table:
    """Return what the lake's files tell of each run, one row a date, oldest first.

    Returns:
        `date`; `rows`, `pages`, `requests`, `retries` and `duplicates` of the walk, null where retention removed the
        snapshot or there is none; `previous_date`, null for the first, with `added`, `updated` and `deleted`; and
        `rejected`, whether the guard stopped the last run for that date: what it found is kept beside the table.

    Raises:
        ConfigError: there is no such resource.
        DestinationError: the lake cannot be read.

    """
    snapshots = _Dataset.of(lake, _known(resource).name)
    rejected = snapshots.rejected_dates()
    walked, counted = snapshots.told(_WALKED), count_changes(lake, resource)
    rows = [
        {"date": day, "rejected": day in rejected} | walked.get(day, {}) | counted.get(day, {})
        for day in sorted({*rejected, *walked, *counted})
    ]
    return pa.Table.from_pylist(rows, schema=_HISTORY)


def count_changes(lake: str | os.PathLike[str], resource: str) -> dict[dt.date, dict[str, Any]]:
    """Return by date, oldest first, what the files of changes tell: previous_date, added, updated, deleted."""
    return _Dataset.of(lake, f"{_known(resource).name}_changes").told(("previous_date", *_COUNTS))


def changes_schema(resource: Resource) -> pa.Schema:
    """Return the Arrow schema of a file of changes."""
    first = [pa.field("change", STRING, nullable=False), pa.field("changed_columns", pa.list_(STRING))]
    return pa.schema([*first, *resource.schema])


_COUNTS = ("added", "updated", "deleted")
_WALKED = ("rows", "pages", "requests", "retries", "duplicates")
_HISTORY = pa.schema(
    [
        pa.field("date", pa.date32(), nullable=False),
        *(pa.field(name, pa.int64()) for name in _WALKED),
        pa.field("previous_date", pa.date32()),
        *(pa.field(name, pa.int64()) for name in _COUNTS),
        pa.field("rejected", pa.bool_(), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True)
class _Dataset:
    """One table of a lake, partitioned by date."""

    store: fs.FileSystem
    folder: str
    base_uri: str

    @classmethod
    def of(cls, lake: str | os.PathLike[str], name: str) -> "_Dataset":
        store, root = filesystem(lake)
        return cls(store, f"{root}/{name}", f"{os.fspath(lake).rstrip('/')}/{name}")

    def uri(self, day: dt.date) -> str:
        return f"{self.base_uri}/snapshot_date={day}/part-0.parquet"

    def dates(self) -> list[dt.date]:
        """Return the dates of what is published, oldest first."""
        return self._dates(_PARTITION, fs.FileSelector(self.folder, allow_not_found=True, recursive=True))

    @contextmanager
    def opened(self, day: dt.date) -> Iterator[pq.ParquetFile]:
        """Yield the file of a date."""
        with ExitStack() as stack:
            try:
                source = self.store.open_input_file(f"{self.folder}/snapshot_date={day}/part-0.parquet")
                file = stack.enter_context(parquet.opened(stack.enter_context(source)))
            except (OSError, pa.ArrowException) as error:
                raise DestinationError(f"cannot read {self.uri(day)}: {redact(str(error), 300)}") from error
            yield file

    def opened_if(self, day: dt.date | None) -> AbstractContextManager[pq.ParquetFile | None]:
        """Yield the file of a date, None for no date."""
        return nullcontext() if day is None else self.opened(day)

    def rejected_uri(self, day: dt.date) -> str:
        """Return where a snapshot is kept that the guard refused: beside the table, under a name no glob matches."""
        lake, _, name = self.base_uri.rpartition("/")
        return f"{lake}/.{name}.snapshot_date={day}.rejected"

    def rejected_dates(self) -> list[dt.date]:
        """Return the dates for which the guard refused a snapshot and none was published since."""
        lake, _, name = self.folder.rpartition("/")
        kept = re.compile(rf"/\.{re.escape(name)}\.snapshot_date=(\d{{4}}-\d{{2}}-\d{{2}})\.rejected$")
        return self._dates(kept, fs.FileSelector(lake, allow_not_found=True))

    def told(self, names: Sequence[str]) -> dict[dt.date, dict[str, Any]]:
        """Return by date, oldest first, what the footers of the files tell; None for what one does not."""
        found = {}
        for day in self.dates():
            with self.opened(day) as file:
                footer = parquet.key_values(file)
            found[day] = {name: _fact(footer.get(f"scenario_etl.{name}")) for name in names}
        return found

    def _dates(self, pattern: re.Pattern[str], where: fs.FileSelector) -> list[dt.date]:
        """Return the dates in the names of files, oldest first."""
        try:
            found = self.store.get_file_info(where)
        except OSError as error:
            raise DestinationError(f"cannot read {self.base_uri}: {redact(str(error), 300)}") from error
        dates = (_fact(match[1]) for item in found if (match := pattern.search(item.path)))
        return sorted(date for date in dates if isinstance(date, dt.date))

    def forget_rejected(self, day: dt.date) -> None:
        """Remove what the guard refused for a date that has been published since."""
        lake, _, name = self.folder.rpartition("/")
        with suppress(FileNotFoundError):
            self.store.delete_file(f"{lake}/.{name}.snapshot_date={day}.rejected")

    def keep_newest(self, count: int | None) -> tuple[dt.date, ...]:
        """Remove all but the newest partitions; return the dates of what was removed."""
        removed = tuple(self.dates()[:-count]) if count else ()
        for day in removed:
            self.store.delete_dir(f"{self.folder}/snapshot_date={day}")
        return removed


@dataclass(frozen=True, slots=True)
class _Comparison:
    """What is different between two snapshots, row by row, as numpy arrays.

    Attributes:
        resource: of which both are.
        old: the snapshot before, None where there is none.
        new: the snapshot that is compared with it.
        added: for each new row, whether its key is new.
        updates: for each new row, a bit for each column that changed.
        columns: the names of these columns, from the lowest bit.
        deleted: for each old row, whether its key is gone.

    """

    resource: Resource
    old: pq.ParquetFile | None
    new: pq.ParquetFile
    added: Any
    updates: Any
    columns: list[str]
    deleted: Any


def _compare(resource: Resource, old: pq.ParquetFile | None, new: pq.ParquetFile) -> _Comparison:
    """Compare two snapshots by key, one column at a time, so that no more than that is in memory."""
    import pyarrow.compute as pc  # noqa: PLC0415 - 30 ms that only a comparison is worth

    rows = new.metadata.num_rows
    columns = [column.name for column in resource.columns if column.name not in resource.key and not column.signed_url]
    if old is None:
        return _Comparison(
            resource, old, new, np.ones(rows, bool), np.zeros(rows, np.uint64), columns, np.zeros(0, bool)
        )
    (key,) = resource.key
    positions = pc.index_in(_column(new, key), value_set=_column(old, key)).combine_chunks()
    added = _to_numpy(pc.is_null(positions))
    deleted = np.ones(old.metadata.num_rows, bool)
    deleted[_to_numpy(positions.drop_null())] = False
    updates = np.zeros(rows, np.uint64)
    for bit, name in enumerate(columns):
        if name in old.schema_arrow.names:  # a column that is new in the table is no change of its rows
            before, after = _column(old, name).take(positions), _column(new, name)
            differs = pc.coalesce(pc.not_equal(before, after), pc.xor(pc.is_valid(before), pc.is_valid(after)))
            updates |= (_to_numpy(differs) & ~added).astype(np.uint64) << np.uint64(bit)
    return _Comparison(resource, old, new, added, updates, columns, deleted)


def _guard(comparison: _Comparison, max_shrink: float, path: Path, rejected: str) -> None:
    """Refuse a snapshot in which too many rows are gone, and keep it where it can be looked at."""
    left, before, gone = len(comparison.added), len(comparison.deleted), int(comparison.deleted.sum())
    if not before or (left and gone / before <= max_shrink):
        return
    with published(rejected) as kept:
        copyfile(path, kept)
    raise GuardError(
        f"{gone:,} of the {before:,} rows of the last snapshot are gone{'' if left else ', none is left'}: more than "
        f"max_shrink {max_shrink:g} allows. Nothing was published; look at {rejected}, a Parquet file. If it is right, "
        "run again with --accept-shrink (accept_shrink=True)"
    )


def _write_changes(path: Path, comparison: _Comparison, previous: dt.date | None) -> dict[str, int]:
    """Write the rows that changed, in the order of the snapshots, and return how many of each kind."""
    counts = {
        "added": int(comparison.added.sum()),
        "updated": int(np.count_nonzero(comparison.updates)),
        "deleted": int(comparison.deleted.sum()),
    }
    told = parquet.key_values(comparison.new)
    facts: dict[str, object] = {name: told[f"scenario_etl.{name}"] for name in ("version", "resource", "extracted_at")}
    facts |= counts | {"previous_date": previous or "", "complete": "true"}
    parquet.write(
        path,
        changes_schema(comparison.resource),
        _changed_rows(comparison),
        dictionary_columns=["change", *comparison.resource.dictionary_columns],
        key_values=lambda: {f"scenario_etl.{name}": str(value) for name, value in facts.items()},
    )
    return counts


def _changed_rows(comparison: _Comparison) -> Iterator[pa.RecordBatch]:
    names = _names_of(comparison)
    schema = changes_schema(comparison.resource)
    for start, rows in _row_groups_with(comparison.new, comparison.added | (comparison.updates != 0)):
        chosen = slice(start, start + rows.num_rows)
        added, updates = comparison.added[chosen], comparison.updates[chosen]
        picked = added | (updates != 0)
        kinds = np.where(added[picked], 0, 1)
        yield from _with_change(rows.filter(_to_arrow(picked)), kinds, names(updates[picked]), schema)
    if comparison.old is not None:
        for start, rows in _row_groups_with(comparison.old, comparison.deleted):
            gone = rows.filter(_to_arrow(comparison.deleted[start : start + rows.num_rows]))
            kinds, no_updates = np.full(gone.num_rows, 2), np.zeros(gone.num_rows, np.uint64)
            yield from _with_change(gone, kinds, names(no_updates), schema)


def _row_groups_with(file: pq.ParquetFile, picked: Any) -> Iterator[tuple[int, pa.Table]]:
    """Yield each row group that has a picked row, and the number of its first row."""
    start = 0
    for group in range(file.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if picked[start : start + rows].any():
            yield start, file.read_row_group(group, use_threads=False)
        start += rows


def _with_change(rows: pa.Table, kinds: Any, names: pa.Array, schema: pa.Schema) -> list[pa.RecordBatch]:
    """Return rows behind what happened to them: the positions of their kinds in _COUNTS, and the names of columns."""
    known = _in_schema(rows, pa.schema(list(schema)[2:])).columns
    batches: list[pa.RecordBatch] = (
        pa.table([strings(_COUNTS).take(_to_arrow(kinds)), names, *known], schema=schema).combine_chunks().to_batches()
    )
    return batches


def _in_schema(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return the columns of a schema; those that a file was too old to have are null."""
    columns = [
        rows[field.name] if field.name in rows.column_names else pa.nulls(rows.num_rows, field.type) for field in schema
    ]
    return pa.table(columns, schema=schema)


def _names_of(comparison: _Comparison) -> Any:
    """Return a function from an array of bits to an Arrow array of the lists of columns that they stand for."""

    def names(updates: Any) -> pa.Array:
        different, positions = np.unique(updates, return_inverse=True)
        lists = [
            [name for bit, name in enumerate(comparison.columns) if int(bits) >> bit & 1] for bits in different.tolist()
        ]
        ends = np.cumsum([0, *map(len, lists)], dtype=np.int32)
        found = pa.ListArray.from_arrays(_to_arrow(ends), strings([name for names in lists for name in names]))
        return found.take(_to_arrow(positions.ravel()))

    return names


def _previous(snapshots: _Dataset, changed: _Dataset, day: dt.date) -> dt.date | None:
    """Return the date of the snapshot to compare with: the newest of an earlier date, None for the first of all."""
    dates = snapshots.dates()
    if dates and day < dates[-1]:
        raise ConfigError(f"the newest snapshot is of {dates[-1]}: none can be made for {day}, the API tells of now")
    previous = max((earlier for earlier in dates if earlier < day), default=None)
    if previous is None and any(earlier < day for earlier in changed.dates()):
        raise ConfigError(
            f"retention has removed the snapshot that the one of {day} was compared with, so it cannot be made again; "
            "make one for a later date, and keep at least 2"
        )
    return previous


def _complete(resource: Resource, snapshots: _Dataset, changed: _Dataset) -> None:
    """Write the changes of the newest snapshot where a run died between the two."""
    *_, previous, newest = [None, None, *snapshots.dates()]
    if newest is None:
        return
    with snapshots.opened(newest) as new, snapshots.opened_if(previous) as old:
        if newest in changed.dates():
            with changed.opened(newest) as file:
                moments = [parquet.key_values(each)["scenario_etl.extracted_at"] for each in (new, file)]
            if moments[0] == moments[1]:
                return
        lake = snapshots.base_uri.rpartition("/")[0]
        with published(changed.uri(newest), staging=lake) as path:
            _write_changes(path, _compare(resource, old, new), previous)


@contextmanager
def _locked(lake: str | os.PathLike[str], resource: str, seconds: float) -> Iterator[None]:
    """Hold a local lake, so that two runs do not mix; an object store has no locks."""
    from filelock import FileLock, Timeout  # noqa: PLC0415 - it brings asyncio, which an import need not pay for

    store, root = filesystem(lake)
    lock: AbstractContextManager[Any] = nullcontext()
    if isinstance(store, fs.LocalFileSystem):
        try:
            Path(root).mkdir(exist_ok=True)
        except OSError as error:
            raise DestinationError(f"cannot make the lake {root}: {error.strerror}") from error
        lock = FileLock(f"{root}/.{resource}.lock", timeout=seconds)
    try:
        with lock:
            yield
    except Timeout as error:
        raise TransientError(
            f"another run holds {root}/.{resource}.lock; run again later, or wait for it with --lock-timeout"
        ) from error


def _fact(text: str | None) -> int | dt.date | None:
    """Return what a footer or a file's name tells: a number, or a date; None where it is neither."""
    with suppress(ValueError):
        return int(text or "") if (text or "").isdecimal() else dt.date.fromisoformat(text or "")
    return None


def _known(resource: str) -> Resource:
    if resource not in RESOURCES:
        raise ConfigError(f"there is no resource {resource!r}: choose {', '.join(RESOURCES)}")
    return RESOURCES[resource]


def _as_date(value: dt.date | str | None) -> dt.date | None:
    if isinstance(value, dt.datetime):
        return (value.astimezone(dt.UTC) if value.tzinfo else value).date()
    if value is None or isinstance(value, dt.date):
        return value
    try:
        return dt.date.fromisoformat(value)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"the date {redact(str(value))!r} is none: give one like 2026-11-23") from error


def _column(file: pq.ParquetFile, name: str) -> pa.ChunkedArray:
    return file.read(columns=[name], use_threads=False).column(0)


def _to_numpy(values: pa.Array | pa.ChunkedArray) -> Any:
    """Return booleans or 32-bit integers without nulls as a numpy array; pyarrow's own way imports pandas."""
    values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    if values.type == pa.bool_():
        return np.frombuffer(values.cast(pa.uint8()).buffers()[1], np.bool_, len(values))
    return np.frombuffer(values.buffers()[1], np.int32, len(values), 4 * values.offset)


def _to_arrow(values: Any) -> pa.Array:
    """Return a numpy array of booleans or integers as an Arrow array; pyarrow's own way imports pandas."""
    if values.dtype == np.bool_:
        return _to_arrow(values.astype(np.int8)).cast(pa.bool_())
    kind = {np.dtype(np.int8): pa.int8(), np.dtype(np.int64): pa.int64(), np.dtype(np.int32): pa.int32()}[values.dtype]
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])


def _dated(day: dt.date, rows: pa.Table) -> pa.Table:
    days = pa.repeat(pa.scalar(day, pa.date32()), rows.num_rows)
    return rows.add_column(0, pa.field("snapshot_date", pa.date32(), nullable=False), days)
