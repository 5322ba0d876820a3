import datetime as dt
import json
import re
import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests
import scenario_sdk
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st

from scenario_etl import Client, changes, history, read_snapshot, snapshot
from scenario_etl.emulator import Fault
from scenario_etl.errors import (
    APIError,
    ConfigError,
    DestinationError,
    GuardError,
    PaginationError,
    SchemaError,
    TransientError,
)
from scenario_etl.lake import changes_schema
from scenario_etl.lake_reader import newest_footer, read_history
from scenario_etl.parquet import key_values, opened
from scenario_etl.projects import project_names
from scenario_etl.resources import COLLECTIONS
from tests.helpers import answering, environment, page, record
from tests.lakes import API, DAYS, changes_on, connected, take
from tests.system.faults.server import Exchange, FaultServer


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return tmp_path / "lake"


@pytest.fixture
def official(api):
    with scenario_sdk.Scenario(api_key="demo", api_secret="demo", base_url=api.url) as client:
        yield client


def files(lake: Path) -> list[str]:
    return sorted(str(path.relative_to(lake)) for path in lake.rglob("*") if path.is_file())


def test_changes_made_with_the_official_client_are_in_the_next_snapshot(run, api, official, lake: Path) -> None:
    """Create two, rename one, delete one with the official client; URLs are signed again in between."""
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


def test_urls_that_are_signed_again_are_no_change_in_any_form(api, client, tmp_path: Path) -> None:
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
    footer = key_values(opened(lake / "collections_changes/snapshot_date=2026-11-02/part-0.parquet"))
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


def test_a_date_before_the_newest_snapshot_is_refused_without_a_request(lake: Path) -> None:
    take(lake, DAYS[1], record())
    with pytest.raises(ConfigError, match="date must not be before the newest snapshot, 2026-11-02, got 2026-11-01"):
        take(lake, DAYS[0], record())
    assert API.requests == []


def test_a_column_that_is_new_in_the_table_is_no_change_of_its_rows(lake: Path) -> None:
    take(lake, DAYS[0], record())
    path = lake / f"collections/snapshot_date={DAYS[0]}/part-0.parquet"
    old = pq.read_table(path)
    pq.write_table(old.drop_columns("item_count"), path)
    take(lake, DAYS[1], record(), record(id="c2"))
    assert changes_on(lake, DAYS[1]) == [("added", "c2", [])]


# The guard


@pytest.mark.parametrize(
    ("left", "max_shrink", "published"),
    [
        (10, 0.5, True),
        (5, 0.5, True),
        (4, 0.5, False),
        (9, 0.0, False),
        (10, 0.0, True),
        (1, 1.0, True),
        (0, 1.0, False),
    ],
)
def test_the_guard_counts_the_rows_that_are_gone(lake: Path, left: int, max_shrink: float, published: bool) -> None:
    take(lake, DAYS[0], *(record(id=f"c{i}") for i in range(10)))
    new = [record(id=f"new{i}") for i in range(3 if left else 0)]
    arguments = {"max_shrink": max_shrink}
    before = files(lake)
    if published:
        assert take(lake, DAYS[1], *(record(id=f"c{i}") for i in range(left)), *new, **arguments).deleted == 10 - left
        return
    with pytest.raises(
        GuardError,
        match=r"the last snapshot (are gone|has 10 rows).*--accept-shrink",
    ):
        take(lake, DAYS[1], *(record(id=f"c{i}") for i in range(left)), *new, **arguments)
    kept = ".collections.snapshot_date=2026-11-02.rejected"
    assert files(lake) == sorted([kept, *before])
    assert pq.read_table(pa.BufferReader((lake / kept).read_bytes())).num_rows == left + len(new)
    take(lake, DAYS[1], *(record(id=f"c{i}") for i in range(left)), accept_shrink=True, **arguments)
    assert not (lake / kept).exists()


def test_an_empty_team_may_stay_empty(lake: Path) -> None:
    take(lake, DAYS[0])
    assert take(lake, DAYS[1]).scan.rows == 0


def test_the_guard_exits_with_65_and_names_the_option_to_accept(run, api, lake: Path) -> None:
    run("snapshot", "collections", lake, "--date", DAYS[0], api=api)
    del api.collections[100:]
    refused = run("snapshot", "collections", lake, "--date", DAYS[1], api=api)
    assert (refused.returncode, refused.stderr.count("\n")) == (65, 1)
    assert "150 of the 250 rows of the last snapshot are gone" in refused.stderr
    more = ("--date", DAYS[1], "--accept-shrink", "--requests-per-minute", "0")
    assert run("snapshot", "collections", lake, *more, api=api).returncode == 0


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
def test_a_wrong_argument_is_refused_before_any_request(lake: Path, arguments) -> None:
    client, adapter = answering(page())
    with pytest.raises(ConfigError):
        snapshot("collections", lake, **({"client": client, "date": DAYS[0]} | arguments))
    assert adapter.requests == []
    assert not lake.exists()


def test_a_logical_date_of_an_orchestrator_is_its_day_in_utc(lake: Path) -> None:
    logical = dt.datetime(2026, 11, 2, 1, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    assert take(lake, logical, record()).date == dt.date(2026, 11, 1)


# Failures


@pytest.mark.parametrize(
    ("faults", "error"),
    [
        ([Fault(status=404)], APIError),
        ([Fault(body=page(record(assetCount=1.5)))], SchemaError),
        ([Fault(status=200, body=json.dumps(page(record(), token="t0")))] * 2, PaginationError),
    ],
)
def test_a_failed_run_changes_nothing_in_the_lake(lake: Path, faults, error) -> None:
    take(lake, DAYS[0], record())
    before = {name: (lake / name).read_bytes() for name in files(lake)}
    with pytest.raises(error, match="collections"):
        take(lake, DAYS[1], record(), faults=faults)
    assert {name: (lake / name).read_bytes() for name in files(lake)} == before


def test_a_lake_below_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DestinationError, match="cannot create the lake"):
        take(tmp_path / "missing" / "lake", DAYS[0], record())


@pytest.mark.parametrize("stale", [False, True])
def test_a_run_that_died_between_the_two_files_is_completed_by_the_next(lake: Path, stale: bool) -> None:
    changed = lake / f"collections_changes/snapshot_date={DAYS[1]}/part-0.parquet"
    take(lake, DAYS[0], record())
    take(lake, DAYS[1], record(name="noon"))
    noon = changed.read_bytes()
    take(lake, DAYS[1], record(name="night"), record(id="c2"))
    right = changes_on(lake, DAYS[1])
    changed.unlink()
    if stale:
        changed.write_bytes(noon)
    take(lake, DAYS[2], record(name="night"), record(id="c2"))
    assert changes_on(lake, DAYS[1]) == right
    assert changes_on(lake, DAYS[2]) == []


KILLED = """
import json, random, sys, time
from pathlib import Path
import filelock, importlib.metadata, pyarrow.compute, pyarrow.dataset  # here, so that no child imports them again
import pyarrow.parquet as pq
from scenario_etl import snapshot
from tests.helpers import in_child

lake, dice = Path(sys.argv[1]), random.Random(4)

def take(day):
    return lambda: snapshot("collections", lake, date=f"2026-11-{day:02d}")

def read_all():
    for path in lake.rglob("*.parquet"):
        pq.read_table(path, use_threads=False)

in_child(take(1))
started = time.monotonic()
in_child(take(1))
usual = time.monotonic() - started
for number in range(50):
    day = 2 + number // 10
    death = in_child(take(day), killed_after=dice.uniform(0, 1.2) * usual)
    usual *= 1.05 if death else 0.8  # a machine that is now busier or idler than before: aim later, or sooner
    readable = in_child(read_all)
    after = in_child(take(day)) if number % 10 == 9 else 0
    debris = len(list(lake.rglob("*.partial")))
    print(json.dumps({"number": number, "death": death, "readable": readable, "next": after, "debris": debris}))
"""


def test_kill_9_at_fifty_random_moments_leaves_readable_files_and_the_next_run_succeeds(api, lake: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, lake], env=environment(api), capture_output=True, text=True, check=True
    )
    runs = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(runs) == 50
    assert {run["death"] for run in runs} <= {-9, 0}
    assert sum(run["death"] == -9 for run in runs) >= 20
    assert {(run["readable"], run["next"]) for run in runs} == {(0, 0)}
    assert all(run["debris"] == 0 for run in runs if run["number"] % 10 == 9)
    assert [day["date"].day for day in history(lake, "collections").to_pylist()] == [1, 2, 3, 4, 5, 6]
    assert [day["added"] for day in history(lake, "collections").to_pylist()] == [250, 0, 0, 0, 0, 0]


def test_a_damaged_snapshot_is_named_and_stays_as_it_is(run, api, lake: Path) -> None:
    assert run("snapshot", "collections", lake, "--date", DAYS[0], api=api).returncode == 0
    path = lake / f"collections/snapshot_date={DAYS[0]}/part-0.parquet"
    path.write_bytes(b"no Parquet")
    done = run("snapshot", "collections", lake, "--date", DAYS[1], api=api)
    assert (done.returncode, path.read_bytes()) == (74, b"no Parquet")
    assert f"cannot read {path}" in done.stderr
    assert done.stderr.count("\n") == 1


# Overlap


def test_a_second_run_leaves_with_75_or_waits(lake: Path) -> None:
    gate = threading.Event()

    def held(exchange: Exchange) -> None:
        gate.wait(60)
        exchange.send()

    command = ["scenario-etl", "snapshot", "collections", lake, "--date", DAYS[0]]
    with FaultServer(held) as server:
        keys = {"SCENARIO_SDK_API_KEY": "demo", "SCENARIO_SDK_API_SECRET": "demo"}
        address = environment(SCENARIO_BASE_URL=f"{server.origin}/v1", **keys)
        with subprocess.Popen(command, env=address, stderr=subprocess.DEVNULL) as first:
            while server.requests < 2:
                assert first.poll() is None
            refused = subprocess.run(command, env=address, capture_output=True, text=True, check=False)
            assert (refused.returncode, server.requests) == (75, 2)
            assert "another run has locked" in refused.stderr
            with subprocess.Popen([*command, "--lock-timeout", "60"], env=address) as waiting:
                gate.set()
    assert (first.returncode, waiting.returncode) == (0, 0)


def test_the_error_of_a_held_lake_is_transient(lake: Path) -> None:
    lake.mkdir()
    with FileLock(lake / ".collections.lock"), pytest.raises(TransientError, match="--lock-timeout"):
        take(lake, DAYS[0], record())


# Reading


def test_thirty_days_are_read_by_duckdb_pandas_and_polars(api, client, lake: Path) -> None:
    days = [f"2026-10-{day:02d}" for day in range(1, 31)]
    for day in days:
        api.collections.append(record(id=f"made on {day}"))
        snapshot("collections", lake, date=day, client=client)
    rows = sum(range(251, 281))
    found = duckdb.sql(f"""
        SELECT count(*), count(DISTINCT snapshot_date), max(snapshot_date)::VARCHAR, typeof(any_value(snapshot_date))
        FROM read_parquet('{lake}/collections/*/*.parquet', hive_partitioning = true)
    """).fetchall()
    assert found == [(rows, 30, "2026-10-30", "DATE")]
    frame = pd.read_parquet(lake / "collections")
    assert (len(frame), frame["snapshot_date"].nunique()) == (rows, 30)
    scanned = pl.scan_parquet(f"{lake}/collections/**/*.parquet", hive_partitioning=True).collect()
    assert (scanned.height, scanned["snapshot_date"].n_unique()) == (rows, 30)
    assert (
        pd.read_parquet(lake / "collections_changes").groupby("snapshot_date", observed=True).size().tolist()
        == [251] + [1] * 29
    )
    assert len(changes(lake, "collections", since="2026-10-10", until=dt.date(2026, 10, 12))) == 3


def test_the_newest_snapshot_or_that_of_a_date_is_read_and_a_missing_one_is_an_error(lake: Path) -> None:
    with pytest.raises(ConfigError, match="has no snapshot of collections"):
        read_snapshot(lake, "collections")
    take(lake, DAYS[0], record())
    take(lake, DAYS[1], record(), record(id="c2"))
    assert (read_snapshot(lake, "collections").num_rows, read_snapshot(lake, "collections", DAYS[0]).num_rows) == (2, 1)
    assert read_snapshot(lake, "collections").schema.equals(COLLECTIONS.schema)
    with pytest.raises(ConfigError, match="for 2026-11-03"):
        read_snapshot(lake, "collections", DAYS[2])
    with pytest.raises(ConfigError, match="no resource"):
        read_snapshot(lake, "assets")


def test_a_lake_without_changes_has_none_with_the_same_columns(lake: Path) -> None:
    take(lake, DAYS[0], record())
    empty = changes(lake, "collections", since=DAYS[1])
    assert empty.num_rows == 0
    assert changes(lake, "collections").schema == empty.schema


@pytest.mark.parametrize("read", [changes, history])
def test_a_path_that_is_not_a_lake_is_an_error(tmp_path: Path, read) -> None:
    (tmp_path / "collections").mkdir()
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ConfigError, match="has no snapshot of collections"):
            read(path, "collections")


def test_the_names_of_projects_are_in_the_footer(lake: Path) -> None:
    take(lake, DAYS[0], record())
    names = project_names(newest_footer(lake, "collections"))
    assert names == dict(zip(API.project_ids, ["Emberfall", "Skyward Isles", "Neon Harbor", "Live Ops"], strict=True))


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=403), Fault(status=404), Fault(status=503), Fault(reset=True), Fault(body="<html>"),
        Fault(body={"projects": None}), Fault(body={"projects": [None, 7, "x"]}),
        Fault(body={"projects": [{"id": "p" * 201, "name": "a"}, {"id": 1, "name": "b"}, {"id": "p", "name": None}]}),
        Fault(body={"projects": [{"id": "p", "name": ""}], "nextPaginationToken": "more"}),
    ],
)  # fmt: skip
def test_project_names_that_cannot_be_read_cost_neither_the_run_nor_a_wait(lake: Path, fault: Fault) -> None:
    waits: list[float] = []
    report = take(lake, DAYS[0], record(), faults=[None, fault, fault], client=connected(sleep=waits.append))
    assert (report.scan.rows, report.scan.requests, waits) == (1, 2, [])
    assert project_names(newest_footer(lake, "collections")) == {}


def test_a_project_list_that_never_ends_is_aborted_after_seconds(lake: Path, monkeypatch) -> None:
    monkeypatch.setattr("scenario_etl.projects.NAMES_SECONDS", 0.2)
    over = threading.Event()
    headers = 0

    def drip(exchange: Exchange) -> None:
        nonlocal headers
        if "/projects" not in exchange.target:
            exchange.send(page(record()))
            return
        exchange.connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while not over.wait(0.05):
            try:
                exchange.connection.sendall(b"X-More: headers\r\n")
            except OSError:
                return
            headers += 1

    with FaultServer(drip, breaks=0) as server:
        client = Client("demo", "demo", base_url=f"{server.origin}/v1")
        report = snapshot("collections", lake, date=DAYS[0], client=client)
        over.set()
    assert (report.scan.rows, report.scan.seconds < 30) == (1, True)
    assert headers < 90  # after 100, Python's http.client would have ended the response


def test_a_name_with_a_lone_surrogate_is_stored_as_text(lake: Path) -> None:
    take(lake, DAYS[0], record(), faults=[None, Fault(body={"projects": [{"id": "p1", "name": "x\ud800y"}]})])
    assert project_names(newest_footer(lake, "collections"))["p1"].encode() == b"x\\ud800y"


def test_of_projects_only_names_are_stored(lake: Path) -> None:
    person = {"id": "p1", "name": "Emberfall" * 99, "users": [{"email": "ada@example.org"}], "keys": [{"secret": "s3"}]}
    take(lake, DAYS[0], record(), faults=[None, Fault(body={"projects": [person]})])
    footer = newest_footer(lake, "collections")
    assert project_names(footer) == {"p1": ("Emberfall" * 99)[:197] + "..."}
    assert "ada@example.org" not in str(footer)


def rewritten(path: Path, rows: pa.Table, **values: str) -> None:
    """Another program writes the file again, with the same footer except these values."""
    before = pq.read_metadata(path).metadata
    changed = {f"scenario_etl.{name}".encode(): value for name, value in values.items()}
    pq.write_table(rows.replace_schema_metadata(before | changed), path)


def test_the_total_of_a_snapshot_that_was_rewritten_is_that_of_its_rows(lake: Path) -> None:
    take(lake, DAYS[0], record(itemCount=400), record(id="c2", itemCount=600))
    path = lake / f"collections/snapshot_date={DAYS[0]}/part-0.parquet"
    rows = pq.read_table(path, partitioning=None)
    counts = pa.array([7, 3], pa.int64())
    rewritten(path, rows.set_column(rows.column_names.index("item_count"), "item_count", counts))
    assert [run["total"] for run in read_history(lake, "collections", total="item_count")] == [10]


@pytest.mark.parametrize("value", ["2026-01-01", "-1", "1e3", "x", "9" * 30, ""])
def test_a_count_in_a_footer_that_is_not_a_number_is_null(lake: Path, value: str) -> None:
    take(lake, DAYS[0], record())
    for table in ("collections", "collections_changes"):
        path = lake / f"{table}/snapshot_date={DAYS[0]}/part-0.parquet"
        rewritten(path, pq.read_table(path, partitioning=None), pages=value, added=value)
    (run,) = history(lake, "collections").to_pylist()
    assert (run["pages"], run["added"]) == (None, None)


def test_a_date_before_1970_is_refused(lake: Path) -> None:
    with pytest.raises(ConfigError, match="date must not be before 1970-01-01, got 1969-12-31"):
        take(lake, "1969-12-31", record())
    assert API.requests == []


def test_the_history_has_the_metadata_of_each_run(lake: Path) -> None:
    take(lake, DAYS[0], record(), record(id="c2"), record(id="c2"))
    take(lake, DAYS[1], record(name="other"), record(id="c2"), record(id="c3"), keep=2)
    with pytest.raises(GuardError):
        take(lake, DAYS[2])
    take(lake, DAYS[3], record(name="other"), record(id="c2"), keep=2)
    runs = history(lake, "collections")
    names = [
        "date",
        "rejected",
        "rows",
        "pages",
        "requests",
        "retries",
        "duplicates",
        "previous_date",
        "added",
        "updated",
        "deleted",
    ]
    first, second, third, fourth = (dt.date.fromisoformat(day) for day in DAYS[:4])
    assert runs.select(names).to_pydict() == {
        "date": [first, second, third, fourth],
        "rejected": [False, False, True, False],
        "rows": [2, 3, None, 2],  # retention has removed the first snapshot, not what changed with it
        "pages": [1, 1, None, 1],
        "requests": [1, 1, None, 1],
        "retries": [0, 0, None, 0],
        "duplicates": [1, 0, None, 0],
        "previous_date": [None, first, None, second],
        "added": [2, 1, None, 0],
        "updated": [0, 1, None, 0],
        "deleted": [0, 0, None, 1],
    }
    assert sorted(runs.schema.names) == sorted(names)
    with pytest.raises(GuardError):
        take(lake, DAYS[4])
    take(lake, DAYS[4], accept_shrink=True)
    assert history(lake, "collections")["rejected"].to_pylist() == [False, False, True, False, False]
    with pytest.raises(GuardError):
        take(lake, DAYS[4])
    assert history(lake, "collections")["rejected"].to_pylist() == [False, False, True, False, True]


def test_the_total_of_a_snapshot_that_retention_has_removed_is_still_in_the_history(lake: Path) -> None:
    take(lake, DAYS[0], record(itemCount=400), record(id="c2", itemCount=600))
    take(lake, DAYS[1], record(itemCount=7), record(id="c2"), keep=1)
    assert [run["total"] for run in read_history(lake, "collections", total="item_count")] == [1000, 11]


def test_only_the_named_columns_of_a_snapshot_are_read_and_those_it_is_too_old_for_are_null(lake: Path) -> None:
    take(lake, DAYS[0], record())
    assert read_snapshot(lake, "collections", columns=["item_count"]).schema.names == ["item_count"]
    with pytest.raises(ConfigError, match="no column 'itemCount'; choose id, name"):
        read_snapshot(lake, "collections", columns=["itemCount"])
    path = lake / f"collections/snapshot_date={DAYS[0]}/part-0.parquet"
    pq.write_table(pq.read_table(path, partitioning=None).drop_columns(["item_count"]), path)
    assert read_snapshot(lake, "collections").schema.equals(COLLECTIONS.schema)
    assert read_snapshot(lake, "collections", columns=["item_count"])["item_count"].to_pylist() == [None]


def test_names_and_footers_of_other_programs_are_ignored(run, lake: Path) -> None:
    take(lake, DAYS[0], record())
    take(lake, DAYS[1], record(name="other"))
    (lake / ".collections.snapshot_date=2026-13-01.rejected").touch()
    (lake / f"collections/snapshot_date={DAYS[0]}/part-0.parquet").unlink()
    changed = lake / f"collections_changes/snapshot_date={DAYS[1]}/part-0.parquet"
    pq.write_table(pq.read_table(changed, partitioning=None).replace_schema_metadata(), changed)
    done = run("changes", "collections", lake)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1:] == [
        "2026-11-01         1         0         0",
        "2026-11-02         -         -         -",
    ]
    assert history(lake, "collections")["added"].to_pylist() == [1, None]


def test_a_lake_that_is_a_file_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DestinationError, match="cannot read"):
        history(tmp_path / "file", "collections")


def test_a_datetime_without_a_zone_is_in_utc(lake: Path) -> None:
    take(lake, DAYS[0], record())
    assert changes(lake, "collections", since=pd.Timestamp(DAYS[0])).num_rows == 1
    assert changes(lake, "collections", since=dt.datetime(2026, 11, 1, 23, 59)).num_rows == 1
