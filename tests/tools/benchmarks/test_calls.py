"""Guards the hot path by counting what it does, which no busy machine changes."""

import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from scenario_etl import Emulator, Scan, scan
from tests.helpers import answering, page
from tests.tools.benchmarks.__main__ import PROGRAMS

PAGES = 40


def calls(pages: int, use: Callable[[Scan], object]) -> Counter[str]:
    """How often each Python function is called during a run over so many full pages, by file."""
    emulator = Emulator(0)
    emulator.close()
    bodies = [
        page(*(emulator.record(100 * number + i) for i in range(100)), token=f"t{number}") for number in range(pages)
    ]
    del bodies[-1]["nextPaginationToken"]
    described = scan("collections", client=answering(*bodies)[0])
    counted: Counter[str] = Counter()

    def count(frame, event, argument) -> None:
        if event == "call":
            counted[frame.f_code.co_filename] += 1

    sys.setprofile(count)
    try:
        use(described)
    finally:
        sys.setprofile(None)
    return counted


@pytest.mark.parametrize(
    ("use", "max_calls"),  # of our own Python functions, for a page of 100 records
    [(lambda scan: list(scan.to_batches()), 100), (Scan.to_arrow, 30)],  # 74 and 18 when this was written
    ids=["page by page", "gathered"],
)
def test_a_page_of_a_hundred_records_costs_a_bounded_number_of_calls(use, max_calls: int) -> None:
    few, many = calls(1, use), calls(1 + PAGES, use)
    ours = {name: (many[name] - few[name]) / PAGES for name in many if "scenario_etl" in name}
    assert sum(ours.values()) < max_calls, ours
    assert sum(ours.values()) > 5


def test_the_rows_of_the_documented_table_are_the_programs_of_the_benchmark() -> None:
    document = (Path(__file__).parents[3] / "docs/performance.md").read_text()
    table = document.partition("\n|---|")[2].partition("\n\n")[0]
    assert re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE) == list(PROGRAMS)
