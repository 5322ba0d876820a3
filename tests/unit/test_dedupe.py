import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenario_etl.dedupe import MAX_NEW_KEYS, SeenKeys


@given(st.lists(st.lists(st.integers(0, 50), max_size=8), max_size=20), st.integers(0, 20), st.integers(1, 20))
def test_keys_keep_the_first_of_each(monkeypatch_limits, pages, newest: int, max_sorted: int) -> None:
    monkeypatch_limits(newest, max_sorted)
    keys, got = SeenKeys(), []
    for values in pages:
        batch = keys.drop_duplicates(pa.record_batch({"k": pa.array(values, pa.int64())}), values)
        got += batch["k"].to_pylist()
    assert got == list(dict.fromkeys(value for values in pages for value in values))
    assert keys.duplicates == sum(map(len, pages)) - len(got)


@pytest.fixture(scope="module")
def monkeypatch_limits():
    with pytest.MonkeyPatch.context() as patch:

        def limit(newest: int, max_sorted: int) -> None:
            patch.setattr("scenario_etl.dedupe.MAX_NEW_KEYS", newest)
            patch.setattr("scenario_etl.dedupe.MAX_SORTED_KEYS", max_sorted)

        yield limit


@given(st.lists(st.tuples(st.text("ab'\\,", max_size=3), st.text("ab'\\,", max_size=3)), unique=True))
def test_composite_keys_are_the_same_only_where_every_part_is(keys) -> None:
    batch = pa.record_batch({"k": pa.array(range(len(keys)), pa.int64())})
    assert SeenKeys().drop_duplicates(batch, keys).num_rows == len(keys)


def test_keys_take_few_bytes_each() -> None:
    keys = SeenKeys()
    for start in range(0, 200_000, 1000):
        values = np.arange(start, start + 1000)
        keys.drop_duplicates(pa.record_batch({"k": values}), [f"key {value}" for value in values])
    assert len(keys._newest) <= MAX_NEW_KEYS
    assert sum(keys.nbytes for keys in keys._sorted) <= 8 * 200_000
    assert keys.duplicates == 0
