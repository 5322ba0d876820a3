"""Reports of runs on the command line: JSON, metrics, and the exit code and message of a failure."""

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from time import time
from typing import Any

import click

from scenario_etl.cli_options import OutputOptions, with_option_names
from scenario_etl.cli_output import logger, write_stdout
from scenario_etl.errors import ConfigError, DestinationError, ScenarioError
from scenario_etl.publish import atomic_write
from scenario_etl.redact import without_credentials
from scenario_etl.stores import filesystem, redact_uri

INTERRUPTED, INTERNAL = 130, 70  # exit codes
METRICS = {
    "last_success_timestamp_seconds": "Time of the last run that succeeded, in seconds since 1970.",
    "last_failure_timestamp_seconds": "Time of the last run that failed, in seconds since 1970.",
    "last_exit_code": "Exit code of the last run.",
    "rows": "Number of rows of the last run that succeeded.",
    "duration_seconds": "Duration of the last run that succeeded, in seconds.",
}


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
            is_argument = isinstance(error, ConfigError)
            return error.exit_code, with_option_names(str(error)) if is_argument else str(error)
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
