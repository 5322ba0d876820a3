from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenario_etl import parquet

SCHEMA = pa.schema([("id", pa.string()), ("owner", pa.string())])


def batch(rows: int, start: int = 0, text: str = "") -> pa.RecordBatch:
    return pa.record_batch([[f"{text}{start + i}" for i in range(rows)], ["o"] * rows], schema=SCHEMA)


def write(path: Path, *batches: pa.RecordBatch, metadata: dict | None = None) -> pq.FileMetaData:
    with parquet.Writer(path, SCHEMA, ["owner"]) as writer:
        for each in batches:
            writer.write(each)
        writer.metadata = metadata or {}
    return pq.read_metadata(path)


def test_the_file_is_written_as_promised(tmp_path: Path) -> None:
    metadata = write(tmp_path / "x", *[batch(100, 100 * i) for i in range(50)], metadata={"a": "b"})
    columns = [metadata.row_group(0).column(i) for i in range(2)]
    assert metadata.num_row_groups == 1
    assert {column.compression for column in columns} == {"ZSTD"}
    assert [column.has_dictionary_page for column in columns] == [False, True]
    assert all(column.has_offset_index and column.has_column_index for column in columns)
    assert parquet.key_values(parquet.open_parquet(tmp_path / "x")) == {"a": "b"}
    assert pq.read_table(tmp_path / "x")["id"].to_pylist() == [str(i) for i in range(5000)]


@given(st.lists(st.integers(0, 9000), max_size=6))
def test_any_sizes_of_batches_are_the_same_rows_in_order(tmp_path_factory, sizes) -> None:
    path = tmp_path_factory.mktemp("any") / "x"
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    write(path, *[batch(size, start) for size, start in zip(sizes, starts, strict=True)])
    assert pq.read_table(path)["id"].to_pylist() == [str(i) for i in range(sum(sizes))]


def test_row_groups_end_at_128k_rows(tmp_path: Path) -> None:
    metadata = write(tmp_path / "x", batch(100_000), batch(100_000, 100_000), batch(300_000, 200_000))
    sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    assert sum(sizes) == 500_000
    assert max(sizes) <= 128 * 1024


def test_row_groups_end_at_32_megabytes(tmp_path: Path) -> None:
    metadata = write(tmp_path / "x", *[batch(100, 100 * i, "x" * 10_000) for i in range(100)])
    assert metadata.num_row_groups == 4


def test_a_batch_of_more_than_32_megabytes_becomes_several_row_groups(tmp_path: Path) -> None:
    metadata = write(tmp_path / "x", batch(10_000, text="x" * 10_000))
    sizes = [metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups)]
    assert metadata.num_rows == 10_000
    assert max(sizes) <= 1.01 * parquet.ROW_GROUP_BYTES  # a page has a header, and a text its length


def test_no_rows_are_a_file_with_the_schema(tmp_path: Path) -> None:
    assert write(tmp_path / "x").num_rows == 0
    assert pq.read_schema(tmp_path / "x").equals(SCHEMA)


def test_the_metadata_may_be_set_after_the_last_batch(tmp_path: Path) -> None:
    with parquet.Writer(tmp_path / "x", SCHEMA) as writer:
        writer.write(batch(3))
        writer.metadata = {"rows": writer.rows}
    assert parquet.key_values(parquet.open_parquet(tmp_path / "x")) == {"rows": "3"}


def test_a_file_that_reads_back_damaged_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "x"
    write(path, batch(5000, text="some text "))
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    with pytest.raises(OSError, match="the file cannot be read back after writing"):
        parquet._read_back(path, 5000)


def test_a_file_with_fewer_rows_than_written_is_an_error(tmp_path: Path) -> None:
    write(tmp_path / "x", batch(5))
    with pytest.raises(OSError, match="wrote 6 rows, but read back 5"):
        parquet._read_back(tmp_path / "x", 6)


def test_what_a_bad_disk_does_to_the_file_while_it_is_written_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "x"

    def damaged() -> None:
        with parquet.Writer(path, SCHEMA) as writer:
            for number in range(3):
                writer.write(batch(100_000, 100_000 * number))  # the first row group is on the disk by now
            with path.open("r+b") as file:
                file.seek(1000)
                file.write(b"?")

    with pytest.raises(OSError, match="the file cannot be read back after writing"):
        damaged()


def test_a_file_with_a_damaged_footer_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "x"
    write(path, batch(5))
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(OSError, match="the file cannot be read back after writing"):
        parquet._read_back(path, 5)
