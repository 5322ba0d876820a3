from hypothesis import given
from hypothesis import strategies as st

from scenario_etl.pages import Page
from scenario_etl.run import _group_pages


@given(st.lists(st.integers(0, 5), max_size=30), st.integers(0, 12))
def test_pages_are_gathered_in_order_into_batches_of_enough_records(sizes, min_rows: int) -> None:
    numbers = iter(range(1000))
    pages = [Page([next(numbers) for _ in range(size)], "t", 1) for size in sizes]
    counted: list[int] = []
    batches: list[list[int]] = []
    taken_at_end: list[int] = []

    def on_end() -> None:
        taken_at_end.extend(number for batch in batches for number in batch)

    for batch in _group_pages(pages, min_rows, counted.append, on_end):
        batches += [batch]
    assert 0 <= sum(sizes) - len(taken_at_end) < max(min_rows, 1)
    assert [number for batch in batches for number in batch] == list(range(sum(sizes)))
    assert counted == sizes
    if min_rows == 0:
        assert [len(batch) for batch in batches] == sizes
    assert all(len(batch) < min_rows + 5 or min_rows == 0 for batch in batches)


def test_batches_of_large_records_end_at_eight_mebibytes_of_json() -> None:
    pages = [Page([number], "t", 2**20) for number in range(20)]
    assert [len(batch) for batch in _group_pages(pages, 2000, lambda _: None, lambda: None)] == [8, 8, 4]
