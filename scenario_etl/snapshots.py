"""Scheduled exports: all rows of a resource as the snapshot of a date, and what changed since the one before.

`lake.py` has the layout of the files. The API has no list of deletions: only a complete read, compared with the one
before, shows which rows were deleted.
"""

import datetime as dt
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any

import pyarrow as pa

from scenario_etl.arguments import flag, number, whole_number
from scenario_etl.client import MAX_PAGES, Client
from scenario_etl.dates import as_date
from scenario_etl.errors import ConfigError, ScenarioError
from scenario_etl.extract import scan
from scenario_etl.lake import LakeTable, LakeTables, locked
from scenario_etl.lake_thumbnails import store_thumbnails
from scenario_etl.redact import redact
from scenario_etl.run import ScanReport, connected
from scenario_etl.signed_urls import SignedURLs
from scenario_etl.snapshot_run import Options, Published, Source, publish
from scenario_etl.stores import redact_uri
from scenario_etl.thumbnails import check_pillow

MAX_LOOKUPS = 200
MAX_LOCK_TIMEOUT = 7 * 24 * 3600  # seconds

logger = logging.getLogger("scenario_etl")


@dataclass(frozen=True, slots=True)
class SnapshotReport:
    """The result of one run of `snapshot`.

    Attributes:
        scan: the report of the run, look-ups by id included; `pages` is that of the list, and `rows`, `path` and
            `bytes` are those of the snapshot.
        date: the date of the snapshot, in UTC.
        previous_date: the date of the snapshot that it was compared with, None for the first.
        added: number of rows whose key is new.
        updated: number of rows in which a column changed; a URL that was signed again is no change.
        deleted: number of rows that the API no longer has.
        recovered: number of rows that the list skipped while it moved, and that were looked up by their id or read in a
            second read.
        unverified: number of missing rows that keep their last values, because the API did not say whether they are
            deleted, or because there are more than `max_lookups`.
        changes_path: path or URI of the file with the rows that changed.
        thumbnails: number of thumbnails that were stored in the lake.
        removed_dates: dates of the snapshots that retention removed.
        warnings: failures after the snapshot was published, such as an old file that could not be removed, or
            thumbnails that could not be fetched.

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
    thumbnails: int = 0
    removed_dates: tuple[dt.date, ...] = ()
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return everything by name, ready for JSON: dates in ISO 8601."""
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
    **filters: str | None,
) -> SnapshotReport:
    """Publish today's rows of a resource in a lake, and what changed since the snapshot of an earlier date.

    A second run for the newest date replaces it. A run also completes the work of an earlier run that was killed.

    A row that is missing may only have been skipped, because the list changed while it was read. So before it counts as
    deleted it is looked up by its id. Where more than `max_lookups` rows are missing, or the API cannot look up single
    records of the resource, the list is read a second time first.

    Args:
        resource: its name, such as "collections".
        lake: a folder, which is created if its parent exists, or the URI of a prefix in an object store.
        date: of the snapshot, in UTC; None is today. It must not be before the newest snapshot, because the API has
            only current data, nor after tomorrow.
        max_shrink: the largest share of the rows of the last snapshot that may be missing, from 0 to 1; an empty list
            is refused, too, unless `accept_shrink` is set. A snapshot that is replaced is guarded in the same way.
        accept_shrink: publish even if more rows are missing.
        accept_scope: publish even if the last snapshot has another scope: base URL, project or filters. The new one
            counts from then on.
        max_lookups: how many missing rows are looked up by their id; the rest stay, as `unverified`.
        keep: how many snapshots to keep; older ones are removed after the new one is published, changes never.
        lock_timeout: seconds to wait for another run on a local lake. On an object store the last to finish wins.
        thumbnails: store small images of the 200 rows that were updated last, for pages that are made later, as
            `LAKE/.thumbnails/<asset id>.jpg`. Only new ones are fetched, for at most a minute, from any host in their
            URLs; one that cannot be fetched is a warning. Needs the extra `report`.
        client: as in `scan`, and so are the others below.
        page_size: as in `scan`.
        max_pages: as in `scan`.
        strict: as in `scan`.
        progress: as in `scan`.
        signed_urls: as in `scan`, but "public" by default: signed URLs are credentials that expire after about two
            weeks.
        **filters: as in `scan`.

    Raises:
        ConfigError: an argument is not valid, or the last snapshot has another scope.
        TransientError: another run has locked the lake.
        GuardError: too many rows are missing; the snapshot is kept beside the tables under a name that no `*.parquet`
            glob matches.
        SchemaError: a file of the lake that another program has changed cannot be compared.
        ScenarioError: as `Scan.to_parquet`; what was published before is untouched.

    """
    started = monotonic()
    described = scan(
        resource, client=client, page_size=page_size, max_pages=max_pages, strict=strict, progress=progress,
        signed_urls=signed_urls, **filters,
    )  # fmt: skip
    today = dt.datetime.now(dt.UTC).date()
    options = Options(
        day=as_date(date) or today,
        today=today,
        max_shrink=number("max_shrink", max_shrink, 0, 1),
        accept_shrink=flag("accept_shrink", accept_shrink),
        accept_scope=flag("accept_scope", accept_scope),
        max_lookups=whole_number("max_lookups", max_lookups, 0),
        keep=None if keep is None else whole_number("keep", keep, 1),
        thumbnails=_checked_thumbnails(thumbnails, signed_urls),
    )
    lock_timeout = number("lock_timeout", lock_timeout, 0, MAX_LOCK_TIMEOUT)
    with connected(client) as api, locked(lake, resource, lock_timeout):
        tables = LakeTables.of(lake, described.resource, api.deadline)
        source = Source(described.resource, described.query, described.options, api)
        report = _finish(publish(source, tables, options), tables, options)
    return replace(report, scan=replace(report.scan, seconds=round(monotonic() - started, 3)))


def _checked_thumbnails(thumbnails: object, signed_urls: SignedURLs) -> bool:
    if not flag("thumbnails", thumbnails):
        return False
    check_pillow()
    if signed_urls == "omit":
        raise ConfigError("thumbnails need their URLs: signed_urls must be 'public' or 'keep', got 'omit'")
    return True


def _finish(published: Published, tables: LakeTables, options: Options) -> SnapshotReport:
    """Remove old files and store thumbnails; no failure of either is more than a warning."""
    day, snapshots = options.day, tables.snapshots
    old = sorted({*published.dates, day})[: -options.keep] if options.keep else []
    removed, warnings = _remove(snapshots, day, old)
    stored = 0
    if published.thumbnails is not None:
        stored, problem = store_thumbnails(snapshots.lake, published.thumbnails)
        warnings += [problem] if problem else []
    for warning in warnings:
        logger.warning(warning)
    return SnapshotReport(
        scan=replace(published.read, path=redact_uri(snapshots.uri(day))),
        date=day,
        previous_date=published.previous,
        **published.counts,
        changes_path=redact_uri(tables.changes.uri(day)),
        thumbnails=stored,
        removed_dates=tuple(removed),
        warnings=tuple(warnings),
    )


def _remove(snapshots: LakeTable, day: dt.date, old: Sequence[dt.date]) -> tuple[list[dt.date], list[str]]:
    """Remove the rejected snapshot of a date, and old snapshots; return the dates of these, and the failures."""
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
