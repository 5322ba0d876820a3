"""One Parquet file of a lake, read as columns of a declared schema."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from scenario_etl import parquet
from scenario_etl.errors import DestinationError, SchemaError, TransientError
from scenario_etl.redact import redact
from scenario_etl.schema import Resource, with_pandas_types
from scenario_etl.stores import build_error

RESTORE = "restore the file, or remove its folder"


def call_directly(function: Callable[[], Any]) -> Any:
    """Call a function once, as for a file on a local disk."""
    return function()


Call = Callable[[Callable[[], Any]], Any]


class LakeFileNotFoundError(TransientError):
    """A file of a lake no longer exists."""


class LakeFile:
    """One Parquet file of a lake, read as columns of a declared schema. Every error names the file.

    Attributes:
        uri: Path or URI of the file, without credentials.
        rows: Number of rows.
        footer: Metadata of this package in the footer, without the prefix `scenario_etl.`; empty if another program has
            rewritten the file.

    """

    def __init__(
        self,
        uri: str,
        file: pq.ParquetFile,
        schema: pa.Schema,
        call: Callable[[Callable[[], Any]], Any] = call_directly,
    ) -> None:
        self.uri = uri
        self.rows: int = file.metadata.num_rows
        self.footer = {
            name.removeprefix("scenario_etl."): value
            for name, value in parquet.key_values(file).items()
            if name.startswith("scenario_etl.")
        }
        if self.footer.get("rows", str(self.rows)) != str(self.rows):  # rewritten by a program that keeps footers
            self.footer = {}
        self._file = file
        self._schema = schema
        self._call = call

    @property
    def run_id(self) -> str:
        """The id of the run, which is in both of its files; "" without a footer."""
        return self.footer.get("run_id") or self.footer.get("extracted_at", "")

    def has(self, name: str) -> bool:
        """Return whether the file has a column."""
        return name in self._file.schema_arrow.names

    def column(self, name: str) -> pa.ChunkedArray:
        """Return a column of the schema in its declared type."""
        with read_errors(self.uri):
            rows = self._call(partial(self._file.read, columns=[name], use_threads=False))
        return self._cast(rows, name)

    def chunks(self, name: str) -> Iterator[pa.ChunkedArray]:
        """Yield a column of the schema in its declared type, one row group at a time to save memory."""
        for group in range(self._file.num_row_groups):
            with read_errors(self.uri):
                rows = self._call(partial(self._file.read_row_group, group, columns=[name], use_threads=False))
            yield self._cast(rows, name)

    def total(self, name: str) -> int | None:
        """Return the exact sum of an integer column, None if it has rows but no values."""
        import pyarrow.compute as pc  # noqa: PLC0415 - takes 30 ms, and only a sum needs it

        values = self.column(name)
        total = pc.sum(values.cast(pa.decimal128(38, 0)), min_count=min(1, self.rows)).as_py()
        return None if total is None else int(total)

    def table(self, names: Iterable[str] | None = None) -> pa.Table:
        """Return all rows, with all columns of the schema or the given ones; columns that the file lacks are null."""
        with read_errors(self.uri):
            columns = self._schema.names if names is None else list(names)
            rows = self._call(partial(self._file.read, columns=columns, use_threads=False))
        return self._in_schema(rows, with_pandas_types(map(self._schema.field, columns)))

    def row_groups(self, mask: Any) -> Iterator[tuple[int, pa.Table]]:
        """Yield each row group with a row in the mask, as the position of its first row and a table.

        The mask is a numpy array with one boolean per row of the file.
        """
        start = 0
        for group in range(self._file.num_row_groups):
            rows = self._file.metadata.row_group(group).num_rows
            if mask[start : start + rows].any():
                with read_errors(self.uri):
                    table = self._call(partial(self._file.read_row_group, group, use_threads=False))
                yield start, self._in_schema(table, self._schema)
            start += rows

    def _in_schema(self, rows: pa.Table, schema: pa.Schema) -> pa.Table:
        columns = [
            self._cast(rows, each.name)
            if each.name in rows.column_names or not each.nullable
            else pa.nulls(rows.num_rows, each.type)
            for each in schema
        ]
        return pa.table(columns, schema=schema)

    def _cast(self, rows: pa.Table, name: str) -> pa.ChunkedArray:
        """Return a column, cast to its declared type; pandas, for example, writes large_string for string."""
        expected = self._schema.field(name)
        if (count := rows.column_names.count(name)) != 1:
            raise SchemaError(f"{self.uri} must have one column {name}, got {count}; {RESTORE}")
        column = rows[name]
        try:
            typed = column if column.type == expected.type else column.cast(expected.type)
        except pa.ArrowException as error:
            raise SchemaError(
                f"{self.uri}: column {name} has type {column.type}, which cannot be converted to {expected.type} "
                f"({redact(str(error))}); {RESTORE}"
            ) from error
        if not self.footer:
            _check_text(self.uri, typed)
        if typed.null_count and not expected.nullable:
            raise SchemaError(f"{self.uri}: column {name} has nulls; {RESTORE}")
        return typed


@contextmanager
def open_snapshot(path: Path, resource: Resource) -> Iterator[LakeFile]:
    """Open a snapshot that is not published yet."""
    with parquet.open_parquet(path) as file:
        yield LakeFile(str(path), file, resource.schema)


@contextmanager
def read_errors(uri: str) -> Iterator[None]:
    """Convert the errors of reading a file or folder to errors with its URI and advice.

    Raises:
        LakeFileNotFoundError: The file no longer exists.
        DestinationError: The file or folder cannot be read.
        TransientError: The object store is unavailable.

    """
    try:
        yield
    except FileNotFoundError as error:
        raise LakeFileNotFoundError(
            f"{uri} no longer exists; another run may have removed it; run again later"
        ) from error
    except (OSError, pa.ArrowException) as error:
        if isinstance(error, NotADirectoryError):
            raise DestinationError(
                f"cannot read {uri}: a part of its path is a file; specify the folder of the lake"
            ) from error
        is_denied = isinstance(error, PermissionError) or "ACCESS_DENIED" in str(error)
        advice = "; check the permissions" if is_denied else "; check the path, and restore the file if it is damaged"
        raise build_error(uri, f"cannot read {uri}: {redact(str(error), 200).rstrip('.')}", error, advice) from error


def _check_text(uri: str, column: pa.ChunkedArray) -> None:
    """Raise SchemaError if another program has written text that is not UTF-8."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid as error:
        raise SchemaError(f"{uri} is not valid: {redact(str(error))}; {RESTORE}") from error
