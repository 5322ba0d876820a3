"""RecordBatches -> the bytes of one Parquet file, and reading it back."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP_ROWS = 128 * 1024
ROW_GROUP_BYTES = 32 * 2**20  # of Arrow memory
READ_ROWS = 2048
READ_BUFFER = 2**20  # bytes


def write(
    path: Path,
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    *,
    dictionary_columns: Sequence[str] = (),
    key_values: Callable[[], Mapping[str, str]] = dict,
) -> None:
    """Write batches to a Parquet file, then read it back.

    The file has zstd compression, row groups of at most 131,072 rows or 32 MB of Arrow, dictionaries for
    `dictionary_columns` only, a page index, page checksums and data pages of version 1.0. One row group is held in
    memory at a time.

    Args:
        path: of the file to write; what is there is lost.
        schema: of the file and of every batch.
        batches: in the order of the rows; of some thousands each, as many small buffers cost half as much memory again.
        dictionary_columns: the names of the columns with few values.
        key_values: asked after the last batch; stored in the footer.

    Raises:
        OSError: the file could not be written, or what was read back is not what was written.

    """
    rows = 0
    with pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        use_dictionary=list(dictionary_columns),
        data_page_version="1.0",
        write_page_index=True,
        write_page_checksum=True,
    ) as writer:
        for group in _row_groups(schema, batches):
            writer.write_table(group, row_group_size=max(1, group.num_rows))
            rows += group.num_rows
        writer.add_key_value_metadata(dict(key_values()))
    _read_back(path, rows)


def opened(source: Any) -> pq.ParquetFile:
    """Open a Parquet file, given its path or a file of pyarrow, so that reading holds as little memory as it can.

    It is read through a small buffer, and nothing ahead: by default pyarrow holds the whole file in memory.
    """
    return pq.ParquetFile(source, page_checksum_verification=True, buffer_size=READ_BUFFER, pre_buffer=False)


def key_values(file: pq.ParquetFile) -> dict[str, str]:
    """Return the key-value pairs in a Parquet file's footer, without those of Arrow and pandas."""
    pairs = file.metadata.metadata or {}
    own = {key: value for key, value in pairs.items() if key not in {b"ARROW:schema", b"pandas"}}
    return {key.decode("utf-8", "replace"): value.decode("utf-8", "replace") for key, value in own.items()}


def _row_groups(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Gather batches into tables of one row group each."""
    group: list[pa.RecordBatch] = []
    rows = size = 0
    for part in chain.from_iterable(map(_parts, batches)):
        part_size = part.nbytes
        if rows and (rows + part.num_rows > ROW_GROUP_ROWS or size + part_size > ROW_GROUP_BYTES):
            yield pa.Table.from_batches(group, schema=schema)
            group, rows, size = [], 0, 0
        group.append(part)
        rows, size = rows + part.num_rows, size + part_size
    if rows:
        yield pa.Table.from_batches(group, schema=schema)


def _parts(batch: pa.RecordBatch) -> list[pa.RecordBatch]:
    """Cut a batch that is larger than a row group; a page never is, the rows of a snapshot may be."""
    if batch.num_rows <= ROW_GROUP_ROWS:
        return [batch]
    return [batch.slice(start, ROW_GROUP_ROWS) for start in range(0, batch.num_rows, ROW_GROUP_ROWS)]


def _read_back(path: Path, rows: int) -> None:
    try:
        with opened(path) as file:
            found = sum(batch.num_rows for batch in file.iter_batches(READ_ROWS, use_threads=False))
    except (OSError, pa.ArrowException) as error:
        raise OSError(None, f"what was written cannot be read back ({error}); check the disk") from error
    if found != rows:
        raise OSError(None, f"{rows} rows were written, but {found} read back; check the disk")
