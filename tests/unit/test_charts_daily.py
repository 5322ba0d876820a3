from datetime import timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.dates import date2num

from scenario_etl import charts
from scenario_etl.dashboard.style import WIDTH
from scenario_etl.dashboard.tables import change_bars
from scenario_etl.dashboard.text import number
from scenario_etl.dashboard.titles import changes_title
from tests.chart_tables import DAYS, history


def numbers(axis: Axes) -> list[str]:
    return [text.get_text() for text in axis.texts]


def legend(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def snapshots(added: list[int], freq: str = "D") -> pd.DataFrame:
    """Return the history of snapshots with these additions, each compared with the one before."""
    days = pd.date_range("2026-01-05", periods=len(added) + 1, freq=freq)
    return pd.DataFrame(
        {"date": days, "previous_date": [pd.NaT, *days[:-1]], "rows": 1, "added": [0, *added], "updated": 0,
         "deleted": 0, "rejected": False},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("updated", "title"),
    [
        (
            [0, 4, 0, None, 20, 0, 1, 0, 0],
            "Most changes between two snapshots: 24 collections, from Nov 4 to Nov 6",
        ),
        (
            [0, 4, 0, None, 5, 0, 1, 0, 0],
            "Most changes between two snapshots: 9 collections, 2 times",
        ),  # one of them after a rejected snapshot
        ([0, 8, 0, None, 2, 0, 1, 0, 0], "2 snapshots have the most changes: 9 collections each"),
        ([0, 0, 0, None, 0, 0, 0, 0, 1], "The snapshot of Nov 10 has the most changes: 10 collections"),
    ],
)
def test_the_title_names_the_snapshot_with_the_most_changes_only_without_a_tie(updated: list, title: str) -> None:
    assert charts.title_of(charts.daily_changes(history(updated=pd.array(updated, "Int64")))) == title


def test_the_number_of_a_bar_includes_deleted_collections_and_a_narrow_one_has_it_only_if_it_is_the_largest() -> None:
    assert numbers(charts.daily_changes(history()).axes[0]) == ["5", "0", "6", "0", "6", "0", "9"]
    assert numbers(charts.daily_changes(history(), width=2.2).axes[0]) == ["9"]  # the number in the title


def test_all_largest_bars_have_their_numbers() -> None:
    assert numbers(charts.daily_changes(snapshots([5, *[1] * 40, 5, *[1] * 40, 5]), width=4.2).axes[0]) == ["5"] * 3


@pytest.mark.parametrize("width", [WIDTH, 2.2])
@pytest.mark.parametrize("busiest", [1, 8])
def test_the_numbers_of_bars_are_inside_the_chart_and_do_not_overlap(busiest: int, width: float) -> None:
    updated = pd.array([500 if day == busiest else 0 for day in range(9)], "Int64")
    figure = charts.daily_changes(history(updated=updated), width=width)
    extents = [text.get_window_extent() for text in figure.axes[0].texts]
    assert all(extent.x0 > 0 and extent.x1 < 100 * width for extent in extents)
    assert all(left.x1 < right.x0 for left, right in pairwise(extents))
    assert number(change_bars(history(updated=updated))["total"].max()) in numbers(figure.axes[0])


def test_a_bar_of_several_days_is_hatched_and_explained() -> None:
    figure = charts.daily_changes(history())
    hatched = [bar for bar in figure.axes[0].patches if bar.get_hatch()]
    assert [(bar.get_y(), bar.get_height()) for bar in hatched] == [(0, 6)]  # the day after the rejected snapshot
    assert legend(figure)[-1] == "several days"
    assert "several days" not in legend(charts.daily_changes(snapshots([1, 2, 3])))


def test_the_height_of_a_bar_is_its_total() -> None:
    bars = change_bars(history())
    patches = [bar for bar in charts.daily_changes(history()).axes[0].patches if not bar.get_hatch()]
    heights = dict.fromkeys(bars["place"], 0.0)
    for bar in patches:
        place = min(heights, key=lambda each: abs(date2num(each) - bar.get_x() - bar.get_width() / 2))
        heights[place] = max(heights[place], bar.get_y() + bar.get_height())
    assert [*heights.values()] == bars["total"].tolist()


def test_weeks_in_which_the_history_starts_or_ends_are_dotted() -> None:
    whole = snapshots([1] * 97)  # from a Monday to a Sunday
    assert change_bars(whole)["is_partial"].tolist() == [True, *[False] * 13]  # the first has no earlier snapshot
    assert change_bars(whole[:-1])["is_partial"].tolist() == [True, *[False] * 12, True]
    assert legend(charts.daily_changes(whole))[-1] == "part of a week"


def test_a_week_is_not_long_for_weekly_snapshots() -> None:
    weekly = snapshots([1, 2, 3, 4, 5], "7D")
    assert not change_bars(weekly)["is_long"].any()
    missing = weekly.drop(index=2).assign(previous_date=lambda runs: runs["date"].shift())
    assert legend(charts.daily_changes(missing))[-1] == "longer interval"


@pytest.mark.parametrize(("freq", "days"), [("D", 1), ("7D", 7), ("30D", 30)])
def test_the_width_of_a_bar_follows_the_interval_and_all_bars_are_inside_the_axes(freq: str, days: int) -> None:
    axis = charts.daily_changes(snapshots([1, 2, 3], freq)).axes[0]
    first, last = axis.get_xlim()
    assert [bar.get_width() for bar in axis.patches] == pytest.approx([0.8 * days] * 3)
    assert all(first < bar.get_x() and bar.get_x() + bar.get_width() < last for bar in axis.patches)


def test_bars_do_not_overlap() -> None:
    runs = snapshots([1, 2, 3, 4], "7D")
    runs.loc[3, "date"] = runs["date"][2] + timedelta(days=1)
    bars = change_bars(runs).sort_values("place")
    starts, ends = (bars["place"] + sign * pd.to_timedelta(bars["days"], "D") / 2 for sign in (-1, 1))
    assert (starts[1:].to_numpy() >= ends[:-1].to_numpy()).all()


def test_a_snapshot_without_changes_is_a_mark_on_the_axis() -> None:
    (marks,) = [line for line in charts.daily_changes(history(), width=2.2).axes[0].lines if line.get_marker() == "|"]
    assert list(marks.get_xdata()) == [DAYS[2], DAYS[5], DAYS[7]]


def test_only_changes_that_occur_are_in_the_legend_and_take_room() -> None:
    figure = charts.daily_changes(history(deleted=pd.array([0, 0, 0, None, 0, 0, 0, 0, 0], "Int64")))
    assert legend(figure) == ["rejected snapshot", "added", "updated", "several days"]
    assert figure.axes[0].get_ylim()[0] == 0


def test_with_more_than_90_dates_each_bar_is_a_week_that_counts_changes() -> None:
    figure = charts.daily_changes(snapshots([1] * 99))
    assert figure.axes[0].get_ylabel() == "changes per week"
    assert charts.title_of(figure) == "The snapshots of 13 weeks have the most changes: 7 per week"
    one = charts.daily_changes(snapshots([*[1] * 98, 20]))
    assert charts.title_of(one) == "The snapshots of the week of Apr 13 have the most changes: 21"
    assert charts.daily_changes(snapshots([1] * 99, "7D")).axes[0].get_ylabel() == "changed collections"


def test_the_title_of_snapshots_without_changes_has_the_first_date() -> None:
    assert charts.title_of(charts.daily_changes(snapshots([0, 0]))) == "No changes since Jan 5"


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3)), min_size=1, max_size=12))
def test_the_title_counts_all_bars_that_are_the_largest_and_names_single_days_only_for_a_day(runs: list) -> None:
    table = snapshots([added for added, _ in runs])
    table["date"] = pd.Timestamp("2026-01-05") + pd.to_timedelta(np.cumsum([0, *(gap for _, gap in runs)]), "D")
    bars = change_bars(table.assign(previous_date=table["date"].shift()))
    top = bars[bars["total"] == bars["total"].max()]
    title = changes_title(bars, table["date"].max(), weekly=False)
    assert bars["total"].sum() == sum(added for added, _ in runs)
    assert ("between two snapshots" in title) == ((top["date"] - top["previous_date"]).dt.days > 1).any()
    if len(top) > 1:
        assert f"{len(top)} times" in title or title.startswith(f"{len(top)} snapshots have")
