"""The command line in every mode: the right rows, or the right failure, and nothing else in the world changed."""

import json
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from tests.system.faults.judge import is_right, plain, value_at
from tests.system.faults.listings import COLLECTIONS, JOBS, LISTINGS, TAGS, Listing
from tests.system.faults.mode import Mode
from tests.system.faults.modes import FAMILIES, MODES, modes_of
from tests.system.faults.programs import SECRET, Run, run

MAX_MEGABYTES = 200
AT_ONCE = 6  # most of the time is waiting
FORKS_AT_ONCE = 12  # nearly all of it


@pytest.fixture(scope="module")
def runs(request, tmp_path_factory):
    """All modes that are tested, begun at once, so that their waits pass together.

    Those of lists other than collections are forked, and fail after one retry instead of two.
    """
    tests = [each for each in request.session.items if each.name.startswith("test_every_mode_ends_right[")]
    tested = [test.callspec.params["mode"] for test in tests]
    folder = tmp_path_factory.mktemp("faults")
    with ThreadPoolExecutor(AT_ONCE) as pool, ThreadPoolExecutor(FORKS_AT_ONCE) as forks:

        def begin(number: int, mode: Mode) -> Future[Run]:
            place = folder / str(number) / "work"
            if mode.listing is COLLECTIONS:
                return pool.submit(run, "scenario-etl", mode, place)
            return forks.submit(run, "scenario-etl", mode, place, attempts=2 if mode.fails else 8, forked=True)

        yield {mode: begin(number, mode) for number, mode in enumerate(tested)}


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_every_mode_ends_right(mode: Mode, runs: dict[Mode, Future[Run]]) -> None:
    seen = runs[mode].result()
    assert seen.code == mode.fails, seen.output
    if mode.fails:
        assert seen.old_is_intact
        assert "Traceback" in seen.output  # --verbose, so that it is searched for secrets, too
        assert mode.says in seen.output
    else:
        assert seen.rows is not None
        assert is_right(seen.rows, mode.right_rows(), mode.listing), seen.rows
    assert seen.files == [f"{mode.listing.name}.parquet"]
    assert SECRET not in seen.output
    assert "S1GNATURE" not in seen.output
    assert seen.requests_elsewhere == 0
    assert seen.megabytes < MAX_MEGABYTES
    if mode.min_wait:
        assert seen.arrivals[1] - seen.arrivals[0] >= mode.min_wait


@pytest.mark.parametrize("listing", LISTINGS.values(), ids=LISTINGS)
def test_each_list_has_at_least_sixty_modes_of_every_family_each_with_a_name_of_its_own(listing: Listing) -> None:
    modes = modes_of(listing)
    assert len({str(mode) for mode in modes}) == len(modes) >= 60
    assert {mode.family for mode in modes} == set(FAMILIES)


def right_table(listing: Listing) -> list[dict[str, Any]]:
    """Return the rows of a table that is right, with the dates as text."""
    return [
        {
            plain(path): json.dumps(value) if kind == "json" and value is not None else value
            for path, kind in listing.fields.items()
            for value in [value_at(record, path)]
        }
        for record in listing.right_rows()
    ]


@pytest.mark.parametrize("listing", LISTINGS.values(), ids=LISTINGS)
def test_the_judge_takes_the_right_rows(listing: Listing) -> None:
    assert is_right(right_table(listing), listing.right_rows(), listing)


@pytest.mark.parametrize(
    ("listing", "change"),
    [
        (COLLECTIONS, {"name": "other"}),
        (COLLECTIONS, {"assetcount": 99}),
        (COLLECTIONS, {"assetcount": True}),
        (COLLECTIONS, {"assetcount": "1"}),
        (COLLECTIONS, {"createdat": "2026-04-22T08:57:03.107Z"}),
        (COLLECTIONS, {"createdat": "yesterday"}),
        (COLLECTIONS, {"thumbnailurl": None}),
        (COLLECTIONS, {"id": "other"}),
        (JOBS, {"metadatainputmodelid": None}),
        (JOBS, {"metadataerror": ""}),
        (JOBS, {"metadataassetids": None}),
        (JOBS, {"metadataassetids": ["asset_x", "asset_1"]}),
        (JOBS, {"billingcucost": 1}),
        (JOBS, {"billing": None}),
        (JOBS, {"billing": '{"cuCost": 1.25, "cuDiscount": false, "cuCostDetails": {"quality-gate": 0.5}}'}),
        (JOBS, {"metadata": "{}"}),
        (JOBS, {"statushistory": "[queued]"}),
        (TAGS, {"ownerid": "proj_2"}),
        (TAGS, {"tagname": "tag 2"}),
        (TAGS, {"itemcount": None}),
    ],
)
def test_the_judge_refuses_one_wrong_value(listing: Listing, change: dict[str, Any]) -> None:
    rows = right_table(listing)
    rows[1] |= change
    assert not is_right(rows, listing.right_rows(), listing)


@pytest.mark.parametrize("listing", LISTINGS.values(), ids=LISTINGS)
def test_the_judge_refuses_missing_and_repeated_rows(listing: Listing) -> None:
    rows, expected = right_table(listing), listing.right_rows()
    assert not is_right(rows[1:], expected, listing)
    assert not is_right([*rows, rows[0]], expected, listing)
    assert not is_right([*rows[1:], rows[1]], expected, listing)
    assert not is_right([{}] * len(rows), expected, listing)
