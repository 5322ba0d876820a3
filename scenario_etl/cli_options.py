"""Options of the command line, and the dataclasses that pass them to the commands."""

import functools
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, get_args

import click

from scenario_etl.cli_resources import option_name, page_sizes, resources_with
from scenario_etl.client import Client
from scenario_etl.extract import scan
from scenario_etl.filters import FLAG, PROJECT_ID, Filter
from scenario_etl.incremental import FULL_EVERY, MAX_FULL_EVERY
from scenario_etl.pages import MAX_PAGES
from scenario_etl.parallel import MAX_WORKERS
from scenario_etl.parts import MAX_RESUME_WITHIN, RESUME_WITHIN
from scenario_etl.resources import INCLUDE_ARGUMENTS, RESOURCES, resource_of
from scenario_etl.scans import Scan
from scenario_etl.signed_urls import SignedURLs

PATH = click.Path(readable=False)  # an existing file is replaced, not read
FILTERS = {each.name: each for resource in RESOURCES.values() for each in resource.filters}

Command = Callable[..., None]
Decorator = Callable[[Command], Command]


@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """Options for the connection to the API and for logging."""

    demo: bool
    base_url: str | None
    timeout: float
    log_format: str
    verbose: bool


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """Options for reading a resource."""

    page_size: int | None
    max_pages: int
    requests_per_minute: float
    attempts: int
    deadline: float
    strict: bool
    progress: bool | None

    @property
    def shows_progress(self) -> bool:
        """Whether to show a progress bar: by the option, or because stderr is a terminal."""
        return bool(sys.stderr and sys.stderr.isatty()) if self.progress is None else self.progress

    def scan(
        self,
        resource: str,
        client: Client,
        filters: dict[str, Any],
        signed_urls: SignedURLs = "keep",
        projects: "ProjectsOptions | None" = None,
    ) -> Scan:
        """Return a Scan of a resource."""
        several = projects.arguments if projects else {}
        return scan(
            resource, client=client, page_size=self.page_size, max_pages=self.max_pages, strict=self.strict,
            progress=self.shows_progress, signed_urls=signed_urls, **several, **filters,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class ProjectsOptions:
    """Options for reading several projects or windows side by side."""

    all_projects: bool
    skip_forbidden: bool
    workers: int | None
    resume_within: float

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of `scan`."""
        return {
            "all_projects": self.all_projects, "skip_forbidden": self.skip_forbidden, "workers": self.workers,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """The outputs of a run other than its data.

    Attributes:
        report: A file for the report as JSON, "-" for stdout, or None.
        metrics_file: A file for metrics in the text format of Prometheus, or None.

    """

    report: str | None
    metrics_file: str | None


@dataclass(frozen=True, slots=True)
class SnapshotOptions:
    """Options for publishing a snapshot."""

    date: str | None
    max_shrink: float
    accept_shrink: bool
    accept_scope: bool
    max_lookups: int
    keep: int | None
    lock_timeout: float
    thumbnails: bool | None
    days: int | None
    incremental: bool
    full_every: int


GROUPS = (ConnectionOptions, ReadOptions, ProjectsOptions, SnapshotOptions)
ARGUMENT_NAMES = {*FILTERS, *INCLUDE_ARGUMENTS, "signed_urls", *(each.name for kind in GROUPS for each in fields(kind))}


def with_option_names(message: str) -> str:
    """Return a message about arguments in Python with the names of the options; names of one word stay as they are."""
    return re.sub(
        r"(?:(?<=argument ')|(?<!column )(?<![\w'\"./-]))[a-z]+(?:_[a-z]+)+(?![\w/]|\.\w|=[TF)])",
        lambda match: option_name(match[0]) if match[0] in ARGUMENT_NAMES else match[0],
        message,
    )


def option_group(kind: type, argument: str, *options: Decorator) -> Decorator:
    """Return a decorator that adds options to a command, in this order, and passes their values as one argument.

    Args:
        kind: A dataclass whose fields have the names of the options.
        argument: The name of the argument.
        options: The options of click.

    """
    names = [each.name for each in fields(kind)]

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def wrapper(**values: Any) -> None:
            group = kind(**{name: values.pop(name) for name in names})
            command(**values, **{argument: group})

        return _with_options(wrapper, options)

    return decorate


def filter_options(*names: str) -> Decorator:
    """Return a decorator that adds the options of filters, and passes those that are set as a dict, `filters`.

    Args:
        names: The names of filters, or of arguments of `scan` that add columns.

    """

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def wrapper(**values: Any) -> None:
            chosen = {name: values.pop(name) for name in names}
            if len(projects := chosen.get(PROJECT_ID.name, ())) == 1:  # a single project has no column
                chosen[PROJECT_ID.name] = projects[0]
            command(**values, filters={name: value for name, value in chosen.items() if value not in (None, ())})

        return _with_options(wrapper, [_filter_option(name) for name in names])

    return decorate


REPEATED = " Repeat the option for several values."


def _filter_option(name: str) -> Decorator:
    if name in INCLUDE_ARGUMENTS:
        columns = {column.name for each in RESOURCES.values() for column in each.columns if column.included_by == name}
        help_text = f"Add columns that are omitted by default: {', '.join(sorted(columns))}."
        return click.option(option_name(name), is_flag=True, default=None, help=f"{help_text} [{resources_with(name)}]")
    declared = FILTERS[name]
    choices = sorted({choice for each in _declared(name) for choice in each.type.choices})
    is_list = declared.type.is_list or name == PROJECT_ID.name
    return click.option(
        option_name(name), metavar=_metavar(name), multiple=is_list,
        shell_complete=lambda _context, _option, start: [each for each in choices if each.startswith(start)],
        type=click.BOOL if declared.type is FLAG else click.STRING,
        help=f"{declared.description}{REPEATED if is_list else ''} [{resources_with(name)}]",
    )  # fmt: skip


def _declared(name: str) -> list[Filter]:
    """Return the filters with this name of all resources, whose choices may differ."""
    return [each for resource in RESOURCES.values() for each in resource.filters if each.name == name]


def _metavar(name: str) -> str:
    """Return the choices of a filter if all resources have the same ones, or else a word for its value."""
    choices = {each.type.choices for each in _declared(name)}
    if FILTERS[name].type is FLAG:
        return "[true|false]"
    if len(choices) == 1 and any(choices):
        return f"[{'|'.join(*choices)}]"
    return "ID" if name.endswith("_id") else "VALUE"


def _with_options(command: Command, options: Any) -> Command:
    for option in reversed(options):
        command = option(command)
    return command


def _resource_argument(**more: Any) -> Decorator:
    return click.argument(
        "resource", callback=lambda _context, _argument, name: name and resource_of(name).name,
        shell_complete=lambda _context, _argument, start: [name for name in RESOURCES if name.startswith(start)],
        **more,
    )  # fmt: skip


resource_argument = _resource_argument(metavar="RESOURCE")
optional_resource_argument = _resource_argument(metavar="[RESOURCE]", required=False)
traceback_option = click.option("-v", "--verbose", is_flag=True, help="Show the traceback of an error.")
verbose_option = click.option("-v", "--verbose", is_flag=True, help="Log every request; show tracebacks.")
connection_options = option_group(
    ConnectionOptions,
    "connection",
    click.option("--demo", is_flag=True, help="Use the built-in emulator; no account needed."),
    click.option("--base-url", metavar="URL", help="Base URL of the API. Default: SCENARIO_BASE_URL, or https://api.cloud.scenario.com/v1."),
    click.option(
        "--timeout", type=click.FloatRange(0, min_open=True), default=60.0, show_default=True, metavar="SECONDS",
        help="Read timeout; a complete response may take ten times as long.",
    ),
    click.option(
        "--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Log format."
    ),
    verbose_option,
)  # fmt: skip
reading_options = option_group(
    ReadOptions,
    "reading",
    click.option("--page-size", type=int, metavar="N", help=f"Records per request: {page_sizes()}. Default: maximum."),
    click.option(
        "--max-pages", type=click.IntRange(1), default=MAX_PAGES, show_default=True, metavar="N",
        help="Maximum number of pages of each project.",
    ),
    click.option(
        "--requests-per-minute", type=click.FloatRange(0), default=100.0, show_default=True, metavar="N",
        help="Maximum number of requests per minute and project; 0 disables rate limiting.",
    ),
    click.option(
        "--attempts", type=click.IntRange(1), default=8, show_default=True, metavar="N",
        help="Maximum number of attempts per request.",
    ),
    click.option(
        "--deadline", type=click.FloatRange(0, min_open=True), default=300.0, show_default=True, metavar="SECONDS",
        help="Time limit in seconds for retries, counted from the start of the first attempt of a request or upload.",
    ),
    click.option("--strict", is_flag=True, help="Fail if a field is missing or unknown, instead of logging a warning."),
    click.option(
        "--progress/--no-progress", default=None, help="Show a progress bar. Default: only if stderr is a terminal."
    ),
)  # fmt: skip
projects_options = option_group(
    ProjectsOptions,
    "projects",
    click.option("--all-projects", is_flag=True, help="Read all projects of the teams of the API key."),
    click.option(
        "--skip-forbidden", is_flag=True,
        help="Skip projects that the key may not read, with a warning; only with several projects.",
    ),
    click.option(
        "--workers", type=click.IntRange(1, MAX_WORKERS), metavar="N",
        help="Maximum number of requests at the same time. If set, assets and models are read in windows of "
        "creation date, and sorted by it. Default: one for each project, up to 8.",
    ),
    click.option(
        "--resume-within", type=click.FloatRange(0, MAX_RESUME_WITHIN), default=RESUME_WITHIN, show_default=True,
        metavar="SECONDS",
        help="Reuse the finished parts of an interrupted run if they are at most this old; 0 to keep none.",
    ),
)  # fmt: skip
output_options = option_group(
    OutputOptions,
    "outputs",
    click.option("--report", type=PATH, metavar="FILE", help="Write a JSON report of the run; use - for stdout."),
    click.option("--metrics-file", type=PATH, metavar="FILE", help="Write metrics in the text format of Prometheus."),
)

publishing_options = option_group(
    SnapshotOptions,
    "publishing",
    click.option("--date", metavar="DATE", help="Date of the snapshot (YYYY-MM-DD). Default: today in UTC."),
    click.option(
        "--max-shrink", type=click.FloatRange(0, 1), default=0.5, show_default=True, metavar="FRACTION",
        help="Maximum fraction of the rows of the last snapshot that may be missing.",
    ),
    click.option(
        "--accept-shrink", is_flag=True,
        help="Publish even if more rows are missing than --max-shrink allows, or the list is empty.",
    ),
    click.option("--accept-scope", is_flag=True, help="Publish even if the base URL, project or filters have changed."),
    click.option(
        "--max-lookups", type=click.IntRange(0), default=200, show_default=True, metavar="N",
        help="Look up at most N missing rows by id; if more are missing, read the list again first.",
    ),
    click.option("--keep", type=click.IntRange(1), metavar="N", help="Remove all but the newest N snapshots."),
    click.option(
        "--lock-timeout", type=click.FloatRange(0), default=0.0, show_default=True, metavar="SECONDS",
        help="Seconds to wait for another run on a local lake.",
    ),
    click.option(
        "--thumbnails/--no-thumbnails", default=None,
        help="Store small images of the most recently updated rows for `report`. Default: only with --demo.",
    ),
    click.option(
        "--incremental", is_flag=True,
        help="Read only the records that were updated since the last snapshot. [assets, jobs, public models]",
    ),
    click.option(
        "--full-every", type=click.IntRange(1, MAX_FULL_EVERY), default=FULL_EVERY, show_default=True, metavar="N",
        help="With --incremental: every Nth run reads the whole list, which also finds deletions.",
    ),
    click.option("--days", type=click.IntRange(1, 366), metavar="N", help="With --demo: simulate N days of history."),
)  # fmt: skip


def signed_urls_option(default: str) -> Decorator:
    """Return the option for signed URLs, whose default depends on the command."""
    return click.option(
        "--signed-urls", type=click.Choice(get_args(SignedURLs)), default=default, show_default=True,
        help="Form of signed URLs: unchanged (keep), permanent and unsigned (public), or null (omit).",
    )  # fmt: skip
