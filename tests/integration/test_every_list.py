"""Each list of the API, from the emulator to tables, files and snapshots."""

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import requests

from scenario_etl import Client, Emulator, changes, history, read_snapshot, scan, snapshot
from scenario_etl.errors import ConfigError, SchemaError
from scenario_etl.resources import RESOURCES, resource_of
from tests.helpers import answering

SIGNATURES = ("Signature=", "Policy=", "Key-Pair-Id=")
MORNING, NIGHT = dt.datetime(2026, 11, 10, 8, tzinfo=dt.UTC), dt.datetime(2026, 11, 20, 8, tzinfo=dt.UTC)


@pytest.fixture
def team() -> Iterator[Emulator]:
    with Emulator(collections=20, assets=200, now=MORNING) as emulator:
        yield emulator


@pytest.fixture
def client(team: Emulator) -> Iterator[Client]:
    with Client("demo", "demo", base_url=team.url, requests_per_minute=None) as connected:
        yield connected


def change(team: Emulator, method: str, path: str, **document: object) -> None:
    response = requests.request(method, f"{team.url}{path}", json=document or None, auth=("demo", "demo"), timeout=5)
    response.raise_for_status()


@pytest.mark.parametrize("name", RESOURCES)
def test_every_record_of_a_list_is_a_row_without_a_missing_or_unknown_field(client: Client, name: str) -> None:
    described = scan(name, client=client, strict=True)
    table = described.to_arrow()
    table.validate(full=True)
    assert table.num_rows > 0
    assert table.schema == resource_of(name).schema
    assert (described.report.missing_fields, described.report.unknown_fields, described.report.duplicates) == (
        {},
        {},
        0,
    )


@pytest.mark.parametrize("form", ["public", "omit"])
@pytest.mark.parametrize("name", RESOURCES)
def test_no_file_without_signed_urls_has_a_signature(client: Client, tmp_path: Path, name: str, form) -> None:
    kept = json.dumps(scan(name, client=client).to_arrow().to_pylist(), default=str)
    scan(name, client=client, signed_urls=form).to_parquet(tmp_path / "x.parquet")
    text = json.dumps(pq.read_table(tmp_path / "x.parquet").to_pylist(), default=str)
    assert not any(part in text for part in SIGNATURES)
    assert ("Signature=" in kept) == (name in {"collections", "assets", "models", "workflows"})


@pytest.mark.parametrize("forms", [("public", "public"), ("keep", "keep"), ("public", "keep"), ("omit", "public")])
@pytest.mark.parametrize("name", RESOURCES)
def test_urls_that_are_signed_again_or_have_another_form_are_no_change(
    team: Emulator, client: Client, lake: Path, name: str, forms
) -> None:
    first = snapshot(name, lake, date="2026-11-10", client=client, signed_urls=forms[0])
    team.now = NIGHT
    report = snapshot(name, lake, date="2026-11-11", client=client, signed_urls=forms[1])
    assert first.added == first.scan.rows > 0
    assert (report.added, report.updated, report.deleted, report.unverified) == (0, 0, 0, 0)
    assert history(lake, name).num_rows == 2
    assert read_snapshot(lake, name).num_rows == report.scan.rows


def test_changes_of_assets_are_found_in_strings_lists_and_json(team: Emulator, client: Client, lake: Path) -> None:
    ids = scan("assets", client=client).to_arrow()["id"].to_pylist()
    snapshot("assets", lake, date="2026-11-10", client=client)
    change(team, "PUT", f"/assets/{ids[0]}", description="a castle")
    change(team, "PUT", f"/assets/{ids[1]}/tags", add=["new tag"])
    change(team, "DELETE", f"/assets/{ids[2]}")
    report = snapshot("assets", lake, date="2026-11-11", client=client)
    assert (report.added, report.updated, report.deleted, report.unverified) == (0, 2, 1, 0)
    found = {
        row["id"]: (row["change"], {*row["changed_columns"]} - {"updated_at"})
        for row in changes(lake, "assets", since="2026-11-11").to_pylist()
    }
    assert found == {
        ids[0]: ("updated", {"description"}), ids[1]: ("updated", {"tags"}), ids[2]: ("deleted", set()),
    }  # fmt: skip


def test_a_link_that_is_removed_is_a_deleted_row(team: Emulator, client: Client, lake: Path) -> None:
    snapshot("collection_assets", lake, date="2026-11-10", client=client)
    first = read_snapshot(lake, "collection_assets").slice(0, 1).to_pylist()[0]
    change(team, "DELETE", f"/collections/{first['collection_id']}/assets", assetIds=[first["asset_id"]])
    report = snapshot("collection_assets", lake, date="2026-11-11", client=client)
    assert (report.added, report.updated, report.deleted, report.unverified) == (0, 0, 1, 0)
    assert changes(lake, "collection_assets", since="2026-11-11").to_pylist()[0]["asset_id"] == first["asset_id"]


def test_the_links_are_those_of_the_counts_of_collections(client: Client) -> None:
    collections = scan("collections", client=client).to_pandas().set_index("id")
    for name, count in ("collection_assets", "asset_count"), ("collection_models", "model_count"):
        links = scan(name, client=client).to_pandas().groupby("collection_id").size()
        expected = collections[count]
        assert links.to_dict() == expected[expected > 0].to_dict()


def test_links_of_assets_without_collections_on_many_pages_are_read_to_the_end() -> None:
    with Emulator(collections=1, assets=2000) as team, Client("demo", "demo", base_url=team.url) as client:
        described = scan("collection_assets", client=client, page_size=100)
        assert described.to_arrow().num_rows == team.record(0)["assetCount"]
        assert described.report.pages == 20


def test_filtered_lists_are_complete_where_the_api_filters_each_page_after_it_was_read() -> None:
    with Emulator(30, assets=2500, late_filters=True) as team, Client("demo", "demo", base_url=team.url) as client:
        created = sorted(scan("assets", client=client).to_arrow()["created_at"].to_pylist())
        for sort_direction in (None, "asc"):
            described = scan("assets", client=client, created_after=created[-101], sort_direction=sort_direction)
            assert described.to_arrow().num_rows == 100
            assert len(described.head(5)) == 5
            assert described.report.pages >= 25


@pytest.mark.parametrize("name", ["assets", "jobs", "teams", "collection_models"])
def test_a_snapshot_keeps_no_column_that_must_be_requested(lake: Path, name: str) -> None:
    for argument in ("include_personal", "include_embedding"):
        with pytest.raises(ConfigError, match=f"{argument} is not supported for snapshots"):
            snapshot(name, lake, **{argument: True})
    assert not lake.exists()


def test_links_without_the_list_of_collections_are_an_error(team: Emulator, client: Client, lake: Path) -> None:
    links, _ = answering({"assets": [{"id": "a1", "collectionIds": ["c1"]}, {"id": "a2"}]})
    with pytest.raises(SchemaError, match="collectionIds of record a2 must be a list of strings, got null"):
        scan("collection_assets", client=links).to_arrow()


def test_a_team_without_its_context_lacks_four_fields(team: Emulator) -> None:
    teams, _ = answering({"teams": [{"id": "t1"}]})
    described = scan("teams", client=teams)
    described.to_arrow()
    assert {name for name in described.report.missing_fields if "context." in name} == {
        "context.userRole", "context.usersCount", "context.keysCount", "context.invitationsCount",
    }  # fmt: skip


def test_head_of_links_reads_pages_of_the_maximum_size() -> None:
    with Emulator(collections=1, assets=2000) as team, Client("demo", "demo", base_url=team.url) as client:
        scan("collection_assets", client=client).head(2)
        assert len(team.requests) <= 20
