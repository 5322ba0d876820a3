"""Write the files of changes, and complete them after an interrupted run."""

import datetime as dt
import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa

from scenario_etl import parquet
from scenario_etl.diff import Diff, changed_rows, compare
from scenario_etl.errors import SchemaError
from scenario_etl.footers import COUNTS, is_next_run, is_same_run
from scenario_etl.lake import LakeTables, changes_schema, date_before
from scenario_etl.lake_file import LakeFile
from scenario_etl.publish import atomic_write

COPIED_METADATA = ("version", "resource", "extracted_at", "run_id", *COUNTS)  # from the footer of the snapshot


def write_changes(path: Path, diff: Diff, previous: dt.date | None) -> None:
    """Write the changed rows to a local file, in the order of the snapshots.

    The footer also contains the counts and totals of the new snapshot, because retention removes snapshots, but not
    their changes.
    """
    new = diff.new
    integers = [field.name for field in diff.resource.schema if pa.types.is_integer(field.type)]
    totals = {name: new.total(name) for name in integers}
    footer: dict[str, object] = {name: value for name, value in new.footer.items() if name in COPIED_METADATA}
    footer |= diff.counts | {"previous_date": previous or "", "complete": "true"}
    footer |= {"snapshot_rows": new.rows, "totals": json.dumps(totals)}
    dictionary_columns = ["change", *diff.resource.dictionary_columns]
    with parquet.Writer(path, changes_schema(diff.resource), dictionary_columns) as writer:
        for batch in changed_rows(diff):
            writer.write(batch)
        writer.metadata = {f"scenario_etl.{name}": value for name, value in footer.items()}


def complete_changes(tables: LakeTables, dates: Sequence[dt.date], deadline: float) -> None:
    """Write the changes of the newest snapshot if they are missing or come from a different run.

    This happens if a run was killed between the two files, or two runs overlapped.

    Args:
        tables: The tables of the lake.
        dates: The dates of the snapshots, oldest first.
        deadline: Time limit in seconds for retries of an upload, counted from the start of its first attempt.

    Raises:
        SchemaError: Retention has removed the snapshot that the newest one was compared with.

    """
    if not dates:
        return
    newest, previous = dates[-1], date_before(dates[-1], dates)
    changes_dates = tables.changes.dates()
    with ExitStack() as stack:
        new = stack.enter_context(tables.snapshots.open(newest))
        if newest in changes_dates and _has_changes(tables, new, newest, changes_dates):
            return
        earlier = date_before(newest, changes_dates)
        if previous is None and earlier:
            raise SchemaError(
                f"the changes of {new.uri} are missing or come from another run, and cannot be written "
                f"again, because the snapshot of "
                f"{earlier} no longer exists; restore both files of one run, or use another lake"
            )
        old = stack.enter_context(tables.snapshots.open(previous)) if previous else None
        with atomic_write(tables.changes.uri(newest), staging=tables.snapshots.lake, deadline=deadline) as path:
            write_changes(path, compare(tables.resource, old, new), previous)


def _has_changes(tables: LakeTables, new: LakeFile, newest: dt.date, changes_dates: Sequence[dt.date]) -> bool:
    """Return whether the changes of the newest snapshot come from its run and follow those before them."""
    with tables.changes.open(newest) as changes:
        return is_same_run(new, changes) and is_next_run(changes, date_before(newest, changes_dates))
