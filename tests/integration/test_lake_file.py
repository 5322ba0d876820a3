from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scenario_etl import history, read_snapshot
from scenario_etl.errors import DestinationError, SchemaError
from scenario_etl.resources import COLLECTIONS
from tests.helpers import record
from tests.lakes import API, DAYS, changes_on, path_of, take


def test_the_footer_of_a_file_that_was_rewritten_is_ignored(lake: Path) -> None:
    take(lake, DAYS[0], record(id="c1"), record(id="c2"))
    path = path_of(lake, DAYS[0])
    table = pq.ParquetFile(path).read()
    assert b"scenario_etl.run_id" in table.schema.metadata
    pq.write_table(pa.concat_tables([table, table.slice(0, 1)]), path)
    with pytest.raises(SchemaError, match="1 duplicate keys"):
        take(lake, DAYS[1], record(id="c1"), record(id="c2"))


def test_text_that_is_not_utf_8_is_named_with_its_path(lake: Path) -> None:
    take(lake, DAYS[0], record(id="c1"), record(id="c2"))
    table = pq.read_table(path_of(lake, DAYS[0]))
    names = pa.array([b"a\xff", b"b"], pa.binary()).view(pa.string())
    pq.write_table(table.set_column(1, "name", names).replace_schema_metadata(), path_of(lake, DAYS[0]))
    with pytest.raises(SchemaError, match=r"part-0\.parquet is not valid: .*UTF8"):
        read_snapshot(lake, "collections")


def test_text_that_is_not_utf_8_is_not_copied_into_the_changes(lake: Path) -> None:
    take(lake, DAYS[0], record(id="c1"), record(id="c2"))
    table = pq.read_table(path_of(lake, DAYS[0]))
    names = pa.array([b"a\xff", b"b"], pa.binary()).view(pa.string())
    pq.write_table(table.set_column(1, "name", names).replace_schema_metadata(), path_of(lake, DAYS[0]))
    with pytest.raises(SchemaError, match=r"part-0\.parquet is not valid: .*UTF8"):
        take(lake, DAYS[1], record(id="c1", name="new"))


def test_duplicate_keys_are_noticed_in_a_file_that_kept_its_footer(lake: Path) -> None:
    take(lake, DAYS[0], record(id="c1"), record(id="c2"))
    table = pq.ParquetFile(path_of(lake, DAYS[0])).read()
    pq.write_table(pa.concat_tables([table.slice(0, 1), table.slice(0, 1)]), path_of(lake, DAYS[0]))
    assert b"scenario_etl.run_id" in pq.read_schema(path_of(lake, DAYS[0])).metadata
    with pytest.raises(SchemaError, match="1 duplicate keys"):
        take(lake, DAYS[1], record(id="c1"), record(id="c2"))


def test_a_file_without_its_primary_key_cannot_be_read(lake: Path) -> None:
    take(lake, DAYS[0], record(id="c1"))
    table = pq.ParquetFile(path_of(lake, DAYS[0])).read()
    pq.write_table(table.rename_columns(["ie", *table.column_names[1:]]), path_of(lake, DAYS[0]))
    with pytest.raises(SchemaError, match=r"part-0\.parquet must have one column id, got 0"):
        read_snapshot(lake, "collections")


def test_a_damaged_name_of_a_column_is_an_error_with_the_path(lake: Path) -> None:
    take(lake, DAYS[0], record(id="c1"))
    path = path_of(lake, DAYS[0])
    path.write_bytes(path.read_bytes().replace(b"asset_count", b"asset_coun\xff"))
    with pytest.raises(DestinationError, match=r"part-0\.parquet: the name of a column is not UTF-8"):
        read_snapshot(lake, "collections")


def test_footers_and_values_of_other_programs_are_read(lake: Path, run) -> None:
    for day in DAYS[:2]:
        take(lake, day, record(id="c1"), record(id=day))
    path = lake / "collections_changes" / f"snapshot_date={DAYS[1]}" / "part-0.parquet"
    table = pq.read_table(path)
    nulls = pa.array([None] * table.num_rows, pa.list_(pa.string()))
    pq.write_table(table.set_column(1, "changed_columns", nulls).replace_schema_metadata({b"x": b"\xff"}), path)
    for command in (("changes",), ("changes", "--date", DAYS[1])):
        done = run(command[0], "collections", lake, *command[1:])
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("writer", ["pandas", "duckdb", "pyarrow"])
def test_a_snapshot_that_another_program_has_rewritten_is_compared_by_content_with_a_warning(
    lake: Path, caplog, writer: str
) -> None:
    take(lake, DAYS[0], record(), record(id="c2"))
    path = path_of(lake, DAYS[0])
    if writer == "pandas":
        pd.read_parquet(path, partitioning=None).to_parquet(path)
    elif writer == "duckdb":
        copy = path.with_name("copy.parquet")
        duckdb.sql(f"COPY (SELECT * FROM read_parquet('{path}', hive_partitioning = false)) TO '{copy}'")
        copy.rename(path)
    else:
        table = pq.read_table(path, partitioning=None).replace_schema_metadata()
        pq.write_table(table.cast(pa.schema([field.with_nullable(True) for field in table.schema])), path)
    report = take(lake, DAYS[1], record(name="other"), record(id="c3"), record(id="c2"))
    assert changes_on(lake, DAYS[1]) == [("updated", "c1", ["name"]), ("added", "c3", [])]
    assert "scope is unknown" in caplog.text
    assert report.deleted == 0
    assert history(lake, "collections")["rows"].to_pylist() == [2, 3]
    assert read_snapshot(lake, "collections", DAYS[0]).schema.equals(COLLECTIONS.schema)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda table: table.set_column(3, "asset_count", pa.array(["many"])), "column asset_count has type string"),
        (lambda table: table.drop_columns("id"), "must have one column id, got 0"),
        (lambda table: table.set_column(0, "id", pa.array([None], pa.string())), "column id has nulls"),
        (lambda table: pa.concat_tables([table, table]), "1 duplicate keys"),
    ],
)
def test_a_file_that_cannot_be_compared_is_named_with_its_path_and_exit_65(run, lake: Path, change, named: str) -> None:
    take(lake, DAYS[0], record())
    path = path_of(lake, DAYS[0])
    pq.write_table(change(pq.read_table(path, partitioning=None)).replace_schema_metadata(), path)
    with pytest.raises(SchemaError, match=named) as error:
        take(lake, DAYS[1], record())
    assert str(path) in str(error.value)
    done = run("snapshot", "collections", lake, "--date", DAYS[1], "--accept-scope", api=API)
    assert (done.returncode, str(path) in done.stderr) == (65, True)
