"""Output of the command line: logs, tables, summaries, reports and metrics."""

import json
import logging
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from time import gmtime, time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import click

from scenario_etl.errors import ConfigError, DestinationError, ScenarioError
from scenario_etl.publish import atomic_write
from scenario_etl.redact import redact, without_credentials
from scenario_etl.resources import resource_of
from scenario_etl.run import ScanReport
from scenario_etl.stores import filesystem, redact_uri

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

CHANGES = ("added", "updated", "deleted")
CELL_CHARACTERS = 35  # of one value in a table; a change, a name and three column names fit in 80 characters
INTERRUPTED, INTERNAL = 130, 70  # exit codes
METRICS = {
    "last_success_timestamp_seconds": "Time of the last run that succeeded, in seconds since 1970.",
    "last_failure_timestamp_seconds": "Time of the last run that failed, in seconds since 1970.",
    "last_exit_code": "Exit code of the last run.",
    "rows": "Number of rows of the last run that succeeded.",
    "duration_seconds": "Duration of the last run that succeeded, in seconds.",
}

logger = logging.getLogger("scenario_etl")


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """The outputs of a run other than its data.

    Attributes:
        report: A file for the report as JSON, "-" for stdout, or None.
        metrics_file: A file for metrics in the text format of Prometheus, or None.

    """

    report: str | None
    metrics_file: str | None


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


def finish(message: str, report: dict[str, Any], outputs: OutputOptions) -> None:
    """Log the end of a run, and print its report if stdout was requested for it."""
    logger.info(message, extra={"event": "finished", "fields": report})
    if outputs.report == "-":
        write_stdout(_as_json({"succeeded": True} | report), newline=False)


@contextmanager
def reporting(
    resource: str, outputs: OutputOptions, destination: str | None = None, lake: str | None = None
) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Yield a function that writes the report of a run to its files, which are opened before the run starts.

    If the run fails or is interrupted, they are written with the exit code and the message.
    """
    requested = [name for name in (outputs.report, outputs.metrics_file) if name not in (None, "-")]
    names = requested if destination is None else [destination, *requested]
    places = [filesystem(name)[1] for name in names]
    if same := [name for name, place in zip(names, places, strict=True) if places.count(place) > 1]:
        raise ConfigError(f"the outputs must be different files, got {', '.join(map(redact_uri, same))}")
    if lake is not None:
        _check_outside(requested, lake)
    try:
        with ExitStack() as stack:
            paths = {name: stack.enter_context(atomic_write(name)) for name in requested}
            yield lambda report: _write_report(paths, {"succeeded": True} | report, outputs)
    except (Exception, KeyboardInterrupt, SystemExit) as error:
        code, message = describe_failure(error)
        message = without_credentials(message)
        report = {"succeeded": False, "resource": resource, "exit_code": code, "message": message}
        with suppress(ScenarioError, OSError), ExitStack() as stack:  # the original error is raised below
            paths = {name: stack.enter_context(atomic_write(name)) for name in requested}
            _write_report(paths, report, outputs)
        if outputs.report == "-" and sys.stdout:
            with suppress(ScenarioError, OSError):
                write_stdout(_as_json(report), newline=False)
        raise


def _check_outside(outputs: Iterable[str], lake: str) -> None:
    """Raise ConfigError if an output is in the folder of a lake, where it might replace a snapshot."""
    store, folder = filesystem(lake)
    for name in outputs:
        output_store, place = filesystem(name)
        if output_store.type_name == store.type_name and f"{place}/".startswith(f"{folder}/"):
            raise ConfigError(
                f"{redact_uri(name)} is in the lake; write the JSON report and the metrics to another folder"
            )


def describe_failure(error: BaseException) -> tuple[int, str]:
    """Return the exit code and the message of a run that failed or was interrupted."""
    match error:
        case ScenarioError():
            return error.exit_code, str(error)
        case click.ClickException():
            return error.exit_code, error.format_message()
        case KeyboardInterrupt() | click.Abort():
            return INTERRUPTED, "interrupted"
        case SystemExit(code=int(code)):
            return code, "terminated by a signal"
        case OSError():
            return DestinationError.exit_code, error.strerror or str(error)
    message = (
        f"internal error; please report it with the traceback (run again with -v): {type(error).__name__}: {error}"
    )
    return INTERNAL, message


def _write_report(paths: dict[str, Path], report: dict[str, Any], outputs: OutputOptions) -> None:
    if outputs.report in paths:
        paths[outputs.report].write_text(_as_json(report))
    if outputs.metrics_file in paths:
        earlier = _read_metrics(outputs.metrics_file, report["resource"])
        paths[outputs.metrics_file].write_text(_as_metrics(report, earlier))


def _as_json(report: dict[str, Any]) -> str:
    return json.dumps(report) + "\n"


def _as_metrics(report: dict[str, Any], earlier: dict[str, str]) -> str:
    """Return the metrics of a report in the text format of Prometheus; those it lacks keep their earlier values."""
    if report["succeeded"]:
        current = {
            "last_success_timestamp_seconds": time(), "last_exit_code": 0,
            "rows": report["rows"], "duration_seconds": report["seconds"],
        }  # fmt: skip
    else:
        current = {"last_failure_timestamp_seconds": time(), "last_exit_code": report["exit_code"]}
    values = earlier | {name: str(value) for name, value in current.items()}
    label = f'{{resource="{report["resource"]}"}}'
    lines = []
    for name, meaning in METRICS.items():
        if name in values:
            metric = f"scenario_etl_{name}"
            lines += [f"# HELP {metric} {meaning}", f"# TYPE {metric} gauge", f"{metric}{label} {values[name]}"]
    return "\n".join(lines) + "\n"


def _read_metrics(path: str, resource: str) -> dict[str, str]:
    """Return the metrics of a resource from the file of an earlier run; empty if it cannot be read."""
    try:
        text = Path(filesystem(path)[1]).read_text()
    except (OSError, ValueError):
        return {}
    value = r"[-+]?[0-9]+(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?"
    return dict(re.findall(rf'^scenario_etl_(\w+)\{{resource="{resource}"\}} ({value})$', text, re.MULTILINE))
