"""Snapshots: all rows of a resource on a date, and the changes since the previous snapshot.

`lake.py` describes the layout of the files. For most resources, the API has no list of deleted records, so a deletion
is only visible in a comparison of two complete lists.
"""

import datetime as dt
import logging
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from glob import glob
from time import monotonic
from typing import Any

import pyarrow as pa
from pyarrow.fs import LocalFileSystem

from scenario_etl.arguments import check_bool, check_integer, check_number
from scenario_etl.client import Client
from scenario_etl.dates import as_date
from scenario_etl.errors import ConfigError, GuardError, ScenarioError
from scenario_etl.extract import scan
from scenario_etl.incremental import FULL_EVERY, MAX_FULL_EVERY, check_incremental
from scenario_etl.lake import LakeTable, LakeTables, lock_lake
from scenario_etl.lake_thumbnails import store_thumbnails
from scenario_etl.pages import MAX_PAGES
from scenario_etl.parts import MAX_RESUME_WITHIN, RESUME_WITHIN, remove_parts
from scenario_etl.redact import redact
from scenario_etl.resources import INCLUDE_ARGUMENTS
from scenario_etl.run import ScanReport, client_or_default
from scenario_etl.schema import Resource
from scenario_etl.signed_urls import SignedURLs
from scenario_etl.snapshot_run import Options, Published, Reader, publish
from scenario_etl.source import Source, parts_folder
from scenario_etl.stores import filesystem, join_uri, redact_uri
from scenario_etl.thumbnails import check_pillow

MAX_LOOKUPS = 200
MAX_LOCK_TIMEOUT = 7 * 24 * 3600  # seconds

logger = logging.getLogger("scenario_etl")


@dataclass(frozen=True, slots=True)
class SnapshotReport:
    """The result of one run of `snapshot`.

    Attributes:
        scan: Report of the run. `requests`, `retries` and `seconds_waited` cover the whole run, including lookups by
            id, a second read and the request for project names; `rows`, `path` and `bytes` describe the file of the
            snapshot.
        date: Date of the snapshot in UTC.
        previous_date: Date of the snapshot that it was compared with, None for the first.
        added: Number of rows with a new key.
        updated: Number of rows with a changed value; a new signature on a URL does not count.
        deleted: Number of rows that the API no longer has.
        recovered: Number of rows that the list skipped, and that were found by their id or in a second read.
        carried_over: Number of rows of skipped projects, which keep their last values.
        unverified: Number of missing rows that keep their last values, because it is unclear whether they are deleted,
            or because there are more than `max_lookups`.
        changes_path: Path or URI of the file with the rows that changed.
        incremental: Whether only changed records were read; such a run reports no deletions, and no rows carried over.
        unexplained: Number of rows of a full run that have changed, but whose date of the last update is so old that an
            incremental run would not have read them.
        thumbnails: Number of thumbnails that were stored in the lake.
        removed_dates: Dates of the snapshots that retention removed.
        warnings: Failures after the snapshot was published, such as an old file that could not be removed or thumbnails
            that could not be fetched.

    """

    scan: ScanReport
    date: dt.date
    previous_date: dt.date | None
    added: int
    updated: int
    deleted: int
    recovered: int
    unverified: int
    changes_path: str
    carried_over: int = 0
    incremental: bool = False
    unexplained: int = 0
    thumbnails: int = 0
    removed_dates: tuple[dt.date, ...] = ()
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return all attributes, including those of `scan`, as a dict for JSON, with dates in ISO 8601."""
        values = {name: getattr(self, name) for name in self.__slots__ if name != "scan"}
        dates = {
            "date": self.date.isoformat(),
            "previous_date": self.previous_date and self.previous_date.isoformat(),
            "removed_dates": [removed.isoformat() for removed in self.removed_dates],
            "warnings": list(self.warnings),
        }
        return self.scan.to_dict() | values | dates


def snapshot(
    resource: str,
    lake: str | os.PathLike[str],
    *,
    date: dt.date | str | None = None,
    max_shrink: float = 0.5,
    accept_shrink: bool = False,
    accept_scope: bool = False,
    max_lookups: int = MAX_LOOKUPS,
    keep: int | None = None,
    lock_timeout: float = 0.0,
    thumbnails: bool = False,
    client: Client | None = None,
    page_size: int | None = None,
    max_pages: int = MAX_PAGES,
    strict: bool = False,
    progress: bool = False,
    signed_urls: SignedURLs = "public",
    all_projects: bool = False,
    skip_forbidden: bool = False,
    workers: int | None = None,
    resume_within: float = RESUME_WITHIN,
    incremental: bool = False,
    full_every: int = FULL_EVERY,
    **filters: Any,
) -> SnapshotReport:
    """Add a snapshot of a resource to a lake, and the changes since the snapshot of an earlier date.

    A second run for the newest date replaces its snapshot. If an earlier run was killed, its work is completed first.

    A list that changes while it is read may skip a row. A missing row is therefore looked up by its id before it counts
    as deleted. If more than `max_lookups` rows are missing, the list is read a second time before any lookup. If rows
    cannot be looked up, because the list is filtered or the resource does not support it, the list is read a second
    time instead.

    Args:
        resource: Name of the resource, such as "collections".
        lake: Folder, which is created if its parent exists, or URI of a prefix in an object store.
        date: Date of the snapshot in UTC, today by default. It must not be after tomorrow, or before the newest
            snapshot, because the API only returns current data.
        max_shrink: Maximum fraction of the rows of the last snapshot that may be missing, from 0 to 1. If more rows are
            missing, or the list is empty, the guard rejects the new snapshot. On a second run for the same date, the
            new rows are also compared with the snapshot that they would replace.
        accept_shrink: Whether to publish a snapshot that the guard would reject.
        accept_scope: Whether to continue if the last snapshot has a different scope: base URL, project or filters.
        max_lookups: Maximum number of missing rows to look up by id; the others keep their last values, and count as
            `unverified`.
        keep: Number of snapshots to keep. Older ones are removed after the new one is published, but not their changes.
        lock_timeout: Seconds to wait for another run on a local lake. An object store has no lock: of two runs that
            replace the same snapshot, the last one to finish wins.
        thumbnails: Whether to store small images of the 200 most recently updated rows as `LAKE/.thumbnails/<asset
            id>.jpg`. Only new images are fetched, for at most one minute, from whichever host the URL names. An image
            that cannot be fetched is logged as a warning. Requires the `report` extra.
        client: Client to use, as in `scan`.
        page_size: Number of records per request, as in `scan`.
        max_pages: Maximum number of pages, as in `scan`.
        strict: Whether a missing or unknown field raises SchemaError, as in `scan`.
        progress: Whether to show a progress bar, as in `scan`.
        signed_urls: Form of signed URLs, as in `scan`, but "public" by default, because signed URLs are credentials
            that expire after one to two weeks.
        all_projects: Whether to read all projects of the teams of the API key, as in `scan`.
        skip_forbidden: Whether to skip projects that the key may not read, as in `scan`. Their rows keep their last
            values, and count as `carried_over`.
        workers: Maximum number of requests at the same time, as in `scan`.
        resume_within: Maximum age in seconds of the finished parts of an interrupted run for the same date, as in
            `Scan.to_parquet`.
        incremental: Whether to read only the records that were updated since the last snapshot, and merge them into it.
            The snapshot is a full one, but records that were deleted remain until the next full run. Jobs are read from
            the oldest one that was not finished, at most 30 days back. Collections, private models and other lists
            without a filter by the date of their last update are not supported.
        full_every: With `incremental`, every Nth run reads the whole list; 1 always does.
        **filters: Filters of the resource, as in `scan`.

    Raises:
        ConfigError: An argument is not valid, there are no credentials, or the last snapshot has a different scope.
        TransientError: Another run has locked the lake, or the API or object store is unavailable.
        GuardError: Too many rows are missing. The new rows are saved in the lake under a name that no `*.parquet` glob
            matches.
        SchemaError: A value does not fit its column, or a file of the lake was changed or removed by another program.
        DestinationError: The lake cannot be written or read.
        APIError: A request failed; AuthError is a subclass.
        PaginationError: Pagination did not finish.

    """
    started = monotonic()
    if included := sorted(filters.keys() & INCLUDE_ARGUMENTS):
        raise ConfigError(f"{included[0]} is not supported for snapshots, which must not keep these columns; omit it")
    described = scan(
        resource, client=client, page_size=page_size, max_pages=max_pages, strict=strict, progress=progress,
        signed_urls=signed_urls, all_projects=all_projects, skip_forbidden=skip_forbidden, workers=workers, **filters,
    )  # fmt: skip
    check_number("resume_within", resume_within, 0, MAX_RESUME_WITHIN)
    today = dt.datetime.now(dt.UTC).date()
    options = Options(
        day=as_date(date) or today,
        today=today,
        max_shrink=check_number("max_shrink", max_shrink, 0, 1),
        accept_shrink=check_bool("accept_shrink", accept_shrink),
        accept_scope=check_bool("accept_scope", accept_scope),
        max_lookups=check_integer("max_lookups", max_lookups, 0),
        keep=None if keep is None else check_integer("keep", keep, 1),
        thumbnails=_check_thumbnails(thumbnails, signed_urls, described.source.resource),
        full_every=_check_full_every(described.source, incremental, full_every),
    )
    _check_lake(lake)
    lock_timeout = check_number("lock_timeout", lock_timeout, 0, MAX_LOCK_TIMEOUT)
    with client_or_default(client) as api, lock_lake(lake, resource, lock_timeout):
        tables = LakeTables.of(lake, described.source.resource, api.deadline)
        source, counts = described.source, Counter[str]()
        if source.projects:  # requested once, for all reads of the run
            listed = source.projects.resolve(api, counts)
            source = replace(source, projects=replace(source.projects, listed=listed))
        place = join_uri(lake, resource)
        try:
            with source.parts(api, place, resume_within, str(options.day), str(incremental)) as store:
                published = publish(Reader(source, api, store, counts), tables, options)
        except GuardError:
            remove_parts(parts_folder(place))  # the next run reads all of them again
            raise
        remove_parts(parts_folder(place))
        report = _finish(published, tables, options)
    return replace(report, scan=replace(report.scan, seconds=round(monotonic() - started, 3)))


def _check_lake(lake: str | os.PathLike[str]) -> None:
    """Raise ConfigError for the folder of a table, whose readers would also read the files of a lake in it."""
    store, folder = filesystem(lake)
    if isinstance(store, LocalFileSystem) and glob("snapshot_date=*", root_dir=folder):
        raise ConfigError(f"{redact_uri(lake)} is a table of a lake; use the folder of the lake, which contains it")


def _check_full_every(source: Source, incremental: object, full_every: object) -> int | None:
    """Return how often a full run is due, None without `incremental`."""
    count = check_integer("full_every", full_every, 1, MAX_FULL_EVERY)
    if not check_bool("incremental", incremental):
        return None
    check_incremental(source)
    return count


def _check_thumbnails(thumbnails: object, signed_urls: SignedURLs, resource: Resource) -> bool:
    if not check_bool("thumbnails", thumbnails):
        return False
    if not resource.has_thumbnails:
        raise ConfigError(f"{resource.name} has no thumbnails; omit --thumbnails (thumbnails=)")
    check_pillow()
    if signed_urls == "omit":
        raise ConfigError("signed_urls must be 'public' or 'keep' if thumbnails are stored, got 'omit'")
    return True


def _finish(published: Published, tables: LakeTables, options: Options) -> SnapshotReport:
    """Remove old files and store thumbnails; a failure of either is logged as a warning."""
    day, snapshots = options.day, tables.snapshots
    old = sorted({*published.dates, day})[: -options.keep] if options.keep else []
    removed, warnings = _remove(snapshots, day, old)
    stored = 0
    if published.thumbnails is not None:
        stored, problem = store_thumbnails(snapshots.lake, published.thumbnails)
        warnings += [problem] if problem else []
    if published.unexplained:
        rows = f"{published.unexplained:,} row{'s have' if published.unexplained > 1 else ' has'}"
        warnings.append(
            f"{tables.resource.name}: {rows} changed, but kept an old date of the last update, so incremental "
            "runs do not notice them; consider a lower --full-every (full_every=)"
        )
    for warning in warnings:
        logger.warning(warning)
    return SnapshotReport(
        scan=replace(published.scan_report, path=redact_uri(snapshots.uri(day))),
        date=day,
        previous_date=published.previous,
        **published.counts,
        changes_path=redact_uri(tables.changes.uri(day)),
        thumbnails=stored,
        incremental=published.is_incremental,
        unexplained=published.unexplained,
        removed_dates=tuple(removed),
        warnings=tuple(warnings),
    )


def _remove(snapshots: LakeTable, day: dt.date, old: Sequence[dt.date]) -> tuple[list[dt.date], list[str]]:
    """Remove the rejected snapshot of a date, and old snapshots; return the dates of the latter, and the failures."""
    removed, warnings = list[dt.date](), list[str]()
    steps = [(snapshots.remove_rejected, day, snapshots.rejected_uri(day))]
    steps += [(snapshots.remove, each, snapshots.uri(each)) for each in old]
    for remove, each, uri in steps:
        try:
            remove(each)
        except (ScenarioError, OSError, pa.ArrowException) as error:
            reason = getattr(error, "strerror", None) or redact(str(error), 300)
            warnings.append(f"cannot remove {redact_uri(uri)}: {reason}")
        else:
            removed += [each] if each in old else []
    return removed, warnings
