"""One run of `snapshot`: reading the list, comparing it with earlier snapshots, and publishing both files."""

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import uuid4

import pyarrow as pa

from scenario_etl import footers, parquet
from scenario_etl.change_files import complete_changes, write_changes
from scenario_etl.client import Client
from scenario_etl.deletions import MissingRows
from scenario_etl.diff import compare
from scenario_etl.errors import ConfigError, TransientError
from scenario_etl.guard import Baseline, Guard, reject
from scenario_etl.incremental import (
    Increment,
    count_unexplained,
    footer_values,
    is_full_due,
    merge,
    plan_increment,
    server_time,
)
from scenario_etl.lake import FIRST_YEAR, LakeTable, LakeTables, check_snapshots, date_before
from scenario_etl.lake_file import LakeFile, open_snapshot
from scenario_etl.lookups import Lookups, can_look_up
from scenario_etl.parallel import ParallelRun
from scenario_etl.parts import Part, PartStore, temporary_parts
from scenario_etl.projects import read_project_names
from scenario_etl.publish import atomic_write
from scenario_etl.records import RecordReader
from scenario_etl.run import BATCH_ROWS, Run, ScanReport, footer_of
from scenario_etl.schema import THUMBNAIL_COLUMNS, Resource
from scenario_etl.scope import check_scope, has_scope
from scenario_etl.source import Source
from scenario_etl.stores import redact_uri

REQUEST_COUNTS = ("requests", "retries", "seconds_waited")


@dataclass(frozen=True, slots=True)
class Options:
    """The validated arguments of `snapshot`, and the current date in UTC; `full_every` is None for a full run."""

    day: dt.date
    today: dt.date
    max_shrink: float
    accept_shrink: bool
    accept_scope: bool
    max_lookups: int
    keep: int | None
    thumbnails: bool
    full_every: int | None


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

    @property
    def projects(self) -> Sequence[str | None]:
        """The ids of the projects, [None] for a list without a column for them."""
        return self.source.project_ids(self.client)

    def scope(self) -> dict[str, str]:
        """Return base_url, project_id and filters (JSON), as in the footer of a file."""
        return self.source.scope(self.client)

    def run(self) -> Run | ParallelRun:
        """Return a new run over the list."""
        return self.source.run(self.client, self.store)

    def read_again(self) -> Iterator[pa.RecordBatch]:
        """Read the list a second time, and yield its rows."""
        with temporary_parts() as store:
            run = self.source.run(self.client, store)
            yield from run.batches(BATCH_ROWS)
        self.add_counts(run.report())

    def add_counts(self, report: ScanReport) -> None:
        """Add the requests of another run."""
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
class Step:
    """How a snapshot follows the last one, if it is incremental or the next one may be.

    Attributes:
        last: The newest snapshot, None for the first.
        watermark: The time of the server at the start of the run.
        increment: What an incremental run reads, None if that is not possible.
        is_full: Whether the whole list is read.

    """

    last: LakeFile | None
    watermark: dt.datetime
    increment: Increment | None
    is_full: bool

    def footer_values(self, reader: Reader, report: ScanReport, *, is_full: bool) -> dict[str, str]:
        """Return what the footer has for the next run."""
        runs = 0 if is_full or self.last is None else 1 + (footers.integer(self.last.footer, "runs_since_full") or 0)
        read = {project: project not in report.skipped_projects for project in reader.projects if project is not None}
        since_start = (dt.datetime.now(dt.UTC) - report.extracted_at).total_seconds()  # longer if the run was resumed
        return footer_values(reader.source, self.watermark, runs, max(since_start, report.seconds), read)


@dataclass(frozen=True, slots=True)
class Published:
    """A published snapshot.

    Attributes:
        scan_report: The report of the scan, with the requests of the whole run.
        dates: The dates of the earlier snapshots, oldest first.
        previous: The date of the snapshot that it was compared with, None for the first.
        counts: The number of rows that are added, updated, deleted, recovered, unverified and carried over.
        thumbnails: The columns that thumbnails need, None without the option `thumbnails`.
        is_incremental: Whether only the records that have changed were read.
        unexplained: The number of rows that a full run has changed, but an incremental one would not have read.

    """

    scan_report: ScanReport
    dates: Sequence[dt.date]
    previous: dt.date | None
    counts: Mapping[str, int]
    thumbnails: pa.Table | None
    is_incremental: bool
    unexplained: int


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
        last = stack.enter_context(tables.snapshots.open(dates[-1])) if dates and options.full_every else None
        step = _next_step(reader, last, options.full_every) if options.full_every else None
        scan_report, is_incremental = _write_snapshot(path, reader, missing, step)
        new = stack.enter_context(open_snapshot(path, tables.resource))
        if problem := missing.guard.find_problem(tables.resource, baselines, new):
            reject(problem, path, tables.snapshots.rejected_uri(day), deadline)
        diff = compare(tables.resource, old, new)
        write_changes(changes_path, diff, previous)
        unexplained = count_unexplained(diff, step.increment) if step and step.increment and not is_incremental else 0
        thumbnails = new.table(THUMBNAIL_COLUMNS) if options.thumbnails else None
        if tables.snapshots.dates() != dates:  # an object store has no locks
            raise TransientError(
                f"another run has published a snapshot in {redact_uri(lake)} in the meantime; run again later"
            )
    counts = diff.counts | _counts_of(missing)
    return Published(scan_report, dates, previous, counts, thumbnails, is_incremental, unexplained)


def _next_step(reader: Reader, last: LakeFile | None, full_every: int) -> Step:
    now = reader.store.setdefault(
        "watermark", lambda: server_time(reader.source, reader.client, reader.counts).isoformat()
    )
    watermark = dt.datetime.fromisoformat(now)
    if last is None or not last.footer or not has_scope(last, reader.scope()):
        return Step(None, watermark, None, True)
    increment = plan_increment(reader.source, last, watermark)
    return Step(
        last, watermark, increment, increment is None or is_full_due(reader.source, last, full_every, reader.projects)
    )


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
        projects=[each for each in reader.projects if each is not None],
    )


def _write_snapshot(path: Path, reader: Reader, missing: MissingRows, step: Step | None) -> tuple[ScanReport, bool]:
    """Write the list and the rows that it skipped.

    Returns:
        The report with the requests of the whole run, and whether only the records that have changed were read.

    """
    with ExitStack() as stack:
        run, batches, is_incremental = _read_list(reader, step, stack)
        missing.skipped_projects = run.skipped_projects
        writer = stack.enter_context(
            parquet.Writer(path, reader.resource.schema, reader.resource.dictionary_columns)
        )  # fmt: skip
        for batch in missing.complete(batches):
            writer.write(batch)
        report = run.report(rows=writer.rows)
        more = {"run_id": uuid4().hex, "projects": read_project_names(reader.client, reader.counts)}
        if step:
            more |= step.footer_values(reader, report, is_full=not is_incremental)
        writer.metadata = footer_of(report, reader.scope(), **more, **_counts_of(missing))
    requests = {name: round(getattr(report, name) + reader.counts[name], 3) for name in REQUEST_COUNTS}
    return replace(report, bytes=path.stat().st_size, **requests), is_incremental


def _read_list(
    reader: Reader, step: Step | None, stack: ExitStack
) -> tuple[Run | ParallelRun, Iterator[pa.RecordBatch], bool]:
    """Return a run, the rows of the list, and whether the run only reads the records that have changed."""
    if step and step.increment and step.last and not step.is_full:
        store = stack.enter_context(temporary_parts())
        run = step.increment.source.run(reader.client, store)
        with store.writing(reader.resource.schema) as writer:
            for batch in run.batches(BATCH_ROWS):
                writer.write(batch)
            part = writer.finish(Part(project=None, window=None, is_last=True))
        skipped_before = [
            name for name, was in footers.json_object(step.last.footer, "read_projects").items() if not was
        ]
        if not ({*skipped_before} & {*reader.projects}) - {*run.skipped_projects}:
            return run, merge(reader.resource, step.last, part, store), True
        reader.add_counts(run.report())  # a project that was skipped can be read now, so all of it must be
    run = reader.run()
    return run, run.batches(BATCH_ROWS), False


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
    check_snapshots(changes, [each for each in changes_dates if each != day], dates)
    previous = date_before(day, dates)
    if previous is None and date_before(day, changes_dates):
        raise ConfigError(
            f"the snapshot of {day} cannot be replaced, because retention has removed the one before it; use a later "
            "date, and keep at least 2 snapshots (--keep, keep=)"
        )
    return previous
