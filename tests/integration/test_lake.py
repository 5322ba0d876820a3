import datetime as dt
import errno
import os
from pathlib import Path

import pandas as pd
import pytest

from scenario_etl import changes, history, read_snapshot
from scenario_etl.errors import ConfigError, DestinationError
from scenario_etl.lake import LakeTable, LakeTables
from scenario_etl.resources import COLLECTIONS
from tests.helpers import record
from tests.lakes import API, DAYS, path_of, take

TODAY = dt.datetime.now(dt.UTC).date()


def dates(lake: Path) -> list[str]:
    return [str(day) for day in LakeTables.of(lake, COLLECTIONS).snapshots.dates()]


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_filesystem_without_locks_works_with_a_warning(lake: Path, monkeypatch, caplog, number: int) -> None:
    def flock(*_: object) -> None:
        raise OSError(number, "no locks")

    monkeypatch.setattr("fcntl.flock", flock)
    for day in DAYS[:2]:
        assert take(lake, day, record()).scan.rows == 1
    assert "the filesystem does not support locks" in caplog.text


# Dates


def test_a_date_after_tomorrow_is_rejected(lake: Path) -> None:
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
        ConfigError, match=r"\(2062-11-24\) is in the future; remove .*collections/snapshot_date=2062-11-24"
    ):
        take(lake, TODAY, record())


def test_the_error_of_a_lake_with_a_snapshot_of_tomorrow_says_so_and_what_to_do(lake: Path) -> None:
    tomorrow = TODAY + dt.timedelta(days=1)
    take(lake, tomorrow, record())
    with pytest.raises(
        ConfigError, match=f"has one for tomorrow \\({tomorrow}, UTC\\); replace it with --date {tomorrow}"
    ):
        take(lake, None, record())
    assert take(lake, tomorrow, record()).scan.rows == 1


@pytest.mark.parametrize("date", [pd.NaT, float("nan"), 20261101, b"2026-11-01", ["2026-11-01"], "", "2026-11-31"])
def test_a_value_that_is_not_a_date_is_rejected(lake: Path, date) -> None:
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
def test_a_number_of_the_wrong_kind_is_rejected(lake: Path, arguments) -> None:
    (name,) = arguments
    with pytest.raises(ConfigError, match=f"^{name} must be "):
        take(lake, DAYS[0], record(), **arguments)
    assert API.requests == []


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


def test_a_directory_in_the_place_of_a_snapshot_blocks_its_own_date_only(lake: Path) -> None:
    take(lake, DAYS[0], record())
    path_of(lake, DAYS[2]).mkdir(parents=True)
    assert take(lake, DAYS[1], record()).previous_date == dt.date(2026, 11, 1)
    with pytest.raises(DestinationError, match="it is a folder"):
        take(lake, DAYS[2], record())


def test_a_lock_that_cannot_be_opened_is_a_destination_error(lake: Path) -> None:
    lake.mkdir()
    (lake / ".collections.lock").mkdir()
    with pytest.raises(DestinationError, match=r"cannot create the lock .*\.collections\.lock"):
        take(lake, DAYS[0], record())


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs Linux's /proc")
def test_a_lake_in_proc_is_a_destination_error() -> None:
    with pytest.raises(DestinationError, match="cannot create the lock"):
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
