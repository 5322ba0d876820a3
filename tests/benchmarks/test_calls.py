"""Guards the hot path by counting what it does, which no busy machine changes."""

import sys
from collections import Counter

from scenario_etl import Emulator, scan
from tests.helpers import answering, page

MOST_CALLS = 100  # of our own Python functions, for a page of 100 records; 72 when this was written
PAGES = 20


def calls(pages: int) -> Counter[str]:
    """How often each Python function is called during a walk of so many full pages, by file."""
    emulator = Emulator(0)
    emulator.close()
    bodies = [
        page(*(emulator._record(100 * number + i) for i in range(100)), token=f"t{number}") for number in range(pages)
    ]
    del bodies[-1]["nextPaginationToken"]
    described = scan("collections", client=answering(*bodies)[0])
    counted: Counter[str] = Counter()

    def count(frame, event, argument) -> None:
        if event == "call":
            counted[frame.f_code.co_filename] += 1

    sys.setprofile(count)
    try:
        for _ in described.to_batches():
            pass
    finally:
        sys.setprofile(None)
    return counted


def test_a_page_of_a_hundred_records_costs_a_bounded_number_of_calls() -> None:
    few, many = calls(1), calls(1 + PAGES)
    ours = {name: (many[name] - few[name]) / PAGES for name in many if "scenario_etl" in name}
    assert sum(ours.values()) < MOST_CALLS, ours
    assert sum(ours.values()) > 10
