import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from scenario_etl import changes, history
from scenario_etl.errors import ConfigError, SchemaError, TransientError
from tests.helpers import record
from tests.lakes import DAYS, changes_on, path_of, take


def test_changes_that_do_not_follow_the_run_before_are_written_again(lake: Path) -> None:
    take(lake, DAYS[0], record(id="c1"))
    overlapping = lake.with_name("overlapping")
    shutil.copytree(lake, overlapping)
    take(lake, DAYS[1], record(id="c1"), record(id="c2"))
    take(overlapping, DAYS[2], record(id="c1"), record(id="c2"), record(id="c3"))
    for table in ("collections", "collections_changes"):  # two runs on an object store, each from the first snapshot
        shutil.copytree(overlapping / table, lake / table, dirs_exist_ok=True)
    with pytest.raises(TransientError, match=f"does not follow the changes of {DAYS[1]}"):
        changes(lake, "collections")
    take(lake, DAYS[3], record(id="c1"), record(id="c2"), record(id="c3"))
    rows = changes(lake, "collections").to_pylist()
    assert [(row["snapshot_date"].isoformat(), row["id"]) for row in rows] == [
        (DAYS[0], "c1"), (DAYS[1], "c2"), (DAYS[2], "c3"),
    ]  # fmt: skip


def test_changes_can_be_read_and_continued_where_old_ones_were_removed(lake: Path) -> None:
    for day in DAYS[:3]:
        take(lake, day, record(id="c1"), record(id=day))
    for table in ("collections", "collections_changes"):  # as a rule of an object store does, by age
        shutil.rmtree(lake / table / f"snapshot_date={DAYS[0]}")
    assert changes(lake, "collections")["snapshot_date"].to_pylist()[0].isoformat() == DAYS[1]
    assert take(lake, DAYS[3], record(id="c1"), record(id=DAYS[3])).added == 1


def test_a_snapshot_without_its_changes_is_an_error(lake: Path) -> None:
    for day in DAYS[:3]:
        take(lake, day, record(id="c1"), record(id=day))
    shutil.rmtree(lake / "collections_changes" / f"snapshot_date={DAYS[2]}")
    with pytest.raises(
        TransientError, match="has no file of changes; another run may be writing them; try again later"
    ):
        changes(lake, "collections")
    assert history(lake, "collections").num_rows == 3
    shutil.rmtree(lake / "collections_changes" / f"snapshot_date={DAYS[1]}")
    with pytest.raises(SchemaError, match="has no file of changes; a file of the lake is missing"):
        changes(lake, "collections", until=DAYS[1])


def test_changes_whose_snapshot_was_removed_are_named(lake: Path) -> None:
    for day in DAYS[:2]:
        take(lake, day, record(id="c1"), record(id=day))
    shutil.rmtree(lake / "collections" / f"snapshot_date={DAYS[1]}")
    with pytest.raises(SchemaError, match=f"collections_changes/snapshot_date={DAYS[1]} has the changes of a snapshot"):
        take(lake, DAYS[2], record())
    assert take(lake, DAYS[1], record(id="c1"), record(id=DAYS[1])).added == 1


def test_changes_are_never_made_from_nothing(lake: Path) -> None:
    """Two runs of one date, the snapshot of one and the changes of the other, and nothing left to compare with."""
    take(lake, DAYS[0], record(id="c1"))
    other = lake.with_name("other")
    shutil.copytree(lake, other)
    take(lake, DAYS[1], record(id="c1"), keep=1)
    take(other, DAYS[1], record(id="c1"), record(id="c2"), keep=1)
    shutil.copytree(other / "collections", lake / "collections", dirs_exist_ok=True)
    with pytest.raises(
        SchemaError, match=f"cannot be written again, because the snapshot of {DAYS[0]} no longer exists"
    ):
        take(lake, DAYS[2], record(id="c1"))


def test_changes_of_another_run_than_their_snapshot_are_not_read_and_the_next_run_writes_them_again(lake: Path) -> None:
    take(lake, DAYS[0], record())
    take(lake, DAYS[1], record(name="noon"))
    noon = path_of(lake, DAYS[1], "collections_changes").read_bytes()
    take(lake, DAYS[1], record(), record(id="c2"))
    path_of(lake, DAYS[1], "collections_changes").write_bytes(noon)
    for read in (changes, history):
        with pytest.raises(TransientError, match="come from different runs"):
            read(lake, "collections")
    take(lake, DAYS[2], record(), record(id="c2"))
    assert changes_on(lake, DAYS[1]) == [("added", "c2", [])]


def test_both_files_of_a_run_carry_its_id(lake: Path) -> None:
    take(lake, DAYS[0], record())
    take(lake, DAYS[1], record())
    footers = [
        pq.ParquetFile(path_of(lake, day, table)).metadata.metadata[b"scenario_etl.run_id"]
        for day in DAYS[:2]
        for table in ("collections", "collections_changes")
    ]
    assert footers[0] == footers[1] != footers[2] == footers[3]


@pytest.mark.parametrize("stale", [False, True])
def test_a_run_that_died_between_the_two_files_is_completed_by_the_next(lake: Path, stale: bool) -> None:
    changed = lake / f"collections_changes/snapshot_date={DAYS[1]}/part-0.parquet"
    take(lake, DAYS[0], record())
    take(lake, DAYS[1], record(name="noon"))
    noon = changed.read_bytes()
    take(lake, DAYS[1], record(name="night"), record(id="c2"))
    right = changes_on(lake, DAYS[1])
    changed.unlink()
    if stale:
        changed.write_bytes(noon)
    take(lake, DAYS[2], record(name="night"), record(id="c2"))
    assert changes_on(lake, DAYS[1]) == right
    assert changes_on(lake, DAYS[2]) == []


def test_the_date_of_changes_that_are_missing_is_named(lake: Path) -> None:
    for number, day in enumerate(DAYS[:3]):
        take(lake, day, *(record(id=f"c{each}") for each in range(number + 1)))
    for table in ("collections", "collections_changes"):
        shutil.rmtree(lake / table / f"snapshot_date={DAYS[1]}")
    with pytest.raises(
        TransientError, match=rf"^the changes of {DAYS[1]} are missing, but .*={DAYS[2]}/.* continues from that date"
    ):
        changes(lake, "collections")


def test_the_folder_of_a_table_is_no_lake(lake: Path) -> None:
    take(lake, DAYS[0], record(id="c1"))
    with pytest.raises(ConfigError, match="collections is a table of a lake; use the folder of the lake"):
        take(lake / "collections", DAYS[1], record(id="c1"))


def test_dates_in_the_wrong_order_are_an_error(lake: Path) -> None:
    take(lake, DAYS[0], record(id="c1"))
    with pytest.raises(ConfigError, match=f"since must not be after until, got {DAYS[1]} and {DAYS[0]}"):
        changes(lake, "collections", since=DAYS[1], until=DAYS[0])
