"""The commands of the command line."""

import datetime as dt
import os
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import Any

import click

import scenario_etl
from scenario_etl import cli_resources
from scenario_etl.cli_connect import CONNECT_DEADLINE, connect, demo_api, is_default
from scenario_etl.cli_options import (
    FILTERS,
    PATH,
    ConnectionOptions,
    OutputOptions,
    ProjectsOptions,
    ReadOptions,
    SnapshotOptions,
    connection_options,
    filter_options,
    optional_resource_argument,
    output_options,
    projects_options,
    publishing_options,
    reading_options,
    resource_argument,
    signed_urls_option,
    traceback_option,
)
from scenario_etl.cli_output import (
    CHANGES,
    EXIT_CODES,
    change_counts,
    count_of,
    logger,
    show_changed_rows,
    show_table,
    start_logging,
    summary,
    write_stdout,
)
from scenario_etl.cli_reports import reporting
from scenario_etl.dates import as_date
from scenario_etl.errors import ConfigError
from scenario_etl.extras import install_command
from scenario_etl.parquet import check_suffix
from scenario_etl.resources import INCLUDE_ARGUMENTS, RESOURCES, resource_of
from scenario_etl.signed_urls import SignedURLs
from scenario_etl.stores import filesystem, redact_uri
from scenario_etl.thumbnails import check_pillow

CHECK_OPTIONS = ReadOptions(
    page_size=1, max_pages=1, requests_per_minute=0, attempts=1, deadline=300.0, strict=False, progress=False
)  # fmt: skip


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}, epilog=EXIT_CODES)
@click.version_option(package_name="scenario-etl")
def cli() -> None:
    """Export collections and other resources of a Scenario team to Parquet.

    \b
    Credentials are read from the environment:
      SCENARIO_SDK_API_KEY and SCENARIO_SDK_API_SECRET, or SCENARIO_SDK_JWT
      SCENARIO_SDK_API_KEY_FILE and SCENARIO_SDK_API_SECRET_FILE:
        paths of files that contain the key and the secret

    \b
    Without an account:
      scenario-etl export collections collections.parquet --demo
    """


@cli.command(short_help="Write a resource to a Parquet file.")
@resource_argument
@click.argument("destination", type=PATH)
@signed_urls_option("keep")
@output_options
@filter_options(*FILTERS, *INCLUDE_ARGUMENTS)
@projects_options
@reading_options
@connection_options
def export(
    *, resource: str, destination: str, signed_urls: SignedURLs, outputs: OutputOptions, filters: dict[str, Any],
    projects: ProjectsOptions, reading: ReadOptions, connection: ConnectionOptions,
) -> None:  # fmt: skip
    """Export all records of RESOURCE to the Parquet file DESTINATION, which is written atomically.

    DESTINATION is a path, or the URI of an object store (s3://, gs://, abfss://); the credentials of a store are read
    from its environment variables, such as AWS_ACCESS_KEY_ID. If the export fails, an existing file is unchanged.

    \b
      scenario-etl export collections collections.parquet
      scenario-etl export collections s3://bucket/collections.parquet --report -
    """
    start_logging(connection.log_format, connection.verbose)
    check_suffix(destination)
    with (
        reporting(resource, outputs, destination) as write_report,
        demo_api(connection) as api,
        connect(connection, reading, api) as client,
    ):
        report = reading.scan(resource, client, filters, signed_urls, projects).to_parquet(
            destination, resume_within=projects.resume_within
        )  # fmt: skip
        write_report(report.to_dict())
    if not report.rows:
        logger.warning("%s: the list is empty%s", resource, ", or no record matches the filters" if filters else "")
    logger.info(summary(report), extra={"event": "finished", "fields": report.to_dict()})


@cli.command(name="snapshot", short_help="Add today's snapshot of a resource to a lake.")
@resource_argument
@click.argument("lake", type=PATH)
@publishing_options
@signed_urls_option("public")
@output_options
@filter_options(*FILTERS)
@projects_options
@reading_options
@connection_options
def add_snapshot(
    *, resource: str, lake: str, publishing: SnapshotOptions, signed_urls: SignedURLs, outputs: OutputOptions,
    filters: dict[str, Any], projects: ProjectsOptions, reading: ReadOptions, connection: ConnectionOptions,
) -> None:  # fmt: skip
    """Add a snapshot of RESOURCE to LAKE: all records, and the changes since the previous snapshot.

    LAKE is a folder, or the URI of a prefix in an object store. A second run on the same day replaces the snapshot. A
    snapshot in which too many rows are missing is not published (exit code 65).

    \b
      LAKE/RESOURCE/snapshot_date=2026-11-23/part-0.parquet
      LAKE/RESOURCE_changes/snapshot_date=2026-11-23/part-0.parquet
    """
    days = publishing.days
    if days and not connection.demo:
        raise click.UsageError("--days requires --demo")
    reading = replace(reading, requests_per_minute=0) if days else reading
    start_logging(connection.log_format, connection.verbose)
    with (
        reporting(resource, outputs, lake=lake) as write_report,
        demo_api(connection) as api,
        connect(connection, reading, api, api_name=f"demo, {days} days" if days else "demo") as client,
    ):
        take_snapshot = partial(
            scenario_etl.snapshot, resource, lake, max_shrink=publishing.max_shrink,
            accept_shrink=publishing.accept_shrink, accept_scope=publishing.accept_scope,
            max_lookups=publishing.max_lookups, keep=publishing.keep, lock_timeout=publishing.lock_timeout,
            thumbnails=_should_store_thumbnails(publishing.thumbnails, resource, connection.demo, signed_urls),
            client=client,
            page_size=reading.page_size, max_pages=reading.max_pages, strict=reading.strict, signed_urls=signed_urls,
            progress=reading.shows_progress and not days, incremental=publishing.incremental,
            full_every=publishing.full_every, resume_within=projects.resume_within,
            **projects.arguments, **filters,
        )  # fmt: skip
        if api and days:
            from scenario_etl.cli_demo import make_history  # noqa: PLC0415 - imported only for a simulation

            report = make_history(
                take_snapshot, lake=lake, resource=resource, api=api, days=days, last=as_date(publishing.date),
                progress=reading.shows_progress, verbose=connection.verbose,
            )  # fmt: skip
        else:
            report = take_snapshot(date=publishing.date)
        write_report(report.to_dict())
    counts = {name: getattr(report, name) for name in (*CHANGES, "recovered", "unverified", "carried_over")}
    changed = ", ".join(
        f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items() if count or name in CHANGES
    )
    logger.info("%s; %s", summary(report.scan), changed, extra={"event": "finished", "fields": report.to_dict()})


def _should_store_thumbnails(option: bool | None, resource: str, demo: bool, signed_urls: SignedURLs) -> bool:
    """Return whether to store thumbnails; by default, only with `--demo` and if Pillow is installed."""
    if option is not None or not demo or signed_urls == "omit" or not resource_of(resource).has_thumbnails:
        return bool(option)
    try:
        check_pillow()
    except ConfigError as error:
        logger.warning("no thumbnails are stored: %s", error)
        return False
    return True


@cli.command(name="changes", short_help="Show what changed in a lake.")
@resource_argument
@click.argument("lake", type=PATH)
@click.option("--date", metavar="DATE", help="Show the rows that changed on this date, instead of counts per date.")
@click.option("--since", metavar="DATE", help="First date to include. Default: the oldest.")
@traceback_option
def show_changes(resource: str, lake: str, date: str | None, since: str | None, verbose: bool) -> None:
    """Show how many rows of RESOURCE were added, updated and deleted with each snapshot in LAKE."""
    from scenario_etl.lake_reader import no_snapshot_error, read_history  # noqa: PLC0415 - imported only if needed

    start_logging("text", verbose)
    if date and since:
        raise click.UsageError("--date and --since cannot be used together")
    day, first = as_date(date), as_date(since) or dt.date.min
    runs = {run["date"]: run for run in read_history(lake, resource)}
    if day:
        if day not in runs:
            raise no_snapshot_error(lake, resource, day, [*runs], "omit --date for the counts of all dates")
        show_changed_rows(resource, scenario_etl.changes(lake, resource, since=day, until=day), day, runs[day])
    elif max(runs) < first:
        write_stdout(f"no snapshot since {first}; the newest one is from {max(runs)}")
    else:
        write_stdout(f"{'date':10} {'added':>9} {'updated':>9} {'deleted':>9}")
        for each in sorted(runs):
            if each >= first:
                write_stdout(f"{each} {change_counts(runs[each])}")


@cli.command(name="report", short_help="Write an HTML report of the collections in a lake.")
@click.argument("lake", type=PATH)
@click.argument("destination", type=PATH)
@traceback_option
def write_lake_report(lake: str, destination: str, verbose: bool) -> None:
    """Write an HTML report of the snapshots of collections in LAKE to the single file DESTINATION.

    The report contains totals, growth, changes, thumbnails of the most recently updated collections, and the history
    of runs.
    Requires the `report` extra.

    \b
      scenario-etl report /data/lake report.html
    """
    try:
        from scenario_etl.dashboard.page import write_report  # noqa: PLC0415 - it imports pandas and matplotlib
    except ModuleNotFoundError as error:
        raise ConfigError(f"the HTML report requires {error.name}; install it: {install_command('report')}") from error
    start_logging("text", verbose)
    filesystem(destination)  # raises ConfigError if it is not valid
    if os.path.splitext(destination)[1].lower() not in {".html", ".htm"}:
        raise ConfigError(f"DESTINATION must end in .html or .htm, got {redact_uri(destination)}")
    days = write_report(lake, destination)
    history = count_of(days, "day", "days")
    logger.info("wrote %s with the history of %s; open it in a browser", redact_uri(destination), history)


@cli.command(short_help="Show the first rows of a resource.")
@resource_argument
@click.option(
    "-n", "--rows", type=click.IntRange(0), default=10, show_default=True, metavar="N", help="Number of rows."
)
@filter_options(*FILTERS, *INCLUDE_ARGUMENTS)
@reading_options
@connection_options
def head(
    resource: str, rows: int, filters: dict[str, Any], reading: ReadOptions, connection: ConnectionOptions
) -> None:
    """Show the first rows of RESOURCE, with as few requests as possible.

    If the host cannot be reached, the command fails after 20 s, unless --attempts or --deadline is set.
    """
    start_logging(connection.log_format, connection.verbose)
    connect_deadline = CONNECT_DEADLINE if is_default("attempts", "deadline") else None
    with (
        demo_api(connection) as api,
        connect(connection, reading, api, connect_deadline=connect_deadline) as client,
    ):
        frame = reading.scan(resource, client, filters).head(rows)
    if frame.empty and rows:
        write_stdout(f"no {resource} found")
    else:
        show_table(frame, first=("name", "item_count", "updated_at"))


@cli.command(short_help="Check the credentials with one request.")
@click.option(
    "--project-id", metavar="ID", multiple=True, help="Project to check. Default: the project of the API key."
)
@connection_options
def check(project_id: tuple[str, ...], connection: ConnectionOptions) -> None:
    """Request one collection, and show the base URL, the kind of credentials, and whether the API accepts them."""
    start_logging(connection.log_format, connection.verbose)
    if len(project_id) > 1:
        raise ConfigError("check accepts one --project-id; run it once for each project")
    filters = {"project_id": project_id[0]} if project_id else {}
    with demo_api(connection) as api, connect(connection, CHECK_OPTIONS, api) as client:
        write_stdout(f"base URL     {client.base_url}\ncredentials  {client.credentials}")
        started = monotonic()
        next(CHECK_OPTIONS.scan("collections", client, filters).to_batches())
        write_stdout(f"status       authenticated, response after {1000 * (monotonic() - started):.0f} ms")


@cli.command(short_help="Show the resources, their columns and filters.")
@optional_resource_argument
def resources(resource: str | None) -> None:
    """List the resources, or show the columns and filters of one.

    \b
      scenario-etl resources
      scenario-etl resources assets
    """
    write_stdout(cli_resources.description(RESOURCES[resource]) if resource else cli_resources.overview())


@cli.command(short_help="Serve the built-in emulator of the API.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    show_default=True,
    metavar="N",
    help="Port to listen on; 0 chooses a free port.",
)
@click.option(
    "--collections", type=click.IntRange(0), default=250, show_default=True, metavar="N", help="Number of collections."
)
def emulator(port: int, collections: int) -> None:
    """Serve a Scenario API with a fictional team on 127.0.0.1, until interrupted.

    The first line on stdout is the base URL; the key and the secret are both "demo".

    \b
    In another shell:
      export SCENARIO_BASE_URL=http://127.0.0.1:PORT/v1
      export SCENARIO_SDK_API_KEY=demo SCENARIO_SDK_API_SECRET=demo
      scenario-etl head collections
    """
    try:
        api = scenario_etl.Emulator(collections, port=port)
    except OSError as error:
        raise ConfigError(
            f"cannot serve on port {port}: {error.strerror}; use another --port, or 0 for a free one"
        ) from error
    write_stdout(api.url)
    try:
        api.serve_forever()
    except KeyboardInterrupt:
        pass  # the normal way to stop it
    finally:
        api.close()
