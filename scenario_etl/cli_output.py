"""Output of the command line: logs, tables and summaries."""

import json
import logging
import shutil
import sys
import textwrap
from collections.abc import Sequence
from datetime import UTC, date, datetime
from time import gmtime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import click

from scenario_etl.errors import DestinationError
from scenario_etl.redact import redact, without_credentials
from scenario_etl.resources import resource_of
from scenario_etl.run import ScanReport

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

CHANGES = ("added", "updated", "deleted")
CELL_CHARACTERS = 35  # of one value in a table; a change, a name and three column names fit in 80 characters

logger = logging.getLogger("scenario_etl")


EXIT_CODES = """\b
Exit codes:
  0    success
  2    usage error, such as an unknown option or a missing argument
  65   the data is not valid, or too many rows are missing
  69   a request to the API failed; retrying does not help
  70   internal error
  74   a file or a lake cannot be written or read
  75   temporary failure, or another run has locked the lake; run again later
  77   the API rejected the credentials
  78   a credential is missing, a value is not valid, or filters cannot be
       used together
  129  the terminal was closed (SIGHUP)
  130  interrupted (Ctrl-C)
  141  stdout was closed by its reader
  143  terminated (SIGTERM)
"""


class TextFormatter(logging.Formatter):
    """Formats a record as one line of text, with the time in UTC; tracebacks have no credentials."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s scenario-etl: %(message)s", "%Y-%m-%dT%H:%M:%SZ")
        self.converter = gmtime

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the name that logging calls
        """Return a traceback without the credentials in its URLs."""
        return without_credentials(super().formatException(ei))


class JsonFormatter(TextFormatter):
    """Formats a record as one JSON object: time (UTC), level, event, run id, message, and fields of the event."""

    run_id = uuid4().hex

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": getattr(record, "event", "log"),
            "run_id": self.run_id,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line | getattr(record, "fields", {}))


def start_logging(log_format: str, verbose: bool) -> None:
    """Send the log of the package to stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logger.handlers = [handler]
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)


def write_stdout(text: str, *, newline: bool = True) -> None:
    """Print to stdout; raise DestinationError if it is closed."""
    if sys.stdout is None:
        raise DestinationError("cannot write to stdout: it is closed")
    click.echo(text, nl=newline)


def show_table(frame: "pd.DataFrame", first: Sequence[str]) -> None:
    """Print a table that fits the terminal, without the queries of URLs; columns that do not fit are named below.

    Args:
        frame: The table.
        first: The names of the columns to print first, if the table has them.

    """
    width = shutil.get_terminal_size().columns
    names = [name for name in first if name in frame]
    names = [*names, *frame.columns.drop(names)]
    if frame.empty:
        write_stdout(textwrap.fill(" ".join(names), width))
        return
    shown, room = dict[str, list[str]](), width + 1
    for name in names:
        cells = _aligned(name, frame[name])
        if len(cells[0]) < room:
            shown[name] = cells
            room -= len(cells[0]) + 1
    for line in zip(*shown.values(), strict=True):
        write_stdout(" ".join(line).rstrip())
    if hidden := [name for name in names if name not in shown]:
        more = f"({count_of(len(hidden), 'more column', 'more columns')}: {', '.join(hidden)})"
        write_stdout(textwrap.fill(more, width))


def _aligned(name: str, column: "pd.Series[Any]") -> list[str]:
    """Return the name and cells of a column, padded to the same width; numbers are right-aligned, times in UTC."""
    texts = column.dt.strftime("%Y-%m-%d %H:%MZ") if column.dtype.kind == "M" else column.astype(object)
    cells = [name, *(redact(str(text), CELL_CHARACTERS) for text in texts.where(column.notna(), ""))]
    width = max(map(len, cells))
    return [cell.rjust(width) if column.dtype.kind in "iuf" else cell.ljust(width) for cell in cells]


def show_changed_rows(resource: str, changed: "pa.Table", day: date, run: dict[str, Any]) -> None:
    """Print the changed rows of a date, or why there are none."""
    if not changed.num_rows:
        write_stdout(f"{day}: {'no changes' if 'added' in run else change_counts(run).strip()}")
        return
    names = [", ".join(filter(None, each or ())) for each in changed["changed_columns"].to_pylist()]
    frame = changed.to_pandas().assign(changed_columns=names).drop(columns="snapshot_date")
    primary_key = resource_of(resource).primary_key
    show_table(frame, first=("change", *(primary_key if len(primary_key) > 1 else ()), "name", "changed_columns"))


def change_counts(run: dict[str, Any]) -> str:
    """Return the numbers of added, updated and deleted rows of a run, or why there are none."""
    if "added" not in run:
        return "  rejected by the guard" if run["rejected"] else "  the file of changes is missing"
    return " ".join(f"{'-' if run[name] is None else f'{run[name]:,}':>9}" for name in CHANGES)


def count_of(number: int, singular: str, plural: str) -> str:
    """Return a number with its noun."""
    return f"{number:,} {singular if number == 1 else plural}"


def summary(report: ScanReport) -> str:
    """Return a summary of a run on one line."""
    retries = count_of(report.retries, "retry", "retries")
    waited = f", {retries}, waited {report.seconds_waited:.0f} s" if report.seconds_waited else ""
    dropped = f", {count_of(report.duplicates, 'duplicate', 'duplicates')} dropped" if report.duplicates else ""
    return (
        f"{report.path}: {report.rows:,} {report.resource}, {report.bytes or 0:,} bytes; "
        f"{count_of(report.pages, 'page', 'pages')} in {report.seconds:.1f} s{waited}{dropped}"
    )
