"""Reading a lake: the rows of a snapshot, the changes between snapshots, and the history of the runs."""

import datetime as dt
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from scenario_etl import footers
from scenario_etl.dates import as_date
from scenario_etl.diff import CHANGES
from scenario_etl.errors import ConfigError, SchemaError, TransientError
from scenario_etl.footers import COUNTS, is_next_run, is_same_run
from scenario_etl.lake import LakeTables, changes_schema, check_snapshots, date_before
from scenario_etl.lake_file import LakeFile
from scenario_etl.redact import redact
from scenario_etl.resources import resource_of
from scenario_etl.schema import PROJECT, with_pandas_types
from scenario_etl.stores import redact_uri

HISTORY_SCHEMA = with_pandas_types(
    [
        pa.field("date", pa.date32(), nullable=False),
        *(pa.field(name, pa.int64()) for name in ("rows", *COUNTS)),
        pa.field("previous_date", pa.date32()),
        *(pa.field(name, pa.int64()) for name in CHANGES),
        pa.field("rejected", pa.bool_(), nullable=False),
    ]
)


def read_snapshot(
    lake: str | os.PathLike[str],
    resource: str,
    date: dt.date | str | None = None,
    columns: Sequence[str] | None = None,
) -> pa.Table:
    """Return the rows of one snapshot.

    Args:
        lake: Folder, or URI of a prefix in an object store.
        resource: Name of the resource, such as "collections".
        date: Date of the snapshot; by default the newest.
        columns: Names of the columns to read; by default all. A column that is missing from an old file is null.

    Raises:
        ConfigError: An argument is not valid, or there is no such snapshot or column.
        DestinationError: The lake cannot be read.
        SchemaError: A column of the file does not match the schema of the resource.
        TransientError: The object store is unavailable, or another run has removed the snapshot.

    """
    tables = _tables(lake, resource)
    schema = tables.resource.schema
    names = None if columns is None else _column_names(columns)
    if unknown := [name for name in names or () if not isinstance(name, str) or name not in schema.names]:
        raise ConfigError(
            f"{redact(repr(unknown[0]))} is not a column of {resource}; use one of: {', '.join(schema.names)}"
        )
    snapshots = tables.snapshots
    dates = snapshots.dates()
    day = as_date(date) or (dates[-1] if dates else None)
    if day is None or day not in dates:
        raise no_snapshot_error(lake, resource, day, dates)
    with snapshots.open(day) as file:
        return file.table(names)


def changes(
    lake: str | os.PathLike[str],
    resource: str,
    since: dt.date | str | None = None,
    until: dt.date | str | None = None,
) -> pa.Table:
    """Return the rows that changed from `since` to `until`, inclusive.

    Args:
        lake: Folder, or URI of a prefix in an object store.
        resource: Name of the resource, such as "collections".
        since: First date; None for no limit.
        until: Last date; None for no limit.

    Returns:
        One row per change, oldest first: `snapshot_date`, `change` ("added", "updated" or "deleted"), `changed_columns`
        (a list of names, empty unless the row was updated), and the columns of the resource with the new values, or the
        last known values of a deleted row.

    Raises:
        ConfigError: An argument is not valid, or the lake has no snapshot of the resource.
        DestinationError: The lake cannot be read.
        TransientError: The files of the newest date were written by different runs, one of which may still be in
            progress, or the object store is unavailable.
        SchemaError: The files of an earlier date were written by different runs, or a file is missing or not valid.

    """
    first, last = as_date(since) or dt.date.min, as_date(until) or dt.date.max
    if last < first:
        raise ConfigError(f"since must not be after until, got {first} and {last}")
    tables = _tables(lake, resource)
    found = [_with_date(dt.date.min, changes_schema(tables.resource).empty_table())]
    for run in _runs(tables, first, last):
        if run.snapshot and not run.changes:
            raise _mismatch_error(f"{run.snapshot.uri} has no file of changes", run)
        if run.changes:
            found.append(_with_date(run.date, run.changes.table()))
    return pa.concat_tables(found)


def history(lake: str | os.PathLike[str], resource: str) -> pa.Table:
    """Return one row per date with the metadata of its last run, oldest first.

    Dates whose snapshots were removed by `keep` are included, because the files of changes contain the same metadata.

    Args:
        lake: Folder, or URI of a prefix in an object store.
        resource: Name of the resource, such as "collections".

    Returns:
        `date`; the counts of the run (`rows`, `pages`, `requests`, `retries` and `duplicates`), null if no snapshot was
        published; `previous_date`, null for the first snapshot; `added`, `updated` and `deleted`; and `rejected`,
        whether the guard rejected the last run for that date.

    Raises:
        ConfigError: An argument is not valid, or the lake has no snapshot of the resource.
        DestinationError: The lake cannot be read.
        TransientError: The files of the newest date were written by different runs, one of which may still be in
            progress, or the object store is unavailable.
        SchemaError: The files of an earlier date were written by different runs, or a file is missing or not valid.

    """
    return pa.Table.from_pylist(list(read_history(lake, resource)), schema=HISTORY_SCHEMA)


def read_history(lake: str | os.PathLike[str], resource: str, total_column: str | None = None) -> list[dict[str, Any]]:
    """Return the rows of `history` as dicts, with the sum of an integer column as `total`.

    Each file is opened once. The total of a snapshot that retention has removed is read from its file of changes. It is
    None if it is unknown, or no row has a value. If a date has no file of changes, its row lacks `added`, `updated`
    and `deleted`.
    """
    tables = LakeTables.of(lake, resource_of(resource))
    rejected = set(tables.snapshots.rejected_dates())
    rows: dict[dt.date, dict[str, Any]] = {day: {"date": day, "rejected": True} for day in rejected}
    for run in _runs(tables, may_be_empty=bool(rejected)):
        rows[run.date] = {"date": run.date, "rejected": run.date in rejected} | _history_of(run, total_column)
    return [rows[day] for day in sorted(rows)]


def _tables(lake: str | os.PathLike[str], resource: str) -> LakeTables:
    """Return the tables of a resource; with a column `project_id` if the files have one."""
    tables = LakeTables.of(lake, resource_of(resource))
    for table in (tables.snapshots, tables.changes):
        for day in table.dates()[-1:]:
            with table.open_if_exists(day) as file:
                if file and file.has(PROJECT.name):
                    return LakeTables.of(lake, tables.resource.with_projects())
    return tables


def snapshot_dates(lake: str | os.PathLike[str], resource: str) -> list[dt.date]:
    """Return the dates of the snapshots in a lake, oldest first."""
    return LakeTables.of(lake, resource_of(resource)).snapshots.dates()


def has_dates(lake: str | os.PathLike[str], resource: str) -> bool:
    """Return whether a lake has a snapshot or a file of changes of a resource."""
    tables = LakeTables.of(lake, resource_of(resource))
    return bool(tables.snapshots.dates() or tables.changes.dates())


def newest_footer(lake: str | os.PathLike[str], resource: str) -> dict[str, str]:
    """Return the footer of the newest snapshot, without the prefix `scenario_etl.`, and its date.

    The date is under `snapshot_date`, as YYYY-MM-DD.

    Raises:
        ConfigError: The lake has no snapshot of the resource.
        DestinationError: The lake cannot be read.

    """
    snapshots = LakeTables.of(lake, resource_of(resource)).snapshots
    dates = snapshots.dates()
    if not dates:
        raise no_snapshot_error(lake, resource)
    with snapshots.open(dates[-1]) as file:
        return file.footer | {"snapshot_date": str(dates[-1])}


@dataclass(frozen=True, slots=True)
class _Run:
    """The files of one date, None for a file that does not exist."""

    date: dt.date
    snapshot: LakeFile | None
    changes: LakeFile | None
    is_newest: bool


def _runs(
    tables: LakeTables, first: dt.date = dt.date.min, last: dt.date = dt.date.max, *, may_be_empty: bool = False
) -> Iterator[_Run]:
    """Yield the files of each date, open until the next, oldest first.

    Raises:
        ConfigError: There are no files, unless `may_be_empty`.
        TransientError: The files of the newest date were written by different runs.
        SchemaError: The files of an earlier date were written by different runs.

    """
    snapshot_dates, changes_dates = tables.snapshots.dates(), tables.changes.dates()
    if snapshot_dates and changes_dates and changes_dates[-1] > snapshot_dates[-1]:
        snapshot_dates = tables.snapshots.dates()  # another run may have published it in the meantime
        check_snapshots(tables.changes, changes_dates, snapshot_dates)
    dates = sorted({*snapshot_dates, *changes_dates})
    if not may_be_empty and not dates:
        raise no_snapshot_error(tables.snapshots.lake, tables.resource.name)
    for day in dates:
        if first <= day <= last:
            with ExitStack() as stack:
                snapshot = stack.enter_context(tables.snapshots.open_if_exists(day)) if day in snapshot_dates else None
                changed = stack.enter_context(tables.changes.open_if_exists(day)) if day in changes_dates else None
                run = _Run(day, snapshot, changed, is_newest=day == dates[-1])
                _check_run(run, date_before(day, changes_dates))
                yield run


def _check_run(run: _Run, before: dt.date | None) -> None:
    """Raise an error if different runs wrote the files of a date, or they do not follow the date before."""
    if run.snapshot and run.changes and not is_same_run(run.snapshot, run.changes):
        raise _mismatch_error(f"{run.changes.uri} and {run.snapshot.uri} come from different runs", run)
    if run.changes and not is_next_run(run.changes, before):
        previous = footers.date(run.changes.footer, "previous_date")
        if previous and before and previous > before:
            raise _mismatch_error(
                f"the changes of {previous} are missing, but {run.changes.uri} continues from that date", run
            )
        raise _mismatch_error(f"{run.changes.uri} does not follow the changes of {before}", run)


def _history_of(run: _Run, total_column: str | None) -> dict[str, Any]:
    """Return the metadata of a run; the footer of the snapshot takes precedence over that of the changes."""
    row: dict[str, Any] = {"rows": None}
    totals: dict[str, int] = {}
    if run.changes:
        footer = run.changes.footer
        row = {"rows": footers.integer(footer, "snapshot_rows"), "previous_date": footers.date(footer, "previous_date")}
        row |= {name: footers.integer(footer, name) for name in (*COUNTS, *CHANGES)}
        totals = footers.column_totals(footer)
    if run.snapshot:
        row["rows"] = run.snapshot.rows
    if run.snapshot and run.snapshot.footer:
        row |= {name: footers.integer(run.snapshot.footer, name) for name in COUNTS}
    if total_column:
        row["total"] = run.snapshot.total(total_column) if run.snapshot else totals.get(total_column)
    return row


def no_snapshot_error(
    lake: str | os.PathLike[str],
    resource: str,
    day: dt.date | None = None,
    dates: Sequence[dt.date] = (),
    advice: str = "omit the date for the newest snapshot",
) -> ConfigError:
    """Return the error for a lake without a snapshot of a date, or of any date if `day` is None.

    Args:
        lake: The path or URI of the lake.
        resource: The name of the resource.
        day: The date.
        dates: The dates that the lake has.
        advice: What to do if no particular date is needed.

    """
    if day and dates:
        before, after = [each for each in dates if each < day], [each for each in dates if each > day]
        closest = [str(each) for each in (max(before, default=None), min(after, default=None)) if each]
        found = (
            f"dates are {' and '.join(closest)}; use one of them" if closest[1:] else f"date is {closest[0]}; use it"
        )
        return ConfigError(
            f"{redact_uri(lake)} has no snapshot of {resource} for {day}; the closest {found}, or {advice}"
        )
    return ConfigError(
        f"{redact_uri(lake)} has no snapshot of {resource}; check the path, or add one with `scenario-etl snapshot`"
    )


def _mismatch_error(problem: str, run: _Run) -> TransientError | SchemaError:
    """Return the error for two files of different runs; the next snapshot corrects those of the newest date."""
    if run.is_newest:
        return TransientError(
            f"{problem}; another run may be writing them; try again later. If the error persists, run `scenario-etl "
            "snapshot`, which rewrites the changes of the newest date"
        )
    return SchemaError(f"{problem}; a file of the lake is missing or was replaced: restore it")


def _column_names(columns: Any) -> list[Any]:
    try:
        if not isinstance(columns, str):
            return [*columns]
    except TypeError:
        pass
    raise ConfigError(f"columns must be a list of names, got {redact(repr(columns))}")


def _with_date(day: dt.date, rows: pa.Table) -> pa.Table:
    days = pa.repeat(pa.scalar(day, pa.date32()), rows.num_rows)
    return rows.add_column(0, pa.field("snapshot_date", pa.date32(), nullable=False), days)
