import inspect
import io
import re
from datetime import timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from matplotlib.figure import Figure
from PIL import Image

import scenario_etl
from scenario_etl import ConfigError, charts
from scenario_etl.dashboard.style import PIXELS_PER_INCH, WIDTH
from scenario_etl.dashboard.text import percent, shorten

DAYS = pd.date_range("2026-11-02", periods=9)
NAMES = ["Boss Concepts", None, "", "$a_1$ \\frac{", "<b>bold</b>", "x" * 200, "コレクション 🎮", "tab\tand\nline"]


def history(**changed: object) -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "date": DAYS,
            "rows": pd.array([100, 101, 101, None, 99, 99, 104, 104, 113], "Int64"),
            "items": pd.array([900, 950, 950, None, 990, 990, 1200, 1200, 1201], "Int64"),
            "previous_date": [pd.NaT, *DAYS[:2], pd.NaT, DAYS[2], *DAYS[4:8]],
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


def dark_pixels(figure: Figure) -> np.ndarray:
    """Return which pixels of a chart are not white."""
    return np.asarray(Image.open(io.BytesIO(charts.as_png(figure))).convert("L")) < 200


def test_the_title_is_the_main_result() -> None:
    images = [None] * len(NAMES)
    assert (
        charts.title_of(charts.largest(collections(), 2))
        == "The 2 largest collections have 85% of the total of the known item counts"
    )
    assert charts.title_of(charts.growth(history())) == "113 collections, 13 more than on Nov 2"
    assert (
        charts.title_of(charts.daily_changes(history())) == "The snapshot of Nov 10 has the most changes: 9 collections"
    )
    assert charts.title_of(charts.activity(changes())) == "proj_a has the most changes since Nov 2: 3"
    assert charts.title_of(charts.contact_sheet(collections(), images)) == "8 collections, 8 without a thumbnail"


@pytest.mark.parametrize(
    ("updated", "title"),
    [
        (
            [0, 4, 0, None, 20, 0, 1, 0, 0],
            "Most changes between two snapshots: 24 collections, from Nov 4 to Nov 6",
        ),
        ([0, 8, 0, None, 2, 0, 1, 0, 0], "2 snapshots have the most changes: 9 collections each"),
        ([0, 0, 0, None, 0, 0, 0, 0, 1], "The snapshot of Nov 10 has the most changes: 10 collections"),
    ],
)
def test_the_title_names_the_snapshot_with_the_most_changes_only_without_a_tie(updated: list, title: str) -> None:
    assert charts.title_of(charts.daily_changes(history(updated=pd.array(updated, "Int64")))) == title


@pytest.mark.parametrize(
    ("owners", "title"),
    [
        (["a", "a", "b", "b", None], "2 owners have the most changes since Nov 2: 2 each"),
        ([None, None, "b", "c", None], "Collections without an owner have the most changes since Nov 2: 3"),
    ],
)
def test_the_title_names_the_most_active_owner_only_without_a_tie(owners: list, title: str) -> None:
    assert charts.title_of(charts.activity(changes().assign(owner_id=owners))) == title


@pytest.mark.parametrize(
    ("share", "text"), [(0.0, "0%"), (0.001, "less than 1%"), (0.5, "50%"), (0.999, "more than 99%"), (1.0, "100%")]
)
def test_a_share_is_rounded_neither_to_0_nor_to_100_percent(share: float, text: str) -> None:
    assert percent(share) == text


def test_a_rejected_snapshot_interrupts_the_line() -> None:
    for axis in charts.growth(history()).axes:
        assert [number for number, value in enumerate(axis.lines[0].get_ydata()) if np.isnan(value)] == [3]


def test_both_axes_start_at_zero_if_a_change_is_large_and_are_labelled_as_truncated_otherwise() -> None:
    little = charts.growth(history(items=history()["rows"] * 2)).axes
    much = charts.growth(history(items=history()["rows"] - 90)).axes
    assert [axis.get_ylim()[0] > 90 for axis in little] == [True, True]
    assert [axis.get_ylim()[0] for axis in much] == [0, 0]
    assert [axis.get_ylabel() for axis in little] == ["collections\n(truncated axis)", "items\n(truncated axis)"]
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


def test_the_title_is_not_broken_within_a_date() -> None:
    title = charts.growth(history(), width=3.9).get_suptitle()
    assert title.splitlines() == ["113 collections, 13 more than on", "Nov\u00a02"]


@pytest.mark.parametrize(("busiest", "side"), [(1, "left"), (8, "right")])
def test_the_number_of_the_highest_of_narrow_bars_is_inside_the_chart(busiest: int, side: str) -> None:
    updated = pd.array([500 if day == busiest else 0 for day in range(9)], "Int64")
    (text,) = charts.daily_changes(history(updated=updated), width=2.5).axes[0].texts
    assert text.get_horizontalalignment() == side


@pytest.mark.parametrize("width", [WIDTH, 4.2])
def test_growth_and_changes_have_the_same_dates_at_the_same_places_and_the_first_has_its_year(width: float) -> None:
    many = history(items=history()["items"] + 150_000)
    growth, daily = charts.growth(many, width=width).axes[1], charts.daily_changes(many, width=width).axes[0]
    assert growth.get_position().intervalx == pytest.approx(daily.get_position().intervalx, abs=0.001)
    labels = [[label.get_text() for label in axis.get_xticklabels()] for axis in (growth, daily)]
    assert growth.get_xlim() == daily.get_xlim()
    assert labels[0] == labels[1]
    assert [label.endswith("\n2026") for label in labels[0]] == [True, *[False] * (len(labels[0]) - 1)]


def test_the_first_date_of_a_new_year_has_its_year() -> None:
    months = history(date=pd.date_range("2025-10-20", periods=9, freq="30D"))
    labels = [label.get_text() for label in charts.growth(months).axes[1].get_xticklabels()]
    assert [label for label in labels if "\n" in label] == ["Nov 1\n2025", "Jan 1\n2026"]


def test_bars_have_their_numbers_and_narrow_ones_only_the_largest() -> None:
    wide, narrow = (charts.daily_changes(history(), width=width).axes[0].texts for width in (WIDTH, 2.5))
    assert [text.get_text() for text in wide] == ["5", "3", "3", "6", "9"]
    assert [text.get_text() for text in narrow] == ["9"]  # the number in the title
    bars = charts.largest(collections()).axes[0]
    assert [text.get_text() for text in bars.texts if text.get_text()] == ["45", "40", "5", "4", "3", "2", "1"]


def test_dark_draws_light_text_on_a_dark_background_inside_its_block_only() -> None:
    with charts.dark():
        pixels = np.asarray(Image.open(io.BytesIO(charts.as_png(charts.growth(history())))).convert("L"))
    assert pixels[0, 0] < 40
    assert pixels.max() > 200
    assert dark_pixels(charts.growth(history()))[0, 0] == False  # noqa: E712 - a numpy bool; after the block all is light again


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("days", [1, 20, 100, 500, 800, 1100, 3000, 9000])
@pytest.mark.parametrize("width", [4.2, 8.0])
def test_any_span_of_dates_is_drawn_without_a_warning(days: int, width: float) -> None:
    dates = pd.Series(pd.to_datetime([DAYS[0], DAYS[0] + timedelta(days=days)]))
    few = history().head(2).assign(date=dates, previous_date=[pd.NaT, DAYS[0]])
    assert dark_pixels(charts.growth(few, width=width)).any()


def test_bidi_controls_are_removed_from_names() -> None:
    assert shorten("\u202egnp.exe\u2066", 20) == "gnp.exe"


@pytest.mark.parametrize("count", [0, 1])
def test_titles_of_empty_tables_and_single_rows(count: int) -> None:
    few = history().head(count)
    assert charts.title_of(charts.growth(few)) == ("No snapshots yet", "100 collections on Nov 2")[count]
    assert charts.title_of(charts.daily_changes(few)) == "No changes"
    assert charts.title_of(charts.activity(changes().head(0))) == "No changes"
    hold = ("No collections", "The largest collection has 100% of the total item count")
    assert charts.title_of(charts.largest(collections().head(count))) == hold[count]
    sheet = charts.contact_sheet(collections().head(count), [None] * count)
    assert charts.title_of(sheet) == ("No collections", "1 collection, 1 without a thumbnail")[count]


def test_the_title_has_the_year_of_another_year() -> None:
    title = charts.title_of(charts.growth(history(date=pd.date_range("2025-11-24", periods=9, freq="45D"))))
    assert title == "113 collections, 13 more than on Nov 24, 2025"


DRAWN = {
    "largest": (lambda width: charts.largest(collections(), width=width), {"items"}),
    "growth": (
        lambda width: charts.growth(history(items=history()["rows"] - 90), width=width),
        {"collections", "items", "snapshot date (UTC)"},
    ),
    "changes": (
        lambda width: charts.daily_changes(history(), width=width),
        {"changed collections", "snapshot date (UTC)"},
    ),
    "activity": (lambda width: charts.activity(changes(), width=width), {"changes in the week of"}),
    "sheet": (lambda width: charts.contact_sheet(collections(), [None] * len(NAMES), width=width), set()),
}


@pytest.mark.parametrize("width", [WIDTH, 4.2])
@pytest.mark.parametrize("name", DRAWN)
def test_a_chart_is_labelled_and_fits_its_width_with_any_names(name: str, width: float) -> None:
    draw, labels = DRAWN[name]
    figure = draw(width)
    assert {label for axes in figure.axes for label in (axes.get_xlabel(), axes.get_ylabel())} - {""} == labels
    drawn = dark_pixels(figure)
    assert drawn.shape[1] == pytest.approx(2 * PIXELS_PER_INCH * width, abs=1)
    assert drawn.any()
    assert not drawn[:, -2:].any()  # nothing runs over the edge


def test_rejected_snapshots_are_highlighted() -> None:
    rejected_once, all_well = (
        charts.growth(history(rejected=rejected)) for rejected in (history()["rejected"], [False] * 9)
    )
    assert [text.get_text() for text in rejected_once.legends[0].get_texts()] == ["rejected snapshot"]
    assert all_well.legends == []


def test_thumbnails_and_placeholders_are_in_order_above_names_and_counts() -> None:
    target = io.BytesIO()
    Image.new("RGB", (20, 10), "red").save(target, "JPEG")
    figure = charts.contact_sheet(collections(), [target.getvalue(), *[None] * 7])
    assert [len(axis.images) for axis in figure.axes] == [1, *[0] * 11]
    complete = charts.contact_sheet(collections(), [target.getvalue()] * len(NAMES))
    assert charts.title_of(complete) == "8 collections, all with a thumbnail"
    texts = [axis.texts[-1].get_text() for axis in figure.axes[:8]]
    assert texts[0] == "Boss Concepts\n40 items"
    assert texts[1] == "(no name)\n? items"
    assert texts[2] == "(no name)\n1 item"
    assert re.fullmatch(r"x{20}\nx{10}…x{9}\n4 items", texts[5])
    assert texts[7] == "tab and line\n45 items"


def test_with_more_than_90_snapshots_each_bar_is_a_week() -> None:
    days = pd.date_range("2026-07-01", periods=100)
    year = pd.DataFrame(
        {"date": days, "previous_date": days - timedelta(days=1), "rows": 1, "added": 1, "updated": 0, "deleted": 0,
         "rejected": False},
    )  # fmt: skip
    figure = charts.daily_changes(year)
    assert figure.axes[0].get_ylabel() == "changed collections per week"
    assert charts.title_of(figure) == "13 weeks have the most changes: 7 collections each"


def test_a_day_without_a_run_interrupts_the_line_of_daily_snapshots() -> None:
    gap = history().drop(index=[6])
    assert np.isnan(charts.growth(gap).axes[0].lines[0].get_ydata()).tolist() == [n in (3, 6) for n in range(9)]


@pytest.mark.parametrize(
    ("draw", "table", "message"),
    [
        (charts.growth, [1], "growth requires a DataFrame or a pyarrow.Table, got a value of type list"),
        (charts.growth, collections(), "growth requires the column 'date', which is missing from the table; add it"),
        (charts.activity, collections(), "activity requires the column 'snapshot_date'"),
    ],
)
def test_a_value_that_cannot_be_drawn_is_a_config_error(draw, table, message: str) -> None:
    with pytest.raises(scenario_etl.ConfigError, match=message):
        draw(table)


def test_completion_offers_the_charts_and_nothing_else() -> None:
    assert dir(charts) == charts.__all__
    assert {"activity", "contact_sheet", "daily_changes", "growth", "largest"} < set(charts.__all__)


def test_a_table_may_be_an_arrow_table_and_a_keyword() -> None:
    figure = charts.largest(collections=pa.Table.from_pandas(collections()), count=2)
    assert charts.title_of(figure) == "The 2 largest collections have 85% of the total of the known item counts"


def test_signatures_show_the_parameters() -> None:
    assert list(inspect.signature(charts.growth).parameters) == ["history", "width"]
    assert list(inspect.signature(charts.activity).parameters) == ["changes", "names", "width"]


def test_a_sheet_with_another_number_of_images_than_collections_is_rejected() -> None:
    for images in ([None] * 7, [None] * 9, []):
        with pytest.raises(ConfigError, match=f"one image for each collection, got {len(images)} images for 8 coll"):
            charts.contact_sheet(collections(), images)


def test_images_that_were_not_fetched_are_counted_on_their_own() -> None:
    target = io.BytesIO()
    Image.new("RGB", (20, 10), "red").save(target, "JPEG")
    urls = ["https://cdn.example/x"] * 6 + [None] * 2
    image = target.getvalue()
    for images, title in (
        ([None] * 3 + [image] * 3 + [None] * 2, "8 collections, 2 without a thumbnail, 3 thumbnails not fetched"),
        ([None] + [image] * 5 + [None] * 2, "8 collections, 2 without a thumbnail, 1 thumbnail not fetched"),
        ([image] * 6 + [None] * 2, "8 collections, 2 without a thumbnail"),
    ):
        figure = charts.contact_sheet(collections().assign(thumbnail_url=urls), images)
        assert charts.title_of(figure) == title
    drawn = [text.get_text() for axis in figure.axes for text in axis.texts]
    assert drawn.count("no thumbnail") == 2


def test_a_long_name_does_not_move_the_images() -> None:
    places = [
        np.array([axis.get_position().bounds for axis in charts.contact_sheet(table, [None] * 8).axes])
        for table in (collections(), collections().assign(name="W" * 200))
    ]
    assert places[0] == pytest.approx(places[1])
