"""The class Scan: a resource that is read in different forms when it is used."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal, get_args

import pyarrow as pa

from scenario_etl import parquet
from scenario_etl.arguments import check_choice, check_integer, check_number, check_type
from scenario_etl.client import Client
from scenario_etl.parts import MAX_RESUME_WITHIN, RESUME_WITHIN, remove_parts, temporary_parts
from scenario_etl.polars_source import lazy_frame
from scenario_etl.publish import atomic_write
from scenario_etl.run import BATCH_ROWS, ScanReport, client_or_default
from scenario_etl.source import Source, first_batches, parts_folder, write_parquet
from scenario_etl.stores import expand_user, redact_uri

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

DtypeBackend = Literal["pyarrow", "numpy_nullable"]


@dataclass(frozen=True, slots=True)
class Scan:
    """A lazy scan of a resource. No request is sent until it is used; each use starts a new run.

    Libraries that accept Arrow streams, such as DuckDB, Polars, pandas 3, ADBC and Delta, can read a Scan directly. A
    Scan without a client can be pickled; it uses the credentials of the environment in which it runs.

    Attributes:
        source: Resource, filters and options.
        client: Client to use; None creates one from the environment for each use.

    >>> from scenario_etl import Client, Emulator, scan
    >>> with Emulator(collections=250) as api, Client("demo", "demo", base_url=api.url) as client:
    ...     scan("collections", client=client).to_arrow().num_rows
    250

    """

    source: Source
    client: Client | None = None
    _reports: list[ScanReport] = field(default_factory=list, init=False, compare=False)

    def __repr__(self) -> str:
        return f"<scenario_etl.Scan of {self.source}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return Scan, (self.source, self.client)

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of every result, known before the first request."""
        return self.source.resource.schema

    @property
    def report(self) -> ScanReport | None:
        """The report of the last completed run, None before the first."""
        return self._reports[-1] if self._reports else None

    def to_batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows as RecordBatches.

        There is one per page, as each page arrives. With several projects or windows, there is one for up to about
        2,000 rows, when the project or window has been read completely; these are stored in temporary files. The result
        is only complete when the iterator has ended without an error.

        Raises:
            ConfigError: There are no credentials.
            APIError: A page could not be read; TransientError and AuthError are subclasses.
            PaginationError: Pagination did not finish.
            SchemaError: A value does not fit its column.
            DestinationError: A temporary file cannot be written; only with several projects or windows.

        """
        return _read(self.source, self.client, self._reports)

    def __arrow_c_schema__(self) -> object:
        """Export the schema (Arrow PyCapsule interface). This does not send a request."""
        return self.schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Export a new run as an Arrow C stream (Arrow PyCapsule interface).

        Only the message of an error is preserved.
        """
        return pa.RecordBatchReader.from_batches(self.schema, self.to_batches()).__arrow_c_stream__(requested_schema)

    def to_arrow(self) -> pa.Table:
        """Return all rows as a pyarrow.Table. Raises the errors of `to_batches`."""
        batches = list(_read(self.source, self.client, self._reports, min_rows=BATCH_ROWS))
        return pa.Table.from_batches(batches, schema=self.schema).combine_chunks()

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
        check_integer("rows", rows, 0)
        batches = _read(self.source, self.client, self._reports, max_rows=rows)
        return _to_pandas(pa.Table.from_batches(batches, schema=self.schema), None)

    def to_polars(self) -> "pl.LazyFrame":
        """Return a polars.LazyFrame, which reads the list each time it is collected.

        `limit` requests only the first rows. Bounds on `created_at` and `updated_at` in a filter, such as
        `polars.col("created_at") >= polars.datetime(2026, 11, 1, time_zone="UTC")`, are sent to the API if the list has
        these filters and they can be used with those of the Scan; the rows are then in the order of that date.
        Collecting raises the errors of `to_batches`; Polars 1 may raise ComputeError with the message instead.

        Raises:
            ConfigError: Polars is not installed, or it is older than 1.30.

        """
        return lazy_frame(self.source, lambda source, rows: _read(source, self.client, self._reports, max_rows=rows))

    def partitions(self, count: int) -> list["Scan"]:
        """Return at most `count` independent Scans without a client, which together have the rows of this one.

        A partition has some of the projects. If there are more partitions than projects and the resource has filters by
        date of creation, partitions are windows of dates with about the same number of records. For that, some pages
        are requested, and records that are created later are not included.

        Raises:
            ConfigError: `count` is not a positive integer, there are no credentials, or this Scan is itself a partition
                by date.
            APIError: A request failed; TransientError and AuthError are subclasses.
            PaginationError: The projects cannot be listed.
            SchemaError: A project has no id.

        """
        check_integer("count", count, 1)
        with client_or_default(self.client) as client:
            return [Scan(source) for source in self.source.partitions(client, count)]

    def with_client(self, client: Client) -> "Scan":
        """Return a copy of this Scan that uses a client, for example after unpickling a partition.

        Raises:
            ConfigError: `client` is not a Client.

        """
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
            resume_within: Maximum age in seconds of the finished parts of an earlier run, at most 604,800 (7 days); 0
                to keep and use none.

        Raises:
            ConfigError: The destination is not a valid path or URI, or has the suffix of a different format.
            DestinationError: The file cannot be written; in most cases, this is raised before the first request.
            TransientError: The object store is unavailable.

        """
        started = monotonic()
        parquet.check_suffix(destination)
        check_number("resume_within", resume_within, 0, MAX_RESUME_WITHIN)
        with (
            client_or_default(self.client) as client,
            atomic_write(destination, deadline=client.deadline) as path,
            self.source.parts(client, destination, resume_within) as store,
        ):
            report = write_parquet(path, self.source, client, store)
        remove_parts(parts_folder(destination))
        report = replace(report, path=redact_uri(expand_user(destination)), seconds=round(monotonic() - started, 3))
        self._reports[:] = [report]
        return report


def _read(
    source: Source, client: Client | None, reports: list[ScanReport], *, min_rows: int = 0, max_rows: int | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield all rows in batches of at least `min_rows`, and store the report; or yield the first `max_rows`."""
    with client_or_default(client) as used_client, temporary_parts() as store:
        if max_rows is not None:
            yield from first_batches(source, used_client, max_rows)
            return
        run = source.run(used_client, store)
        yield from run.batches(min_rows)
    reports[:] = [run.report()]


def _to_pandas(table: pa.Table, dtype_backend: DtypeBackend | None) -> "pd.DataFrame":
    import pandas as pd  # noqa: PLC0415 - takes 0.4 s, and only a DataFrame needs it

    nullable = {
        pa.int64(): pd.Int64Dtype(), pa.float64(): pd.Float64Dtype(), pa.bool_(): pd.BooleanDtype(),
        pa.string(): pd.StringDtype(),
    }  # fmt: skip
    types_mappers = {None: None, "numpy_nullable": nullable.get, "pyarrow": pd.ArrowDtype}
    frame: pd.DataFrame = table.to_pandas(types_mapper=types_mappers[dtype_backend])
    return frame
