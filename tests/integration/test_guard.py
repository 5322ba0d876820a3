from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scenario_etl.emulator import Fault
from scenario_etl.errors import GuardError
from tests.helpers import record
from tests.lakes import DAYS, changes_on, files, path_of, take


def test_a_rerun_is_guarded_against_the_snapshot_that_it_would_replace(lake: Path) -> None:
    rows = [record(id=f"c{number}") for number in range(50)]
    take(lake, DAYS[0], *rows)
    before = path_of(lake, DAYS[0]).read_bytes()
    with pytest.raises(GuardError, match="the list is empty, but the existing snapshot of the same date has 50"):
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


def test_the_guard_rejects_a_snapshot_also_where_it_cannot_save_the_new_rows(lake: Path) -> None:
    take(lake, DAYS[0], *(record(id=f"c{number}") for number in range(5)))
    (lake / f".collections.snapshot_date={DAYS[1]}.rejected").mkdir()
    with pytest.raises(
        GuardError, match=r"4 of the 5 rows of the last snapshot are missing.*could not be saved.*rejected"
    ):
        take(lake, DAYS[1], record(id="c0"))


@pytest.mark.parametrize(
    ("left", "max_shrink", "published"),
    [
        (10, 0.5, True),
        (5, 0.5, True),
        (4, 0.5, False),
        (9, 0.0, False),
        (10, 0.0, True),
        (1, 1.0, True),
        (0, 1.0, False),
    ],
)
def test_the_guard_counts_the_rows_that_are_gone(lake: Path, left: int, max_shrink: float, published: bool) -> None:
    take(lake, DAYS[0], *(record(id=f"c{i}") for i in range(10)))
    new = [record(id=f"new{i}") for i in range(3 if left else 0)]
    arguments = {"max_shrink": max_shrink}
    before = files(lake)
    if published:
        assert take(lake, DAYS[1], *(record(id=f"c{i}") for i in range(left)), *new, **arguments).deleted == 10 - left
        return
    with pytest.raises(
        GuardError,
        match=r"the last snapshot (are missing|has 10 rows).*--accept-shrink",
    ):
        take(lake, DAYS[1], *(record(id=f"c{i}") for i in range(left)), *new, **arguments)
    kept = ".collections.snapshot_date=2026-11-02.rejected"
    assert files(lake) == sorted([kept, *before])
    assert pq.read_table(pa.BufferReader((lake / kept).read_bytes())).num_rows == left + len(new)
    take(lake, DAYS[1], *(record(id=f"c{i}") for i in range(left)), accept_shrink=True, **arguments)
    assert not (lake / kept).exists()


def test_an_empty_team_may_stay_empty(lake: Path) -> None:
    take(lake, DAYS[0])
    assert take(lake, DAYS[1]).scan.rows == 0


def test_the_guard_exits_with_65_and_names_the_option_to_accept(run, api, lake: Path) -> None:
    run("snapshot", "collections", lake, "--date", DAYS[0], api=api)
    del api.collections[100:]
    refused = run("snapshot", "collections", lake, "--date", DAYS[1], api=api)
    assert (refused.returncode, refused.stderr.count("\n")) == (65, 1)
    assert "150 of the 250 rows of the last snapshot are missing" in refused.stderr
    more = ("--date", DAYS[1], "--accept-shrink", "--requests-per-minute", "0")
    assert run("snapshot", "collections", lake, *more, api=api).returncode == 0
