"""The join: pages -> RecordBatches; and Scan, the hub that every output hangs on."""

import json
import os
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal, get_args

import pyarrow as pa

from scenario_etl import parquet
from scenario_etl.arguments import choice, flag, instance, text, whole_number
from scenario_etl.client import MAX_EMPTY_PAGES, MAX_PAGES, Client, Page
from scenario_etl.dedupe import Keys
from scenario_etl.errors import ConfigError, PaginationError
from scenario_etl.publish import atomic_write
from scenario_etl.resources import resource_of
from scenario_etl.schema import Reader, Resource
from scenario_etl.signed_urls import SignedURLs, checked_form
from scenario_etl.stores import expanded, redact_uri

if TYPE_CHECKING:
    import pandas as pd

GATHERED_ROWS = 2000  # in a batch of a table or a file: checks, arrays and buffers cost by the batch, too
GATHERED_BYTES = 8 * 2**20  # of JSON, where records are large
GATHERED_PAGES = 20  # where they are small, so that a listing that brings nothing new is noticed soon

DtypeBackend = Literal["pyarrow", "numpy_nullable"]


@dataclass(frozen=True, slots=True)
class ScanReport:
    """The facts of one finished walk; it exists only where the walk is complete.

    Attributes:
        resource: its name.
        base_url: of the API.
        project_id: the project that was asked for, None where the credentials imply it.
        extracted_at: when the walk began, in UTC.
        seconds: how long it took, waits included.
        rows: in the result.
        pages: that came, empty ones included.
        requests: that were sent, retries and redirects included.
        retries: requests sent again.
        seconds_waited: for retries and pacing.
        duplicates: records dropped because their key had come before.
        missing_fields: how often a documented field was absent or null, by its dotted name.
        unknown_fields: how often a field came that no column knows, by its dotted name.
        tokens_sha256: SHA-256 over the chain of tokens, in hexadecimal.
        path: of the file that was written, None where none was.
        bytes: its size, None where none was written.

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
    path: str | None = None
    bytes: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the facts by name, ready for JSON: dates in ISO 8601."""
        facts = {name: getattr(self, name) for name in self.__slots__}
        return facts | {"extracted_at": self.extracted_at.isoformat()}


class Scan:
    """A description of one walk over a resource: each use starts a fresh one, and nothing is requested before.

    Any library that takes Arrow streams takes a Scan as it is: DuckDB, Polars, pandas 3, ADBC, Delta.

    >>> from scenario_etl import Client, Emulator, scan
    >>> with Emulator(collections=250) as api, Client("demo", "demo", base_url=api.url) as client:
    ...     scan("collections", client=client).to_arrow().num_rows
    250

    """

    def __init__(
        self,
        resource: Resource,
        parameters: dict[str, str],
        *,
        client: Client | None,
        page_size: int,
        max_pages: int,
        strict: bool,
        progress: bool,
        signed_urls: SignedURLs,
    ) -> None:
        self.resource = resource
        self.parameters = parameters
        self._given_client = client
        self._page_size = page_size
        self._max_pages = max_pages
        self._strict = strict
        self._progress = progress
        self._signed_urls = signed_urls
        self._report: ScanReport | None = None

    def __repr__(self) -> str:
        return f"<scenario_etl.Scan of {self.resource.name} {self.parameters or ''}".rstrip() + ">"

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of every result, known before any request."""
        return self.resource.schema

    @property
    def report(self) -> ScanReport | None:
        """The facts of the last walk that was finished, None before."""
        return self._report

    def to_batches(self) -> Iterator[pa.RecordBatch]:
        """Yield one RecordBatch a page, as they arrive.

        What was yielded is the whole only once the iterator has ended without an error.

        Raises:
            ConfigError: there are no credentials.
            APIError: or its kinds TransientError and AuthError: a page did not come.
            PaginationError: the walk goes nowhere.
            SchemaError: a value does not fit its column.

        """
        with self.connected() as client:
            yield from self._walk(client, self._page_size, 0)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Export a fresh walk as an Arrow C stream (Arrow PyCapsule interface); errors keep their text."""
        return pa.RecordBatchReader.from_batches(self.schema, self.to_batches()).__arrow_c_stream__(requested_schema)

    def to_arrow(self) -> pa.Table:
        """Return the whole resource as a pyarrow.Table. Raises what `to_batches` raises."""
        with self.connected() as client:
            batches = list(self._walk(client, self._page_size, GATHERED_ROWS))
        return pa.Table.from_batches(batches, schema=self.schema).combine_chunks()

    def to_pandas(self, dtype_backend: DtypeBackend | None = None) -> "pd.DataFrame":
        """Return the whole resource as a DataFrame. Raises what `to_batches` raises.

        Args:
            dtype_backend: as in pandas; by default the columns are `str` (`object` in pandas 2), `Int64` and
                `datetime64[us, UTC]`, whether or not a null occurs.

        """
        _check_dtype_backend(dtype_backend)
        return _to_pandas(self.to_arrow(), dtype_backend)

    def head(self, rows: int = 5) -> "pd.DataFrame":
        """Return the first rows as a DataFrame, with as few requests as it takes.

        It never passes for the whole: `report` stays as it was. Raises what `to_batches` raises.
        """
        batches = self._first(whole_number("rows", rows, 0))
        return _to_pandas(pa.Table.from_batches(batches, schema=self.schema), None)

    def to_parquet(self, destination: str | os.PathLike[str]) -> ScanReport:
        """Write the whole resource to a Parquet file, which appears whole or not at all.

        Raises:
            DestinationError: the file cannot be written, in most cases known before the first request.
            ScenarioError: as `to_batches`; whatever stood at `destination` is untouched.

        """
        started = monotonic()
        _check_suffix(destination)
        with self.connected() as client, atomic_write(destination, deadline=client.deadline) as path:
            report = self.write(path, client)
        self._report = replace(report, path=redact_uri(expanded(destination)), seconds=round(monotonic() - started, 3))
        return self._report

    def connected(self) -> AbstractContextManager[Client]:
        """Yield the scan's client: the one that was given, or one from the environment, closed again at the end.

        Raises:
            ConfigError: there are no credentials.

        """
        return nullcontext(self._given_client) if self._given_client else Client()

    def scope(self, client: Client) -> dict[str, str]:
        """Return what the rows are the whole of: base_url, project_id and filters (JSON), as a file's footer has it."""
        filters = {name: value for name, value in self.parameters.items() if name != "projectId"}
        return {
            "base_url": client.api_name,
            "project_id": self.parameters.get("projectId", ""),
            "filters": json.dumps(filters, sort_keys=True),
        }

    def write(
        self,
        path: Path,
        client: Client,
        *,
        through: Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]] = iter,
        footer: Callable[[], Mapping[str, object]] = dict,
    ) -> ScanReport:
        """Write the whole resource to a local Parquet file, as it comes: `to_parquet` without what makes it safe.

        Args:
            path: of the file; what is there is lost.
            client: to read with.
            through: given the batches of the list, returns those to write.
            footer: asked after the last batch; more key-value pairs for the footer, without their prefix.

        """
        rows = 0

        def counted() -> Iterator[pa.RecordBatch]:
            nonlocal rows
            for batch in through(self._walk(client, self._page_size, GATHERED_ROWS)):
                rows += batch.num_rows
                yield batch

        def key_values() -> dict[str, str]:
            pairs = {**_key_values(replace(_finished(self), rows=rows)), **self.scope(client), **footer()}
            return {f"scenario_etl.{name}": str(value) for name, value in pairs.items()}

        parquet.write(
            path,
            self.schema,
            counted(),
            dictionary_columns=self.resource.dictionary_columns,
            key_values=key_values,
        )
        self._report = replace(_finished(self), rows=rows, path=os.fspath(path), bytes=path.stat().st_size)
        return self._report

    def _first(self, rows: int) -> list[pa.RecordBatch]:
        least = self.resource.page_sizes[0]
        found: list[pa.RecordBatch] = []
        report = self._report
        page_size = max(least, min(rows, self._page_size))
        with self.connected() as client, closing(self._walk(client, page_size, 0)) as batches:
            while rows > 0 and (batch := next(batches, None)) is not None:
                found.append(batch.slice(0, min(rows, batch.num_rows)))
                rows -= batch.num_rows
        self._report = report  # the first rows are no walk, even where they are all there is
        return found

    def _walk(self, client: Client, page_size: int, least_rows: int) -> Generator[pa.RecordBatch]:
        """Yield one RecordBatch for each page, or for as many as have `least_rows` records together."""
        extracted_at, started = datetime.now(UTC), monotonic()
        keys, rows = Keys(), 0
        with _progress_bar(self.resource.name, self._progress) as bar:
            walk = client.pages(
                self.resource.path,
                self.resource.records_key,
                {**self.parameters, "pageSize": page_size},
                bar.wait,
                max_pages=self._max_pages,
            )
            reader = Reader(self.resource, strict=self._strict, signed_urls=self._signed_urls, show=walk.redact)
            last_new_page = last_page = 0
            for records in _gathered(walk, least_rows, bar.add_page):
                self._check_progress(last_page, last_new_page)
                last_page = walk.pages
                batch = keys.drop_duplicates(reader.read(records), reader.keys(records))
                rows += batch.num_rows
                last_new_page = last_page if batch.num_rows else last_new_page
                yield batch
        self._report = ScanReport(
            resource=self.resource.name,
            base_url=client.base_url,
            project_id=self.parameters.get("projectId"),
            extracted_at=extracted_at,
            seconds=round(monotonic() - started, 3),
            rows=rows,
            pages=walk.pages,
            requests=walk.requests,
            retries=walk.retries,
            seconds_waited=round(walk.seconds_waited, 3),
            duplicates=keys.repeated,
            missing_fields=dict(reader.missing_fields),
            unknown_fields=dict(reader.unknown_fields),
            tokens_sha256=walk.tokens_sha256,
        )

    def _check_progress(self, pages: int, last_new_page: int) -> None:
        if pages - last_new_page >= MAX_EMPTY_PAGES:
            raise PaginationError(
                f"{self.resource.name}: no record of the last {pages - last_new_page} pages, up to page {pages}, is "
                "new; the listing does not end; report it to the vendor"
            )


def scan(
    resource: str,
    *,
    client: Client | None = None,
    page_size: int | None = None,
    max_pages: int = MAX_PAGES,
    strict: bool = False,
    progress: bool = False,
    signed_urls: SignedURLs = "keep",
    **filters: str | None,
) -> Scan:
    """Describe a walk over a resource, and request nothing yet.

    Args:
        resource: its name, such as "collections".
        client: made from the environment for each use, and closed again, where None.
        page_size: records to ask for with each request; the most that the API gives where None.
        max_pages: how many pages the listing may have; one that goes on beyond is a PaginationError.
        strict: whether a missing or an unknown field is a SchemaError, instead of counted and warned of.
        progress: whether to show a bar, on stderr or in the notebook.
        signed_urls: "keep" gives signed URLs as the API does; "public" their durable unsigned form where there is one;
            "omit" null.
        filters: what the resource declares; for collections `project_id`.

    Raises:
        ConfigError: an argument is wrong.

    """
    described = resource_of(resource)
    least, most = described.page_sizes
    if client is not None:
        instance("client", client, Client)
    return Scan(
        described,
        _parameters(described, filters),
        client=client,
        page_size=most if page_size is None else whole_number("page_size", page_size, least, most),
        max_pages=whole_number("max_pages", max_pages, 1),
        strict=flag("strict", strict),
        progress=flag("progress", progress),
        signed_urls=checked_form(signed_urls),
    )


def extract_collections(
    *,
    project_id: str | None = None,
    dtype_backend: DtypeBackend | None = None,
    client: Client | None = None,
    page_size: int | None = None,
    max_pages: int = MAX_PAGES,
    strict: bool = False,
    progress: bool = False,
    signed_urls: SignedURLs = "keep",
) -> "pd.DataFrame":
    """Return all collections as a DataFrame, one row each, with the thumbnail as flat columns.

    The same as `scan("collections", ...).to_pandas(dtype_backend)`.

    Args:
        project_id: only collections of this project; None is what the key implies.
        dtype_backend: "pyarrow" or "numpy_nullable", as in pandas; by default the columns are `str` (`object` in
            pandas 2), `Int64` and `datetime64[us, UTC]`, whether or not a null occurs.
        client: made from the environment, and closed again, where None.
        page_size: records to ask for with each request, from 1 to 100; None is the most.
        max_pages: how many pages the list may have; one that goes on beyond is a PaginationError.
        strict: whether a missing or an unknown field is a SchemaError, instead of counted and warned of.
        progress: whether to show a bar, on stderr or in the notebook.
        signed_urls: "keep", "public" or "omit", as in `scan`.

    Raises:
        ConfigError: an argument is wrong, or there are no credentials.
        ScenarioError: as `Scan.to_batches`.

    >>> from scenario_etl import Client, Emulator, extract_collections
    >>> with Emulator(collections=250) as api, Client("demo", "demo", base_url=api.url) as client:
    ...     extract_collections(client=client).shape
    (250, 10)

    """
    described = scan(
        "collections",
        client=client,
        page_size=page_size,
        max_pages=max_pages,
        strict=strict,
        progress=progress,
        signed_urls=signed_urls,
        project_id=project_id,
    )
    return described.to_pandas(dtype_backend)


def export_collections(
    destination: str | os.PathLike[str],
    *,
    project_id: str | None = None,
    client: Client | None = None,
    page_size: int | None = None,
    max_pages: int = MAX_PAGES,
    strict: bool = False,
    progress: bool = False,
    signed_urls: SignedURLs = "keep",
) -> ScanReport:
    """Write all collections to a Parquet file, which appears whole or not at all, and return the facts of the run.

    The same as `scan("collections", ...).to_parquet(destination)`; see `extract_collections` for the other arguments.

    Raises:
        ConfigError: an argument is wrong, or there are no credentials.
        DestinationError: the file cannot be written, in most cases known before the first request.
        ScenarioError: as `Scan.to_batches`; whatever stood at `destination` is untouched.

    """
    described = scan(
        "collections",
        client=client,
        page_size=page_size,
        max_pages=max_pages,
        strict=strict,
        progress=progress,
        signed_urls=signed_urls,
        project_id=project_id,
    )
    return described.to_parquet(destination)


def _check_suffix(destination: object) -> None:
    """Refuse the name of a file of another kind: it would hold Parquet all the same."""
    name = str(destination)
    stem, suffix = os.path.splitext(name)
    if suffix.lower() not in OTHER_SUFFIXES:
        return
    parquet_name = redact_uri(f"{stem}.parquet")
    convert = OTHER_SUFFIXES[suffix.lower()].format(redact_uri(name))
    how = f": python -c \"import pandas; pandas.read_parquet('{parquet_name}').{convert}\"" if convert else ""
    raise ConfigError(
        f"the file is written as Parquet, but {redact_uri(name)} ends in {suffix}; use {parquet_name}, and convert it"
        f"{how}"
    )


OTHER_SUFFIXES = {
    ".csv": "to_csv('{}', index=False)",
    ".tsv": "to_csv('{}', index=False, sep='\\t')",
    ".json": "to_json('{}', orient='records', date_format='iso')",
    ".jsonl": "to_json('{}', orient='records', date_format='iso', lines=True)",
    ".ndjson": "to_json('{}', orient='records', date_format='iso', lines=True)",
} | dict.fromkeys((".txt", ".xls", ".xlsx", ".arrow", ".feather", ".orc", ".avro", ".pkl", ".html", ".gz", ".zip"), "")


def _gathered(walk: Iterable[Page], least_rows: int, on_page: Callable[[int], None]) -> Iterator[list[Any]]:
    """Yield the records of each page, or of as many pages as have `least_rows` of them, or GATHERED_BYTES, together."""
    records: list[Any] = []
    size = pages = 0
    for page in walk:
        on_page(len(page.records))
        records += page.records
        size += page.size
        pages += 1
        if len(records) >= least_rows or size >= GATHERED_BYTES or pages >= GATHERED_PAGES:
            yield records
            records, size, pages = [], 0, 0
    if records:
        yield records


class _Bar:
    """Shows pages, records and records a second, and while it waits, why and how long."""

    def __init__(self, name: str) -> None:
        from tqdm.auto import tqdm  # noqa: PLC0415 - imported where it is seen only

        self._bar = tqdm(desc=name, unit=" records", dynamic_ncols=True)
        self._pages = 0

    def add_page(self, records: int) -> None:
        self._pages += 1
        with suppress(OSError):  # a stderr that is full or closed ends no run
            self._bar.set_postfix_str(f"{self._pages} pages", refresh=False)
            self._bar.update(records)

    def wait(self, reason: str, seconds: float) -> None:
        with suppress(OSError):
            self._bar.set_postfix_str(f"{self._pages} pages; {reason}, waiting {seconds:.0f} s")

    def close(self) -> None:
        with suppress(OSError):
            self._bar.close()


class _NoBar:
    def add_page(self, records: int) -> None: ...

    def wait(self, reason: str, seconds: float) -> None: ...

    def close(self) -> None: ...


def _progress_bar(name: str, wanted: bool) -> "closing[_Bar | _NoBar]":
    if wanted and sys.stderr:
        with suppress(OSError):
            return closing(_Bar(name))
    return closing(_NoBar())


def _parameters(resource: Resource, filters: dict[str, str | None]) -> dict[str, str]:
    """Return the query for the filters, by the API's own names."""
    unknown = filters.keys() - resource.filters.keys()
    if unknown:
        raise ConfigError(
            f"there is no argument or filter {', '.join(map(repr, sorted(unknown)))}; {resource.name} can be filtered "
            f"by {', '.join(resource.filters)}"
        )
    return {resource.filters[name]: text(name, value) for name, value in filters.items() if value is not None}


def _finished(described: Scan) -> ScanReport:
    assert described.report is not None  # noqa: S101 - asked after the last batch only
    return described.report


def _key_values(report: ScanReport) -> dict[str, object]:
    """Return what the footer of a file says of the run that it came from."""
    from importlib.metadata import version  # noqa: PLC0415 - asked once, at the end of a walk

    return {
        "version": version("scenario-etl"),
        "resource": report.resource,
        "extracted_at": report.extracted_at.isoformat(),
        "rows": report.rows,
        "pages": report.pages,
        "requests": report.requests,
        "retries": report.retries,
        "duplicates": report.duplicates,
        "tokens_sha256": report.tokens_sha256,
        "complete": "true",
    }


def _check_dtype_backend(dtype_backend: str | None) -> None:
    if dtype_backend is not None:
        choice("dtype_backend", dtype_backend, get_args(DtypeBackend))


def _to_pandas(table: pa.Table, dtype_backend: DtypeBackend | None) -> "pd.DataFrame":
    import pandas as pd  # noqa: PLC0415 - 0.4 s that only a DataFrame is worth

    nullable = {pa.int64(): pd.Int64Dtype(), pa.string(): pd.StringDtype()}
    types_mappers = {None: None, "numpy_nullable": nullable.get, "pyarrow": pd.ArrowDtype}
    frame: pd.DataFrame = table.to_pandas(types_mapper=types_mappers[dtype_backend])
    return frame
