"""One run of `snapshot`: reading the list, comparing it with earlier snapshots, and publishing both files."""

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import uuid4

import pyarrow as pa

from scenario_etl import parquet
from scenario_etl.change_files import complete_changes, write_changes
from scenario_etl.client import Client
from scenario_etl.deletions import MissingRows
from scenario_etl.diff import compare
from scenario_etl.errors import ConfigError, SchemaError, TransientError
from scenario_etl.guard import Baseline, Guard, reject
from scenario_etl.lake import FIRST_YEAR, LakeTable, LakeTables, date_before
from scenario_etl.lake_file import LakeFile, open_snapshot
from scenario_etl.lookups import Lookups, can_look_up
from scenario_etl.projects import read_project_names
from scenario_etl.publish import atomic_write
from scenario_etl.records import RecordReader
from scenario_etl.run import BATCH_ROWS, Run, RunOptions, ScanReport, footer_of, scope_of
from scenario_etl.schema import THUMBNAIL_COLUMNS, Resource
from scenario_etl.scope import check_scope, has_scope
from scenario_etl.stores import redact_uri

REQUEST_COUNTS = ("requests", "retries", "seconds_waited")


@dataclass(frozen=True, slots=True)
class Options:
    """The validated arguments of `snapshot`, and the current date in UTC."""

    day: dt.date
    today: dt.date
    max_shrink: float
    accept_shrink: bool
    accept_scope: bool
    max_lookups: int
    keep: int | None
    thumbnails: bool


@dataclass(frozen=True, slots=True)
class Source:
    """The source of a snapshot: a list of the API.

    Attributes:
        resource: The resource.
        query: The filters, with their names in the API.
        options: The options of the scan.
        client: The client.
        counts: The requests, retries and seconds waited of the run, apart from the first read of the list.

    """

    resource: Resource
    query: Mapping[str, str]
    options: RunOptions
    client: Client
    counts: "Counter[str]" = field(default_factory=Counter)

    def scope(self) -> dict[str, str]:
        """Return base_url, project_id and filters (JSON), as in the footer of a file."""
        return scope_of(self.client, self.query)

    def run(self) -> Run:
        """Return a new run over the list."""
        return Run(self.client, self.resource, self.query, self.options)

    def read_again(self) -> Iterator[pa.RecordBatch]:
        """Read the list a second time, and yield its rows."""
        run = self.run()
        yield from run.batches(BATCH_ROWS)
        report = run.report()
        for name in REQUEST_COUNTS:
            self.counts[name] += getattr(report, name)

    def lookups(self) -> Lookups | None:
        """Return the lookups of rows by id, None if rows of this list cannot be looked up."""
        if not can_look_up(self.resource, self.query):
            return None
        reader = RecordReader(self.resource, signed_urls=self.options.signed_urls, redact=self.client.redact)
        return Lookups(self.resource, self.client, self.query, reader, self.counts)


@dataclass(frozen=True, slots=True)
class Published:
    """A published snapshot.

    Attributes:
        scan_report: The report of the scan, with the requests of the whole run.
        dates: The dates of the earlier snapshots, oldest first.
        previous: The date of the snapshot that it was compared with, None for the first.
        counts: The number of rows that are added, updated, deleted, recovered and unverified.
        thumbnails: The columns that thumbnails need, None without the option `thumbnails`.

    """

    scan_report: ScanReport
    dates: Sequence[dt.date]
    previous: dt.date | None
    counts: Mapping[str, int]
    thumbnails: pa.Table | None


def publish(source: Source, tables: LakeTables, options: Options) -> Published:
    """Publish the snapshot of a date and its changes. Raises the errors of `snapshot`.

    Args:
        source: The source of the snapshot.
        tables: The tables of the lake, which is locked.
        options: The validated arguments.

    """
    lake, day, deadline = tables.snapshots.lake, options.day, source.client.deadline
    dates = tables.snapshots.dates()
    _check_date(options, dates, tables)
    previous = _previous_date(day, dates, tables.changes)
    check_scope(tables.snapshots, dates, source.scope(), accept_scope=options.accept_scope)
    complete_changes(tables, dates, deadline)
    # The snapshot is published before its changes, which can be written again from it, but not the reverse.
    with (
        atomic_write(tables.changes.uri(day), staging=lake, deadline=deadline) as changes_path,
        atomic_write(tables.snapshots.uri(day), staging=lake, deadline=deadline) as path,
        ExitStack() as stack,
    ):
        old = stack.enter_context(tables.snapshots.open(previous)) if previous else None
        replaced = stack.enter_context(tables.snapshots.open(day)) if day in dates else None
        baselines = _baselines(replaced, old, source.scope())
        missing = _missing_rows(source, baselines, options)
        scan_report = _write_snapshot(path, source, missing)
        new = stack.enter_context(open_snapshot(path, tables.resource))
        if problem := missing.guard.find_problem(tables.resource, baselines, new):
            reject(problem, path, tables.snapshots.rejected_uri(day), deadline)
        diff = compare(tables.resource, old, new)
        write_changes(changes_path, diff, previous)
        thumbnails = new.table(THUMBNAIL_COLUMNS) if options.thumbnails else None
        if tables.snapshots.dates() != dates:  # an object store has no locks
            raise TransientError(
                f"another run has published a snapshot in {redact_uri(lake)} in the meantime; run again later"
            )
    return Published(scan_report, dates, previous, diff.counts | _counts_of(missing), thumbnails)


def _baselines(replaced: LakeFile | None, old: LakeFile | None, scope: Mapping[str, str]) -> list[Baseline]:
    """Return the earlier snapshots to compare with, newest first."""
    named = [("the existing snapshot of the same date", replaced), ("the last snapshot", old)]
    return [Baseline(name, file, has_scope(file, scope)) for name, file in named if file]


def _missing_rows(source: Source, baselines: Sequence[Baseline], options: Options) -> MissingRows:
    lookups = source.lookups()
    return MissingRows(
        resource=source.resource,
        baselines=baselines,
        has_project_filter=bool(source.scope()["project_id"]),
        lookups=lookups,
        read_again=source.read_again,
        guard=Guard(options.max_shrink, options.accept_shrink, options.max_lookups if lookups else None),
        max_lookups=options.max_lookups,
    )


def _write_snapshot(path: Path, source: Source, missing: MissingRows) -> ScanReport:
    """Write the list and the rows that it skipped; return the report with the requests of the whole run."""
    run = source.run()
    with parquet.Writer(path, source.resource.schema, source.resource.dictionary_columns) as writer:
        for batch in missing.complete(run.batches(BATCH_ROWS)):
            writer.write(batch)
        report = run.report(rows=writer.rows)
        more = {"run_id": uuid4().hex, "projects": read_project_names(source.client, source.counts)}
        writer.metadata = footer_of(report, source.scope(), **more, **_counts_of(missing))
    requests = {name: round(getattr(report, name) + source.counts[name], 3) for name in REQUEST_COUNTS}
    return replace(report, bytes=path.stat().st_size, **requests)


def _counts_of(missing: MissingRows) -> dict[str, int]:
    return {"recovered": missing.recovered, "unverified": missing.unverified}


def _check_date(options: Options, dates: Sequence[dt.date], tables: LakeTables) -> None:
    """Raise ConfigError if no snapshot can be added for the date."""
    day, tomorrow = options.day, options.today + dt.timedelta(days=1)
    if day.year < FIRST_YEAR:
        raise ConfigError(f"date must not be before {FIRST_YEAR}-01-01, got {day}")
    if day > tomorrow:
        raise ConfigError(f"date must not be after tomorrow ({tomorrow} in UTC), got {day}")
    if dates and dates[-1] > tomorrow:
        folders = [redact_uri(table.folder_uri(dates[-1])) for table in (tables.snapshots, tables.changes)]
        raise ConfigError(
            f"cannot add a snapshot for {day}, because the newest snapshot ({dates[-1]}) is in the future; remove "
            f"{' and '.join(folders)}"
        )
    if dates and day == options.today and dates[-1] == tomorrow:
        raise ConfigError(
            f"cannot add a snapshot for today ({day}), because the lake already has one for tomorrow ({tomorrow}, "
            f"UTC); replace it with --date {tomorrow} (date=), or run again tomorrow"
        )
    if dates and day < dates[-1]:
        raise ConfigError(
            f"date must not be before the newest snapshot ({dates[-1]}), got {day}; the API only returns current data"
        )


def _previous_date(day: dt.date, dates: Sequence[dt.date], changes: LakeTable) -> dt.date | None:
    """Return the date of the snapshot to compare with, the newest earlier one; None for the first snapshot."""
    changes_dates = changes.dates()
    orphans = [later for later in changes_dates if dates and later > dates[-1] and later != day]
    if orphans:
        raise SchemaError(
            f"{redact_uri(changes.folder_uri(orphans[0]))} has the changes of a snapshot that no longer exists; "
            "restore the snapshot, or remove this folder"
        )
    previous = date_before(day, dates)
    if previous is None and date_before(day, changes_dates):
        raise ConfigError(
            f"the snapshot of {day} cannot be replaced, because retention has removed the one before it; use a later "
            "date, and keep at least 2 snapshots (--keep, keep=)"
        )
    return previous
