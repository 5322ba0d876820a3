import datetime as dt
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import fs

from scenario_etl import changes, history, read_snapshot, snapshot
from scenario_etl.errors import (
    ConfigError,
    DestinationError,
    GuardError,
    SchemaError,
)
from scenario_etl.lake import LakeTable
from scenario_etl.lake_reader import read_history
from scenario_etl.resources import COLLECTIONS
from tests.helpers import record, said
from tests.lakes import DAYS, path_of, take


def test_the_history_lists_once_and_opens_each_file_once(lake: Path, monkeypatch) -> None:
    for day in DAYS[:6]:
        take(lake, day, record(itemCount=2**62), record(id="c2", itemCount=2**62))
    listings, opened = [], []
    selector, real_open = fs.FileSelector, LakeTable.open
    monkeypatch.setattr(fs, "FileSelector", lambda *a, **k: listings.append(a) or selector(*a, **k))
    monkeypatch.setattr(LakeTable, "open", lambda table, day: opened.append((table.name, day)) or real_open(table, day))
    rows = read_history(lake, "collections", total_column="item_count")
    assert [row["total"] for row in rows] == [2**63] * 6
    assert len(listings) == 3  # snapshots, changes, and what the guard rejected
    assert len(opened) == len(set(opened)) == 12


def test_a_snapshot_that_retention_removes_while_the_history_is_read_changes_nothing(lake: Path, monkeypatch) -> None:
    for day in DAYS[:3]:
        take(lake, day, record())
    real_open = LakeTable.open

    def removing(table: LakeTable, day: dt.date):
        path_of(lake, DAYS[1]).unlink(missing_ok=True)
        return real_open(table, day)

    monkeypatch.setattr(LakeTable, "open", removing)
    assert history(lake, "collections")["rows"].to_pylist() == [1, 1, 1]


def test_thirty_days_are_read_by_duckdb_pandas_and_polars(api, client, lake: Path) -> None:
    days = [f"2026-10-{day:02d}" for day in range(1, 31)]
    for day in days:
        api.collections.append(record(id=f"made on {day}"))
        snapshot("collections", lake, date=day, client=client)
    rows = sum(range(251, 281))
    found = duckdb.sql(f"""
        SELECT count(*), count(DISTINCT snapshot_date), max(snapshot_date)::VARCHAR, typeof(any_value(snapshot_date))
        FROM read_parquet('{lake}/collections/*/*.parquet', hive_partitioning = true)
    """).fetchall()
    assert found == [(rows, 30, "2026-10-30", "DATE")]
    frame = pd.read_parquet(lake / "collections")
    assert (len(frame), frame["snapshot_date"].nunique()) == (rows, 30)
    scanned = pl.scan_parquet(f"{lake}/collections/**/*.parquet", hive_partitioning=True).collect()
    assert (scanned.height, scanned["snapshot_date"].n_unique()) == (rows, 30)
    assert (
        pd.read_parquet(lake / "collections_changes").groupby("snapshot_date", observed=True).size().tolist()
        == [251] + [1] * 29
    )
    assert len(changes(lake, "collections", since="2026-10-10", until=dt.date(2026, 10, 12))) == 3


def test_the_newest_snapshot_or_that_of_a_date_is_read_and_a_missing_one_is_an_error(lake: Path) -> None:
    with pytest.raises(ConfigError, match="has no snapshot of collections"):
        read_snapshot(lake, "collections")
    take(lake, DAYS[0], record())
    take(lake, DAYS[1], record(), record(id="c2"))
    assert (read_snapshot(lake, "collections").num_rows, read_snapshot(lake, "collections", DAYS[0]).num_rows) == (2, 1)
    assert read_snapshot(lake, "collections").schema.equals(COLLECTIONS.schema)
    with pytest.raises(ConfigError, match="for 2026-11-03"):
        read_snapshot(lake, "collections", DAYS[2])
    with pytest.raises(ConfigError, match="is not a resource"):
        read_snapshot(lake, "castles")


def test_a_lake_without_changes_has_none_with_the_same_columns(lake: Path) -> None:
    take(lake, DAYS[0], record())
    empty = changes(lake, "collections", since=DAYS[1])
    assert empty.num_rows == 0
    assert changes(lake, "collections").schema == empty.schema


@pytest.mark.parametrize("read", [changes, history])
def test_a_path_that_is_not_a_lake_is_an_error(tmp_path: Path, read) -> None:
    (tmp_path / "collections").mkdir()
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ConfigError, match="has no snapshot of collections"):
            read(path, "collections")


def rewritten(path: Path, rows: pa.Table, **values: str) -> None:
    """Another program writes the file again, with the same footer except these values."""
    before = pq.read_metadata(path).metadata
    changed = {f"scenario_etl.{name}".encode(): value for name, value in values.items()}
    pq.write_table(rows.replace_schema_metadata(before | changed), path)


def test_the_total_of_a_snapshot_that_was_rewritten_is_that_of_its_rows(lake: Path) -> None:
    take(lake, DAYS[0], record(itemCount=400), record(id="c2", itemCount=600))
    path = lake / f"collections/snapshot_date={DAYS[0]}/part-0.parquet"
    rows = pq.read_table(path, partitioning=None)
    counts = pa.array([7, 3], pa.int64())
    rewritten(path, rows.set_column(rows.column_names.index("item_count"), "item_count", counts))
    assert [run["total"] for run in read_history(lake, "collections", total_column="item_count")] == [10]


@pytest.mark.parametrize("value", ["2026-01-01", "-1", "1e3", "x", "9" * 30, ""])
def test_a_count_in_a_footer_that_is_not_a_number_is_null(lake: Path, value: str) -> None:
    take(lake, DAYS[0], record())
    for table in ("collections", "collections_changes"):
        path = lake / f"{table}/snapshot_date={DAYS[0]}/part-0.parquet"
        rewritten(path, pq.read_table(path, partitioning=None), pages=value, added=value)
    (run,) = history(lake, "collections").to_pylist()
    assert (run["pages"], run["added"]) == (None, None)


def test_the_history_has_the_metadata_of_each_run(lake: Path) -> None:
    take(lake, DAYS[0], record(), record(id="c2"), record(id="c2"))
    take(lake, DAYS[1], record(name="other"), record(id="c2"), record(id="c3"), keep=2)
    with pytest.raises(GuardError):
        take(lake, DAYS[2])
    take(lake, DAYS[3], record(name="other"), record(id="c2"), keep=2)
    runs = history(lake, "collections")
    names = [
        "date",
        "rejected",
        "rows",
        "pages",
        "requests",
        "retries",
        "duplicates",
        "previous_date",
        "added",
        "updated",
        "deleted",
    ]
    first, second, third, fourth = (dt.date.fromisoformat(day) for day in DAYS[:4])
    assert runs.select(names).to_pydict() == {
        "date": [first, second, third, fourth],
        "rejected": [False, False, True, False],
        "rows": [2, 3, None, 2],  # retention has removed the first snapshot, not what changed with it
        "pages": [1, 1, None, 1],
        "requests": [1, 1, None, 1],
        "retries": [0, 0, None, 0],
        "duplicates": [1, 0, None, 0],
        "previous_date": [None, first, None, second],
        "added": [2, 1, None, 0],
        "updated": [0, 1, None, 0],
        "deleted": [0, 0, None, 1],
    }
    assert sorted(runs.schema.names) == sorted(names)
    with pytest.raises(GuardError):
        take(lake, DAYS[4])
    take(lake, DAYS[4], accept_shrink=True)
    assert history(lake, "collections")["rejected"].to_pylist() == [False, False, True, False, False]
    with pytest.raises(GuardError):
        take(lake, DAYS[4])
    assert history(lake, "collections")["rejected"].to_pylist() == [False, False, True, False, True]


def test_the_total_of_a_snapshot_that_retention_has_removed_is_still_in_the_history(lake: Path) -> None:
    take(lake, DAYS[0], record(itemCount=400), record(id="c2", itemCount=600))
    take(lake, DAYS[1], record(itemCount=7), record(id="c2"), keep=1)
    assert [run["total"] for run in read_history(lake, "collections", total_column="item_count")] == [1000, 11]


def test_only_the_named_columns_of_a_snapshot_are_read_and_those_it_is_too_old_for_are_null(lake: Path) -> None:
    take(lake, DAYS[0], record())
    assert read_snapshot(lake, "collections", columns=["item_count"]).schema.names == ["item_count"]
    with pytest.raises(ConfigError, match="'itemCount' is not a column of collections; use one of: id, name"):
        read_snapshot(lake, "collections", columns=["itemCount"])
    path = lake / f"collections/snapshot_date={DAYS[0]}/part-0.parquet"
    pq.write_table(pq.read_table(path, partitioning=None).drop_columns(["item_count"]), path)
    assert read_snapshot(lake, "collections").schema.equals(COLLECTIONS.schema)
    assert read_snapshot(lake, "collections", columns=["item_count"])["item_count"].to_pylist() == [None]


def test_names_and_footers_of_other_programs_are_ignored(run, lake: Path) -> None:
    take(lake, DAYS[0], record())
    take(lake, DAYS[1], record(name="other"))
    (lake / ".collections.snapshot_date=2026-13-01.rejected").touch()
    (lake / f"collections/snapshot_date={DAYS[0]}/part-0.parquet").unlink()
    changed = lake / f"collections_changes/snapshot_date={DAYS[1]}/part-0.parquet"
    pq.write_table(pq.read_table(changed, partitioning=None).replace_schema_metadata(), changed)
    done = run("changes", "collections", lake)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1:] == [
        "2026-11-01         1         0         0",
        "2026-11-02         -         -         -",
    ]
    assert history(lake, "collections")["added"].to_pylist() == [1, None]


def test_a_lake_that_is_a_file_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DestinationError, match="cannot read"):
        history(tmp_path / "file", "collections")


def test_a_datetime_without_a_zone_is_in_utc(lake: Path) -> None:
    take(lake, DAYS[0], record())
    assert changes(lake, "collections", since=pd.Timestamp(DAYS[0])).num_rows == 1
    assert changes(lake, "collections", since=dt.datetime(2026, 11, 1, 23, 59)).num_rows == 1


def test_a_file_in_the_place_of_a_lake_is_named_as_one(run, tmp_path: Path) -> None:
    (tmp_path / "c.parquet").touch()
    for command in (("changes", "collections", "c.parquet"), ("report", "c.parquet", "r.html")):
        done = run(*command)
        assert done.returncode == 74
        words = "error: cannot read c.parquet/collections: a part of its path is a file; specify the folder of the lake"
        assert said(done.stderr) == [words]


def test_the_counts_of_a_history_are_integers_in_pandas_whether_or_not_one_is_missing(lake: Path) -> None:
    for day in DAYS[:2]:
        take(lake, day, record())
    frame = history(lake, "collections").to_pandas()
    assert {str(frame[name].dtype) for name in ("rows", "added", "deleted")} == {"Int64"}
    assert str(frame["rejected"].dtype) == "boolean"


def test_changes_of_a_newest_snapshot_that_is_lost_are_an_error(lake: Path) -> None:
    for day in DAYS[:2]:
        take(lake, day, record())
    path_of(lake, DAYS[1]).unlink()
    for read in (changes, history):
        with pytest.raises(SchemaError, match="has the changes of a snapshot that no longer exists; restore the snap"):
            read(lake, "collections")
