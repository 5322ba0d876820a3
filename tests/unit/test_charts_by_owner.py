import pandas as pd

from scenario_etl import charts
from scenario_etl.dashboard.tables import MAX_OWNERS


def changes() -> pd.DataFrame:
    owners = ["proj_a", "proj_a", "proj_b", None, "proj_a"]
    days = ["2026-11-02", "2026-11-08", "2026-11-09", "2026-11-09", "2026-11-10"]
    return pd.DataFrame({"snapshot_date": days, "owner_id": owners})


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
