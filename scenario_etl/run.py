"""One run over a resource: RecordBatches without duplicates, progress, and the report."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event
from time import monotonic
from typing import Any

import pyarrow as pa

from scenario_etl.arguments import check_integer
from scenario_etl.client import Client
from scenario_etl.dedupe import SeenKeys
from scenario_etl.errors import ConfigError, PaginationError
from scenario_etl.filters import PROJECT_ID, is_filtered, project_query
from scenario_etl.pages import Page, Pages
from scenario_etl.progress import NoBar, Progress, progress_bar
from scenario_etl.records import RecordReader, with_project
from scenario_etl.redact import redact
from scenario_etl.schema import Resource
from scenario_etl.signed_urls import SignedURLs
from scenario_etl.window_pages import WindowPages
from scenario_etl.windows import Cursor

BATCH_ROWS = 2000  # minimum for tables and files, because each batch has a fixed cost
BATCH_BYTES = 8 * 2**20  # maximum of JSON, if records are large
BATCH_PAGES = 20  # maximum, so that a list without new records is noticed soon


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Options of a run; they have the names of the arguments of `scan`."""

    page_size: int | None
    max_pages: int
    strict: bool
    progress: bool
    signed_urls: SignedURLs
    workers: int | None = None


@dataclass(frozen=True, slots=True)
class PartOfRun:
    """What a run reads if it is a part of another one, and what it shares with the other parts.

    Attributes:
        cursor: The window to read, None to read by token.
        max_pages: The number of pages after which it ends, None for no limit; see WindowPages.
        progress: Where pages and waits are shown, None for a separate progress bar.
        sleep: The function that waits for a number of seconds, None for that of the client.
        on_end: Called when all pages have been received, before the records of the last ones are converted.
        exact_bounds: Set when a request has shown that bounds are applied to the millisecond.
        converting: Held while records are converted. Only one thread needs the interpreter then, so that the parts are
            finished one after another instead of all of them late.
        warned: The warnings so far.

    """

    cursor: Cursor | None = None
    max_pages: int | None = None
    progress: Progress | None = None
    sleep: Callable[[float], None] | None = None
    on_end: Callable[[], None] = lambda: None
    exact_bounds: Event = field(default_factory=Event)
    converting: AbstractContextManager[object] = field(default_factory=nullcontext)
    warned: set[str] | None = None


@dataclass(frozen=True, slots=True)
class ScanReport:
    """Report of a completed run.

    Attributes:
        resource: Name of the resource.
        base_url: Base URL of the API.
        project_id: Requested project, None for the project of the API key. For several projects, their ids with commas,
            or "all".
        extracted_at: Start of the run in UTC.
        seconds: Duration, including waiting times.
        rows: Number of rows in the result.
        pages: Number of pages, including empty ones.
        requests: Number of requests, including retries and redirects.
        retries: Number of retries.
        seconds_waited: Seconds spent waiting for retries and rate limiting.
        duplicates: Number of records that were dropped because their key occurred before.
        missing_fields: Number of records in which a declared field is missing or null, by the dotted name of the field.
        unknown_fields: Number of records that have an unknown field, by the dotted name of the field.
        tokens_sha256: SHA-256 of the page tokens, in order, in hexadecimal.
        parts: Number of parts that were read separately: projects, or windows of dates of a project.
        reused_parts: Number of these that an interrupted run had read before.
        skipped_projects: Projects that the key may not read, which were skipped because of `skip_forbidden`.
        path: Path or URI of the file, None if no file was written.
        bytes: Size of the file in bytes, None if no file was written.

    """

    resource: str
    base_url: str
    project_id: str | None
    extracted_at: datetime
    seconds: float
    rows: int
    pages: int
    requests: int
    retries: int
    seconds_waited: float
    duplicates: int
    missing_fields: dict[str, int] = field(default_factory=dict)
    unknown_fields: dict[str, int] = field(default_factory=dict)
    tokens_sha256: str = ""
    parts: int = 1
    reused_parts: int = 0
    skipped_projects: tuple[str, ...] = ()
    path: str | None = None
    bytes: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return all attributes as a dict for JSON, with dates in ISO 8601."""
        values = {name: getattr(self, name) for name in self.__slots__}
        lists = {"skipped_projects": list(self.skipped_projects)}
        return values | lists | {"extracted_at": self.extracted_at.isoformat()}


class Run:
    """One run over a resource: iterate over `batches`, then call `report`.

    Args:
        client: The client.
        resource: The resource.
        query: The filters, with their names in the API.
        options: The options of the scan.
        project: The project to read, for a resource with the rows of several projects.
        part: What this run reads if it is a part of another one, None for the whole list.

    """

    def __init__(
        self,
        client: Client,
        resource: Resource,
        query: Mapping[str, str],
        options: RunOptions,
        *,
        project: str | None = None,
        part: "PartOfRun | None" = None,
    ) -> None:
        part = part or PartOfRun()
        query = {**query, **project_query(project)}
        self._base_url = client.base_url
        self._resource = resource
        self._query = query
        self._project = project
        self._progress = options.progress
        self._shared_bar = part.progress
        self._on_end, self._converting = part.on_end, part.converting
        self._extracted_at, self._started = datetime.now(UTC), monotonic()
        self._bar: Progress = NoBar()
        sizes = {} if options.page_size is None else {"pageSize": options.page_size}
        order = {"sortBy": part.cursor.date_field, "sortDirection": "asc"} if part.cursor else {}
        self._pages = client.pages(
            resource.path,
            resource.records_key,
            {**resource.fixed_query, **query, **order, **sizes},
            self._on_wait,
            max_pages=options.max_pages,
            sleep=part.sleep,
        )
        if is_filtered(query) or part.cursor:  # the API may apply filters after it has read a page
            self._pages.max_empty_pages = options.max_pages
        records = resource.without_projects()
        self._reader = RecordReader(
            records,
            strict=options.strict,
            signed_urls=options.signed_urls,
            redact=self._pages.redact,
            warned=part.warned,
        )
        self._pages_to_read: Iterable[Page] = self._pages
        if part.cursor and options.page_size:
            self._pages_to_read = WindowPages(
                self._pages, part.cursor, self._reader.key_fields, options.page_size,
                max_pages=part.max_pages, exact_bounds=part.exact_bounds,
            )  # fmt: skip
        self._seen = SeenKeys()
        self._rows = 0

    @property
    def pages(self) -> Pages:
        """The pages of the list, with the counts of requests."""
        return self._pages

    @property
    def skipped_projects(self) -> tuple[str, ...]:
        """Projects that were skipped, as in ScanReport: none."""
        return ()

    def batches(self, min_rows: int = 0) -> Generator[pa.RecordBatch]:
        """Yield a RecordBatch for each page, or for several pages with at least `min_rows` records in total."""
        last_page = last_new_page = 0
        bar = nullcontext(self._shared_bar) if self._shared_bar else progress_bar(self._resource.name, self._progress)
        with bar as self._bar:
            for records in _group_pages(self._pages_to_read, min_rows, self._bar.add_page, self._on_end):
                self._check_progress(last_page, last_new_page)
                last_page = self._pages.pages
                with self._converting:
                    batch = self._seen.drop_duplicates(self._reader.read(records), self._reader.keys(records))
                    rows = self._reader.explode(batch)
                last_new_page = last_page if batch.num_rows else last_new_page
                self._rows += rows.num_rows
                yield rows if self._project is None else with_project(rows, self._project, self._resource)

    def report(self, **overrides: Any) -> ScanReport:
        """Return the report of the run, after the end of `batches`.

        Args:
            **overrides: Attributes to override, such as `rows` if a file also contains rows of other runs.

        """
        values: dict[str, Any] = {
            "resource": self._resource.name,
            "base_url": self._base_url,
            "project_id": self._query.get(PROJECT_ID.api_name),
            "extracted_at": self._extracted_at,
            "seconds": round(monotonic() - self._started, 3),
            "rows": self._rows,
            "duplicates": self._seen.duplicates,
            "missing_fields": dict(self._reader.missing_fields),
            "unknown_fields": dict(self._reader.unknown_fields),
        }
        values |= {name: getattr(self._pages, name) for name in _COUNTED}
        values |= {"seconds_waited": round(self._pages.seconds_waited, 3)}
        return ScanReport(**values | overrides)

    def _on_wait(self, reason: str, seconds: float) -> None:
        self._bar.wait(reason, seconds)

    def _check_progress(self, page: int, last_new_page: int) -> None:
        if page - last_new_page >= self._pages.max_empty_pages:
            raise PaginationError(
                f"{self._resource.name}: the last {page - last_new_page} pages, up to page {page}, have no new record, "
                "so the list would never end; report it to the vendor"
            )


_COUNTED = ("pages", "requests", "retries", "seconds_waited", "tokens_sha256")


def client_or_default(client: Client | None) -> AbstractContextManager[Client]:
    """Return a context manager for the client, or for a new one with the credentials of the environment.

    Raises:
        ConfigError: There are no credentials.

    """
    return nullcontext(client) if client else Client()


def footer_of(report: ScanReport, scope: Mapping[str, str], **more: object) -> dict[str, object]:
    """Return the metadata of a Parquet file of a complete run, for its footer."""
    from importlib.metadata import version  # noqa: PLC0415 - needed once, at the end of a run

    values = {
        "version": version("scenario-etl"),
        "extracted_at": report.extracted_at.isoformat(),
        **{name: getattr(report, name) for name in _IN_FOOTER},
        "complete": "true",
        **({"skipped_projects": ",".join(report.skipped_projects)} if report.skipped_projects else {}),
        **scope,
        **more,
    }
    return {f"scenario_etl.{name}": value for name, value in values.items()}


_IN_FOOTER = ("resource", "rows", "pages", "requests", "retries", "duplicates", "tokens_sha256")


def page_size_of(resource: Resource, page_size: int | None) -> int | None:
    """Return the page size: the maximum by default, None for a list without pages."""
    if resource.page_sizes is None:
        if page_size is not None:
            name, size = resource.name, redact(page_size)
            raise ConfigError(f"page_size is not supported for {name}, which is not paginated, got {size}; omit it")
        return None
    smallest, largest = resource.page_sizes
    return largest if page_size is None else check_integer("page_size", page_size, smallest, largest)


def _group_pages(
    pages: Iterable[Page], min_rows: int, on_page: Callable[[int], None], on_end: Callable[[], None]
) -> Iterator[list[Any]]:
    """Yield the records of one page, or of several with at least `min_rows` records or BATCH_BYTES in total."""
    records: list[Any] = []
    size = count = 0
    for page in pages:
        on_page(len(page.records))
        records += page.records
        size += page.size
        count += 1
        if len(records) >= min_rows or size >= BATCH_BYTES or count >= BATCH_PAGES:
            yield records
            records, size, count = [], 0, 0
    on_end()
    if records:
        yield records
