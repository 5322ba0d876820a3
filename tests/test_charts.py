import io
import re
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from scenario_etl import charts

DAYS = pd.date_range("2026-11-02", periods=9)
NAMES = ["Boss Concepts", None, "", "$a_1$ \\frac{", "<b>bold</b>", "x" * 200, "コレクション 🎮", "tab\tand\nline"]


def history(**changed: object) -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "date": DAYS,
            "rows": pd.array([100, 101, 101, None, 99, 99, 104, 104, 113], "Int64"),
            "items": pd.array([900, 950, 950, None, 990, 990, 1200, 1200, 1201], "Int64"),
            "previous_date": [pd.NaT, *DAYS[:2], pd.NaT, *DAYS[2:7]],
            "added": pd.array([100, 1, 0, None, 1, 0, 5, 0, 9], "Int64"),
            "updated": pd.array([0, 4, 0, None, 2, 0, 1, 0, 0], "Int64"),
            "deleted": pd.array([0, 0, 0, None, 3, 0, 0, 0, 0], "Int64"),
            "rejected": [False, False, False, True, False, False, False, False, False],
        }
    )
    return frame.assign(**changed)


def collections() -> pd.DataFrame:
    return pd.DataFrame({"name": NAMES, "item_count": pd.array([40, None, 1, 2, 3, 4, 5, 45], "Int64")})


def changes() -> pd.DataFrame:
    owners = ["proj_a", "proj_a", "proj_b", None, "proj_a"]
    days = ["2026-11-02", "2026-11-08", "2026-11-09", "2026-11-09", "2026-11-10"]
    return pd.DataFrame({"snapshot_date": days, "owner_id": owners})


def inked(figure: charts.Figure) -> np.ndarray:
    """Which pixels of a chart are not white."""
    return np.asarray(Image.open(io.BytesIO(charts.as_png(figure))).convert("L")) < 200


def test_titles_say_the_finding() -> None:
    pictures = [None] * len(NAMES)
    assert charts.title_of(charts.largest(collections(), 2)) == "2 collections hold 85% of all items"
    assert charts.title_of(charts.growth(history())) == "113 collections, 13 more than on Nov 2"
    assert charts.title_of(charts.daily_changes(history())) == "9 changes on Nov 10, the busiest day"
    assert charts.title_of(charts.activity(changes())) == "proj_a is the busiest owner: 3 changes"
    assert charts.title_of(charts.contact_sheet(collections(), pictures)) == "8 collections, 8 without a picture"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("days", [1, 20, 100, 500, 800, 1100, 3000, 9000])
@pytest.mark.parametrize("width", [4.2, 8.0])
def test_any_span_of_dates_is_drawn_without_a_warning(days: int, width: float) -> None:
    dates = pd.Series(pd.to_datetime([DAYS[0], DAYS[0] + timedelta(days=days)]))
    few = history().head(2).assign(date=dates, previous_date=[pd.NaT, DAYS[0]])
    assert inked(charts.growth(few, width=width)).any()


def test_a_name_has_no_characters_that_turn_the_direction_of_writing() -> None:
    assert charts._short("\u202egnp.exe\u2066", 20) == "gnp.exe"


@pytest.mark.parametrize("count", [0, 1])
def test_little_data_is_told_as_it_is(count: int) -> None:
    few = history().head(count)
    assert charts.title_of(charts.growth(few)) == ("No snapshot yet", "100 collections on Nov 2")[count]
    assert charts.title_of(charts.daily_changes(few)) == "Nothing has changed"
    assert charts.title_of(charts.activity(changes().head(0))) == "Nothing has changed"
    hold = ("0 collections hold 0% of all items", "1 collection holds 100% of all items")
    assert charts.title_of(charts.largest(collections().head(count))) == hold[count]
    assert charts.contact_sheet(collections().head(count), [None] * count)


def test_a_year_apart_the_year_is_told() -> None:
    found = charts.title_of(charts.growth(history(date=pd.date_range("2025-11-24", periods=9, freq="45D"))))
    assert found == "113 collections, 13 more than on Nov 24, 2025"


DRAWN = {
    "largest": (lambda width: charts.largest(collections(), width=width), {"items"}),
    "growth": (lambda width: charts.growth(history(), width=width), {"collections", "items", "snapshot (UTC)"}),
    "changes": (lambda width: charts.daily_changes(history(), width=width), {"collections", "snapshot (UTC)"}),
    "activity": (lambda width: charts.activity(changes(), width=width), {"changes in the week from"}),
    "sheet": (lambda width: charts.contact_sheet(collections(), [None] * len(NAMES), width=width), set()),
}


@pytest.mark.parametrize("width", [charts.WIDTH, 4.2])
@pytest.mark.parametrize("name", DRAWN)
def test_a_chart_is_labelled_and_fits_its_width_whatever_names_hold(name: str, width: float) -> None:
    draw, labels = DRAWN[name]
    figure = draw(width)
    assert {label for axes in figure.axes for label in (axes.get_xlabel(), axes.get_ylabel())} - {""} == labels
    drawn = inked(figure)
    assert drawn.shape[1] == pytest.approx(2 * charts.PIXELS_AN_INCH * width, abs=1)
    assert drawn.any()
    assert not drawn[:, -2:].any()  # nothing runs over the edge


def test_what_the_guard_stopped_is_marked() -> None:
    stopped, all_well = (charts.growth(history(rejected=rejected)) for rejected in (history()["rejected"], [False] * 9))
    assert [text.get_text() for text in stopped.legends[0].get_texts()] == ["stopped by the guard"]
    assert all_well.legends == []


def test_the_heat_map_counts_by_owner_and_week_from_monday() -> None:
    axes = charts.activity(changes()).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["Nov 2", "Nov 9"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["proj_a", "no owner", "proj_b"]
    assert [text.get_text() for text in axes.texts] == ["2", "1", "0", "1", "0", "1"]


def test_pictures_and_placeholders_stand_in_order_above_names_and_counts() -> None:
    target = io.BytesIO()
    Image.new("RGB", (20, 10), "red").save(target, "JPEG")
    figure = charts.contact_sheet(collections(), [target.getvalue(), *[None] * 7])
    assert [len(axis.images) for axis in figure.axes] == [1, *[0] * 11]
    texts = [axis.texts[-1].get_text() for axis in figure.axes[:8]]
    assert texts[0] == "Boss Concepts\n40 items"
    assert texts[1] == "(no name)\n? items"
    assert texts[2] == "(no name)\n1 item"
    assert re.fullmatch(r"x{20}\nx{19}…\n4 items", texts[5])
    assert texts[7] == "tab and line\n45 items"
