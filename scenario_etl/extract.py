"""The public functions that read a list, as a DataFrame, Arrow data or Parquet; and Scan, which describes how."""

import os
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal, get_args

import pyarrow as pa

from scenario_etl import parquet
from scenario_etl.arguments import choice, flag, instance, whole_number
from scenario_etl.client import MAX_PAGES, Client
from scenario_etl.errors import ConfigError
from scenario_etl.filters import query_for
from scenario_etl.publish import atomic_write
from scenario_etl.resources import resource_of
from scenario_etl.run import BATCH_ROWS, Run, RunOptions, ScanReport, connected, footer_of, scope_of
from scenario_etl.schema import Resource
from scenario_etl.signed_urls import SignedURLs, check_form
from scenario_etl.stores import expanded, redact_uri

if TYPE_CHECKING:
    import pandas as pd

DtypeBackend = Literal["pyarrow", "numpy_nullable"]


@dataclass(frozen=True, slots=True)
class Scan:
    """A lazy scan of a resource. No request is sent until it is used; each use starts a new run.

    Any library that takes Arrow streams takes a Scan as it is: DuckDB, Polars, pandas 3, ADBC, Delta. A Scan without a
    client can be pickled; it takes its credentials from the environment where it is used.

    Attributes:
        resource: the list.
        query: the filters, by the API's own names.
        options: how to read.
        client: client to use; None creates one from the environment for each use.

    >>> from scenario_etl import Client, Emulator, scan
    >>> with Emulator(collections=250) as api, Client("demo", "demo", base_url=api.url) as client:
    ...     scan("collections", client=client).to_arrow().num_rows
    250

    """

    resource: Resource
    query: Mapping[str, str] = field(hash=False)
    options: RunOptions
    client: Client | None = None
    _reports: list[ScanReport] = field(default_factory=list, init=False, compare=False)

    def __repr__(self) -> str:
        return f"<scenario_etl.Scan of {self.resource.name} {self.query or ''}".rstrip() + ">"

    def __reduce__(self) -> tuple[Any, ...]:
        return Scan, (self.resource, self.query, self.options, self.client)

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of every result, known before any request."""
        return self.resource.schema

    @property
    def report(self) -> ScanReport | None:
        """The report of the last run that was completed, None before."""
        return self._reports[-1] if self._reports else None

    def to_batches(self) -> Iterator[pa.RecordBatch]:
        """Yield one RecordBatch for each page, as they arrive.

        The result is complete only once the iterator has ended without an error.

        Raises:
            ConfigError: there are no credentials.
            APIError: or a subclass (TransientError, AuthError): a page could not be read.
            PaginationError: the listing does not end.
            SchemaError: a value does not fit its column.

        """
        return self._batches(0)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Export a new run as an Arrow C stream (Arrow PyCapsule interface); errors keep their text."""
        return pa.RecordBatchReader.from_batches(self.schema, self.to_batches()).__arrow_c_stream__(requested_schema)

    def to_arrow(self) -> pa.Table:
        """Return the whole list as a pyarrow.Table. Raises what `to_batches` raises."""
        return pa.Table.from_batches(list(self._batches(BATCH_ROWS)), schema=self.schema).combine_chunks()

    def to_pandas(self, dtype_backend: DtypeBackend | None = None) -> "pd.DataFrame":
        """Return the whole list as a DataFrame. Raises what `to_batches` raises.

        Args:
            dtype_backend: as in pandas; by default the columns are `str` (`object` in pandas 2), `Int64` and
                `datetime64[us, UTC]`, whether or not a null occurs.

        """
        if dtype_backend is not None:
            choice("dtype_backend", dtype_backend, get_args(DtypeBackend))
        return _to_pandas(self.to_arrow(), dtype_backend)

    def head(self, rows: int = 5) -> "pd.DataFrame":
        """Return the first rows as a DataFrame, with as few requests as possible. Raises what `to_batches` raises.

        `report` stays as it was, because the list was not read to its end.
        """
        batches = self._first(whole_number("rows", rows, 0))
        return _to_pandas(pa.Table.from_batches(batches, schema=self.schema), None)

    def to_parquet(self, destination: str | os.PathLike[str]) -> ScanReport:
        """Write the whole list to a Parquet file, which is written atomically.

        Raises:
            DestinationError: the file cannot be written, in most cases known before the first request.
            ScenarioError: as `to_batches`; an earlier file at `destination` is untouched.

        """
        started = monotonic()
        parquet.check_suffix(destination)
        with connected(self.client) as client, atomic_write(destination, deadline=client.deadline) as path:
            report = self._write(path, client)
        report = replace(report, path=redact_uri(expanded(destination)), seconds=round(monotonic() - started, 3))
        return self._finished(report)

    def _batches(self, min_rows: int) -> Iterator[pa.RecordBatch]:
        with connected(self.client) as client:
            run = Run(client, self.resource, self.query, self.options)
            yield from run.batches(min_rows)
        self._finished(run.report())

    def _write(self, path: Path, client: Client) -> ScanReport:
        run = Run(client, self.resource, self.query, self.options)
        with parquet.Writer(path, self.schema, self.resource.dictionary_columns) as writer:
            for batch in run.batches(BATCH_ROWS):
                writer.write(batch)
            report = run.report()
            writer.metadata = footer_of(report, scope_of(client, self.query))
        return replace(report, bytes=path.stat().st_size)

    def _first(self, rows: int) -> list[pa.RecordBatch]:
        found: list[pa.RecordBatch] = []
        options = self.options
        if options.page_size is not None and self.resource.page_sizes:
            options = replace(options, page_size=max(self.resource.page_sizes[0], min(rows, options.page_size)))
        with connected(self.client) as client:
            run = Run(client, self.resource, self.query, options)
            with closing(run.batches()) as batches:
                while rows > 0 and (batch := next(batches, None)) is not None:
                    found.append(batch.slice(0, min(rows, batch.num_rows)))
                    rows -= batch.num_rows
        return found

    def _finished(self, report: ScanReport) -> ScanReport:
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
    **filters: str | None,
) -> Scan:
    """Return a Scan of a list of the API; nothing is requested yet.

    Args:
        resource: the name of the list, such as "collections".
        client: client to use; None creates one from the environment for each use, and closes it.
        page_size: records per request; None is the largest that the list allows.
        max_pages: the maximum number of pages; a listing with more is a PaginationError.
        strict: whether a missing or an unknown field is a SchemaError, instead of a warning.
        progress: whether to show a progress bar, on stderr or in the notebook.
        signed_urls: "keep" leaves signed URLs as the API returns them; "public" replaces them with their permanent
            unsigned form where there is one; "omit" with null.
        filters: that the list declares; for collections `project_id`.

    Raises:
        ConfigError: an argument is not valid.

    """
    declared = resource_of(resource)
    if client is not None:
        instance("client", client, Client)
    options = RunOptions(
        page_size=_page_size(declared, page_size),
        max_pages=whole_number("max_pages", max_pages, 1),
        strict=flag("strict", strict),
        progress=flag("progress", progress),
        signed_urls=check_form(signed_urls),
    )
    return Scan(declared, query_for(declared.name, declared.filters, filters), options, client)


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
        project_id: only collections of this project; None is the project of the key.
        dtype_backend: "pyarrow" or "numpy_nullable", as in pandas; by default the columns are `str` (`object` in
            pandas 2), `Int64` and `datetime64[us, UTC]`, whether or not a null occurs.
        client: client to use; None creates one from the environment, and closes it.
        page_size: records per request, from 1 to 100; None is 100.
        max_pages: the maximum number of pages; a listing with more is a PaginationError.
        strict: whether a missing or an unknown field is a SchemaError, instead of a warning.
        progress: whether to show a progress bar, on stderr or in the notebook.
        signed_urls: "keep", "public" or "omit", as in `scan`.

    Raises:
        ConfigError: an argument is not valid, or there are no credentials.
        ScenarioError: as `Scan.to_batches`.

    >>> from scenario_etl import Client, Emulator, extract_collections
    >>> with Emulator(collections=250) as api, Client("demo", "demo", base_url=api.url) as client:
    ...     extract_collections(client=client).shape
    (250, 10)

    """
    collections = scan(
        "collections",
        client=client,
        page_size=page_size,
        max_pages=max_pages,
        strict=strict,
        progress=progress,
        signed_urls=signed_urls,
        project_id=project_id,
    )
    return collections.to_pandas(dtype_backend)


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
    """Write all collections to a Parquet file, which is written atomically, and return the report of the run.

    The same as `scan("collections", ...).to_parquet(destination)`; see `extract_collections` for the other arguments.

    Raises:
        ConfigError: an argument is not valid, or there are no credentials.
        DestinationError: the file cannot be written, in most cases known before the first request.
        ScenarioError: as `Scan.to_batches`; an earlier file at `destination` is untouched.

    """
    collections = scan(
        "collections",
        client=client,
        page_size=page_size,
        max_pages=max_pages,
        strict=strict,
        progress=progress,
        signed_urls=signed_urls,
        project_id=project_id,
    )
    return collections.to_parquet(destination)


def _page_size(resource: Resource, page_size: int | None) -> int | None:
    """Return the page size to request: the largest by default, None for a list without pages."""
    if resource.page_sizes is None:
        if page_size is not None:
            raise ConfigError(f"{resource.name} has no pages: leave page_size out, got {page_size}")
        return None
    smallest, largest = resource.page_sizes
    return largest if page_size is None else whole_number("page_size", page_size, smallest, largest)


def _to_pandas(table: pa.Table, dtype_backend: DtypeBackend | None) -> "pd.DataFrame":
    import pandas as pd  # noqa: PLC0415 - 0.4 s that only a DataFrame is worth

    nullable = {
        pa.int64(): pd.Int64Dtype(), pa.float64(): pd.Float64Dtype(), pa.bool_(): pd.BooleanDtype(),
        pa.string(): pd.StringDtype(),
    }  # fmt: skip
    types_mappers = {None: None, "numpy_nullable": nullable.get, "pyarrow": pd.ArrowDtype}
    frame: pd.DataFrame = table.to_pandas(types_mapper=types_mappers[dtype_backend])
    return frame
