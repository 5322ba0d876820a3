"""The command line: the only module that prints and exits."""

import json
import logging
import os
import re
import shutil
import signal
import sys
import textwrap
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from time import gmtime, monotonic, time
from typing import TYPE_CHECKING, Any, NoReturn, TextIO, get_args
from uuid import uuid4

import click
from click.core import ParameterSource

import scenario_etl
from scenario_etl.client import MAX_PAGES, Client
from scenario_etl.errors import ConfigError, DestinationError, GuardError, ScenarioError
from scenario_etl.extract import scan
from scenario_etl.extras import install_command
from scenario_etl.publish import atomic_write
from scenario_etl.redact import redact, without_credentials
from scenario_etl.resources import RESOURCES
from scenario_etl.run import ScanReport
from scenario_etl.signed_urls import SignedURLs
from scenario_etl.stores import filesystem, has_unfinished_calls, redact_uri
from scenario_etl.thumbnails import check_pillow

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

INTERRUPTED, BROKEN_PIPE, INTERNAL = 130, 141, 70
SIGNALS = {"SIGTERM": 143, "SIGHUP": 129}  # the exit codes that a shell gives them
CHANGES = ("added", "updated", "deleted")
MAX_DAYS = 366  # of a made-up history
CELL_CHARACTERS = 34  # of one value in the table of `head`
PATIENCE = 20.0  # seconds for which a person waits for a host that cannot be reached

EXIT_CODES = """\b
Exit codes:
  0    done
  2    the command was typed wrongly (usage)
  65   the data is not what it should be: a value does not fit, the listing does not end, or too many rows are gone
  69   the API answers wrongly, and waiting does not help
  70   an internal error
  74   a file or a lake cannot be written or read
  75   the API or the store fails for now, or another run holds the lake: run again later
  77   the API refuses the credentials
  78   a credential or an argument is missing or wrong
  130  interrupted (Ctrl-C), 143 terminated (SIGTERM), 129 the terminal was closed (SIGHUP)
"""

PATH = click.Path(readable=False)  # what is there is replaced, not read

logger = logging.getLogger("scenario_etl")

Command = Callable[..., None]


def options(*decorators: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Return one decorator that adds several options, in the order in which `--help` shows them."""

    def decorate(command: Command) -> Command:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


verbose_option = click.option("-v", "--verbose", is_flag=True, help="Log every request; show tracebacks.")
connection_options = options(
    click.option("--demo", is_flag=True, help="Run against the built-in emulator; no account needed."),
    click.option("--base-url", metavar="URL", help="Base URL of the API. Default: SCENARIO_BASE_URL, or the vendor's."),
    click.option(
        "--timeout", type=click.FloatRange(0, min_open=True), default=60.0, show_default=True, metavar="SECONDS",
        help="The longest silence on the socket; a whole answer may take ten times as long.",
    ),
    click.option(
        "--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Of the log."
    ),
    verbose_option,
)  # fmt: skip
scan_options = options(
    click.option("--project-id", metavar="ID", help="Only this project. Default: what the key implies."),
    click.option("--page-size", type=int, metavar="N", help="Records a request. Default: the most the API gives."),
    click.option(
        "--max-pages", type=click.IntRange(1), default=MAX_PAGES, show_default=True, metavar="N",
        help="How many pages the listing may have.",
    ),
    click.option(
        "--requests-per-minute", type=click.FloatRange(0), default=100.0, show_default=True, metavar="N",
        help="Most requests a minute for each project; 0 switches pacing off.",
    ),
    click.option(
        "--attempts", type=click.IntRange(1), default=8, show_default=True, metavar="N",
        help="How often one request is sent at most.",
    ),
    click.option(
        "--deadline", type=click.FloatRange(0, min_open=True), default=300.0, show_default=True, metavar="SECONDS",
        help="Seconds from the first attempt of a request, or of an upload, to the start of its last.",
    ),
    click.option("--strict", is_flag=True, help="Fail where a field is missing or unknown, instead of a warning."),
    click.option("--progress/--no-progress", default=None, help="Show a bar. Default: where stderr is a terminal."),
)  # fmt: skip

report_options = options(
    click.option("--report", type=PATH, metavar="FILE", help="Write the facts of the run as JSON; - is stdout."),
    click.option(
        "--metrics-file", type=PATH, metavar="FILE", help="Write them in Prometheus' text format, for node_exporter."
    ),
)


def signed_urls_option(default: str) -> Callable[[Command], Command]:
    """Return the option of the form of signed URLs, whose default depends on the command."""
    return click.option(
        "--signed-urls",
        type=click.Choice(get_args(SignedURLs)),
        default=default,
        show_default=True,
        help="keep: as the API gives them; public: their durable form; omit: null.",
    )


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}, epilog=EXIT_CODES)
@click.version_option(package_name="scenario-etl")
def cli() -> None:
    """Scenario's collections as Parquet: complete, typed, or a clear error.

    \b
    Credentials come from the environment alone:
      SCENARIO_SDK_API_KEY and SCENARIO_SDK_API_SECRET, or SCENARIO_SDK_JWT
      SCENARIO_SDK_API_KEY_FILE and SCENARIO_SDK_API_SECRET_FILE name files that hold them

    \b
    Without an account:
      scenario-etl export collections collections.parquet --demo
    """


@cli.command(short_help="Write a resource to a Parquet file.")
@click.argument("resource", type=click.Choice(tuple(RESOURCES)), metavar="RESOURCE")
@click.argument("destination", type=PATH)
@signed_urls_option("keep")
@report_options
@scan_options
@connection_options
def export(resource: str, destination: str, **given: Any) -> None:
    """Write all of RESOURCE to the Parquet file DESTINATION, whole or not at all.

    DESTINATION is a path, or a URI of an object store (s3://, gs://, abfss://), whose credentials come from its own
    environment. On any failure, whatever stood there is untouched.

    \b
      scenario-etl export collections collections.parquet
      scenario-etl export collections s3://bucket/collections.parquet --report -
    """
    with reporting(resource, given, destination) as tell, demo_team(given) as api, opened(given, api) as client:
        facts = scan(resource, client=client, **scan_arguments(given)).to_parquet(destination)
        tell(facts.to_dict())
    finish(summary(facts), facts.to_dict(), given)


@cli.command(name="snapshot", short_help="Add today's snapshot of a resource to a lake.")
@click.argument("resource", type=click.Choice(tuple(RESOURCES)), metavar="RESOURCE")
@click.argument("lake", type=PATH)
@click.option("--date", metavar="DATE", help="Of the snapshot, as 2026-11-23. Default: today, in UTC.")
@click.option(
    "--max-shrink",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    metavar="SHARE",
    help="The largest share of the last snapshot's rows that may be gone.",
)
@click.option("--accept-shrink", is_flag=True, help="Publish however many rows are gone.")
@click.option("--accept-scope", is_flag=True, help="Continue with another base URL, project or filter than before.")
@click.option(
    "--max-lookups",
    type=click.IntRange(0),
    default=200,
    show_default=True,
    metavar="N",
    help="Look up at most N missing rows by id; of more, the list is read again first, and the rest stays.",
)
@click.option("--keep", type=click.IntRange(1), metavar="N", help="Remove all but the newest N snapshots.")
@click.option(
    "--lock-timeout",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    metavar="SECONDS",
    help="Seconds to wait for another run on a local lake.",
)
@click.option(
    "--thumbnails/--no-thumbnails",
    default=None,
    help="Store small images of the most recently updated rows for `report`. Default: only with --demo.",
)
@click.option("--days", type=click.IntRange(1, MAX_DAYS), metavar="N", help="With --demo: simulate N days of history.")
@signed_urls_option("public")
@report_options
@scan_options
@connection_options
def add_snapshot(resource: str, lake: str, **given: Any) -> None:
    """Publish all of RESOURCE as today's snapshot in LAKE, and what changed since the one before.

    LAKE is a folder, or the URI of a prefix in an object store. A second run on the same day replaces the snapshot. One
    in which too many rows are gone is not published (exit 65).

    \b
      LAKE/RESOURCE/snapshot_date=2026-11-23/part-0.parquet
      LAKE/RESOURCE_changes/snapshot_date=2026-11-23/part-0.parquet
    """
    if given["days"] and not given["demo"]:
        raise click.UsageError("--days makes a history of the made-up team; use it with --demo")
    own = ("max_shrink", "accept_shrink", "accept_scope", "max_lookups", "keep", "lock_timeout")
    with reporting(resource, given) as tell, demo_team(given) as api, opened(given, api) as client:
        arguments = scan_arguments(given) | {name: given[name] for name in own}
        arguments |= {"client": client, "thumbnails": wants_thumbnails(given)}
        if api and given["days"]:
            facts = make_history(resource, lake, api, given, arguments)
        else:
            facts = scenario_etl.snapshot(resource, lake, date=given["date"], **arguments)
        tell(facts.to_dict())
    counts = {name: getattr(facts, name) for name in (*CHANGES, "recovered", "unverified")}
    said = (f"{count:,} {name}" for name, count in counts.items() if count or name in CHANGES)
    changed = "; " + ", ".join(said)
    finish(summary(facts.scan) + changed, facts.to_dict(), given)


def make_history(
    resource: str, lake: str, api: "scenario_etl.Emulator", given: dict[str, Any], arguments: dict[str, Any]
) -> "scenario_etl.SnapshotReport":
    """Make a snapshot for each of some days on which the made-up team works; return the report of the last.

    A night that the guard stops is a warning, unless it is the last.
    """
    from tqdm import tqdm  # noqa: PLC0415 - imported where a bar is seen only

    from scenario_etl.dates import as_date  # noqa: PLC0415 - imported where used
    from scenario_etl.lake_reader import snapshot_dates  # noqa: PLC0415 - imported where used

    today, count = datetime.now(UTC).date(), given["days"]
    last = as_date(given["date"]) or today
    if not date(1970, 1, 1) + timedelta(days=count) <= last <= today + timedelta(days=1):
        raise ConfigError(f"--date must be from {count} days after 1970-01-01 to tomorrow (UTC), got {last}")
    if snapshot_dates(lake, resource):
        raise ConfigError(
            f"{redact_uri(lake)} has snapshots of {resource}; --days needs a lake without any: use another folder"
        )
    stopped, level = 0, logger.level
    logger.setLevel(level if given["verbose"] else logging.WARNING)  # no lines about each night
    is_quiet = not arguments.pop("progress")
    try:
        for day in tqdm(api.days(count, last), total=count, unit=" days", disable=is_quiet, leave=False):
            try:
                facts = scenario_etl.snapshot(resource, lake, date=day, **arguments)
            except GuardError as error:
                if day == last:
                    raise
                stopped += 1
                logger.warning("%s: stopped by the guard: %s", day, str(error).partition(". ")[0])
    finally:
        logger.setLevel(level)
    logger.info(
        "%s: %s and %s; see them: scenario-etl changes %s %s; scenario-etl report %s report.html",
        redact_uri(lake), count_of(count - stopped, "snapshot", "snapshots"),
        count_of(stopped, "night that the guard stopped", "nights that the guard stopped"),
        resource, redact_uri(lake), redact_uri(lake),
    )  # fmt: skip
    return facts


def wants_thumbnails(given: dict[str, Any]) -> bool:
    """Whether to store thumbnails: by the option, or with `--demo` where Pillow is installed."""
    if given["thumbnails"] is None and given["demo"] and given["signed_urls"] != "omit":
        try:
            check_pillow()
        except ConfigError as error:
            logger.warning("no thumbnails are stored: %s", error)
            return False
        return True
    return bool(given["thumbnails"])


@cli.command(name="changes", short_help="Tell what changed in a lake.")
@click.argument("resource", type=click.Choice(tuple(RESOURCES)), metavar="RESOURCE")
@click.argument("lake", type=PATH)
@click.option("--date", metavar="DATE", help="Show the rows of this date, instead of the counts of each.")
@click.option("--since", metavar="DATE", help="Start with this date. Default: the first.")
@verbose_option
def show_changes(resource: str, lake: str, date: str | None, since: str | None, verbose: bool) -> None:
    """Tell how many rows of RESOURCE were added, updated and deleted with each snapshot in LAKE."""
    from scenario_etl.dates import as_date  # noqa: PLC0415 - imported where used
    from scenario_etl.lake_reader import read_history  # noqa: PLC0415 - imported where used

    start_logging("text", verbose)
    first, last = as_date(date or since), as_date(date)
    runs = [
        run for run in read_history(lake, resource) if (first or run["date"]) <= run["date"] <= (last or run["date"])
    ]
    if not runs:
        echo(f"no snapshot of {date}" if date else f"no snapshot since {since}")
    elif date is None:
        echo(f"{'date':10} {'added':>9} {'updated':>9} {'deleted':>9}")
        for run in runs:
            echo(f"{run['date']} {counts_of(run)}")
    else:
        show_rows(scenario_etl.changes(lake, resource, since=date, until=date), no_rows_of(date, runs[0]))


def show_rows(changed: "pa.Table", otherwise: str) -> None:
    """Print the rows of one date that changed; a line of text where there are none."""
    if not changed.num_rows:
        echo(otherwise)
        return
    names = [", ".join(filter(None, each or ())) for each in changed["changed_columns"].to_pylist()]
    frame = changed.to_pandas().assign(changed_columns=names).drop(columns="snapshot_date")
    first = [name for name in ("change", "name", "changed_columns") if name in frame]
    show(frame[[*first, *frame.columns.drop(first)]])


def no_rows_of(date: str, run: dict[str, Any]) -> str:
    """Return why there are no changed rows of a date."""
    return f"{date}: {'no changes' if 'added' in run else counts_of(run).strip()}"


def counts_of(run: dict[str, Any]) -> str:
    """Return how many rows a run added, updated and deleted, or that the guard stopped it."""
    if "added" not in run:
        return "  stopped by the guard" if run["rejected"] else "  its changes are missing"
    return " ".join(f"{'-' if run[name] is None else f'{run[name]:,}':>9}" for name in CHANGES)


@cli.command(name="report", short_help="Show a lake of collections as an HTML page.")
@click.argument("lake", type=PATH)
@click.argument("destination", type=PATH)
@verbose_option
def report_lake(lake: str, destination: str, verbose: bool) -> None:
    """Write what the snapshots of collections in LAKE show, as one HTML page, DESTINATION, that needs no other file.

    Totals, growth, changes, thumbnails of what was updated last, and how the runs went. Needs the extra `report`.

    \b
      scenario-etl report /data/lake report.html
    """
    try:
        from scenario_etl.dashboard.page import write_report  # noqa: PLC0415 - it brings pandas and matplotlib
    except ModuleNotFoundError as error:
        raise ConfigError(f"a report needs {error.name}; install it: {install_command('report')}") from error
    start_logging("text", verbose)
    filesystem(destination)  # a wrong one is said first
    if os.path.splitext(destination)[1].lower() not in {".html", ".htm"}:
        raise ConfigError(f"the page is HTML, but {redact_uri(destination)} does not end in .html")
    runs = write_report(lake, destination)
    logger.info("%s: %s of collections; open it in a browser", redact_uri(destination), count_of(runs, "run", "runs"))


@cli.command(short_help="Show the first rows of a resource.")
@click.argument("resource", type=click.Choice(tuple(RESOURCES)), metavar="RESOURCE")
@click.option("-n", "--rows", type=click.IntRange(0), default=10, show_default=True, metavar="N", help="How many.")
@scan_options
@connection_options
def head(resource: str, rows: int, **given: Any) -> None:
    """Show the first rows of RESOURCE, with as few requests as it takes.

    It gives up on a host that cannot be reached after 20 s, unless --attempts or --deadline is given.
    """
    given["connect_deadline"] = PATIENCE if is_default("attempts", "deadline") else None
    with demo_team(given) as api, opened(given, api) as client:
        frame = scan(resource, client=client, **scan_arguments(given)).head(rows)
    show(frame)


def is_default(*options: str) -> bool:
    """Whether none of these options of the command was given."""
    source = click.get_current_context().get_parameter_source
    return {source(name) for name in options} == {ParameterSource.DEFAULT}


def echo(text: str, *, newline: bool = True) -> None:
    """Print to stdout, and fail where there is none."""
    if sys.stdout is None:
        raise DestinationError("cannot write to stdout: it is closed")
    click.echo(text, nl=newline)


def show(frame: "pd.DataFrame") -> None:
    """Print a table that fits the terminal, without the queries of URLs; columns that do not fit are named."""
    cells = frame.astype(object).where(frame.notna(), "").map(lambda cell: redact(str(cell), CELL_CHARACTERS))
    columns, width = list(cells.columns), shutil.get_terminal_size().columns
    lines = textwrap.wrap(" ".join(columns), width)
    while len(cells) and columns and max(map(len, lines := cells[columns].to_string(index=False).splitlines())) > width:
        columns.pop()
    echo("\n".join(lines))
    if left_out := list(cells.columns)[len(columns) :] if len(cells) else []:
        more = f"({count_of(len(left_out), 'more column', 'more columns')}: {', '.join(left_out)})"
        echo(textwrap.fill(more, width))


@cli.command(short_help="Try the credentials, with one request.")
@click.option("--project-id", metavar="ID", help="Ask for this project.")
@connection_options
def check(project_id: str | None, **given: Any) -> None:
    """Ask for one collection, once: says which base URL, which credentials, and whether they work."""
    with demo_team(given) as api, opened(given | {"attempts": 1}, api) as client:
        echo(f"base URL     {client.base_url}\ncredentials  {client.credentials}")
        started = monotonic()
        described = scan("collections", client=client, page_size=1, project_id=project_id)
        next(described.to_batches())
        echo(f"they work    answered in {1000 * (monotonic() - started):.0f} ms")


@cli.command(short_help="Serve a Scenario API with a made-up team.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="0 picks a free one.", show_default=True, metavar="N"
)
@click.option("--collections", type=click.IntRange(0), default=250, show_default=True, metavar="N", help="How many.")
def emulator(port: int, collections: int) -> None:
    """Serve a Scenario API with a made-up team on loopback, until interrupted.

    Its base URL is the first line on stdout; key and secret are both "demo".

    \b
    In another shell:
      export SCENARIO_BASE_URL=http://127.0.0.1:PORT/v1
      export SCENARIO_SDK_API_KEY=demo SCENARIO_SDK_API_SECRET=demo
      scenario-etl head collections
    """
    try:
        api = scenario_etl.Emulator(collections, port=port)
    except OSError as error:
        raise ConfigError(f"cannot serve on port {port}: {error.strerror}") from error
    echo(api.url)
    try:
        api.serve_forever()
    except KeyboardInterrupt:
        pass  # the way to end it
    finally:
        api.close()


def demo_team(given: dict[str, Any]) -> "AbstractContextManager[scenario_etl.Emulator | None]":
    """Return the emulator of `--demo`, None without it."""
    if given["demo"] and given["base_url"]:
        raise click.UsageError("--demo and --base-url cannot be used together")
    return scenario_etl.Emulator() if given["demo"] else nullcontext()


@contextmanager
def opened(given: dict[str, Any], api: "scenario_etl.Emulator | None") -> Generator[Client]:
    """Yield the client that the options describe, with `--demo` one of the emulator."""
    start_logging(given["log_format"], given["verbose"])
    arguments: dict[str, Any] = {
        name: given[name]
        for name in ("timeout", "attempts", "deadline", "connect_deadline", "requests_per_minute")
        if name in given
    }
    if api:
        arguments |= {"api_key": "demo", "api_secret": "demo", "base_url": api.url}
    else:
        arguments |= {"base_url": given["base_url"]}
    if given.get("days"):
        arguments |= {"requests_per_minute": 0}  # a month in a minute
    with bar_left_alone(given), Client(**arguments) as client:
        if api:  # its port is another one each time
            client.api_name = f"demo, {given['days']} days" if given.get("days") else "demo"
        yield client


def scan_arguments(given: dict[str, Any]) -> dict[str, Any]:
    """Return the options that `scan` takes."""
    names = ("project_id", "page_size", "max_pages", "strict", "signed_urls")
    return {name: given[name] for name in names if name in given} | {"progress": shows_progress(given)}


def shows_progress(given: dict[str, Any]) -> bool:
    """Whether a bar is wanted: by the option, or because stderr is a terminal."""
    if given.get("progress") is None:
        return bool("progress" in given and sys.stderr and sys.stderr.isatty())
    return bool(given["progress"])


def bar_left_alone(given: dict[str, Any]) -> AbstractContextManager[None]:
    """Return what puts log lines above a progress bar, instead of into it."""
    if not shows_progress(given):
        return nullcontext()
    from tqdm.contrib.logging import logging_redirect_tqdm  # noqa: PLC0415 - imported where a bar is seen only

    return logging_redirect_tqdm([logger])


@contextmanager
def reporting(
    resource: str, given: dict[str, Any], destination: str | None = None
) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Yield what writes the facts of a run to the files that were asked for; whether it can is known at once.

    Where the run fails, they are written all the same, and say why.
    """
    start_logging(given["log_format"], given["verbose"])
    names = [name for name in (destination, given["report"], given["metrics_file"]) if name not in (None, "-")]
    places = [filesystem(name)[1] for name in names]
    if twice := [name for name, place in zip(names, places, strict=True) if places.count(place) > 1]:
        raise ConfigError(f"the outputs must be different files, got {', '.join(map(redact_uri, twice))}")
    try:
        with ExitStack() as stack:
            paths = {name: stack.enter_context(atomic_write(name)) for name in names if name != destination}
            yield lambda facts: write_facts(paths, {"succeeded": True} | facts, given)
    except ScenarioError as error:
        message = without_credentials(str(error))
        facts = {"succeeded": False, "resource": resource, "exit_code": error.exit_code, "message": message}
        with suppress(ScenarioError), ExitStack() as stack:  # the first error counts
            paths = {name: stack.enter_context(atomic_write(name)) for name in names if name != destination}
            write_facts(paths, facts, given)
        if given["report"] == "-" and sys.stdout:
            echo(as_json(facts), newline=False)
        raise


def write_facts(paths: dict[str, Path], facts: dict[str, Any], given: dict[str, Any]) -> None:
    """Write the facts of a run to its report and its metrics, where they were asked for."""
    if given["report"] in paths:
        paths[given["report"]].write_text(as_json(facts))
    if given["metrics_file"] in paths:
        paths[given["metrics_file"]].write_text(
            as_metrics(facts, read_metrics(given["metrics_file"], facts["resource"]))
        )


def finish(message: str, facts: dict[str, Any], given: dict[str, Any]) -> None:
    """Say that all is done."""
    logger.info(message, extra={"event": "finished", "facts": facts})
    if given["report"] == "-":
        echo(as_json({"succeeded": True} | facts), newline=False)


def as_json(facts: dict[str, Any]) -> str:
    """Return facts as one JSON object, with a line's end."""
    return json.dumps(facts) + "\n"


METRICS = {
    "last_success_timestamp_seconds": "When a run last succeeded.",
    "last_failure_timestamp_seconds": "When a run last failed.",
    "last_exit_code": "The exit code of the last run.",
    "rows": "Rows of the last run that succeeded.",
    "duration_seconds": "How long the last run that succeeded took.",
}


def as_metrics(facts: dict[str, Any], before: dict[str, str]) -> str:
    """Return facts in Prometheus' text format, each metric by resource; what a run does not tell stays as before."""
    if facts["succeeded"]:
        told = {
            "last_success_timestamp_seconds": time(), "last_exit_code": 0,
            "rows": facts["rows"], "duration_seconds": facts["seconds"],
        }  # fmt: skip
    else:
        told = {"last_failure_timestamp_seconds": time(), "last_exit_code": facts["exit_code"]}
    values = before | {name: str(value) for name, value in told.items()}
    label = f'{{resource="{facts["resource"]}"}}'
    lines = []
    for name, meaning in METRICS.items():
        if name in values:
            metric = f"scenario_etl_{name}"
            lines += [f"# HELP {metric} {meaning}", f"# TYPE {metric} gauge", f"{metric}{label} {values[name]}"]
    return "\n".join(lines) + "\n"


def read_metrics(path: str, resource: str) -> dict[str, str]:
    """Return the values of a resource in a file that `as_metrics` has written, by name, as far as there are any."""
    try:
        text = Path(path).expanduser().read_text()
    except (OSError, ValueError):
        return {}
    value = r"[-+]?[0-9]+(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?"
    return dict(re.findall(rf'^scenario_etl_(\w+)\{{resource="{resource}"\}} ({value})$', text, re.MULTILINE))


def summary(report: ScanReport) -> str:
    """Return what a person wants to know of a finished export, in one line."""
    retries = count_of(report.retries, "retry", "retries")
    waited = f", {retries}, {report.seconds_waited:.0f} s waited" if report.seconds_waited else ""
    dropped = f", {count_of(report.duplicates, 'duplicate', 'duplicates')} dropped" if report.duplicates else ""
    return (
        f"{report.path}: {report.rows:,} {report.resource}, {report.bytes or 0:,} bytes; "
        f"{count_of(report.pages, 'page', 'pages')} in {report.seconds:.1f} s{waited}{dropped}"
    )


def count_of(number: int, one: str, many: str) -> str:
    """Return a number with its noun."""
    return f"{number:,} {one if number == 1 else many}"


class TextFormatter(logging.Formatter):
    """One line for a person, with the time in UTC; tracebacks, where they are asked for, without credentials."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s scenario-etl: %(message)s", "%Y-%m-%dT%H:%M:%SZ")
        self.converter = gmtime

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the name that logging calls
        """Return a traceback without the credentials in its URLs."""
        return without_credentials(super().formatException(ei))


class JsonFormatter(TextFormatter):
    """One JSON object a line: time (UTC), level, event, run id, message, and the event's facts."""

    run_id = uuid4().hex

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": getattr(record, "event", "log"),
            "run_id": self.run_id,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line | getattr(record, "facts", {}))


def start_logging(form: str, verbose: bool) -> None:
    """Send what the package says to stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    logger.handlers = [handler]
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)


def main() -> NoReturn:
    """Run the command line, and exit with the code that the error's class names."""
    for name, code in SIGNALS.items():
        stop_at(name, code)
    verbose = bool({"-v", "--verbose"} & set(sys.argv))
    code = exit_code(verbose)
    if error := flushed(sys.stdout):
        code = code or unwritten(error, verbose)
    flushed(sys.stderr)
    if has_unfinished_calls():  # with a call to an object store that was given up; pyarrow would wait for it at exit
        os._exit(code)
    sys.exit(code)


def exit_code(verbose: bool) -> int:
    """Run the command line, and return the code that the error's class names."""
    try:
        if sys.stdout:
            sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr] # a name that the terminal cannot show
        code = cli(standalone_mode=False) or 0
    except SystemExit as error:  # of a signal or shell completion; click exits with 1 where a reader has closed stdout
        code = BROKEN_PIPE if error.code == 1 else error.code
    except click.exceptions.Exit as error:
        code = error.exit_code
    except click.ClickException as error:
        with suppress(OSError):  # of a stderr that is full
            error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = fail("interrupted", INTERRUPTED)
    except ScenarioError as error:
        code = fail(str(error), error.exit_code, verbose)
    except OSError as error:
        code = unwritten(flushed(sys.stdout) or error, verbose)
    except Exception as error:  # noqa: BLE001 - the last line of defence: no traceback reaches a user unasked
        code = fail(
            f"internal error, please report it (-v shows where): {type(error).__name__}: {error}", INTERNAL, verbose
        )
    return int(code)


def stop_at(name: str, code: int) -> None:
    """Let a signal end the run, with its clean-up; one that is ignored, as with nohup, stays so."""
    number = getattr(signal, name, None)  # Windows has no SIGHUP
    if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
        signal.signal(number, lambda *_: sys.exit(code))


def flushed(stream: TextIO | None) -> OSError | None:
    """Write what a stream still holds; return what prevents it, and then lead the stream nowhere.

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


def unwritten(error: OSError, verbose: bool) -> int:
    """Return the exit code of a failure to write to stdout: silent where its reader has gone."""
    if isinstance(error, BrokenPipeError):
        return BROKEN_PIPE
    return fail(f"cannot write to stdout: {error.strerror or error}", DestinationError.exit_code, verbose)


def fail(message: str, code: int, verbose: bool = False) -> int:
    """Say on stderr what went wrong, in one line, and return the exit code."""
    if not logger.handlers:
        start_logging("text", verbose)
    facts = {"exit_code": code}
    text = " ".join(without_credentials(message).split())
    logger.error("error: %s", text, exc_info=verbose, extra={"event": "failed", "facts": facts})
    return code
