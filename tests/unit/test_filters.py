from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenario_etl import scan
from scenario_etl.errors import ConfigError
from scenario_etl.filters import DATE, END_DATE, FLAG, TEXT, TEXTS, Filter, query_for

FILTERS = (
    Filter("project_id", "projectId", TEXT, "Only this project."),
    Filter("types", "types", TEXTS, "Only these types.", excludes=("kind",)),
    Filter("kind", "type", TEXT, "Only this type."),
    Filter("hide_results", "hideResults", FLAG, "Without results."),
    Filter("created_after", "createdAfter", DATE, "Only later ones.", adds={"sortBy": "createdAt"}),
    Filter("created_before", "createdBefore", END_DATE, "Only earlier ones.", adds={"sortBy": "createdAt"}),
    Filter(
        "updated_after", "updatedAfter", DATE, "Only later ones.", adds={"sortBy": "updatedAt"}, needs=("kind", "types")
    ),
)

BOUNDS = {"created_after": "createdAfter", "created_before": "createdBefore"}


def query(**values: Any) -> dict[str, str]:
    return query_for("assets", FILTERS, values)


def refused(**values: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        query(**values)
    return str(caught.value)


def test_filters_reach_the_query_by_the_names_of_the_api() -> None:
    assert query(project_id="p", types=["a", "b"], hide_results=True, kind=None) == {
        "projectId": "p", "types": "a,b", "hideResults": "true",
    }  # fmt: skip


def test_a_date_filter_adds_the_order_that_it_needs() -> None:
    assert query(created_after="2026-11-23") == {"sortBy": "createdAt", "createdAfter": "2026-11-23T00:00:00.000Z"}


@pytest.mark.parametrize(
    "value",
    [
        date(2026, 11, 23), "2026-11-23", datetime(2026, 11, 23), datetime(2026, 11, 23, tzinfo=UTC),
        datetime(2026, 11, 23, 2, tzinfo=timezone(timedelta(hours=2))), "2026-11-23T02:00:00+02:00",
    ],
)  # fmt: skip
def test_dates_are_instants_in_utc(value: Any) -> None:
    assert query(created_after=value)["createdAfter"] == "2026-11-23T00:00:00.000Z"


@pytest.mark.parametrize(
    "value",
    [
        "yesterday",
        "",
        5,
        float("nan"),
        "2026-13-01",
        "2026-11-23x",
        "2026-11-23+02:00",
        "2026-11-23-0800",
        "2026-11-23108",
        "2026-11-23Z",
        True,
        [],
    ],
)
def test_what_is_not_a_date_is_rejected(value: Any) -> None:
    assert refused(created_after=value).startswith("created_after must be a date or time")


@pytest.mark.parametrize(
    "value",
    [
        datetime.min.replace(tzinfo=timezone(timedelta(hours=1))),
        datetime.max.replace(tzinfo=timezone(-timedelta(hours=1))),
        "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "2026-11-23T00:00:00+24:00",
    ],
)  # fmt: skip
def test_a_date_outside_the_calendar_of_utc_is_not_a_date(value: Any) -> None:
    assert refused(created_after=value).startswith("created_after must be a date or time")


@pytest.mark.parametrize("fraction", ["0", "000001", "106", "106001", "106500", "106999"])
def test_a_bound_with_microseconds_neither_adds_nor_loses_a_record(fraction: str) -> None:
    bound = datetime.fromisoformat(f"2026-11-23T08:00:00.{fraction}+00:00")
    times = [datetime(2026, 11, 23, 8, microsecond=1000 * number, tzinfo=UTC) for number in range(1000)]
    sent = {name: datetime.fromisoformat(query(**{name: bound})[api_name]) for name, api_name in BOUNDS.items()}
    assert [time for time in times if time > sent["created_after"]] == [time for time in times if time > bound]
    assert [time for time in times if time < sent["created_before"]] == [time for time in times if time < bound]


@pytest.mark.parametrize("value", ["2026-11-23T08:00:00.1065001Z", pd.Timestamp("2026-11-23T08:00:00.106500001Z")])
def test_a_date_with_nanoseconds_is_rejected_as_the_api_has_none(value: Any) -> None:
    assert refused(created_after=value).startswith("created_after must be a date or time")


def test_a_zone_without_an_offset_is_utc_as_no_zone_is() -> None:
    class NoOffset(tzinfo):
        def utcoffset(self, moment: datetime | None) -> None:
            return None

    moment = datetime(2026, 11, 23, tzinfo=NoOffset())
    assert query(created_after=moment)["createdAfter"] == "2026-11-23T00:00:00.000Z"


@pytest.mark.parametrize("value", ["", 5, [], True, "a\n", ["a"]])
def test_what_is_not_a_string_is_rejected(value: Any) -> None:
    assert refused(project_id=value).startswith("project_id must be a string")


@pytest.mark.parametrize("value", [[], ["a,b"], "a,b", 5, [""], [7], {}, {"a": "b"}, b"ab"])
def test_what_is_not_a_list_of_strings_is_rejected(value: Any) -> None:
    assert refused(types=value).startswith("types must be")


@pytest.mark.parametrize("value", [["b", "a"], ("a", "b", "a"), {"b", "a"}, iter(["a", "b"])])
def test_a_list_of_strings_is_the_same_query_in_any_order(value: Any) -> None:
    assert query(types=value) == {"types": "a,b"}


def test_a_filter_that_needs_another_is_rejected_alone() -> None:
    assert refused(updated_after="2026-11-23") == "updated_after requires kind or types"
    assert query(updated_after="2026-11-23", kind="x")["sortBy"] == "updatedAt"


def test_filters_that_exclude_each_other_are_rejected() -> None:
    assert refused(types=["a"], kind="b") == "types and kind cannot be used together; omit one of them"


def test_filters_that_need_different_orders_are_rejected() -> None:
    message = refused(created_after="2026-11-23", updated_after="2026-11-23", kind="x")
    assert message == (
        "created_after and updated_after cannot be used together, because the API requires a different sortBy for "
        "each; omit one of them"
    )


@pytest.mark.parametrize("before", ["2026-11-22", "2026-11-23"])
def test_bounds_that_no_date_is_between_are_rejected(before: str) -> None:
    message = refused(created_after="2026-11-23", created_before=before)
    assert message.startswith("created_after must be earlier than created_before, got 2026-11-23T00:00:00.000Z and ")
    assert query(created_after="2026-11-22T23:59:59.999Z", created_before="2026-11-23")


def test_an_unknown_filter_is_rejected_with_those_that_there_are() -> None:
    assert refused(dtype="x").startswith("unknown argument 'dtype'; the filters of assets are: project_id, ")
    with pytest.raises(ConfigError, match=r"^unknown argument 'worker'; did you mean 'workers'\?; teams has no"):
        scan("teams", worker=3)
    with pytest.raises(ConfigError, match=r"^unknown arguments 'bar', 'foo'; teams has no filters$"):
        query_for("teams", (), {"foo": "y", "bar": "y"})


@given(
    st.dictionaries(
        st.sampled_from([each.name for each in FILTERS]), st.none() | st.text() | st.integers() | st.dates()
    )
)
def test_any_values_are_a_query_of_strings_or_a_config_error(values: dict[str, Any]) -> None:
    try:
        found = query(**values)
    except ConfigError:
        return
    assert all(isinstance(each, str) for each in found.values())
