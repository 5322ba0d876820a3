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
from scenario_etl.parallel import ParallelRun
from scenario_etl.parts import PartStore, open_parts
from scenario_etl.projects import read_project_names
from scenario_etl.publish import atomic_write
from scenario_etl.records import RecordReader
from scenario_etl.run import BATCH_ROWS, Run, ScanReport, footer_of
from scenario_etl.scan_run import Source
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
class Reader:
    """Reads the list of a snapshot.

    Attributes:
        source: What is read.
        client: The client.
        store: The store of the parts of the run.
        counts: The requests, retries and seconds waited of the run, apart from the first read of the list.

    """

    source: Source
    client: Client
    store: PartStore
    counts: "Counter[str]" = field(default_factory=Counter)

    @property
    def resource(self) -> Resource:
        """The resource."""
        return self.source.resource

    def scope(self) -> dict[str, str]:
        """Return base_url, project_id and filters (JSON), as in the footer of a file."""
        return self.source.scope(self.client)

    def run(self) -> Run | ParallelRun:
        """Return a new run over the list."""
        return self.source.run(self.client, self.store)

    def read_again(self) -> Iterator[pa.RecordBatch]:
        """Read the list a second time, and yield its rows."""
        with open_parts(None, "", 0) as store:
            run = self.source.run(self.client, store)
            yield from run.batches(BATCH_ROWS)
        report = run.report()
        for name in REQUEST_COUNTS:
            self.counts[name] += getattr(report, name)

    def lookups(self) -> Lookups | None:
        """Return the lookups of rows by id, None if rows of this list cannot be looked up."""
        resource, query = self.resource.without_projects(), self.source.query
        if not can_look_up(resource, query, has_project=self.resource.has_projects):
            return None
        reader = RecordReader(resource, signed_urls=self.source.options.signed_urls, redact=self.client.redact)
        return Lookups(self.resource, self.client, query, reader, self.counts)


@dataclass(frozen=True, slots=True)
class Published:
    """A published snapshot.

    Attributes:
        scan_report: The report of the scan, with the requests of the whole run.
        dates: The dates of the earlier snapshots, oldest first.
        previous: The date of the snapshot that it was compared with, None for the first.
        counts: The number of rows that are added, updated, deleted, recovered, unverified and carried over.
        thumbnails: The columns that thumbnails need, None without the option `thumbnails`.

    """

    scan_report: ScanReport
    dates: Sequence[dt.date]
    previous: dt.date | None
    counts: Mapping[str, int]
    thumbnails: pa.Table | None


def publish(reader: Reader, tables: LakeTables, options: Options) -> Published:
    """Publish the snapshot of a date and its changes. Raises the errors of `snapshot`.

    Args:
        reader: The reader of the list.
        tables: The tables of the lake, which is locked.
        options: The validated arguments.

    """
    lake, day, deadline = tables.snapshots.lake, options.day, reader.client.deadline
    dates = tables.snapshots.dates()
    _check_date(options, dates, tables)
    previous = _previous_date(day, dates, tables.changes)
    check_scope(tables.snapshots, dates, reader.scope(), accept_scope=options.accept_scope)
    complete_changes(tables, dates, deadline)
    # The snapshot is published before its changes, which can be written again from it, but not the reverse.
    with (
        atomic_write(tables.changes.uri(day), staging=lake, deadline=deadline) as changes_path,
        atomic_write(tables.snapshots.uri(day), staging=lake, deadline=deadline) as path,
        ExitStack() as stack,
    ):
        old = stack.enter_context(tables.snapshots.open(previous)) if previous else None
        replaced = stack.enter_context(tables.snapshots.open(day)) if day in dates else None
        baselines = _baselines(replaced, old, reader.scope())
        missing = _missing_rows(reader, baselines, options)
        scan_report = _write_snapshot(path, reader, missing)
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


def _missing_rows(reader: Reader, baselines: Sequence[Baseline], options: Options) -> MissingRows:
    lookups = reader.lookups()
    return MissingRows(
        resource=reader.resource,
        baselines=baselines,
        has_project_filter=bool(reader.scope()["project_id"]),
        lookups=lookups,
        read_again=reader.read_again,
        guard=Guard(options.max_shrink, options.accept_shrink, options.max_lookups if lookups else None),
        max_lookups=options.max_lookups,
    )


def _write_snapshot(path: Path, reader: Reader, missing: MissingRows) -> ScanReport:
    """Write the list and the rows that it skipped; return the report with the requests of the whole run."""
    run = reader.run()
    missing.skipped_projects = run.skipped_projects
    with parquet.Writer(path, reader.resource.schema, reader.resource.dictionary_columns) as writer:
        for batch in missing.complete(run.batches(BATCH_ROWS)):
            writer.write(batch)
        report = run.report(rows=writer.rows)
        more = {"run_id": uuid4().hex, "projects": read_project_names(reader.client, reader.counts)}
        writer.metadata = footer_of(report, reader.scope(), **more, **_counts_of(missing))
    requests = {name: round(getattr(report, name) + reader.counts[name], 3) for name in REQUEST_COUNTS}
    return replace(report, bytes=path.stat().st_size, **requests)


def _counts_of(missing: MissingRows) -> dict[str, int]:
    return {"recovered": missing.recovered, "unverified": missing.unverified, "carried_over": missing.carried_over}


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
