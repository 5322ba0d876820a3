import datetime as dt
import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import requests
import scenario_sdk
from hypothesis import given, settings
from hypothesis import strategies as st

from scenario_etl import changes, read_snapshot, snapshot
from scenario_etl.errors import (
    ConfigError,
)
from scenario_etl.lake import changes_schema
from scenario_etl.parquet import key_values, open_parquet
from scenario_etl.resources import COLLECTIONS
from tests.helpers import answering, page, record
from tests.lakes import API, DAYS, changes_on, files, take


@pytest.fixture
def official(api):
    with scenario_sdk.Scenario(api_key="demo", api_secret="demo", base_url=api.url) as client:
        yield client


def test_changes_made_with_the_official_client_are_in_the_next_snapshot(run, api, official, lake: Path) -> None:
    """Create two, rename one, delete one with the official client; URLs are re-signed in between."""
    api.now = dt.datetime(2026, 11, 1, 3, tzinfo=dt.UTC)
    first = run("snapshot", "collections", lake, "--date", "2026-11-01", "--report", "-", api=api)
    assert first.returncode == 0, first.stderr
    api.now = dt.datetime(2026, 11, 8, 3, tzinfo=dt.UTC)
    renamed, deleted = official.collections.list(page_size=2).collections
    made = [official.collections.create(name=name).collection.id for name in ("Bosses", "Loot")]
    official.collections.update(renamed.id, name="Renamed")
    official.collections.delete(deleted.id)
    second = run("snapshot", "collections", lake, "--date", "2026-11-08", "--report", "-", api=api)
    report = json.loads(second.stdout)
    assert (report["added"], report["updated"], report["deleted"]) == (2, 1, 1)
    assert second.stderr.endswith("; 2 added, 1 updated, 1 deleted\n")
    assert changes_on(lake, "2026-11-08") == [
        ("updated", renamed.id, ["name", "updated_at"]),
        ("added", made[0], []),
        ("added", made[1], []),
        ("deleted", deleted.id, []),
    ]
    assert changes(lake, "collections", since="2026-11-08")["name"].to_pylist() == [
        "Renamed",
        "Bosses",
        "Loot",
        deleted.name,
    ]
    counts = run("changes", "collections", lake).stdout.split("\n")
    assert [line.split() for line in counts[1:3]] == [["2026-11-01", "250", "0", "0"], ["2026-11-08", "2", "1", "1"]]
    rows = run("changes", "collections", lake, "--date", "2026-11-08", COLUMNS="200").stdout
    assert "name, updated_at" in rows
    assert [line.split()[0] for line in rows.splitlines()[1:5]] == ["updated", "added", "added", "deleted"]


def test_urls_that_are_re_signed_are_no_change_in_any_form(api, client, tmp_path: Path) -> None:
    for form in ("keep", "public", "omit"):
        for day in (1, 8, 15):
            api.now = dt.datetime(2026, 11, day, tzinfo=dt.UTC)
            report = snapshot("collections", tmp_path / form, date=api.now.date(), client=client, signed_urls=form)
        assert (report.added, report.updated, report.deleted) == (0, 0, 0)


def test_a_snapshot_has_no_signed_urls_by_default(client, lake: Path) -> None:
    snapshot("collections", lake, date="2026-11-01", client=client)
    urls = read_snapshot(lake, "collections")["thumbnail_url"].drop_null().to_pylist()
    assert urls
    assert all(re.fullmatch(r"http://127\.0\.0\.1:\d+/thumbnails/asset_\w+", url) for url in urls)
    assert requests.get(urls[0], timeout=5).status_code == 200


def test_the_layout_is_one_file_a_snapshot_and_nothing_else(client, lake: Path) -> None:
    for day in DAYS[:2]:
        snapshot("collections", lake, date=day, client=client)
    assert files(lake) == [
        ".collections.lock",
        *(
            f"{table}/snapshot_date={day}/part-0.parquet"
            for table in ("collections", "collections_changes")
            for day in DAYS[:2]
        ),
    ]
    footer = key_values(open_parquet(lake / "collections_changes/snapshot_date=2026-11-02/part-0.parquet"))
    assert (footer["scenario_etl.previous_date"], footer["scenario_etl.complete"]) == ("2026-11-01", "true")


def test_all_rows_of_the_first_snapshot_are_added_in_the_documented_schema(client, lake: Path) -> None:
    report = snapshot("collections", lake, date="2026-11-01", client=client)
    assert (report.previous_date, report.added, report.updated, report.deleted) == (None, 250, 0, 0)
    table = changes(lake, "collections")
    assert set(table["change"].to_pylist()) == {"added"}
    assert table.schema.names == ["snapshot_date", "change", "changed_columns", *COLLECTIONS.schema.names]
    assert table.drop_columns("snapshot_date").schema.equals(changes_schema(COLLECTIONS))


def test_today_in_utc_is_the_default_date(client, lake: Path) -> None:
    before = dt.datetime.now(dt.UTC).date()
    report = snapshot("collections", lake, client=client)
    assert before <= report.date <= dt.datetime.now(dt.UTC).date()


@pytest.mark.parametrize(
    ("changed", "columns"),
    [
        ({"name": "other"}, ["name"]),
        ({"name": ...}, ["name"]),
        ({"assetCount": 4, "itemCount": 5}, ["asset_count", "item_count"]),
        ({"thumbnail": ...}, ["thumbnail_asset_id"]),
        ({"thumbnail": {"assetId": "asset_2", "url": "u"}}, ["thumbnail_asset_id"]),
        ({"thumbnail": {"assetId": "asset_1", "url": "https://other.example"}}, None),
        ({"updatedAt": "2026-06-01T00:00:00Z"}, ["updated_at"]),
        ({}, None),
    ],
)
def test_each_changed_column_is_named_to_and_from_null(lake: Path, changed, columns) -> None:
    take(lake, DAYS[0], record())
    take(lake, DAYS[1], record(**changed))
    take(lake, DAYS[2], record())
    expected = [("updated", "c1", columns)] if columns else []
    assert changes_on(lake, DAYS[1]) == changes_on(lake, DAYS[2]) == expected


def test_the_order_of_rows_is_no_change(lake: Path) -> None:
    take(lake, DAYS[0], record(id="a"), record(id="b"), record(id="c"))
    take(lake, DAYS[1], record(id="c"), record(id="a"), record(id="b"))
    assert changes_on(lake, DAYS[1]) == []


names = st.dictionaries(st.integers(0, 30), st.sampled_from([None, "x", "y"]), min_size=1, max_size=20)


@settings(max_examples=30)
@given(st.lists(names, min_size=2, max_size=4))
def test_the_changes_applied_to_a_snapshot_give_the_next(tmp_path_factory, states) -> None:
    """An oracle in plain Python: replay the changes on the first state, and arrive at the last."""
    lake = tmp_path_factory.mktemp("replay") / "lake"
    replayed: dict[str, str | None] = {}
    for day, state in zip(DAYS, states, strict=False):
        take(lake, day, *(record(id=f"c{key}", name=name) for key, name in state.items()), accept_shrink=True)
        for row in changes(lake, "collections", since=day, until=day).to_pylist():
            known = row["id"] in replayed
            assert known == (row["change"] != "added")
            assert row["change"] != "updated" or row["changed_columns"] == ["name"]
            if row["change"] == "deleted":
                del replayed[row["id"]]
            else:
                assert not known or replayed[row["id"]] != row["name"]
                replayed[row["id"]] = row["name"]
        assert replayed == {f"c{key}": name for key, name in state.items()}


def test_a_second_run_for_a_date_replaces_it_and_compares_with_the_day_before(lake: Path) -> None:
    take(lake, DAYS[0], record())
    take(lake, DAYS[1], record(name="noon"))
    take(lake, DAYS[1], record(name="night"), record(id="c2"))
    assert changes_on(lake, DAYS[1]) == [("updated", "c1", ["name"]), ("added", "c2", [])]
    assert read_snapshot(lake, "collections", DAYS[1])["name"].to_pylist() == ["night", "Key Art"]


def test_a_date_before_the_newest_snapshot_is_rejected_without_a_request(lake: Path) -> None:
    take(lake, DAYS[1], record())
    with pytest.raises(
        ConfigError, match=r"date must not be before the newest snapshot \(2026-11-02\), got 2026-11-01"
    ):
        take(lake, DAYS[0], record())
    assert API.requests == []


def test_a_column_that_is_new_in_the_table_is_no_change_of_its_rows(lake: Path) -> None:
    take(lake, DAYS[0], record())
    path = lake / f"collections/snapshot_date={DAYS[0]}/part-0.parquet"
    old = pq.read_table(path)
    pq.write_table(old.drop_columns("item_count"), path)
    take(lake, DAYS[1], record(), record(id="c2"))
    assert changes_on(lake, DAYS[1]) == [("added", "c2", [])]


# Retention


def test_retention_keeps_the_newest_and_all_changes(lake: Path) -> None:
    for day in DAYS[:5]:
        report = take(lake, day, record(), keep=2)
    assert report.removed_dates == (dt.date(2026, 11, 3),)
    assert sorted(path.name for path in (lake / "collections").iterdir()) == [
        f"snapshot_date={day}" for day in DAYS[3:5]
    ]
    assert len(list((lake / "collections_changes").iterdir())) == 5


def test_a_date_whose_base_was_removed_cannot_be_made_again(lake: Path) -> None:
    for day in DAYS[:2]:
        take(lake, day, record(), keep=1)
    with pytest.raises(ConfigError, match="keep at least 2"):
        take(lake, DAYS[1], record(), keep=1)
    assert take(lake, DAYS[2], record(), keep=1).updated == 0


@pytest.mark.parametrize(
    "arguments",
    [{"keep": 0}, {"max_shrink": 1.5}, {"max_shrink": float("nan")}, {"lock_timeout": -1}, {"date": "11/23"},
     {"date": "2026-13-01"}, {"signed_urls": "some"}, {"colour": "red"}],
)  # fmt: skip
def test_a_wrong_argument_is_rejected_before_any_request(lake: Path, arguments) -> None:
    client, adapter = answering(page())
    with pytest.raises(ConfigError):
        snapshot("collections", lake, **({"client": client, "date": DAYS[0]} | arguments))
    assert adapter.requests == []
    assert not lake.exists()


def test_a_logical_date_of_an_orchestrator_is_its_day_in_utc(lake: Path) -> None:
    logical = dt.datetime(2026, 11, 2, 1, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    assert take(lake, logical, record()).date == dt.date(2026, 11, 1)


def test_a_date_before_1970_is_rejected(lake: Path) -> None:
    with pytest.raises(ConfigError, match="date must not be before 1970-01-01, got 1969-12-31"):
        take(lake, "1969-12-31", record())
    assert API.requests == []
