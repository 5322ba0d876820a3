"""Exit codes, signals and write errors of the command line."""

import os
import re
import signal
import sys
from contextlib import suppress
from typing import NoReturn, TextIO

import click

from scenario_etl.cli import cli
from scenario_etl.cli_output import logger, start_logging
from scenario_etl.cli_reports import BROKEN_PIPE, INTERRUPTED, describe_failure
from scenario_etl.errors import ConfigError, DestinationError
from scenario_etl.redact import without_credentials
from scenario_etl.stores import has_unfinished_calls

SIGNALS = {"SIGTERM": 143, "SIGHUP": 129}  # the exit codes that a shell gives them


def main() -> NoReturn:
    """Run the command line and exit."""
    for name, code in SIGNALS.items():
        exit_on_signal(name, code)
    verbose = bool({"-v", "--verbose"} & set(sys.argv))
    code = exit_code(verbose)
    if error := flush(sys.stdout):
        code = code or handle_write_error(error, verbose)
    flush(sys.stderr)
    if has_unfinished_calls():  # calls to an object store that timed out; pyarrow would wait for them at exit
        os._exit(code)
    sys.exit(code)


def exit_code(verbose: bool) -> int:
    """Run the command line and return the exit code."""
    logger.handlers.clear()  # of an earlier run in this process, whose stderr may be closed
    try:
        if sys.stdout:
            sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr] # for names that the terminal cannot show
        code = cli(standalone_mode=False) or 0
    except SystemExit as error:  # by a signal or shell completion; click exits with 1 if the reader has closed stdout
        code = BROKEN_PIPE if error.code == 1 else error.code
        if code in SIGNALS.values():
            code, message = describe_failure(error)
            log_error(message, code)
    except click.exceptions.Exit as error:
        code = error.exit_code
    except click.ClickException as error:
        code = handle_usage_error(error)
    except OSError as error:
        code = handle_write_error(flush(sys.stdout) or error, verbose)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - users only see a traceback with -v
        code, message = describe_failure(error)
        code = log_error(message, code, verbose and code != INTERRUPTED)
    return int(code)


def handle_usage_error(error: click.ClickException) -> int:
    """Show an error of click, and return its exit code; for a value that is not valid, that of ConfigError."""
    if isinstance(error, click.BadParameter) and not isinstance(error, click.MissingParameter):
        message = error.format_message().rstrip(".")
        start_logging("json" if re.search(r"--log-format[= ]json\b", " ".join(sys.argv)) else "text", verbose=False)
        return log_error(f"{message[:1].lower()}{message[1:]}", ConfigError.exit_code)
    with suppress(OSError):  # stderr may not be writable
        error.show()
    return error.exit_code


def exit_on_signal(name: str, code: int) -> None:
    """Exit with a code after a signal; a signal that is ignored, as with nohup, stays ignored."""
    number = getattr(signal, name, None)  # Windows has no SIGHUP
    if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
        signal.signal(number, lambda *_: sys.exit(code))


def flush(stream: TextIO | None) -> OSError | None:
    """Flush a stream; if that fails, return the error and redirect the stream to the null device.

    Otherwise Python's own flush at exit would fail, too, and exit with 120.
    """
    if stream is None:
        return None
    try:
        stream.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return error
    return None


def handle_write_error(error: OSError, verbose: bool) -> int:
    """Log a failure to write to stdout, unless its reader has closed it, and return the exit code."""
    if isinstance(error, BrokenPipeError):
        return BROKEN_PIPE
    return log_error(f"cannot write to stdout: {error.strerror or error}", DestinationError.exit_code, verbose)


def log_error(message: str, code: int, verbose: bool = False) -> int:
    """Log an error on one line, and return the exit code."""
    if not logger.handlers:
        start_logging("text", verbose)
    text = " ".join(without_credentials(message).split())
    logger.error("error: %s", text, exc_info=verbose, extra={"event": "failed", "fields": {"exit_code": code}})
    return code
