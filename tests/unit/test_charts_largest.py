import re

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenario_etl import charts
from scenario_etl.dashboard.titles import largest_title
from tests.chart_tables import collections


def counted(*counts: int | None) -> pd.DataFrame:
    return pd.DataFrame({"name": "a", "item_count": pd.array(counts, "Int64")})


@pytest.mark.parametrize(
    ("counts", "title"),
    [
        ([3, 1], "The largest collection has 75% of the total item count"),
        ([3, None, 1], "The largest collection has 75% of the total of the known item counts"),
        ([0, 0], "No collection has items"),
        ([0, None], "No known item count is above 0"),
        ([None, None], "No item count is known"),
        ([2**62, 2**62, 2**62], "The largest collection has 33% of the total item count"),
    ],
)
def test_the_title_has_a_percentage_only_of_counts_that_are_known_and_not_zero(counts: list, title: str) -> None:
    assert charts.title_of(charts.largest(counted(*counts), 1)) == title


def test_collections_with_an_unknown_count_are_not_among_the_largest() -> None:
    axis = charts.largest(collections()).axes[0]
    assert [text.get_text() for text in axis.texts] == ["45", "40", "5", "4", "3", "2", "1"]
    assert axis.get_xlim()[0] == 0


@given(st.lists(st.none() | st.integers(0, 2**63 - 1)), st.integers(1, 10))
def test_the_title_of_the_largest_is_true_for_any_counts(counts: list, size: int) -> None:
    series = pd.Series(counts, dtype="Int64")
    known = sorted(map(int, series.dropna()), reverse=True)
    title = largest_title(series.dropna().nlargest(size), series)
    percentages = re.findall(r"(\d+)%", title)
    assert len(percentages) == (sum(known) > 0)
    assert all(int(each) == pytest.approx(100 * sum(known[:size]) / sum(known), abs=1) for each in percentages)
