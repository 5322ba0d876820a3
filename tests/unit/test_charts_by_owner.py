import contextlib

import pandas as pd
import pytest

from scenario_etl import charts
from scenario_etl.dashboard.heat_map import MIN_LEVEL
from scenario_etl.dashboard.tables import MAX_OWNERS
from tests.chart_tables import changes, contrast


def test_the_heat_map_counts_by_owner_and_week_from_monday() -> None:
    axes = charts.activity(changes()).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["Nov 2\n2026", "Nov 9"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["proj_a", "no owner", "proj_b"]
    assert [text.get_text() for text in axes.texts] == ["2", "1", "0", "1", "0", "1"]


def test_a_week_without_changes_is_a_column_of_zeros() -> None:
    quiet = changes().assign(snapshot_date=["2026-11-02", "2026-11-02", "2026-11-17", "2026-11-17", "2026-11-17"])
    axes = charts.activity(quiet).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["Nov 2\n2026", "Nov 9", "Nov 16"]
    assert [text.get_text() for text in axes.texts[:3]] == ["2", "0", "1"]


def test_owners_with_the_same_name_are_followed_by_their_ids() -> None:
    names = {"proj_a": "Same", "proj_b": "Same"}
    axes = charts.activity(changes(), names=names).axes[0]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["Same (proj_a)", "no owner", "Same (proj_b)"]
    assert charts.title_of(charts.activity(changes(), names=names)).startswith("Same (proj_a) has the most changes")


def test_owners_beyond_the_limit_are_in_one_row() -> None:
    owners = [f"proj_{number:02d}" for number in range(20)]
    many = pd.DataFrame({"snapshot_date": ["2026-11-02"] * 20, "owner_id": owners})
    labels = [label.get_text() for label in charts.activity(many).axes[0].get_yticklabels()]
    assert (len(labels), labels[-1]) == (MAX_OWNERS + 1, "5 others")


@pytest.mark.parametrize(
    ("owners", "title"),
    [
        (["a", "a", "b", "b", None], "2 owners have the most changes from Nov 2 to Nov 10: 2 each"),
        ([None, None, "b", "c", None], "Collections without an owner have the most changes from Nov 2 to Nov 10: 3"),
    ],
)
def test_the_title_names_the_most_active_owner_only_without_a_tie(owners: list, title: str) -> None:
    assert charts.title_of(charts.activity(changes().assign(owner_id=owners))) == title


def of_owners(**counts: int) -> pd.DataFrame:
    """Return changes of one day: this number for each owner."""
    owners = [owner for owner, count in counts.items() for _ in range(count)]
    return pd.DataFrame({"snapshot_date": "2026-11-02", "owner_id": owners})


def test_the_row_of_others_is_gray_and_does_not_change_the_colors() -> None:
    few = {f"p{number:02d}": 9 for number in range(MAX_OWNERS)}
    alone, with_others = (
        charts.activity(of_owners(**few, **others)).axes[0].images[0].get_array()
        for others in ({}, {f"q{number:02d}": 8 for number in range(20)})
    )
    assert (alone == with_others[:MAX_OWNERS]).all()
    assert with_others.mask[MAX_OWNERS].all()


def test_an_owner_whose_id_looks_like_a_row_of_others_is_an_owner() -> None:
    assert charts.title_of(charts.activity(of_owners(**{"5 others": 3, "a": 1}))).startswith("5 others has the most")


def test_one_change_differs_from_none() -> None:
    later = pd.DataFrame({"snapshot_date": ["2026-11-09"], "owner_id": ["b"]})
    levels = charts.activity(pd.concat([of_owners(a=1000), later])).axes[0].images[0].get_array()
    assert levels[1].tolist() == [0, pytest.approx(MIN_LEVEL, abs=0.001)]


@pytest.mark.parametrize("theme", [contextlib.nullcontext, charts.dark])
def test_numbers_have_enough_contrast_to_their_cells(theme) -> None:
    with theme():
        axis = charts.activity(of_owners(**{f"p{count:02d}": count for count in range(1, 16)})).axes[0]
    colors = [axis.images[0].cmap(level) for level in axis.images[0].get_array().ravel()]
    assert len(colors) == len(axis.texts) == 15
    assert all(contrast(text.get_color(), color) >= 4.5 for text, color in zip(axis.texts, colors, strict=True))


def test_colors_without_numbers_have_a_legend() -> None:
    days = pd.date_range("2026-01-05", periods=7 * 40)
    figure = charts.activity(pd.DataFrame({"snapshot_date": days, "owner_id": "a"}), width=4.2)
    assert not figure.axes[0].texts
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["1", "4", "7"]


def test_the_first_column_starts_with_the_date_in_the_title() -> None:
    late = changes().assign(snapshot_date=["2025-12-30", *["2026-01-05"] * 4])
    figure = charts.activity(late)
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["Dec 30\n2025", "Jan 5\n2026"]
    assert charts.title_of(figure) == "proj_a has the most changes from Dec 30, 2025 to Jan 5: 3"


def test_a_name_from_right_to_left_does_not_reorder_the_title() -> None:
    title = charts.title_of(charts.activity(changes(), names={"proj_a": "\u05e9\u05dc\u05d5\u05dd"}))
    assert title == "\u200e\u05e9\u05dc\u05d5\u05dd\u200e has the most changes from Nov 2 to Nov 10: 3"


def test_owners_may_be_a_categorical_column() -> None:
    assert charts.title_of(charts.activity(changes().astype({"owner_id": "category"}))).startswith(
        "proj_a has the most"
    )
