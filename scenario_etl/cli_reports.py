"""Reports of runs on the command line: JSON, metrics, and the exit code and message of a failure."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from time import time
from typing import Any

import click
from pyarrow.fs import FileSystem, FileType

from scenario_etl.cli_options import OutputOptions, with_option_names
from scenario_etl.cli_output import logger, write_stdout
from scenario_etl.errors import ConfigError, DestinationError, ScenarioError
from scenario_etl.publish import atomic_write
from scenario_etl.redact import redact, without_credentials
from scenario_etl.stores import call, filesystem, redact_uri

INTERRUPTED, INTERNAL, BROKEN_PIPE = 130, 70, 141  # exit codes
MAX_METRICS_BYTES = 100_000  # of a file of an earlier run
METRICS = {
    "last_success_timestamp_seconds": "Time of the last run that succeeded, in seconds since 1970.",
    "last_failure_timestamp_seconds": "Time of the last run that failed, in seconds since 1970.",
    "last_exit_code": "Exit code of the last run.",
    "rows": "Number of rows of the last run that succeeded.",
    "duration_seconds": "Duration of the last run that succeeded, in seconds.",
}


@contextmanager
def reporting(
    resource: str, outputs: OutputOptions, destination: str | None = None, lake: str | None = None
) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Yield a function that writes the JSON report and the metrics of a run, whose files are checked before the run.

    If the run fails or is interrupted, or an output cannot be written, the outputs that can be written contain the exit
    code and the message.
    """
    if outputs.metrics_file == "-":
        raise ConfigError("--metrics-file must be a file; only --report can be - for stdout")
    requested = [name for name in (outputs.report, outputs.metrics_file) if name not in (None, "-")]
    are_different = False
    try:
        _check_different(requested if destination is None else [destination, *requested])
        if lake is not None:
            _check_outside(requested, lake)
        are_different = True
        for name in requested:
            _check_writable(name)
        yield lambda report: _write_outputs({"succeeded": True} | report, outputs)
    except (Exception, KeyboardInterrupt, SystemExit) as error:
        code, message = describe_failure(error)
        report = {"succeeded": False, "resource": resource, "exit_code": code, "message": without_credentials(message)}
        if are_different or not isinstance(error, ConfigError):  # an output may be the destination, or in the lake
            _write_failure(report, outputs)
        raise


def _write_outputs(report: dict[str, Any], outputs: OutputOptions) -> None:
    for write in _writers(report, outputs):
        write()


def _write_failure(report: dict[str, Any], outputs: OutputOptions) -> None:
    """Write the outputs that can be written, and log the others; the error of the run is raised afterwards."""
    for write in _writers(report, outputs):
        try:
            write()
        except ScenarioError as error:
            if (problem := str(error)) != report["message"]:
                logger.warning("the outcome of this run could not be reported: %s", problem)
        except OSError:  # of stdout
            pass


def _writers(report: dict[str, Any], outputs: OutputOptions) -> Iterator[Callable[[], None]]:
    """Yield a function for each output; the metrics are last, because their exit code includes the other output."""
    if outputs.report == "-":
        yield partial(write_stdout, _as_json(report), newline=False)
    elif outputs.report is not None:
        yield partial(_write, outputs.report, _as_json(report))
    if outputs.metrics_file is not None:
        yield partial(_write_metrics, outputs.metrics_file, report)


def _write(destination: str, text: str) -> None:
    with atomic_write(destination) as path:
        path.write_text(text)


def _write_metrics(destination: str, report: dict[str, Any]) -> None:
    _write(destination, _as_metrics(report, _read_metrics(destination, report["resource"])))


def _check_writable(destination: str) -> None:
    with suppress(_CheckedError), atomic_write(destination):
        raise _CheckedError


class _CheckedError(Exception):
    """Ends a write that was only a check."""


def _check_different(names: Sequence[str]) -> None:
    """Raise ConfigError if two outputs are the same file."""
    places = [filesystem(name)[1] for name in names]
    if same := [name for name, place in zip(names, places, strict=True) if places.count(place) > 1]:
        raise ConfigError(f"the outputs must be different files, got {', '.join(map(redact_uri, same))}")


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
            is_argument = isinstance(error, ConfigError)
            return error.exit_code, with_option_names(str(error)) if is_argument else str(error)
        case click.ClickException():
            return error.exit_code, error.format_message()
        case KeyboardInterrupt() | click.Abort():
            return INTERRUPTED, "interrupted"
        case SystemExit(code=int(code)):
            return code, "terminated by a signal"
        case OSError():
            is_broken_pipe = isinstance(error, BrokenPipeError)
            return BROKEN_PIPE if is_broken_pipe else DestinationError.exit_code, error.strerror or str(error)
    message = (
        f"internal error; please report it with the traceback (run again with -v): {type(error).__name__}: {error}"
    )
    return INTERNAL, message


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
    """Return the metrics of a resource from the file of an earlier run; none if it does not exist or is unreadable."""
    store, place = filesystem(path)
    try:
        text = call(_read, store, place).decode()
    except (OSError, ValueError) as error:
        logger.warning("%s: the metrics of the last run cannot be read: %s", redact_uri(path), redact(error, 200))
        return {}
    value = r"[-+]?[0-9]+(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?"
    others = {*re.findall(r'^scenario_etl_\w+\{resource="(\w+)"\}', text, re.MULTILINE)} - {resource}
    if others:
        names = ", ".join(sorted(others))
        logger.warning("%s: replacing the metrics of %s; use one file per resource", redact_uri(path), names)
    return dict(re.findall(rf'^scenario_etl_(\w+)\{{resource="{resource}"\}} ({value})$', text, re.MULTILINE))


def _read(store: FileSystem, path: str) -> bytes:
    if store.get_file_info(path).type != FileType.File:  # a pipe might never end
        return b""
    with store.open_input_stream(path) as stream:
        content: bytes = stream.read(MAX_METRICS_BYTES)
        return content
