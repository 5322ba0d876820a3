"""Incremental snapshots: read only the records that have changed since the last snapshot, and merge them into it."""

import datetime as dt
import json
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from scenario_etl import footers
from scenario_etl.client import Client
from scenario_etl.diff import Diff, joined_keys, keys_of, to_arrow, to_numpy
from scenario_etl.errors import ConfigError
from scenario_etl.filters import DATE, can_add
from scenario_etl.lake_file import LakeFile
from scenario_etl.partitions import read_first_page
from scenario_etl.parts import Part, PartStore
from scenario_etl.schema import Resource
from scenario_etl.source import Source
from scenario_etl.windows import Window, floor

DATE_PARAMETERS = {"createdAfter", "createdBefore", "updatedAfter", "updatedBefore"}
FULL_EVERY = 7
MAX_FULL_EVERY = 1000
MIN_LOOKBACK = dt.timedelta(minutes=10)  # a record may be listed some time after its date
MAX_AGE = dt.timedelta(days=30)  # of unfinished records that are read again
UPDATE_FILTERS = ("updated_after", "updated_before", "sort_direction")
CREATION_FILTERS = ("created_after",)

logger = logging.getLogger("scenario_etl")


@dataclass(frozen=True, slots=True)
class Increment:
    """What an incremental run reads.

    Attributes:
        source: The source, limited to records with a date from `start` on.
        column: The column of that date.
        start: The first date.

    """

    source: Source
    column: str
    start: dt.datetime


def check_incremental(
    source: Source, verb: str = "read incrementally", advice: str = "omit --incremental (incremental=)"
) -> None:
    """Raise ConfigError if a list cannot be read incrementally.

    Args:
        source: What a full run reads.
        verb: What cannot be done with the list, for the message.
        advice: What to do instead, for the message.

    """
    resource = source.resource
    dates = [each.name for each in resource.filters if each.api_name in DATE_PARAMETERS & source.query.keys()]
    if not dates and (can_add(resource.filters, source.query, UPDATE_FILTERS) or is_by_creation(source)):
        return
    if filters := dates or [each.name for each in resource.filters if each.api_name in source.query]:
        raise ConfigError(f"{resource.name} cannot be {verb} with {', '.join(filters)}; omit the filter, or {advice}")
    only = "; only public models can" if resource.name == "models" else ""
    raise ConfigError(
        f"{resource.name} cannot be {verb}, because the API cannot filter them by the date of the last "
        f"update{only}; {advice}"
    )


def server_time(
    source: Source, client: Client, counts: "Counter[str]", purpose: str = "incremental snapshots need"
) -> dt.datetime:
    """Return the time of the server, in whole seconds, from the header `Date` of a response with one record.

    The request is added to counts. The purpose is for the message of the error if the time is unknown.
    """
    projects = [None] if source.projects is None or source.projects.ids is None else source.projects.ids
    pages = read_first_page(
        client, source.resource, source.query, projects, skip_forbidden=source.skip_forbidden, counts=counts
    )
    return floor(pages.require_date(purpose))


def plan_increment(source: Source, last: LakeFile, now: dt.datetime) -> Increment | None:
    """Return what an incremental run reads, None if the last snapshot has no watermark.

    Args:
        source: What a full run reads.
        last: The last snapshot.
        now: The time of the server, which becomes the watermark.

    """
    watermark = footers.moment(last.footer, "watermark")
    if watermark is None or watermark > now:  # the clock of the server was wrong
        return None
    lookback = MIN_LOOKBACK + dt.timedelta(seconds=footers.integer(last.footer, "seconds") or 0)
    start = floor(watermark - lookback)
    if not is_by_creation(source):
        window = Window(start, now)
        return Increment(replace(source, window=window, date_field="updatedAt"), "updated_at", start)
    start = min(start, max(_oldest_unfinished(source.resource, last, now) or start, floor(now - MAX_AGE)))
    query = {**source.query, "createdAfter": DATE.encode("created_after", start - dt.timedelta(milliseconds=1))}
    return Increment(replace(source, query=query), "created_at", start)


def is_full_due(source: Source, last: LakeFile, full_every: int, projects: Iterable[str | None]) -> bool:
    """Return whether a full run is due: by number, or because the last snapshot lacks a column or a project."""
    footer = last.footer
    known = footers.json_object(footer, "read_projects")
    return (
        (footers.integer(footer, "runs_since_full") or 0) + 1 >= full_every
        or footer.get("signed_urls") != source.options.signed_urls
        or not all(map(last.has, source.resource.schema.names))
        or any(project is not None and project not in known for project in projects)
    )


def merge(resource: Resource, last: LakeFile, part: Part, store: PartStore) -> Iterator[pa.RecordBatch]:
    """Yield the rows of the last snapshot and of a part; of two rows with the same key, the one updated last."""
    import pyarrow.compute as pc  # noqa: PLC0415 - takes 30 ms, and only a comparison needs it

    names = [*resource.primary_key, "updated_at"]
    found = [batch.select(names) for batch in store.batches(part)]
    new = pa.Table.from_batches(found, schema=pa.schema([resource.schema.field(name) for name in names]))
    positions = pc.index_in(
        keys_of(resource, last), value_set=joined_keys([new[name] for name in resource.primary_key])
    )  # fmt: skip
    is_newer = pc.greater(last.column("updated_at"), new["updated_at"].take(positions))
    keeps_old = to_numpy(pc.or_(pc.is_null(positions), pc.fill_null(is_newer, False)))
    for start, rows in last.row_groups(keeps_old):
        yield from rows.filter(to_arrow(keeps_old[start : start + rows.num_rows])).combine_chunks().to_batches()
    is_kept = np.ones(new.num_rows, bool)
    is_kept[to_numpy(positions.filter(pc.fill_null(is_newer, False)))] = False
    start = 0
    for batch in store.batches(part):
        yield batch.filter(to_arrow(is_kept[start : start + batch.num_rows]))
        start += batch.num_rows


def count_unexplained(diff: Diff, increment: Increment) -> int:
    """Return the number of rows that a full run has changed, but an incremental one would not have read."""
    import pyarrow.compute as pc  # noqa: PLC0415 - takes 30 ms, and only a comparison needs it

    dates = diff.new.column(increment.column)
    is_old = to_numpy(pc.fill_null(pc.less(dates, pa.scalar(increment.start, dates.type)), False))
    return int((is_old & (diff.added | diff.updated)).sum())


def footer_values(
    source: Source, watermark: dt.datetime, runs_since_full: int, seconds: float, projects: Mapping[str, bool]
) -> dict[str, Any]:
    """Return the values that the footer of a snapshot has for the next incremental run.

    Args:
        source: What a full run reads.
        watermark: The time of the server at the start of the run.
        runs_since_full: The number of incremental runs since the last full one.
        seconds: The duration of the run.
        projects: The projects of the snapshot, and whether they have been read or were skipped.

    """
    return {
        "watermark": watermark.isoformat(),
        "runs_since_full": runs_since_full,
        "seconds": int(seconds) + 1,
        "signed_urls": source.options.signed_urls,
        "read_projects": json.dumps(projects),
    }


def is_by_creation(source: Source) -> bool:
    """Return whether an incremental run limits the date of creation, and reads unfinished records again."""
    return bool(source.resource.finished_statuses) and can_add(source.resource.filters, source.query, CREATION_FILTERS)


def _oldest_unfinished(resource: Resource, last: LakeFile, now: dt.datetime) -> dt.datetime | None:
    """Return the date of creation of the oldest record that was not finished, None if all were."""
    import pyarrow.compute as pc  # noqa: PLC0415 - takes 30 ms, and only a comparison needs it

    finished = pa.array(resource.finished_statuses, pa.string())
    created = last.column("created_at").filter(pc.invert(pc.is_in(last.column("status"), value_set=finished)))
    too_old = int(pc.sum(pc.less(created, pa.scalar(now - MAX_AGE, created.type))).as_py() or 0)
    if too_old:
        logger.warning(
            "%s: %s unfinished for more than %s days; not reading %s again until the next full run",
            resource.name, f"{too_old:,} records" if too_old > 1 else "1 record", MAX_AGE.days,
            "them" if too_old > 1 else "it",
        )  # fmt: skip
    oldest: dt.datetime | None = pc.min(created).as_py()
    return oldest
