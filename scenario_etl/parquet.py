"""Writing and reading Parquet files."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from scenario_etl.errors import ConfigError
from scenario_etl.stores import redact_uri

ROW_GROUP_ROWS = 128 * 1024
ROW_GROUP_BYTES = 32 * 2**20  # of Arrow memory
READ_ROWS = 2048
READ_BUFFER = 2**20  # bytes
OTHER_SUFFIXES = {
    ".csv": "to_csv('{}', index=False)",
    ".tsv": "to_csv('{}', index=False, sep='\\t')",
    ".json": "to_json('{}', orient='records', date_format='iso')",
    ".jsonl": "to_json('{}', orient='records', date_format='iso', lines=True)",
    ".ndjson": "to_json('{}', orient='records', date_format='iso', lines=True)",
} | dict.fromkeys((".txt", ".xls", ".xlsx", ".arrow", ".feather", ".orc", ".avro", ".pkl", ".html", ".gz", ".zip"), "")


class Writer:
    """Writes RecordBatches to a Parquet file; leaving its `with` block without an error finishes it and reads it back.

    The file has zstd compression, row groups of at most 131,072 rows or 32 MiB of Arrow data, dictionaries for
    `dictionary_columns` only, a page index, page checksums and data pages of version 1.0. One row group is held in
    memory at a time.

    Args:
        path: Path of the file; an existing file is overwritten.
        schema: Schema of the file and of every batch.
        dictionary_columns: Names of the columns that are dictionary-encoded.

    Attributes:
        rows: Number of rows so far.
        metadata: Key-value pairs for the footer; set it before the end of the block.

    Raises:
        OSError: The file cannot be written, or its content differs when it is read back.

    """

    def __init__(self, path: Path, schema: pa.Schema, dictionary_columns: Sequence[str] = ()) -> None:
        self.rows = 0
        self.metadata: Mapping[str, object] = {}
        self._path = path
        self._schema = schema
        self._group: list[pa.RecordBatch] = []
        self._group_rows = self._group_bytes = 0
        self._writer = pq.ParquetWriter(
            path,
            schema,
            compression="zstd",
            use_dictionary=list(dictionary_columns),
            data_page_version="1.0",
            write_page_index=True,
            write_page_checksum=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        with self._writer:
            if kind is None:
                self._write_group()
                self._writer.add_key_value_metadata({name: str(value) for name, value in self.metadata.items()})
        if kind is None:
            _read_back(self._path, self.rows)

    def write(self, batch: pa.RecordBatch) -> None:
        """Add the rows of a batch; batches of a few thousand rows need the least memory."""
        step = max(1, min(ROW_GROUP_ROWS, batch.num_rows * ROW_GROUP_BYTES // max(batch.nbytes, 1)))
        for start in range(0, batch.num_rows, step):
            part = batch.slice(start, step)
            rows, size = self._group_rows + part.num_rows, self._group_bytes + part.nbytes
            if rows > ROW_GROUP_ROWS or size > ROW_GROUP_BYTES:
                self._write_group()
            self._group.append(part)
            self._group_rows += part.num_rows
            self._group_bytes += part.nbytes
            self.rows += part.num_rows

    def _write_group(self) -> None:
        if self._group:
            self._writer.write_table(pa.Table.from_batches(self._group, schema=self._schema), self._group_rows)
        self._group, self._group_rows, self._group_bytes = [], 0, 0


def check_suffix(destination: object) -> None:
    """Raise ConfigError if a path has the suffix of a different format, as the file would still be Parquet."""
    name = str(destination)
    stem, suffix = os.path.splitext(name)
    if suffix.lower() not in OTHER_SUFFIXES:
        return
    if stem.lower().endswith(".parquet") and suffix.lower() in {".gz", ".zip"}:
        raise ConfigError(f"a Parquet file is already compressed, got {redact_uri(name)}; export to {redact_uri(stem)}")
    parquet_name = redact_uri(f"{stem}.parquet")
    convert = OTHER_SUFFIXES[suffix.lower()].format(redact_uri(name))
    # not pandas.read_parquet: Arrow's threads would hold a Python file, and may abort Python while it exits
    read = f"import pyarrow.parquet as pq; pq.read_table('{parquet_name}').to_pandas()"
    how = f': python -c "{read}.{convert}"' if convert else ""
    raise ConfigError(
        f"only Parquet is supported, got {redact_uri(name)}; export to {parquet_name}, and convert that file{how}"
    )


def open_parquet(source: Any) -> pq.ParquetFile:
    """Open a Parquet file, given its path or a file object of pyarrow, so that reading needs little memory.

    It is read through a small buffer and without read-ahead; by default, pyarrow holds the whole file in memory.
    """
    try:
        return pq.ParquetFile(source, page_checksum_verification=True, buffer_size=READ_BUFFER, pre_buffer=False)
    except UnicodeDecodeError as error:
        raise pa.ArrowInvalid("the name of a column is not UTF-8") from error


def key_values(file: pq.ParquetFile) -> dict[str, str]:
    """Return the key-value metadata in the footer of a Parquet file, without that of Arrow and pandas."""
    pairs = file.metadata.metadata or {}
    own = {key: value for key, value in pairs.items() if key not in {b"ARROW:schema", b"pandas"}}
    return {key.decode("utf-8", "replace"): value.decode("utf-8", "replace") for key, value in own.items()}


def _read_back(path: Path, rows: int) -> None:
    try:
        with open_parquet(path) as file:
            found = sum(batch.num_rows for batch in file.iter_batches(READ_ROWS, use_threads=False))
    except (OSError, pa.ArrowException) as error:
        raise OSError(None, f"the file cannot be read back after writing ({error}); check the disk") from error
    if found != rows:
        raise OSError(None, f"wrote {rows} rows, but read back {found}; check the disk")
