"""Scheduled exports: dated snapshots, what changed between them, the guard against a bad day, and retention.

`lake.py` has the layout of the files. The API has no list of deletions: only a complete read, beside the one before,
shows what is gone.
"""

import datetime as dt
import json
import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import copyfile
from time import monotonic
from typing import Any, NoReturn
from urllib.parse import quote, urlsplit
from uuid import uuid4

import pyarrow as pa

from scenario_etl import parquet
from scenario_etl.arguments import flag, number, whole_number
from scenario_etl.client import MAX_PAGES, Client
from scenario_etl.deletions import MissingRows
from scenario_etl.diff import CHANGES, Diff, changed_rows, changes_schema, compare, count_missing
from scenario_etl.errors import APIError, ConfigError, GuardError, ScenarioError, SchemaError, TransientError
from scenario_etl.extract import Scan, ScanReport, scan
from scenario_etl.lake import FIRST_YEAR, LakeFile, LakeTable, locked
from scenario_etl.lake_thumbnails import COLUMNS as THUMBNAIL_COLUMNS
from scenario_etl.lake_thumbnails import store_thumbnails
from scenario_etl.publish import atomic_write
from scenario_etl.redact import redact
from scenario_etl.resources import resource_of
from scenario_etl.schema import Reader, Resource
from scenario_etl.signed_urls import SignedURLs
from scenario_etl.stores import redact_uri
from scenario_etl.thumbnails import check_pillow

MAX_LOOKUPS = 200
MAX_DIGITS = 18  # of a number in a footer
MAX_TOTAL = 10**38  # of a column, in a footer
NAMES_SECONDS = 10.0  # for the names of projects
MAX_NAME_LENGTH = 200  # characters of a project's name or id
COUNTED_REQUESTS = ("requests", "retries", "seconds_waited")
MAX_LOCK_TIMEOUT = 7 * 24 * 3600  # seconds

logger = logging.getLogger("scenario_etl")


@dataclass(frozen=True, slots=True)
class SnapshotReport:
    """What one published snapshot holds, and how the run went.

    Attributes:
        scan: the counts of the run, look-ups by id included; `pages` is that of the list, and `rows`, `path` and
            `bytes` are those of the snapshot.
        date: of the snapshot, in UTC.
        previous_date: of the snapshot that it was compared with, None for the first.
        added: rows whose key is new.
        updated: rows in which a column changed; a URL that was signed anew is no change.
        deleted: rows whose key is gone.
        recovered: rows that the list skipped while it moved, and that were read by their id or in a second read.
        unverified: missing rows for which the API gave no clear answer, or beyond `max_lookups`; they keep the values
            they had last.
        changes_path: of the file with the rows that changed.
        thumbnails: how many were stored in the lake.
        removed_dates: of the snapshots that retention removed.
        warnings: what went wrong after the snapshot was published, such as an old file that could not be removed, or
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
        facts = {name: getattr(self, name) for name in self.__slots__ if name != "scan"}
        dates = {
            "date": self.date.isoformat(),
            "previous_date": self.previous_date and self.previous_date.isoformat(),
            "removed_dates": [removed.isoformat() for removed in self.removed_dates],
            "warnings": list(self.warnings),
        }
        return self.scan.to_dict() | facts | dates


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

    A second run for the newest date replaces it. What a run that died half-way left undone, the next one completes.

    A row that is missing may only have been skipped, because the list moved while it was read. So before it counts as
    deleted it is asked for by its id. Where more than `max_lookups` rows are missing, the list is read a second time
    first.

    Args:
        resource: its name, such as "collections".
        lake: a folder, which is made if the one above it is there, or the URI of a prefix in an object store.
        date: of the snapshot, in UTC; None is today. One before the newest snapshot is refused, because the API only
            has the present, and so is one after tomorrow.
        max_shrink: the largest share of the rows of the last snapshot that may be gone, from 0 to 1; a fall to no rows
            always counts as too much. A snapshot that is replaced is guarded in the same way.
        accept_shrink: publish however many rows are gone.
        accept_scope: publish although the last snapshot has another scope: base URL, project or filters. The new one
            counts from then on.
        max_lookups: how many missing rows are asked for by their id; the rest stay, as `unverified`.
        keep: how many snapshots to keep; older ones are removed after the new one is published, changes never.
        lock_timeout: seconds to wait for another run on a local lake. On an object store the last to finish wins.
        thumbnails: store small pictures of the 200 rows that were updated last, for pages that are made later, as
            `LAKE/.thumbnails/<asset id>.jpg`. Only new ones are fetched, for at most a minute, from whatever host their
            URLs name; one that cannot be had is a warning. Needs the extra `report`.
        client: as in `scan`, and so are the others below.
        page_size: as in `scan`.
        max_pages: as in `scan`.
        strict: as in `scan`.
        progress: as in `scan`.
        signed_urls: as in `scan`, but durable by default: signed they are credentials, and dead within two weeks.
        **filters: as in `scan`.

    Raises:
        ConfigError: an argument is wrong, or the last snapshot has another scope.
        TransientError: another run holds the lake.
        GuardError: too many rows are gone; the snapshot is kept beside the lake under a name that no glob matches.
        SchemaError: a file of the lake that another program has changed cannot be compared.
        ScenarioError: as `Scan.to_parquet`; whatever was published before is untouched.

    """
    arguments: dict[str, Any] = {
        "page_size": page_size, "max_pages": max_pages, "strict": strict,
        "progress": progress, "signed_urls": signed_urls, **filters,
    }  # fmt: skip
    started = monotonic()
    described = scan(resource, client=client, **arguments)
    today = dt.datetime.now(dt.UTC).date()
    day = as_date(date) or today
    number("max_shrink", max_shrink, 0, 1)
    flag("accept_shrink", accept_shrink)
    flag("accept_scope", accept_scope)
    max_lookups = whole_number("max_lookups", max_lookups, 0)
    keep = None if keep is None else whole_number("keep", keep, 1)
    number("lock_timeout", lock_timeout, 0, MAX_LOCK_TIMEOUT)
    _check_thumbnails(thumbnails, signed_urls)
    with described.connected() as connected, locked(lake, resource, lock_timeout):
        snapshots, changed = _tables(lake, described.resource, connected.deadline)
        dates = snapshots.dates()
        _check_date(day, dates, snapshots, changed, today)
        previous = _previous(day, dates, changed)
        scope = described.scope(connected)
        _check_scope(snapshots, dates, scope, accept_scope)
        _complete(dates, snapshots, changed, connected.deadline)
        rejected = snapshots.rejected_uri(day)
        run_id = uuid4().hex
        # Of the two, the snapshot is published first: what changed can be made again from it, but not the reverse.
        with (
            atomic_write(changed.uri(day), staging=lake, deadline=connected.deadline) as changes_path,
            atomic_write(snapshots.uri(day), staging=lake, deadline=connected.deadline) as path,
            ExitStack() as stack,
        ):
            counts: Counter[str] = Counter()
            again = scan(resource, client=connected, **arguments)
            old = stack.enter_context(snapshots.open(previous)) if previous else None
            replaced = stack.enter_context(snapshots.open(day)) if day in dates else None
            known = {"the snapshot that it would replace": replaced, "the last snapshot": old}
            missing = MissingRows(
                resource=described.resource,
                known=[(file, _has_scope(file, scope)) for file in known.values() if file],
                of_one_project=bool(scope["project_id"]),
                look_up=_looking_up(described, connected, counts),
                read_again=again.to_batches,
                reader=Reader(described.resource, signed_urls=signed_urls, show=connected.redact),
                is_plausible=lambda before, gone, left: accept_shrink or _is_plausible(before, gone, left, max_shrink),
                max_lookups=max_lookups,
            )
            read = described.write(
                path,
                connected,
                through=missing.completed,
                footer=lambda: {"run_id": run_id, "projects": _projects(connected, counts)} | _counts_of(missing),
            )
            new = stack.enter_context(_opened(path, described.resource))
            if not accept_shrink:
                for name, file in known.items():
                    gone = count_missing(described.resource, file, new) if file else 0
                    if file and not _is_plausible(file.rows, gone, new.rows, max_shrink):
                        more = f", and --max-lookups {gone} to have them verified" if gone > max_lookups else ""
                        _refuse(
                            _shrinkage(name, file.rows, gone, new.rows, max_shrink),
                            path,
                            rejected,
                            more,
                            connected.deadline,
                        )
            diff = compare(described.resource, old, new)
            _write_changes(changes_path, diff, previous, new)
            newest = new.table(THUMBNAIL_COLUMNS) if thumbnails else None
            if snapshots.dates() != dates:  # an object store has no locks
                raise TransientError(f"another run has published in {redact_uri(lake)} meanwhile; run again later")
        removed, warnings = _tidy(snapshots, day, dates, keep)
        stored, problem = store_thumbnails(lake, newest) if newest else (0, "")
        if problem:
            warnings.append(problem)
        for warning in warnings:
            logger.warning(warning)
        return SnapshotReport(
            scan=replace(
                read,
                path=redact_uri(snapshots.uri(day)),
                seconds=round(monotonic() - started, 3),
                **_added(read, again.report, counts),
            ),
            date=day,
            previous_date=previous,
            **diff.counts,
            **_counts_of(missing),
            changes_path=redact_uri(changed.uri(day)),
            thumbnails=stored,
            removed_dates=tuple(removed),
            warnings=tuple(warnings),
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
        ConfigError: there is no such snapshot, or no such column.
        DestinationError: the lake cannot be read.
        SchemaError: the file has another type in a column, which cannot be converted.

    """
    schema = resource_of(resource).schema
    names = None if columns is None else _names(columns)
    if unknown := [name for name in names or () if not isinstance(name, str) or name not in schema.names]:
        raise ConfigError(f"{resource} have no column {redact(repr(unknown[0]))}; choose {', '.join(schema.names)}")
    snapshots, _ = _tables(lake, resource_of(resource))
    dates = snapshots.dates()
    day = as_date(date) or (dates[-1] if dates else None)
    if day is None or day not in dates:
        raise ConfigError(f"{redact_uri(lake)} has no snapshot of {resource}{f' for {day}' if day else ''}")
    with snapshots.open(day) as file:
        return file.table(names)


def changes(
    lake: str | os.PathLike[str],
    resource: str,
    since: dt.date | str | None = None,
    until: dt.date | str | None = None,
) -> pa.Table:
    """Return what changed from `since` to `until`, both included; everything where None.

    Returns:
        One row for each change, oldest first: `snapshot_date`, `change` ("added", "updated" or "deleted"),
        `changed_columns` (a list of names, empty unless updated), then the columns of the resource: the new row, for a
        deletion the last known.

    Raises:
        ConfigError: there is no such resource, or the lake has no snapshot of it.
        DestinationError: the lake cannot be read.
        TransientError: a snapshot and its changes are of two runs; one may be publishing them now.

    """
    described = resource_of(resource)
    first, last = as_date(since) or dt.date.min, as_date(until) or dt.date.max
    tables = [_dated(dt.date.min, changes_schema(described).empty_table())]
    for day, _, file in _runs(lake, described, first, last):
        if file:
            tables.append(_dated(day, file.table()))
    return pa.concat_tables(tables)


def history(lake: str | os.PathLike[str], resource: str) -> pa.Table:
    """Return what the metadata in the lake's files says of each run, one row a date, oldest first.

    Retention removes snapshots, but nothing of this: the files of changes have it, too.

    Returns:
        `date`; `rows`, `pages`, `requests`, `retries` and `duplicates` of the run, null where there is no snapshot;
        `previous_date`, null for the first, with `added`, `updated` and `deleted`; and `rejected`, whether the guard
        stopped the last run for that date: what it found is kept beside the table.

    Raises:
        ConfigError: there is no such resource, or the lake has no snapshot of it.
        DestinationError: the lake cannot be read.
        TransientError: a snapshot and its changes are of two runs; one may be publishing them now.

    """
    return pa.Table.from_pylist(list(read_history(lake, resource)), schema=HISTORY)


def read_history(lake: str | os.PathLike[str], resource: str, total: str | None = None) -> list[dict[str, Any]]:
    """Return the rows of `history`, with the sum of one column of integers as `total` where it is named.

    Each file is opened once. The total of a snapshot that retention has removed is the one in its file of changes.
    `total` is None where there is none, or no row has a value.
    """
    described = resource_of(resource)
    snapshots, _ = _tables(lake, described)
    rejected = set(snapshots.rejected_dates())
    rows = {day: {"date": day, "rejected": True} for day in rejected}
    for day, file, changed in _runs(
        lake, described, dt.date.min, dt.date.max, may_be_empty=bool(rejected), needs_changes=False
    ):
        facts: dict[str, Any] = (
            _values(changed, ("snapshot_rows", "previous_date", *_COUNTED, *CHANGES)) if changed else {}
        )
        facts["rows"] = facts.pop("snapshot_rows", None)
        totals = _totals(changed) if changed else {}
        if file:
            facts |= {"rows": file.rows} | _values(file, _COUNTED if file.footer else ())
        if total:
            facts["total"] = file.total(total) if file else totals.get(total)
        rows[day] = {"date": day, "rejected": day in rejected} | facts
    return [rows[day] for day in sorted(rows)]


def snapshot_dates(lake: str | os.PathLike[str], resource: str) -> list[dt.date]:
    """Return the dates of the snapshots in a lake, oldest first."""
    return _tables(lake, resource_of(resource))[0].dates()


def newest_footer(lake: str | os.PathLike[str], resource: str) -> dict[str, str]:
    """Return the facts in the footer of the newest snapshot, without their prefix `scenario_etl.`, and its date.

    The date is under `snapshot_date`, as YYYY-MM-DD.

    Raises:
        ConfigError: the lake has no snapshot of the resource.
        DestinationError: the lake cannot be read.

    """
    snapshots, _ = _tables(lake, resource_of(resource))
    dates = snapshots.dates()
    if not dates:
        raise _no_snapshot(lake, resource)
    with snapshots.open(dates[-1]) as file:
        return file.footer | {"snapshot_date": str(dates[-1])}


def project_names(footer: dict[str, str]) -> dict[str, str]:
    """Return the names of projects by id, as far as the run could read them, from the footer of its snapshot."""
    return {key: name for key, name in _json(footer, "projects").items() if isinstance(name, str)}


_COUNTED = ("pages", "requests", "retries", "duplicates")
HISTORY = pa.schema(
    [
        pa.field("date", pa.date32(), nullable=False),
        *(pa.field(name, pa.int64()) for name in ("rows", *_COUNTED)),
        pa.field("previous_date", pa.date32()),
        *(pa.field(name, pa.int64()) for name in CHANGES),
        pa.field("rejected", pa.bool_(), nullable=False),
    ]
)


def _tables(lake: str | os.PathLike[str], resource: Resource, deadline: float = 0.0) -> tuple[LakeTable, LakeTable]:
    """Return the table of snapshots and that of changes."""
    snapshots = LakeTable.of(lake, resource.name, resource.schema, deadline)
    return snapshots, replace(snapshots, name=f"{resource.name}_changes", schema=changes_schema(resource))


def _runs(
    lake: str | os.PathLike[str],
    resource: Resource,
    first: dt.date,
    last: dt.date,
    *,
    may_be_empty: bool = False,
    needs_changes: bool = True,
) -> Iterator[tuple[dt.date, LakeFile | None, LakeFile | None]]:
    """Yield for each date its snapshot and its changes, None for a file that is not there.

    Raises:
        TransientError: the files of the newest date do not belong together.
        SchemaError: those of an earlier date do not.

    """
    snapshots, changed = _tables(lake, resource)
    dates = set(snapshots.dates()), set(changed.dates())
    if not may_be_empty and not any(dates):
        raise _no_snapshot(lake, resource.name)
    newest = max(set.union(*dates), default=None)
    for day in sorted(set.union(*dates)):
        if first <= day <= last:
            with ExitStack() as stack:
                file = stack.enter_context(snapshots.open_if_there(day)) if day in dates[0] else None
                changes_file = stack.enter_context(changed.open_if_there(day)) if day in dates[1] else None
                if file and changes_file and not _is_pair(file, changes_file):
                    raise _mismatch(f"{changes_file.uri} and {file.uri} are of two different runs", day == newest)
                before = _before(day, dates[1])
                if changes_file and not _follows(changes_file, before):
                    raise _mismatch(f"{changes_file.uri} does not follow the changes of {before}", day == newest)
                if needs_changes and file and not changes_file:
                    raise _mismatch(f"{file.uri} has no changes beside it", day == newest)
                yield day, file, changes_file


def _no_snapshot(lake: str | os.PathLike[str], resource: str) -> ConfigError:
    return ConfigError(
        f"{redact_uri(lake)} has no snapshot of {resource}; check the path, or make one with `scenario-etl snapshot`"
    )


def _mismatch(problem: str, is_newest: bool) -> TransientError | SchemaError:
    """Return what to raise for two files that do not belong together; those of the newest date are mended."""
    if is_newest:
        return TransientError(
            f"{problem}; a run may be publishing them now. Read them again later; if that does not help, the next "
            "snapshot writes the changes of the newest date again"
        )
    return SchemaError(f"{problem}; a file of the lake is missing or was replaced: restore it")


def _is_pair(file: LakeFile, changed: LakeFile) -> bool:
    """Whether a snapshot and its changes are of one run, as far as both say so."""
    return not (file.run_id and changed.run_id) or file.run_id == changed.run_id


def _follows(changed: LakeFile, before: dt.date | None) -> bool:
    """Whether changes tell what happened since the run before, as far as they say so, and that run's are there."""
    return before is None or not changed.footer or _date_of(changed.footer.get("previous_date", "")) == before


def _before(day: dt.date, dates: Iterable[dt.date]) -> dt.date | None:
    return max((earlier for earlier in dates if earlier < day), default=None)


def _values(file: LakeFile, names: Iterable[str]) -> dict[str, int | dt.date | None]:
    """Return values of a footer: numbers and dates, None for what it does not have."""
    kinds = {"previous_date": _date_of}
    return {name: kinds.get(name, _number_of)(file.footer.get(name, "")) for name in names}


def _number_of(text: str) -> int | None:
    return int(text) if re.fullmatch(rf"[0-9]{{1,{MAX_DIGITS}}}", text) else None


def _date_of(text: str) -> dt.date | None:
    try:
        return as_date(text)
    except ConfigError:
        return None


def _totals(changed: LakeFile) -> dict[str, int | None]:
    """Return the totals of columns in the footer of changes."""
    found = _json(changed.footer, "totals")
    return {name: total for name, total in found.items() if type(total) is int and abs(total) < MAX_TOTAL}


def _json(footer: dict[str, str], name: str) -> dict[str, Any]:
    """Return the JSON object in a value of a footer; an empty one where there is none."""
    try:
        found = json.loads(footer.get(name, "{}"))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _check_date(
    day: dt.date, dates: Sequence[dt.date], snapshots: LakeTable, changed: LakeTable, today: dt.date
) -> None:
    tomorrow = today + dt.timedelta(days=1)
    if day.year < FIRST_YEAR:
        raise ConfigError(f"date must not be before {FIRST_YEAR}-01-01, got {day}")
    if day > tomorrow:
        raise ConfigError(f"date must not be after tomorrow, {tomorrow} (UTC), got {day}")
    if dates and dates[-1] > tomorrow:
        raise ConfigError(
            f"the newest snapshot is of {dates[-1]}, which lies in the future, so none can be made for {day}; remove "
            f"{redact_uri(snapshots.folder_uri(dates[-1]))} and {redact_uri(changed.folder_uri(dates[-1]))}"
        )
    if dates and day < dates[-1]:
        raise ConfigError(
            f"date must not be before the newest snapshot, {dates[-1]}, got {day}; the API has only current data"
        )


def _previous(day: dt.date, dates: Sequence[dt.date], changed: LakeTable) -> dt.date | None:
    """Return the date of the snapshot to compare with: the newest of an earlier date, None for the first of all."""
    newest = dates[-1] if dates else dt.date.min
    for later in changed.dates():
        if later > newest and later != day and dates:
            raise SchemaError(
                f"{redact_uri(changed.folder_uri(later))} has the changes of a snapshot that is gone; restore the "
                "snapshot, or remove its changes, too"
            )
    previous = max((earlier for earlier in dates if earlier < day), default=None)
    if previous is None and any(earlier < day for earlier in changed.dates()):
        raise ConfigError(
            f"retention has removed the snapshot that the one of {day} was compared with, so it cannot be made again; "
            "make one for a later date, and keep at least 2"
        )
    return previous


def _check_scope(snapshots: LakeTable, dates: Sequence[dt.date], scope: dict[str, str], accept_scope: bool) -> None:
    """Raise ConfigError where the newest snapshot has another scope than this run, which is not accepted."""
    if not dates:
        return
    with snapshots.open(dates[-1]) as newest:
        if not newest.footer:
            logger.warning(
                "%s: the metadata of its run is gone, so its scope is unknown; comparing by content", newest.uri
            )
        if not accept_scope and not _has_scope(newest, scope):
            raise ConfigError(
                f"the last snapshot, {newest.uri}, is of {_words(_scope_of(newest, scope))}; this run would be of "
                f"{_words(scope)}. Use another lake, or continue with the new scope: --accept-scope (accept_scope=True)"
            )


def _has_scope(file: LakeFile, scope: dict[str, str]) -> bool:
    """Whether a snapshot has this scope, or an unknown one."""
    return not file.footer or _normalized(_scope_of(file, scope)) == _normalized(scope)


def _scope_of(file: LakeFile, names: Iterable[str]) -> dict[str, str]:
    return {name: file.footer.get(name, "") for name in names}


def _normalized(scope: dict[str, str]) -> dict[str, str]:
    """Return a scope in which two spellings of one base URL are the same."""
    parts = urlsplit(scope["base_url"])
    host = parts.netloc.lower().removesuffix({"https": ":443", "http": ":80"}.get(parts.scheme, "\0"))
    return scope | {"base_url": parts._replace(netloc=host).geturl(), "filters": scope["filters"] or "{}"}


def _words(scope: dict[str, str]) -> str:
    filters = {"project_id": scope["project_id"]} if scope["project_id"] else {}
    filters |= json.loads(scope["filters"] or "{}")
    given = ", ".join(f"{name} {redact(value)}" for name, value in filters.items())
    return f"{redact(scope['base_url'], 300)} ({given or 'no project_id'})"


def _looking_up(described: Scan, client: Client, counts: Counter[str]) -> Callable[[str], dict[str, Any] | None]:
    """Return a function from an id to its record as the API has it now, None where there is none.

    Requests, retries and seconds waited are added to `counts`.
    """
    resource = described.resource

    def look_up(key: str) -> dict[str, Any] | None:
        if not key.strip("."):
            raise APIError(f"the id {key!r} cannot be looked up, because a URL cannot hold it")
        path = f"{resource.path}/{quote(key, safe='')}"
        return client.retrieve(path, resource.record_key, described.parameters, counts=counts)

    return look_up


def _projects(client: Client, counts: "Counter[str]") -> str:
    """Return the names of the first 100 projects by id, as JSON; an empty object where the key may not list them.

    There is one request, without retries and for a few seconds: names are not worth a wait.
    """
    walk = client.pages("/projects", "projects", {"pageSize": 100}, attempts=1, seconds=NAMES_SECONDS)
    names: dict[str, str] = {}
    try:
        records = [record for record in next(iter(walk)).records[:100] if isinstance(record, dict)]
        pairs = [(record.get("id"), record.get("name")) for record in records]
        texts = [(key, name) for key, name in pairs if isinstance(key, str) and isinstance(name, str) and name]
        names = {key: redact(name, MAX_NAME_LENGTH) for key, name in texts if len(key) <= MAX_NAME_LENGTH}
    except ScenarioError as error:
        logger.info("the names of projects are not stored: %s", error)
    for name in COUNTED_REQUESTS:
        counts[name] += getattr(walk, name)
    return json.dumps(names)


def _check_thumbnails(thumbnails: bool, signed_urls: SignedURLs) -> None:
    if not flag("thumbnails", thumbnails):
        return
    check_pillow()
    if signed_urls == "omit":
        raise ConfigError("thumbnails need their URLs: signed_urls must be 'public' or 'keep', got 'omit'")


def _added(read: ScanReport, again: ScanReport | None, counts: Counter[str]) -> dict[str, Any]:
    """Return the requests of a run: those of the list, of its second read if there was one, and of the look-ups."""
    for name in COUNTED_REQUESTS:
        counts[name] += getattr(read, name) + (getattr(again, name) if again else 0)
    return {name: round(counts[name], 3) for name in COUNTED_REQUESTS}


def _counts_of(missing: MissingRows) -> dict[str, int]:
    return {"recovered": missing.recovered, "unverified": missing.unverified}


@contextmanager
def _opened(path: Path, resource: Resource) -> Iterator[LakeFile]:
    """Yield a file that is not published yet."""
    with parquet.opened(path) as file:
        yield LakeFile(str(path), file, resource.schema)


def _is_plausible(before: int, gone: int, left: int, max_shrink: float) -> bool:
    return not before or (left > 0 and gone / before <= max_shrink)


def _shrinkage(name: str, before: int, gone: int, left: int, max_shrink: float) -> str:
    if not left:
        return f"the list is empty, but {name} has {before:,} rows"
    return f"{gone:,} of the {before:,} rows of {name} are gone ({gone / before:.0%}); max_shrink is {max_shrink:.0%}"


def _refuse(reason: str, path: Path, rejected: str, more: str, deadline: float) -> NoReturn:
    """Refuse a snapshot in which too many rows are gone, and keep it where it can be looked at."""
    try:
        with atomic_write(rejected, deadline=deadline) as kept:
            copyfile(path, kept)
        advice = f"check {redact_uri(rejected)}, a Parquet file"
    except (ScenarioError, OSError) as error:
        advice = f"the new rows could not be kept: {redact(str(error), 500)}"
    raise GuardError(
        f"{reason}. Nothing was published; {advice}. To publish it anyway, run again with --accept-shrink "
        f"(accept_shrink=True){more}"
    )


def _write_changes(path: Path, diff: Diff, previous: dt.date | None, new: LakeFile) -> None:
    """Write the rows that changed, in the order of the snapshots.

    The footer also has the counts and totals of the new snapshot: retention removes snapshots, but never changes.
    """
    facts: dict[str, object] = {name: value for name, value in new.footer.items() if name in _COPIED}
    facts |= diff.counts | {"previous_date": previous or "", "complete": "true"}
    integers = [each.name for each in diff.resource.schema if pa.types.is_integer(each.type)]
    facts |= {"snapshot_rows": new.rows, "totals": json.dumps({name: new.total(name) for name in integers})}
    parquet.write(
        path,
        changes_schema(diff.resource),
        changed_rows(diff),
        dictionary_columns=["change", *diff.resource.dictionary_columns],
        key_values=lambda: {f"scenario_etl.{name}": str(value) for name, value in facts.items()},
    )


_COPIED = ("version", "resource", "extracted_at", "run_id", *_COUNTED)


def _complete(dates: Sequence[dt.date], snapshots: LakeTable, changed: LakeTable, deadline: float) -> None:
    """Write the changes of the newest snapshot where a run died between the two, or two runs met.

    Raises:
        SchemaError: retention has removed the snapshot that the newest one was compared with.

    """
    if not dates:
        return
    newest, previous = dates[-1], dates[-2] if len(dates) > 1 else None
    changes_dates = changed.dates()
    with ExitStack() as stack:
        new = stack.enter_context(snapshots.open(newest))
        if newest in changes_dates:
            with changed.open(newest) as file:
                if _is_pair(new, file) and _follows(file, _before(newest, changes_dates)):
                    return
        if previous is None and _before(newest, changes_dates):
            raise SchemaError(
                f"the changes of {new.uri} are those of another run, and cannot be made again, because the snapshot of "
                f"{_before(newest, changes_dates)} is gone; restore both files of one run, or use another lake"
            )
        old = stack.enter_context(snapshots.open(previous)) if previous else None
        with atomic_write(changed.uri(newest), staging=snapshots.lake, deadline=deadline) as path:
            _write_changes(path, compare(resource_of(snapshots.name), old, new), previous, new)


def _tidy(
    snapshots: LakeTable, day: dt.date, dates: Sequence[dt.date], keep: int | None
) -> tuple[list[dt.date], list[str]]:
    """Remove what was rejected for this date, and all but the newest snapshots; return their dates, and what failed."""
    removed, warnings = list[dt.date](), list[str]()
    old = sorted({*dates, day})[:-keep] if keep else []
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


def _names(columns: Any) -> list[Any]:
    try:
        if not isinstance(columns, str):
            return [*columns]
    except TypeError:
        pass
    raise ConfigError(f"columns must be a list of names, got {redact(repr(columns))}")


def as_date(value: object) -> dt.date | None:
    """Return a date, given as one, as a time with or without a zone, or as YYYY-MM-DD; None for None.

    Raises:
        ConfigError: it is not a date.

    """
    if value is None:
        return None
    if isinstance(value, dt.datetime) and value == value:  # noqa: PLR0124 - pandas' NaT is a datetime, but no date
        with suppress(OverflowError):
            return (value.astimezone(dt.UTC) if value.tzinfo else value).date()
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value
    try:
        if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value, re.ASCII):
            return dt.date.fromisoformat(value)
    except ValueError:
        pass  # a day that no month has
    raise ConfigError(f"{redact(repr(value))} is not a date; use YYYY-MM-DD, such as 2026-11-23")


def _dated(day: dt.date, rows: pa.Table) -> pa.Table:
    days = pa.repeat(pa.scalar(day, pa.date32()), rows.num_rows)
    return rows.add_column(0, pa.field("snapshot_date", pa.date32(), nullable=False), days)
