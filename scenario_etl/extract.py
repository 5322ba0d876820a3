"""The public functions that read a resource into a DataFrame, Arrow data or Parquet, and the class Scan."""

import os
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, get_args

import pyarrow as pa

from scenario_etl import parquet
from scenario_etl.arguments import check_bool, check_choice, check_integer, check_number, check_text, check_type
from scenario_etl.client import Client
from scenario_etl.errors import AuthError, ConfigError
from scenario_etl.filters import PROJECT_ID, is_filtered, query_for
from scenario_etl.pages import MAX_PAGES
from scenario_etl.parallel import MAX_WORKERS
from scenario_etl.partitions import plan, split_query
from scenario_etl.parts import MAX_RESUME, RESUME_WITHIN, PartStore, open_parts
from scenario_etl.projects import Projects
from scenario_etl.publish import atomic_write
from scenario_etl.redact import redact
from scenario_etl.resources import INCLUDE_ARGUMENTS, resource_of
from scenario_etl.run import (
    BATCH_ROWS,
    Run,
    RunOptions,
    ScanReport,
    client_or_default,
    footer_of,
    page_size_of,
)
from scenario_etl.scan_run import Source
from scenario_etl.schema import Resource
from scenario_etl.signed_urls import SignedURLs, check_form
from scenario_etl.stores import expand_user, redact_uri
from scenario_etl.windows import Window

if TYPE_CHECKING:
    import pandas as pd

DtypeBackend = Literal["pyarrow", "numpy_nullable"]


@dataclass(frozen=True, slots=True)
class Scan:
    """A lazy scan of a resource. No request is sent until it is used; each use starts a new run.

    Libraries that accept Arrow streams, such as DuckDB, Polars, pandas 3, ADBC and Delta, can read a Scan directly. A
    Scan without a client can be pickled; it uses the credentials of the environment in which it runs.

    Attributes:
        resource: Resource to read.
        query: Filters, with their names in the API.
        options: Options of the scan.
        client: Client to use; None creates one from the environment for each use.
        projects: The projects of a scan of several, None for one project.
        window: The window of creation dates of a partition, None for all dates.

    >>> from scenario_etl import Client, Emulator, scan
    >>> with Emulator(collections=250) as api, Client("demo", "demo", base_url=api.url) as client:
    ...     scan("collections", client=client).to_arrow().num_rows
    250

    """

    resource: Resource
    query: Mapping[str, str] = field(hash=False)
    options: RunOptions
    client: Client | None = None
    projects: Projects | None = None
    window: Window | None = None
    _reports: list[ScanReport] = field(default_factory=list, init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "query", MappingProxyType(dict(self.query)))  # frozen, as the Scan is

    def __repr__(self) -> str:
        names = {each.api_name: each.name for each in self.resource.filters}
        filters = {names.get(name, name): value for name, value in self.query.items()}
        projects = f"of {self.projects.text} " if self.projects else ""
        return f"<scenario_etl.Scan of {self.resource.name} {projects}{filters or ''}".rstrip() + ">"

    def __reduce__(self) -> tuple[Any, ...]:
        return Scan, (self.resource, dict(self.query), self.options, self.client, self.projects, self.window)

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of every result, known before the first request."""
        return self.resource.schema

    @property
    def source(self) -> Source:
        """What the scan reads."""
        return Source(self.resource, self.query, self.options, self.projects, self.window)

    @property
    def report(self) -> ScanReport | None:
        """The report of the last completed run, None before the first."""
        return self._reports[-1] if self._reports else None

    def to_batches(self) -> Iterator[pa.RecordBatch]:
        """Yield one RecordBatch per page, as each page arrives.

        The result is only complete when the iterator has ended without an error.

        Raises:
            ConfigError: There are no credentials.
            APIError: A page could not be read; TransientError and AuthError are subclasses.
            PaginationError: Pagination did not finish.
            SchemaError: A value does not fit its column.

        """
        return self._batches(0)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Export a new run as an Arrow C stream (Arrow PyCapsule interface).

        Only the message of an error is preserved.
        """
        return pa.RecordBatchReader.from_batches(self.schema, self.to_batches()).__arrow_c_stream__(requested_schema)

    def to_arrow(self) -> pa.Table:
        """Return all rows as a pyarrow.Table. Raises the errors of `to_batches`."""
        return pa.Table.from_batches(list(self._batches(BATCH_ROWS)), schema=self.schema).combine_chunks()

    def to_pandas(self, dtype_backend: DtypeBackend | None = None) -> "pd.DataFrame":
        """Return all rows as a DataFrame. Raises the errors of `to_batches`, and ConfigError for an unknown backend.

        Args:
            dtype_backend: Backend of the dtypes, "pyarrow" or "numpy_nullable" as in pandas. By default, the dtypes are
                `str` (`object` in pandas 2), `Int64` and `datetime64[us, UTC]`, whether or not values are missing.

        """
        if dtype_backend is not None:
            check_choice("dtype_backend", dtype_backend, get_args(DtypeBackend))
        return _to_pandas(self.to_arrow(), dtype_backend)

    def head(self, rows: int = 5) -> "pd.DataFrame":
        """Return the first rows as a DataFrame, with as few requests as possible. Raises the errors of `to_batches`.

        `report` does not change, because the run is not completed.
        """
        batches = self._first(check_integer("rows", rows, 0))
        return _to_pandas(pa.Table.from_batches(batches, schema=self.schema), None)

    def partitions(self, count: int) -> list["Scan"]:
        """Return at most `count` independent Scans without a client, which together have the rows of this one.

        A partition has some of the projects. If there are more partitions than projects and the resource has filters by
        date of creation, partitions are windows of dates with about the same number of records. For that, some pages
        are requested, and records that are created later are not included.

        Raises:
            ConfigError: `count` is not a positive integer, or there are no credentials.
            APIError: A request failed; TransientError and AuthError are subclasses.

        """
        check_integer("count", count, 1)
        if self.window is not None:
            raise ConfigError("a partition cannot be cut into partitions; use `partitions` of the whole Scan")
        with client_or_default(self.client) as client:
            ids: Sequence[str | None] = [None] if self.projects is None else self.projects.resolve(client)
            page_size = self.options.page_size
            skips = self.projects is not None and self.projects.skip_forbidden
            found = plan(
                client, self.resource, self.query, page_size, projects=ids, count=count, skip_forbidden=skips
            )  # fmt: skip
        options = replace(self.options, progress=False)
        query = split_query(self.resource, self.query)[0]
        return [
            Scan(
                self.resource, self.query if window is None else query, options, None,
                self.projects and replace(self.projects, ids=tuple(each for each in group if each), is_partition=True),
                window,
            )
            for group, window in found
        ]  # fmt: skip

    def with_client(self, client: Client) -> "Scan":
        """Return the same Scan with a client, such as for a partition that was pickled."""
        check_type("client", client, Client)
        return replace(self, client=client)

    def to_parquet(self, destination: str | os.PathLike[str], *, resume_within: float = RESUME_WITHIN) -> ScanReport:
        """Write all rows to a Parquet file atomically. Also raises the errors of `to_batches`.

        After an error, an existing file at `destination` is unchanged. A run that reads several projects or windows
        keeps those that are finished until it has succeeded: beside a local file, under a hidden name, or for an object
        store in the folder `~/.local/state/scenario-etl`. After an error or a crash, the next run of the same Scan does
        not read them again.

        Args:
            destination: Path of the file, or its URI in an object store.
            resume_within: Maximum age in seconds of the finished parts of an earlier run; 0 to keep and use none.

        Raises:
            ConfigError: The destination is not a valid path or URI, or has the suffix of a different format.
            DestinationError: The file cannot be written; in most cases, this is raised before the first request.
            TransientError: The object store is unavailable.

        """
        started = monotonic()
        parquet.check_suffix(destination)
        check_number("resume_within", resume_within, 0, MAX_RESUME)
        folder = self.source.parts_folder(destination)
        with (
            client_or_default(self.client) as client,
            open_parts(folder, self.source.description(client), resume_within) as store,  # until the file is published
            atomic_write(destination, deadline=client.deadline) as path,
        ):
            report = self._write(path, client, store)
        report = replace(report, path=redact_uri(expand_user(destination)), seconds=round(monotonic() - started, 3))
        return self._store_report(report)

    def _batches(self, min_rows: int) -> Iterator[pa.RecordBatch]:
        with client_or_default(self.client) as client, open_parts(None, "", 0) as store:
            run = self.source.run(client, store)
            yield from run.batches(min_rows)
        self._store_report(run.report())

    def _write(self, path: Path, client: Client, store: PartStore) -> ScanReport:
        run = self.source.run(client, store)
        with parquet.Writer(path, self.schema, self.resource.dictionary_columns) as writer:
            for batch in run.batches(BATCH_ROWS):
                writer.write(batch)
            report = run.report()
            writer.metadata = footer_of(report, self.source.scope(client))
        return replace(report, bytes=path.stat().st_size)

    def _first(self, rows: int) -> list[pa.RecordBatch]:
        found: list[pa.RecordBatch] = []
        options = self.options
        is_row_per_record = not self.resource.exploded and not is_filtered(self.query)
        if is_row_per_record and options.page_size is not None and self.resource.page_sizes:
            options = replace(options, page_size=max(self.resource.page_sizes[0], min(rows, options.page_size)))
        with (
            client_or_default(self.client) as client,
            closing(self._batches_in_order(client, options)) as batches,
        ):
            while rows > 0 and (batch := next(batches, None)) is not None:
                found.append(batch.slice(0, min(rows, batch.num_rows)))
                rows -= batch.num_rows
        return found

    def _batches_in_order(self, client: Client, options: RunOptions) -> Generator[pa.RecordBatch]:
        """Yield a batch for each page, one project after another, in the order of the API."""
        if self.window is not None:
            yield from self._batches(0)
            return
        for project in [None] if self.projects is None else self.projects.resolve(client):
            try:
                yield from Run(client, self.resource, self.query, options, project=project).batches()
            except AuthError as error:
                if error.status != 403 or not (self.projects and self.projects.skip_forbidden):
                    raise

    def _store_report(self, report: ScanReport) -> ScanReport:
        self._reports[:] = [report]
        return report


def scan(
    resource: str,
    *,
    client: Client | None = None,
    page_size: int | None = None,
    max_pages: int = MAX_PAGES,
    strict: bool = False,
    progress: bool = False,
    signed_urls: SignedURLs = "keep",
    all_projects: bool = False,
    skip_forbidden: bool = False,
    workers: int | None = None,
    **filters: object,
) -> Scan:
    """Return a Scan of a resource. This does not send a request.

    Args:
        resource: Name of the resource, such as "collections".
        client: Client to use; None creates one from the environment for each use, and closes it.
        page_size: Number of records per request; by default the maximum.
        max_pages: Maximum number of pages; a longer list raises PaginationError.
        strict: Whether a missing or unknown field raises SchemaError instead of logging a warning.
        progress: Whether to show a progress bar, on stderr or in a notebook.
        signed_urls: Form of signed URLs: "keep" for the URLs from the API, "public" for their permanent unsigned form,
            or null if there is none, and "omit" for null.
        all_projects: Whether to read all projects of the teams of the API key, which are listed at the start of a run.
        skip_forbidden: Whether to skip projects that the key may not read, with a warning, instead of raising
            AuthError; only for several projects.
        workers: Number of threads that read side by side. By default, one project is read by one thread in the order of
            the API, and up to eight projects are read at once. With `workers`, assets and models are also read in
            windows of their date of creation, by which the rows are then sorted in ascending order.
        **filters: Filters of the resource, such as `project_id`; None for no filter. A list of `project_id` reads
            several projects, and adds a first column `project_id`. `include_personal=True` adds the
            users of projects with their e-mail addresses, `include_embedding=True` the embeddings of assets.

    Raises:
        ConfigError: An argument is not valid.

    """
    declared = resource_of(resource, [name for name in INCLUDE_ARGUMENTS if check_bool(name, filters.pop(name, False))])
    projects, filters = _projects_of(declared, filters, check_bool("all_projects", all_projects), skip_forbidden)
    if client is not None:
        check_type("client", client, Client)
    options = RunOptions(
        page_size=page_size_of(declared, page_size),
        max_pages=check_integer("max_pages", max_pages, 1),
        strict=check_bool("strict", strict),
        progress=check_bool("progress", progress),
        signed_urls=check_form(signed_urls),
        workers=None if workers is None else check_integer("workers", workers, 1, MAX_WORKERS),
    )
    query = query_for(declared.name, declared.filters, filters)
    return Scan(declared.with_projects() if projects else declared, query, options, client, projects)


def _projects_of(
    resource: Resource, filters: dict[str, Any], all_projects: bool, skip_forbidden: object
) -> tuple[Projects | None, dict[str, Any]]:
    """Return the projects of a scan of several, None for one project, and the other filters."""
    value = filters.get(PROJECT_ID.name)
    given = _as_list(value)
    if given is None and not all_projects:
        if check_bool("skip_forbidden", skip_forbidden):
            raise ConfigError("skip_forbidden requires several projects: a list of project_id, or all_projects")
        return None, filters
    if all_projects and value is not None:
        raise ConfigError("project_id and all_projects cannot be used together; omit one of them")
    ids = None if all_projects else tuple(dict.fromkeys(check_text(PROJECT_ID.name, each) for each in given or []))
    if ids is not None and not ids:
        raise ConfigError(f"project_id must be a project or a non-empty list of projects, got {redact(repr(value))}")
    rest = {name: each for name, each in filters.items() if name != PROJECT_ID.name}
    query_for(resource.name, resource.filters, rest | {PROJECT_ID.name: "x"})  # raises ConfigError without that filter
    if rest.get("privacy") == "public":
        raise ConfigError("privacy=public cannot be used with several projects, because it ignores the project")
    return Projects(ids, check_bool("skip_forbidden", skip_forbidden)), rest


def _as_list(value: Any) -> list[Any] | None:
    """Return the items of a list of projects, such as a Series; None for other values. Those of a set are sorted."""
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        return None
    try:
        return sorted(map(str, value)) if isinstance(value, Set) else list(value)
    except TypeError:  # a numpy array without dimensions
        return None


def extract_collections(
    *,
    project_id: str | Sequence[str] | None = None,
    all_projects: bool = False,
    skip_forbidden: bool = False,
    workers: int | None = None,
    dtype_backend: DtypeBackend | None = None,
    client: Client | None = None,
    page_size: int | None = None,
    max_pages: int = MAX_PAGES,
    strict: bool = False,
    progress: bool = False,
    signed_urls: SignedURLs = "keep",
) -> "pd.DataFrame":
    """Return all collections as a DataFrame, with one row per collection.

    The same as `scan("collections", ...).to_pandas(dtype_backend)`.

    Args:
        project_id: Project of the collections; by default the project of the API key. A list reads several projects,
            and adds a first column `project_id`.
        all_projects: Whether to read all projects of the teams of the API key.
        skip_forbidden: Whether to skip projects that the key may not read, as in `scan`.
        workers: Number of threads that read projects side by side; by default one for each project, up to 8.
        dtype_backend: Backend of the dtypes, None, "pyarrow" or "numpy_nullable", as in `Scan.to_pandas`.
        client: Client to use; None creates one from the environment, and closes it.
        page_size: Number of records per request, from 1 to 100; by default 100.
        max_pages: Maximum number of pages; a longer list raises PaginationError.
        strict: Whether a missing or unknown field raises SchemaError instead of logging a warning.
        progress: Whether to show a progress bar, on stderr or in a notebook.
        signed_urls: Form of signed URLs, "keep", "public" or "omit", as in `scan`.

    Raises:
        ConfigError: An argument is not valid, or there are no credentials.
        APIError: A page could not be read; TransientError and AuthError are subclasses.
        PaginationError: Pagination did not finish.
        SchemaError: A value does not fit its column.

    >>> from scenario_etl import Client, Emulator, extract_collections
    >>> with Emulator(collections=250) as api, Client("demo", "demo", base_url=api.url) as client:
    ...     extract_collections(client=client).shape
    (250, 10)

    """
    collections = scan(
        "collections", client=client, page_size=page_size, max_pages=max_pages, strict=strict, progress=progress,
        signed_urls=signed_urls, project_id=project_id, all_projects=all_projects, skip_forbidden=skip_forbidden,
        workers=workers,
    )  # fmt: skip
    return collections.to_pandas(dtype_backend)


def export_collections(
    destination: str | os.PathLike[str],
    *,
    project_id: str | Sequence[str] | None = None,
    all_projects: bool = False,
    skip_forbidden: bool = False,
    workers: int | None = None,
    client: Client | None = None,
    page_size: int | None = None,
    max_pages: int = MAX_PAGES,
    strict: bool = False,
    progress: bool = False,
    signed_urls: SignedURLs = "keep",
) -> ScanReport:
    """Write all collections to a Parquet file atomically, and return the report of the run.

    The same as `scan("collections", ...).to_parquet(destination)`. After an error, an existing file is unchanged.

    Args:
        destination: Path of the file, or its URI in an object store.
        project_id: Project of the collections; by default the project of the API key. A list reads several projects,
            and adds a first column `project_id`.
        all_projects: Whether to read all projects of the teams of the API key.
        skip_forbidden: Whether to skip projects that the key may not read, as in `scan`.
        workers: Number of threads that read projects side by side; by default one for each project, up to 8.
        client: Client to use; None creates one from the environment, and closes it.
        page_size: Number of records per request, from 1 to 100; by default 100.
        max_pages: Maximum number of pages; a longer list raises PaginationError.
        strict: Whether a missing or unknown field raises SchemaError instead of logging a warning.
        progress: Whether to show a progress bar, on stderr or in a notebook.
        signed_urls: Form of signed URLs, "keep", "public" or "omit", as in `scan`.

    Raises:
        ConfigError: An argument is not valid, or there are no credentials.
        DestinationError: The file cannot be written; in most cases, this is raised before the first request.
        APIError: A page could not be read; TransientError and AuthError are subclasses.
        PaginationError: Pagination did not finish.
        SchemaError: A value does not fit its column.

    """
    collections = scan(
        "collections", client=client, page_size=page_size, max_pages=max_pages, strict=strict, progress=progress,
        signed_urls=signed_urls, project_id=project_id, all_projects=all_projects, skip_forbidden=skip_forbidden,
        workers=workers,
    )  # fmt: skip
    return collections.to_parquet(destination)


def _to_pandas(table: pa.Table, dtype_backend: DtypeBackend | None) -> "pd.DataFrame":
    import pandas as pd  # noqa: PLC0415 - takes 0.4 s, and only a DataFrame needs it

    nullable = {
        pa.int64(): pd.Int64Dtype(), pa.float64(): pd.Float64Dtype(), pa.bool_(): pd.BooleanDtype(),
        pa.string(): pd.StringDtype(),
    }  # fmt: skip
    types_mappers = {None: None, "numpy_nullable": nullable.get, "pyarrow": pd.ArrowDtype}
    frame: pd.DataFrame = table.to_pandas(types_mapper=types_mappers[dtype_backend])
    return frame
