import inspect
import io
import itertools
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
from scenario_etl.dashboard.style import DARK, LIGHT, PIXELS_PER_INCH, WIDTH
from scenario_etl.dashboard.text import percent, shorten
from tests.chart_tables import DAYS, NAMES, changes, collections, contrast, history


def dark_pixels(figure: Figure) -> np.ndarray:
    """Return which pixels of a chart are not white."""
    return np.asarray(Image.open(io.BytesIO(charts.as_png(figure))).convert("L")) < 200


def test_the_title_is_the_main_result() -> None:
    images = [None] * len(NAMES)
    top_2 = "The 2 largest collections have 85% of the total of the known item counts"
    assert charts.title_of(charts.largest(collections(), 2)) == top_2
    assert charts.title_of(charts.growth(history())) == "113 collections, 13 more than on Nov 2"
    assert (
        charts.title_of(charts.daily_changes(history())) == "The snapshot of Nov 10 has the most changes: 9 collections"
    )
    assert charts.title_of(charts.activity(changes())) == "proj_a has the most changes from Nov 2 to Nov 10: 3"
    assert charts.title_of(charts.contact_sheet(collections(), images)) == "8 collections, 8 without a thumbnail"


@pytest.mark.parametrize(
    ("share", "text"), [(0.0, "0%"), (0.001, "less than 1%"), (0.5, "50%"), (0.999, "more than 99%"), (1.0, "100%")]
)
def test_a_share_is_rounded_neither_to_0_nor_to_100_percent(share: float, text: str) -> None:
    assert percent(share) == text


def test_the_title_is_not_broken_within_a_date_or_before_a_number() -> None:
    title = charts.growth(history(), width=3.9).get_suptitle()
    assert title.splitlines() == ["113 collections, 13 more than on", "Nov\u00a02"]
    one_day = changes().assign(owner_id="Emberfall Studio", snapshot_date="2026-11-27")
    title = charts.activity(one_day, width=4.2).get_suptitle()
    assert title.splitlines() == ["Emberfall Studio has all changes on", "Nov\u00a027:\u00a05"]


@pytest.mark.parametrize("width", [WIDTH, 4.2])
def test_growth_and_changes_have_the_same_dates_at_the_same_places_and_the_first_has_its_year(width: float) -> None:
    many = history(items=history()["items"] + 150_000)
    growth, daily = charts.growth(many, width=width).axes[1], charts.daily_changes(many, width=width).axes[0]
    assert growth.get_position().intervalx == pytest.approx(daily.get_position().intervalx, abs=0.001)
    labels = [[label.get_text() for label in axis.get_xticklabels()] for axis in (growth, daily)]
    assert growth.get_xlim() == daily.get_xlim()
    assert labels[0] == labels[1]
    assert [label.endswith("\n2026") for label in labels[0]] == [True, *[False] * (len(labels[0]) - 1)]


@pytest.mark.parametrize("draw", [charts.growth, charts.daily_changes])
def test_dates_on_the_axis_do_not_overlap(draw) -> None:
    far_apart = pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-03", "2026-06-01", "2026-11-20", "2026-11-21"])
    runs = history().head(6).assign(date=far_apart, rejected=False)
    labels = draw(runs).axes[-1].get_xticklabels()
    ends = [(extent.x0, extent.x1) for extent in (label.get_window_extent() for label in labels)]
    assert all(before < start for (_, before), (start, _) in itertools.pairwise(ends))
    assert len(ends) == 3


def test_the_first_date_of_a_new_year_has_its_year() -> None:
    months = history(date=pd.date_range("2025-10-20", periods=9, freq="30D"))
    labels = [label.get_text() for label in charts.growth(months).axes[1].get_xticklabels()]
    assert [label for label in labels if "\n" in label] == ["Nov 1\n2025", "Jan 1\n2026"]


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


def test_a_long_name_lacks_its_middle_and_wide_characters_count_as_two() -> None:
    assert shorten("Concepts of castles, version 2", 20) == "Concepts o…version 2"
    assert shorten("🎮" * 20, 20) == "□" * 5 + "…" + "□" * 4
    labels = charts.largest(collections().assign(name="Concepts of castles in the north, draft 12")).axes[0]
    assert labels.get_yticklabels()[0].get_text() == "Concepts of castles in the north, draft 12"


def test_bidi_controls_are_removed_from_names() -> None:
    assert shorten("\u202egnp.exe\u2066", 20) == "gnp.exe"


@pytest.mark.parametrize("count", [0, 1])
def test_titles_of_empty_tables_and_single_rows(count: int) -> None:
    few = history().head(count)
    assert charts.title_of(charts.growth(few)) == ("No snapshots yet", "100 collections on Nov 2")[count]
    compared = ("No snapshots yet", "No earlier snapshot to compare with")[count]
    assert charts.title_of(charts.daily_changes(few)) == compared
    assert charts.title_of(charts.activity(changes().head(0))) == "No changes"
    largest = ("No collections", "The largest collection has 100% of the total item count")[count]
    assert charts.title_of(charts.largest(collections().head(count))) == largest
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
    "activity": (lambda width: charts.activity(changes(), width=width), {"changes in the week from"}),
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


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("width", [WIDTH, 4.2])
def test_a_chart_with_a_single_row_has_room_for_its_text(width: float) -> None:
    one_owner = changes().assign(owner_id="proj_" + "W" * 40)
    for figure in (
        charts.activity(one_owner, width=width),
        charts.largest(collections(), 1, width=width),
        charts.daily_changes(history(), width=width),
        charts.contact_sheet(collections().head(1), [None], width=width),
    ):
        assert figure.axes[0].get_window_extent().height > 20


def test_rejected_snapshots_are_crosses_on_the_axis_of_their_dates() -> None:
    for draw in (charts.growth, charts.daily_changes):
        figure = draw(history())
        assert figure.legends[0].get_texts()[0].get_text() == "rejected snapshot"
        (cross,) = [line for line in figure.axes[0].lines if line.get_marker() == "x"]
        assert list(cross.get_xdata()) == [pd.Timestamp("2026-11-05")]
        assert list(cross.get_ydata()) == [0]
    assert charts.growth(history(rejected=False)).legends == []


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


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_the_text_of_a_missing_image_has_enough_contrast(theme: dict) -> None:
    assert contrast(theme["text.color"], theme["grid.color"]) >= 4.5
