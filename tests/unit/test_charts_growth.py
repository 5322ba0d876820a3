import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenario_etl import charts
from scenario_etl.dashboard.axes import MIN_SPAN, truncated_span
from tests.chart_tables import history


def test_a_rejected_snapshot_interrupts_the_line() -> None:
    for axis in charts.growth(history()).axes:
        assert [number for number, value in enumerate(axis.lines[0].get_ydata()) if np.isnan(value)] == [3]


def test_both_axes_start_at_zero_if_a_change_is_large_and_are_labelled_as_truncated_otherwise() -> None:
    little = charts.growth(history(items=history()["rows"] * 2)).axes
    much = charts.growth(history(items=history()["rows"] - 90)).axes
    assert [axis.get_ylim()[0] > 90 for axis in little] == [True, True]
    assert [axis.get_ylim()[0] for axis in much] == [0, 0]
    assert [axis.get_ylabel() for axis in little] == ["collections (truncated axis)", "items (truncated axis)"]
    assert [axis.get_ylabel() for axis in much] == ["collections", "items"]
    for axis in (little[0], much[0]):
        assert sorted(text.get_text() for text in axis.texts) == ["100", "113"]


@pytest.mark.parametrize(
    ("values", "positions"),
    [
        ([100, 101, 103, 110], ["top", "bottom"]),
        ([110, 103, 101, 100], ["bottom", "top"]),
        ([100, 100, 100, 100], ["bottom", "bottom"]),
        ([1, 50, 80, 100], ["bottom", "bottom"]),  # no room between the line and the axis
        ([100], ["bottom"]),
    ],
)
def test_the_numbers_at_the_ends_of_a_line_do_not_overlap_it(values: list, positions: list) -> None:
    runs = history().head(len(values)).assign(rows=values, rejected=False).drop(columns="items")
    axis = charts.growth(runs).axes[0]
    assert [text.get_verticalalignment() for text in axis.texts] == positions


def test_a_day_without_a_run_interrupts_the_line_of_daily_snapshots() -> None:
    gap = history().drop(index=[6])
    assert np.isnan(charts.growth(gap).axes[0].lines[0].get_ydata()).tolist() == [n in (3, 6) for n in range(9)]


def test_snapshots_on_weekdays_are_one_line() -> None:
    runs = history(date=pd.bdate_range("2026-11-02", periods=9), rejected=False, rows=100)
    assert not np.isnan(charts.growth(runs).axes[0].lines[0].get_ydata()).any()
    rejected = charts.growth(history(date=pd.bdate_range("2026-11-02", periods=9))).axes[0].lines[0].get_ydata()
    assert np.isnan(rejected).tolist() == [number == 3 for number in range(9)]


def test_a_value_between_two_gaps_has_a_marker_even_without_other_markers() -> None:
    days = pd.date_range("2026-01-01", periods=60)
    rows = pd.Series([*[10] * 57, None, 10, None], dtype="Int64")
    runs = pd.DataFrame({"date": days, "rows": rows, "rejected": rows.isna()})
    line, markers, _ = charts.growth(runs).axes[0].lines
    assert line.get_marker() == "None"
    assert list(markers.get_xdata()) == [days[58]]


def test_a_small_change_is_nearly_flat() -> None:
    for axis in charts.growth(history().head(3).assign(rows=[10_000, 10_000, 10_001])).axes:
        bottom, top = axis.get_ylim()
        assert top - bottom >= MIN_SPAN * max(axis.lines[0].get_ydata())


@given(st.lists(st.lists(st.integers(0, 10**12), min_size=1, max_size=9), min_size=1, max_size=2))
def test_axes_span_the_same_part_of_their_largest_values_and_all_values_fit(lines: list) -> None:
    span = truncated_span([pd.Series(values, dtype=float) for values in lines])
    assert span == 0 or span >= MIN_SPAN
    assert all(max(values) - min(values) <= span * max(values) or span == 0 for values in lines)


def test_a_single_snapshot_has_no_ticks_but_its_number() -> None:
    for axis, value in zip(charts.growth(history().head(1)).axes, ("100", "900"), strict=True):
        assert list(axis.get_yticks()) == []
        assert [text.get_text() for text in axis.texts] == [value]
        assert "truncated" not in axis.get_ylabel()


@pytest.mark.parametrize(("count", "title"), [(1, "No snapshots yet, 1 rejected"), (3, "No snapshots yet, 3 rejected")])
def test_the_title_counts_rejected_snapshots_if_there_is_no_other(count: int, title: str) -> None:
    rejected = history(rows=pd.array([None] * 9, "Int64"), added=None, rejected=True).head(count)
    assert charts.title_of(charts.growth(rejected)) == title
    assert charts.title_of(charts.daily_changes(rejected)) == title


@pytest.mark.parametrize("width", [9, 4.2])
def test_the_label_of_an_axis_is_above_it(width: float) -> None:
    axis = charts.growth(history(), width=width).axes[0]
    label = axis.yaxis.label.get_window_extent()
    assert label.y0 >= axis.get_window_extent().y1
    assert label.width > label.height
