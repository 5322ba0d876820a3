"""The command line in every mode: the right rows, or the right failure, and nothing else in the world changed."""

from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.system.faults.modes import MODES, Mode
from tests.system.faults.programs import OLD, SECRET, Run, is_right, run
from tests.system.faults.server import right_pages

MAX_MEGABYTES = 200
AT_ONCE = 6  # most of the time is waiting


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """All modes, begun at once, so that their waits pass together."""
    folder = tmp_path_factory.mktemp("faults")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {mode: pool.submit(run, "scenario-etl", mode, folder / str(i) / "work") for i, mode in enumerate(MODES)}


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_every_mode_ends_right(mode: Mode, runs: dict[Mode, Future[Run]]) -> None:
    seen = runs[mode].result()
    assert seen.code == mode.fails, seen.output
    if mode.fails:
        assert seen.old_is_intact
        assert "Traceback" in seen.output  # --verbose, so that it is searched for secrets, too
    else:
        assert seen.rows is not None
        assert is_right(seen.rows, mode.right_rows()), seen.rows
    assert seen.files == ["collections.parquet"]
    assert SECRET not in seen.output
    assert "S1GNATURE" not in seen.output
    assert seen.requests_elsewhere == 0
    assert seen.megabytes < MAX_MEGABYTES
    if mode.min_wait:
        assert seen.arrivals[1] - seen.arrivals[0] >= mode.min_wait


def test_there_are_at_least_sixty_modes_of_every_family_each_with_a_name_of_its_own() -> None:
    assert len(MODES) >= 60
    assert len({str(mode) for mode in MODES}) == len(MODES)
    families = {mode.family for mode in MODES}
    assert families == {"status codes", "bodies", "transport", "slow responses", "pages", "records", "redirects"}


RIGHT = [record for page in right_pages() for record in page["collections"]]
ROWS = [
    {name.lower(): value for name, value in record.items() if name != "thumbnail"}
    | {f"thumbnail{name.lower()}": value for name, value in record.get("thumbnail", {}).items()}
    for record in RIGHT
]


def test_the_judge_takes_the_right_rows() -> None:
    assert is_right(ROWS, RIGHT)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"assetcount": 99},
        {"assetcount": True},
        {"assetcount": "1"},
        {"createdat": "2026-04-22T08:57:03.107Z"},
        {"createdat": "yesterday"},
        {"thumbnailurl": None},
        {"id": "other"},
    ],
)
def test_the_judge_refuses_one_wrong_value(change) -> None:
    assert not is_right([ROWS[0], ROWS[1] | change, *ROWS[2:]], RIGHT)


def test_the_judge_refuses_missing_and_repeated_rows() -> None:
    assert not is_right(ROWS[1:], RIGHT)
    assert not is_right([*ROWS, ROWS[0]], RIGHT)
    assert OLD
