"""Every list of the emulator: the vendor's own client and the extractor read the same, and filters are exact."""

import json
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import pytest
import scenario_sdk
from pydantic import BaseModel
from scenario_sdk.types import (
    asset_list_response,
    job_list_response,
    model_list_response,
    project_list_response,
    tag_list_response,
    team_list_response,
    workflow_list_response,
)

from scenario_etl import Emulator, scan
from scenario_etl.column_types import JSON, STRINGS, TIMESTAMP
from scenario_etl.resources import RESOURCES
from scenario_etl.schema import Column
from tests.integration.test_emulator import get

NOW = datetime(2026, 11, 1, tzinfo=UTC)
LISTS = ("assets", "models", "jobs", "tags", "workflows", "projects")
TYPES: dict[str, type[BaseModel]] = {
    "assets": asset_list_response.AssetListResponse,
    "models": model_list_response.ModelListResponse,
    "jobs": job_list_response.JobListResponse,
    "tags": tag_list_response.TagListResponse,
    "workflows": workflow_list_response.WorkflowListResponse,
    "projects": project_list_response.ProjectListResponse,
    "teams": team_list_response.Team,
}
Record = dict[str, Any]


@pytest.fixture(scope="module")
def api():
    with Emulator(250, now=NOW) as running:
        yield running


@pytest.fixture(scope="module")
def smaller():
    """A team that is read in little time."""
    with Emulator(40, assets=700, now=NOW) as running:
        yield running


@pytest.fixture(scope="module")
def official(smaller: Emulator):
    with scenario_sdk.Scenario(api_key="demo", api_secret="demo", base_url=smaller.url, max_retries=0) as client:
        yield client


def read(api: Emulator, name: str, query: dict[str, Any] | None = None, page_size: int = 100) -> list[Record]:
    """All records of a list, page by page; whole lists only once."""
    return list(read_once(api, name, tuple((query or {}).items()), page_size))


@lru_cache
def read_once(api: Emulator, name: str, query: tuple[tuple[str, Any], ...], page_size: int) -> list[Record]:
    records, token = [], ""
    while token is not None:
        page = get(api, f"/{name}", params={"pageSize": page_size, "paginationToken": token} | dict(query)).json()
        assert len(page[name]) <= page_size
        records += page[name]
        token = page.get("nextPaginationToken")
    return records


def value_of(record: Record, column: Column) -> Any:
    """What a column must hold, by its own path."""
    value: Any = record
    for name in column.field.split("."):
        value = (value or {}).get(name)
    return datetime.fromisoformat(value) if column.type is TIMESTAMP and value is not None else value


def held(value: Any, column: Column) -> Any:
    """What a column of a table holds, as the API has it."""
    return json.loads(value) if column.type is JSON and value is not None else value


@pytest.mark.parametrize("name", ["collections", *LISTS, "teams"])
def test_the_official_client_and_scan_read_the_same_rows(smaller, official, connect, name: str) -> None:
    arguments = {"full": False} if name == "workflows" else {}
    resource = getattr(official, name)
    listed = resource.list().teams if name == "teams" else list(resource.list(page_size=100, **arguments))
    records = [item.to_dict() for item in listed]
    inclusions = {column.included_by: True for column in RESOURCES[name].columns if column.included_by}
    described = scan(name, client=connect(smaller), strict=True, **inclusions)
    rows = described.to_arrow().to_pylist()
    assert len(rows) == len(records) > 0
    keys = [tuple(row[key] for key in described.schema.names[: len(RESOURCES[name].primary_key)]) for row in rows]
    assert len(set(keys)) == len(keys)
    for column in RESOURCES[name].with_columns_of(inclusions).columns:
        expected = [value_of(record, column) for record in records]
        assert [held(row[column.name], column) for row in rows] == expected, column.name
        assert column.type is not STRINGS or any(expected) or name == "workflows"


@pytest.mark.parametrize("name", TYPES)
def test_records_have_what_the_types_of_the_official_client_require_and_nothing_else(smaller, name: str) -> None:
    def extra(model: Any, path: str) -> Iterable[str]:
        if isinstance(model, BaseModel):
            yield from (f"{path}.{each}" for each in model.model_extra or {})
            for field in type(model).model_fields:
                yield from extra(getattr(model, field), f"{path}.{field}")
        elif isinstance(model, list):
            for each in model:
                yield from extra(each, path)

    def without_empty(record: Record) -> Record:
        return {key: value for key, value in record.items() if value != {}}

    records = read(smaller, name) if name != "teams" else get(smaller, "/teams").json()["teams"]
    for record in records:
        assert set(extra(TYPES[name].model_validate(without_empty(record)), name)) == set()


def test_optional_fields_are_there_often_enough_to_be_useful(api) -> None:
    fields = Counter(key for record in read(api, "assets") for key in record)
    for name in ("automaticCaptioning", "description", "embedding", "qualityGate", "thumbnail", "nsfw", "outputIndex"):
        assert fields[name] > 500, name
    for name in ("firstFrame", "lastFrame", "preview", "isHidden", "originalFileUrl", "originalMimeType"):
        assert fields[name] > 30, name
    fields = Counter(key for record in read(api, "models", page_size=500) for key in record)
    for name in ("parentModelId", "jobId", "thumbnail", "trainingImages", "epochs", "parameters", "class"):
        assert fields[name] > 10, name
    assert any(record["class"] == {} for record in read(api, "models"))
    jobs = read(api, "jobs")
    assert any(record["billing"]["cuCost"] % 1 for record in jobs if "billing" in record)
    assert 0 < sum("billing" not in record for record in jobs) < 200
    assert {record["status"] for record in jobs} > {"success", "failure", "canceled", "in-progress"}
    metadata = [len(json.dumps(record["metadata"])) for record in read(api, "assets", page_size=100)]
    assert 1200 < sorted(metadata)[len(metadata) // 2] < 3000


def test_workflows_are_heavy_unless_full_is_false_and_public_ones_never_are(api) -> None:
    full, light = read(api, "workflows"), read(api, "workflows", {"full": "false"})
    assert [{k: v for k, v in each.items() if k not in {"flow", "editorInfo"}} for each in full] == light
    sizes = [len(json.dumps([each["flow"], each["editorInfo"]])) for each in full if each["hasFlow"]]
    assert 4_000 < min(sizes) < max(sizes) < 24_000
    public = read(api, "workflows", {"privacy": "public"})
    assert public
    assert not {"flow", "editorInfo"} & set().union(*public)


def test_users_of_projects_have_addresses_that_reach_nobody(api) -> None:
    for project in read(api, "projects"):
        assert project["users"]
        assert all(user["email"].endswith("@example.com") for user in project["users"])
        assert get(api, f"/projects/{project['id']}").json() == {"project": project}
        assert project["keys"][0]["scope"] == "project"


def test_a_single_record_is_the_one_of_the_list(smaller, official) -> None:
    api = smaller
    for name in ("assets", "models", "jobs", "workflows"):
        record = read(api, name)[-1]
        identifier = record["jobId" if name == "jobs" else "id"]
        assert get(api, f"/{name}/{identifier}").json() == {name[:-1]: record}
        assert get(api, f"/{name}/nothing").status_code == 404
        with pytest.raises(scenario_sdk.NotFoundError):
            getattr(official, name).retrieve("nothing")
    ids = [record["id"] for record in read(api, "assets")[:3]]
    assert [each.id for each in official.assets.get_bulk(asset_ids=[*ids, "nothing"]).assets] == ids
