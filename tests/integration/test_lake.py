import datetime as dt
import errno
import os
import shutil
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import fs

from scenario_etl import Emulator, changes, history, read_snapshot, snapshot
from scenario_etl.emulator import Fault
from scenario_etl.errors import ConfigError, DestinationError, GuardError, SchemaError, TransientError
from scenario_etl.lake import LakeTable, LakeTables
from scenario_etl.lake_reader import read_history
from scenario_etl.resources import COLLECTIONS
from tests.helpers import record
from tests.lakes import API, DAYS, changes_on, connected, take

TODAY = dt.datetime.now(dt.UTC).date()


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return tmp_path / "lake"


def path_of(lake: Path, day: object, table: str = "collections") -> Path:
    return lake / table / f"snapshot_date={day}" / "part-0.parquet"


def dates(lake: Path) -> list[str]:
    return [str(day) for day in LakeTables.of(lake, COLLECTIONS).snapshots.dates()]


# Scope


@pytest.mark.parametrize(
    ("first", "second", "named"),
    [
        ({}, {"project_id": "project"}, "no project_id.*project_id proj_"),
        ({"project_id": "project"}, {}, "project_id proj_.*no project_id"),
        ({"project_id": "project"}, {"project_id": "other"}, "project_id proj_.*project_id proj_"),
    ],
)
def test_a_run_of_another_project_is_refused_before_the_first_request(lake: Path, first, second, named: str) -> None:
    projects = {"project": API.project_ids[0], "other": API.project_ids[1]}
    first, second = ({name: projects[value] for name, value in each.items()} for each in (first, second))
    rows = [record(id=f"c{number}", ownerId=API.project_ids[number % 2]) for number in range(6)]
    take(lake, DAYS[0], *rows, **first)
    with pytest.raises(ConfigError, match=f"(?s){named}.*another lake.*--accept-scope"):
        take(lake, DAYS[1], *rows, **second)
    assert API.requests == []
    with pytest.raises(ConfigError):
        take(lake, DAYS[0], *rows, **second)
    take(lake, DAYS[1], *rows, **second, accept_scope=True, accept_shrink=True)
    take(lake, DAYS[2], *rows, **second)
    with pytest.raises(ConfigError):
        take(lake, DAYS[3], *rows, **first)


def test_rows_outside_an_accepted_scope_are_deleted_although_the_api_still_has_them(lake: Path) -> None:
    rows = [record(id=f"c{number}", ownerId=API.project_ids[number % 2]) for number in range(6)]
    take(lake, DAYS[0], *rows)
    report = take(lake, DAYS[1], *rows, project_id=API.project_ids[0], accept_scope=True)
    assert (report.scan.rows, report.deleted, report.recovered, report.unverified) == (3, 3, 0, 0)


def test_a_rerun_does_not_bring_the_rows_of_an_earlier_scope_back(lake: Path) -> None:
    rows = [record(id=f"c{number}", ownerId=API.project_ids[number % 2]) for number in range(6)]
    project = {"project_id": API.project_ids[0]}
    take(lake, DAYS[0], *rows)
    take(lake, DAYS[1], *rows, accept_scope=True, **project)
    for day in DAYS[1:3]:
        report = take(lake, day, *rows, **project)
        assert (report.scan.rows, report.recovered, report.unverified) == (3, 0, 0)


def test_a_row_of_an_accepted_scope_counts_as_deleted_where_none_of_its_project_is_listed(lake: Path) -> None:
    first, second = API.project_ids[:2]
    take(lake, DAYS[0], record(id="c1", ownerId=first), record(id="c2", ownerId=first), project_id=first)
    look_ups = [Fault(body={"collection": record(id=key, ownerId=first)}, status=200) for key in ("c1", "c2")]
    new = [record(id="c3", ownerId=second)]
    report = take(lake, DAYS[1], *new, faults=[None, *look_ups], accept_scope=True, accept_shrink=True)
    assert (report.scan.rows, report.deleted, report.recovered, report.unverified) == (1, 2, 0, 0)


def test_more_rows_of_another_scope_than_the_bound_do_not_stay(lake: Path) -> None:
    first, second = API.project_ids[:2]
    rows = [record(id=f"c{number}", ownerId=second if number < 2 else first) for number in range(12)]
    take(lake, DAYS[0], *rows, project_id=first)
    accepted = {"accept_scope": True, "accept_shrink": True, "max_lookups": 3}
    report = take(lake, DAYS[1], *rows, project_id=second, **accepted)
    assert (report.scan.rows, report.deleted, report.unverified, report.scan.requests) == (2, 10, 0, 2)


def test_a_base_url_that_has_moved_still_looks_each_missing_row_up(lake: Path) -> None:
    take(lake, DAYS[0], record(id="c1", ownerId=API.project_ids[0]), record(id="c2", ownerId=API.project_ids[1]))
    with connected() as client:
        client.api_name = "https://api.example/v1"
        API.faults.append(Fault(body={"collections": [record(id="c1", ownerId=API.project_ids[0])]}))
        API.collections = [record(id="c1"), record(id="c2", ownerId=API.project_ids[1])]
        report = snapshot("collections", lake, date=DAYS[1], client=client, accept_scope=True)
    assert report.scan.rows + report.deleted == 2
    assert report.scan.requests == 1 + 1 + 1  # the list, a look-up, the names of projects


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
    with pytest.raises(TransientError, match="has no changes beside it; a run may be publishing them now"):
        changes(lake, "collections")
    assert history(lake, "collections").num_rows == 3
    shutil.rmtree(lake / "collections_changes" / f"snapshot_date={DAYS[1]}")
    with pytest.raises(SchemaError, match="has no changes beside it; a file of the lake is missing"):
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
    with pytest.raises(SchemaError, match=f"cannot be made again, because the snapshot of {DAYS[0]} is gone"):
        take(lake, DAYS[2], record(id="c1"))


def test_the_footer_of_a_file_that_was_rewritten_is_ignored(lake: Path) -> None:
    take(lake, DAYS[0], record(id="c1"), record(id="c2"))
    path = path_of(lake, DAYS[0])
    table = pq.ParquetFile(path).read()
    assert b"scenario_etl.run_id" in table.schema.metadata
    pq.write_table(pa.concat_tables([table, table.slice(0, 1)]), path)
    with pytest.raises(SchemaError, match="1 rows have the key of another row"):
        take(lake, DAYS[1], record(id="c1"), record(id="c2"))


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_filesystem_without_locks_works_with_a_warning(lake: Path, monkeypatch, caplog, number: int) -> None:
    def flock(*_: object) -> None:
        raise OSError(number, "no locks")

    monkeypatch.setattr("fcntl.flock", flock)
    for day in DAYS[:2]:
        assert take(lake, day, record()).scan.rows == 1
    assert "its filesystem has no locks" in caplog.text


def test_text_that_is_not_utf_8_is_named_with_its_path(lake: Path) -> None:
    take(lake, DAYS[0], record(id="c1"), record(id="c2"))
    table = pq.read_table(path_of(lake, DAYS[0]))
    names = pa.array([b"a\xff", b"b"], pa.binary()).view(pa.string())
    pq.write_table(table.set_column(1, "name", names).replace_schema_metadata(), path_of(lake, DAYS[0]))
    with pytest.raises(SchemaError, match=r"part-0\.parquet cannot be used: .*UTF8"):
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


def test_another_base_url_is_another_scope_however_it_is_spelt(lake: Path) -> None:
    take(lake, DAYS[0], record())
    with Emulator([record()]) as api, connected(base_url=api.url) as client:
        with pytest.raises(ConfigError, match=f"{API.url}.*{api.url}"):
            snapshot("collections", lake, date=DAYS[1], client=client)
        assert api.requests == []
        assert snapshot("collections", lake, date=DAYS[1], client=client, accept_scope=True).deleted == 0
    with connected() as client:
        client.api_name = "https://API.Example:443/v1"
        snapshot("collections", lake, date=DAYS[1], client=client, accept_scope=True)
        client.api_name = "https://api.example/v1"
        snapshot("collections", lake, date=DAYS[2], client=client)


def test_the_scope_of_the_demo_is_demo_whatever_its_port(run, lake: Path) -> None:
    for day in DAYS[:2]:
        done = run("snapshot", "collections", lake, "--demo", "--date", day)
        assert (done.returncode, done.stderr.endswith("0 updated, 0 deleted\n")) == (0, True), done.stderr
    with Emulator() as api:
        refused = run("snapshot", "collections", lake, "--date", DAYS[2], "--project-id", api.project_ids[0], api=api)
        assert (refused.returncode, api.requests) == (78, [])
        assert "demo" in refused.stderr
        assert "--accept-scope" in refused.stderr
        accepted = run("snapshot", "collections", lake, "--date", DAYS[2], "--accept-scope", api=api)
        assert (accepted.returncode, "0 deleted" in accepted.stderr) == (0, True)


# The guard


def test_a_rerun_is_guarded_against_the_snapshot_that_it_would_replace(lake: Path) -> None:
    rows = [record(id=f"c{number}") for number in range(50)]
    take(lake, DAYS[0], *rows)
    before = path_of(lake, DAYS[0]).read_bytes()
    with pytest.raises(GuardError, match="the list is empty, but the snapshot that it would replace has 50 rows"):
        take(lake, DAYS[0])
    assert path_of(lake, DAYS[0]).read_bytes() == before
    assert take(lake, DAYS[0], *rows[:25]).scan.rows == 25
    with pytest.raises(GuardError):
        take(lake, DAYS[0], *rows[:12])
    assert take(lake, DAYS[0], accept_shrink=True).scan.rows == 0


def test_a_row_that_only_the_replaced_snapshot_had_is_looked_up(lake: Path) -> None:
    take(lake, DAYS[0], record())
    take(lake, DAYS[1], record(), record(id="c2"), record(id="c3"))
    body = {"collection": record(id="c3")}
    report = take(lake, DAYS[1], record(), record(id="c2"), faults=[None, Fault(status=200, body=body)])
    assert report.recovered == 1
    assert changes_on(lake, DAYS[1]) == [("added", "c2", []), ("added", "c3", [])]
    take(lake, DAYS[1], record(), record(id="c2"))
    assert changes_on(lake, DAYS[1]) == [("added", "c2", [])]


def test_the_guard_refuses_also_where_it_cannot_keep_the_new_rows(lake: Path) -> None:
    take(lake, DAYS[0], *(record(id=f"c{number}") for number in range(5)))
    (lake / f".collections.snapshot_date={DAYS[1]}.rejected").mkdir()
    with pytest.raises(GuardError, match=r"4 of the 5 rows of the last snapshot are gone.*could not be kept.*rejected"):
        take(lake, DAYS[1], record(id="c0"))


# Dates


def test_a_date_after_tomorrow_is_refused(lake: Path) -> None:
    for day in (TODAY + dt.timedelta(days=2), "2062-11-24", "9999-12-31"):
        with pytest.raises(ConfigError, match="date must not be after tomorrow"):
            take(lake, day, record())
    assert API.requests == []
    assert not path_of(lake, "2062-11-24").exists()
    assert take(lake, TODAY + dt.timedelta(days=1), record()).scan.rows == 1


def test_the_error_of_a_lake_with_a_future_date_names_what_to_remove(lake: Path) -> None:
    take(lake, DAYS[0], record())
    for table in ("collections", "collections_changes"):
        path_of(lake, "2062-11-24", table).parent.mkdir()
        path_of(lake, DAYS[0], table).rename(path_of(lake, "2062-11-24", table))
    with pytest.raises(
        ConfigError, match=r"2062-11-24, which lies in the future.*collections/snapshot_date=2062-11-24"
    ):
        take(lake, TODAY, record())


@pytest.mark.parametrize("date", [pd.NaT, float("nan"), 20261101, b"2026-11-01", ["2026-11-01"], "", "2026-11-31"])
def test_a_value_that_is_not_a_date_is_refused(lake: Path, date) -> None:
    with pytest.raises(ConfigError, match="is not a date; use YYYY-MM-DD"):
        take(lake, date, record())
    assert API.requests == []
    take(lake, DAYS[0], record())
    for read in (lambda: changes(lake, "collections", since=date), lambda: read_snapshot(lake, "collections", date)):
        with pytest.raises(ConfigError, match="is not a date"):
            read()


@pytest.mark.parametrize(
    "arguments",
    [{"keep": 1.5}, {"keep": True}, {"keep": "3"}, {"max_shrink": "0.5"}, {"max_shrink": True}, {"max_lookups": -1},
     {"max_lookups": 1.5}, {"max_lookups": None}, {"lock_timeout": "1"}, {"lock_timeout": float("inf")},
     {"lock_timeout": float("nan")}, {"lock_timeout": 10**30}],
)  # fmt: skip
def test_a_number_of_the_wrong_kind_is_refused(lake: Path, arguments) -> None:
    (name,) = arguments
    with pytest.raises(ConfigError, match=f"^{name} must be "):
        take(lake, DAYS[0], record(), **arguments)
    assert API.requests == []


# Two runs


def test_changes_of_another_run_than_their_snapshot_are_not_read_and_the_next_run_writes_them_again(lake: Path) -> None:
    take(lake, DAYS[0], record())
    take(lake, DAYS[1], record(name="noon"))
    noon = path_of(lake, DAYS[1], "collections_changes").read_bytes()
    take(lake, DAYS[1], record(), record(id="c2"))
    path_of(lake, DAYS[1], "collections_changes").write_bytes(noon)
    for read in (changes, history):
        with pytest.raises(TransientError, match="two different runs"):
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


# Files of other programs


def test_only_the_exact_layout_counts(lake: Path) -> None:
    take(lake, DAYS[0], record())
    content = path_of(lake, DAYS[0]).read_bytes()
    for name in (
        "collections/backup/snapshot_date=2030-01-01/part-0.parquet",
        "collections/snapshot_date=2030-01-01/part-1.parquet",
        "collections/snapshot_date=2030-01-01/backup/part-0.parquet",
        "collections/snapshot_date=2030-01-01.old/part-0.parquet",
        "collections/snapshot_date=2030-1-1/part-0.parquet",
        "collections/snapshot_date=2030-13-01/part-0.parquet",
        "collections/old_snapshot_date=2030-01-01/part-0.parquet",
        "collections/snapshot_date=\u0662\u0660\u0663\u0660-01-01/part-0.parquet",
        "other/collections/snapshot_date=2030-01-01/part-0.parquet",
        "collections_old/snapshot_date=2030-01-01/part-0.parquet",
    ):
        (lake / name).parent.mkdir(parents=True, exist_ok=True)
        (lake / name).write_bytes(content)
    path_of(lake, "2030-01-02").mkdir(parents=True)
    assert dates(lake) == [DAYS[0]]
    assert take(lake, DAYS[1], record(name="other"), keep=1).removed_dates == (dt.date.fromisoformat(DAYS[0]),)
    assert (lake / "collections/backup/snapshot_date=2030-01-01/part-0.parquet").read_bytes() == content
    assert history(lake, "collections")["date"].to_pylist() == [dt.date.fromisoformat(day) for day in DAYS[:2]]


def test_other_files_beside_an_old_snapshot_stay_when_it_is_removed(lake: Path) -> None:
    take(lake, DAYS[0], record())
    note = path_of(lake, DAYS[0]).with_name("note.txt")
    note.write_text("mine")
    take(lake, DAYS[1], record(), keep=1)
    assert (note.read_text(), path_of(lake, DAYS[0]).exists()) == ("mine", False)


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
        (lambda table: table.set_column(3, "asset_count", pa.array(["many"])), "column asset_count is string"),
        (lambda table: table.drop_columns("id"), "has no columns id"),
        (lambda table: table.set_column(0, "id", pa.array([None], pa.string())), "column id has nulls"),
        (lambda table: pa.concat_tables([table, table]), "1 rows have the key of another row"),
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


def test_a_directory_in_the_place_of_a_snapshot_blocks_its_own_date_only(lake: Path) -> None:
    take(lake, DAYS[0], record())
    path_of(lake, DAYS[2]).mkdir(parents=True)
    assert take(lake, DAYS[1], record()).previous_date == dt.date(2026, 11, 1)
    with pytest.raises(DestinationError, match="it is a folder"):
        take(lake, DAYS[2], record())


def test_a_lock_that_cannot_be_opened_is_a_destination_error(lake: Path) -> None:
    lake.mkdir()
    (lake / ".collections.lock").mkdir()
    with pytest.raises(DestinationError, match=r"cannot lock the lake with .*\.collections\.lock"):
        take(lake, DAYS[0], record())


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs Linux's /proc")
def test_a_lake_in_proc_is_a_destination_error() -> None:
    with pytest.raises(DestinationError, match="cannot lock the lake"):
        take(Path("/proc"), DAYS[0], record())


# Retention


def test_retention_that_fails_is_a_warning_and_the_snapshot_is_published(lake: Path, monkeypatch, caplog) -> None:
    remove = LakeTable.remove

    def refused(table: LakeTable, day: dt.date) -> None:
        if str(day) == DAYS[0]:
            raise PermissionError(13, "Permission denied")
        remove(table, day)

    for day in DAYS[:3]:
        take(lake, day, record())
    monkeypatch.setattr(LakeTable, "remove", refused)
    report = take(lake, DAYS[3], record(), keep=1)
    assert report.warnings == (f"cannot remove {path_of(lake, DAYS[0])}: Permission denied",)
    assert report.warnings[0] in caplog.text
    assert report.to_dict()["warnings"] == list(report.warnings)
    assert [str(day) for day in report.removed_dates] == DAYS[1:3]
    assert dates(lake) == [DAYS[0], DAYS[3]]


def test_a_rejected_copy_that_cannot_be_removed_is_a_warning(lake: Path) -> None:
    (lake / f".collections.snapshot_date={DAYS[0]}.rejected").mkdir(parents=True)
    (warning,) = take(lake, DAYS[0], record()).warnings
    assert f".collections.snapshot_date={DAYS[0]}.rejected" in warning


# Reading many dates


def test_the_history_lists_once_and_opens_each_file_once(lake: Path, monkeypatch) -> None:
    for day in DAYS[:6]:
        take(lake, day, record(itemCount=2**62), record(id="c2", itemCount=2**62))
    listings, opened = [], []
    selector, real_open = fs.FileSelector, LakeTable.open
    monkeypatch.setattr(fs, "FileSelector", lambda *a, **k: listings.append(a) or selector(*a, **k))
    monkeypatch.setattr(LakeTable, "open", lambda table, day: opened.append((table.name, day)) or real_open(table, day))
    rows = read_history(lake, "collections", total="item_count")
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
