"""Every list of the emulator: the vendor's own client and the extractor read the same, and filters are exact."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
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
from scenario_etl.resources import RESOURCES
from scenario_etl.schema import JSON, STRINGS, TIMESTAMP, Column
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
def official(api: Emulator):
    with scenario_sdk.Scenario(api_key="demo", api_secret="demo", base_url=api.url, max_retries=0) as client:
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
def test_the_official_client_and_scan_read_the_same_rows(api, official, connect, name: str) -> None:
    arguments = {"full": False} if name == "workflows" else {}
    resource = getattr(official, name)
    listed = resource.list().teams if name == "teams" else list(resource.list(page_size=100, **arguments))
    records = [item.to_dict() for item in listed]
    inclusions = {column.included_by: True for column in RESOURCES[name].columns if column.included_by}
    described = scan(name, client=connect(api), **inclusions)
    rows = described.to_arrow().to_pylist()
    assert len(rows) == len(records) > 0
    keys = [tuple(row[key] for key in described.schema.names[: len(RESOURCES[name].primary_key)]) for row in rows]
    assert len(set(keys)) == len(keys)
    for column in RESOURCES[name].including(inclusions).columns:
        expected = [value_of(record, column) for record in records]
        assert [held(row[column.name], column) for row in rows] == expected, column.name
        assert column.type is not STRINGS or any(expected) or name == "workflows"


@pytest.mark.parametrize("name", TYPES)
def test_records_have_what_the_types_of_the_official_client_require_and_nothing_else(api, name: str) -> None:
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

    records = read(api, name) if name != "teams" else get(api, "/teams").json()["teams"]
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


def test_a_single_record_is_the_one_of_the_list(api, official) -> None:
    for name in ("assets", "models", "jobs", "workflows"):
        record = read(api, name)[-1]
        identifier = record["jobId" if name == "jobs" else "id"]
        assert get(api, f"/{name}/{identifier}").json() == {name[:-1]: record}
        assert get(api, f"/{name}/nothing").status_code == 404
        with pytest.raises(scenario_sdk.NotFoundError):
            getattr(official, name).retrieve("nothing")
    ids = [record["id"] for record in read(api, "assets")[:3]]
    assert [each.id for each in official.assets.get_bulk(asset_ids=[*ids, "nothing"]).assets] == ids


def date(text: str) -> datetime:
    return datetime.fromisoformat(text)


def most_common(records: Iterable[Record], field: Callable[[Record], Any]) -> Any:
    return Counter(value for value in map(field, records) if value).most_common(1)[0][0]


def meta(name: str) -> Callable[[Record], Any]:
    return lambda record: record["metadata"].get(name)


def key(name: str) -> Callable[[Record], Any]:
    return lambda record: record.get(name)


def inner(name: str) -> Callable[[Record], Any]:
    return lambda record: record["metadata"]["input"].get(name)


SINGLE: dict[str, dict[str, Callable[[Record], Any]]] = {
    "assets": {
        "projectId": key("ownerId"), "authorId": key("authorId"), "inferenceId": meta("inferenceId"),
        "modelId": meta("modelId"), "parentAssetId": meta("parentId"), "rootAssetId": meta("rootParentId"),
        "type": meta("type"), "privacy": key("privacy"),
    },
    "models": {"projectId": key("ownerId"), "status": key("status")},
    "jobs": {
        "projectId": key("ownerId"), "status": key("status"), "type": key("jobType"),
        "workflowId": lambda record: record["metadata"].get("workflowId"),
    },
    "tags": {"projectId": key("ownerId")},
    "workflows": {"projectId": key("ownerId"), "status": key("status")},
    "projects": {"teamId": key("teamId")},
}  # fmt: skip


@pytest.mark.parametrize(("name", "parameter"), [(name, each) for name, filters in SINGLE.items() for each in filters])
def test_a_filter_gives_the_records_that_have_the_value(api, name: str, parameter: str) -> None:
    field, records = SINGLE[name][parameter], read(api, name)
    wanted = most_common(records, field)
    found = read(api, name, {parameter: wanted})
    by_id = {json.dumps(record): record for record in found}
    assert sorted(by_id) == sorted(json.dumps(record) for record in records if field(record) == wanted)
    missing = get(api, f"/{name}", params={parameter: "nothing"})
    assert missing.status_code in {400, 403} or missing.json()[name] == []


def test_filters_of_several_values_give_the_records_that_have_one_of_them(api, official) -> None:
    assets, jobs, collections = read(api, "assets"), read(api, "jobs"), read(api, "collections")
    types = ["upscale", "img2video"]
    assert ids(official.assets.list(types=types, page_size=100)) == [
        each["id"] for each in assets if each["metadata"]["type"] in types
    ]
    found = [each.to_dict() for each in official.jobs.list(types=["upscale", "workflow"], page_size=100)]
    assert_by_update(found, [each for each in jobs if each["jobType"] in {"upscale", "workflow"}])
    assert read(api, "jobs", {"type": "inference", "types": "upscale"}) == read(api, "jobs", {"types": "upscale"})
    largest = max(collections, key=lambda each: each["assetCount"])["id"]
    for name in ("assets", "models"):
        found = read(api, name, {"collectionId": largest})
        assert found == [each for each in read(api, name) if largest in each["collectionIds"]]
    tagged = read(api, "workflows", {"tags": "approved,armor"})
    assert tagged == [each for each in read(api, "workflows") if {"approved", "armor"} & {*each["tagSet"]}]


def ids(items: Iterable[Any]) -> list[str]:
    return [each.id for each in items]


def assert_by_update(found: list[Record], expected: list[Record]) -> None:
    dates = [each["updatedAt"] for each in found]
    assert dates == sorted(dates, reverse=True)
    assert sorted(each["jobId"] for each in found) == sorted(each["jobId"] for each in expected)


def test_public_lists_have_records_of_other_organizations_and_only_they_can_be_filtered_by_tags(api) -> None:
    public = read(api, "assets", {"privacy": "public"})
    own = {each["id"] for each in read(api, "assets") if each["privacy"] == "public"}
    assert own < {each["id"] for each in public}
    assert {each["ownerId"] for each in public} - set(api.project_ids)
    tagged = read(api, "assets", {"privacy": "public", "tags": "boss,armor"})
    assert tagged == [each for each in public if {"boss", "armor"} & {*each["tags"]}]
    assert read(api, "assets", {"privacy": "public", "projectId": api.project_ids[0]}) == public
    models = read(api, "models", {"privacy": "public"})
    assert models
    assert not any(each["custom"] for each in models)
    for parameter, values in (("type", "custom"), ("types", "custom,flux.1")):
        found = read(api, "models", {"privacy": "public", parameter: values})
        assert found == [each for each in models if each["type"] in values.split(",")]


@pytest.mark.parametrize("name", ["assets", "models"])
@pytest.mark.parametrize("field", ["created", "updated"])
def test_bounds_of_dates_are_exclusive_and_sorting_is_by_the_date(api, name: str, field: str) -> None:
    public = {"privacy": "public"} if name == "models" and field == "updated" else {}
    records = read(api, name, public)
    dates = sorted(each[f"{field}At"] for each in records)
    low, high = dates[len(dates) // 3], dates[2 * len(dates) // 3]
    for direction in ("asc", "desc"):
        query = {"sortBy": f"{field}At", "sortDirection": direction, f"{field}After": low, f"{field}Before": high}
        found = read(api, name, query | public)
        assert {each["id"] for each in found} == {each["id"] for each in records if low < each[f"{field}At"] < high}
        assert [each[f"{field}At"] for each in found] == sorted(
            (each[f"{field}At"] for each in found), reverse=direction == "desc"
        )
    finer = (date(low) - timedelta(microseconds=1)).isoformat()
    found = read(api, name, {"sortBy": f"{field}At", f"{field}After": finer} | public)
    assert {each["id"] for each in found} == {each["id"] for each in records if each[f"{field}At"] >= low}


def test_assets_and_jobs_are_listed_newest_first(api) -> None:
    for name in ("assets", "jobs", "models"):
        dates = [each["createdAt"] for each in read(api, name)]
        assert dates == sorted(dates, reverse=True)


def test_dates_of_jobs_have_lower_bounds_only(api) -> None:
    jobs = read(api, "jobs")
    bound = jobs[len(jobs) // 2]["createdAt"]
    assert read(api, "jobs", {"createdAfter": bound}) == [each for each in jobs if each["createdAt"] > bound]
    assert read(api, "jobs", {"createdBefore": bound}) == jobs
    found = read(api, "jobs", {"updatedAfter": bound, "status": "failure"})
    assert_by_update(found, [each for each in jobs if each["updatedAt"] > bound and each["status"] == "failure"])


def test_an_author_or_hidden_results_limit_jobs_to_30_days_unless_there_is_a_bound(api) -> None:
    jobs, since = read(api, "jobs"), NOW - timedelta(days=30)
    author = most_common(jobs, key("authorId"))
    visible = [each for each in jobs if not inner("hideResults")(each)]
    assert len(visible) < len(jobs)
    for query, records in (
        ({"authorId": author}, [each for each in jobs if each["authorId"] == author]),
        ({"hideResults": "false"}, visible),
    ):
        recent = [each for each in records if date(each["createdAt"]) > since]
        assert 0 < len(recent) < len(records)
        assert read(api, "jobs", query) == recent
        assert read(api, "jobs", query | {"createdAfter": "2020-01-01T00:00:00Z"}) == records
        done = [each for each in records if date(each["updatedAt"]) > since and each["status"] == "success"]
        assert_by_update(read(api, "jobs", query | {"status": "success"}), done)
    assert read(api, "jobs", {"hideResults": "true"}) == jobs


def test_deleted_records_are_listed_for_30_days_and_nowhere_else(api) -> None:
    for name, query in (("assets", {"deleted": "true"}), ("models", {"status": "deleted"})):
        deleted = read(api, name, query)
        dates = [each["deletedAt"] for each in deleted]
        assert dates
        assert dates == sorted(dates, reverse=True)
        assert not {each["id"] for each in deleted} & {each["id"] for each in read(api, name)}
        assert get(api, f"/{name}/{deleted[0]['id']}").status_code == 404


REFUSED = [
    ("assets", "type=upscale&types=uploaded"), ("assets", "createdAfter=2026-01-01T00:00:00Z"),
    ("assets", "createdBefore=2026-01-01T00:00:00Z&sortBy=updatedAt"), ("assets", "updatedAfter=2026-01-01T00:00:00Z"),
    ("assets", "updatedBefore=2026-01-01T00:00:00Z&sortBy=createdAt"), ("assets", "tags=boss"),
    ("assets", "sortBy=createdAt&createdAfter=yesterday"), ("assets", "sortBy=name"), ("assets", "sortDirection=up"),
    ("assets", "privacy=secret"), ("assets", "deleted=maybe"), ("assets", "deleted=true&modelId=m"),
    ("assets", "deleted=true&sortBy=createdAt"), ("assets", "collectionId=c&privacy=public"),
    ("models", "updatedAfter=2026-01-01T00:00:00Z&sortBy=updatedAt"), ("models", "tags=boss"),
    ("models", "type=custom"), ("models", "types=custom"), ("models", "collectionIds=c"),
    ("models", "collectionId=c&privacy=public"), ("models", "status=trained&privacy=public"), ("models", "status=odd"), ("models", "createdAfter=2026-01-01"),
    ("models", "type=custom&types=custom&privacy=public"), ("models", "sortBy=score"), ("models", "privacy=secret"),
    ("models", "sortBy=score&privacy=private"), ("models", "sortBy=updatedAt"),
    ("jobs", "createdAfter=2026-01-01T00:00:00Z&status=success"), ("jobs", "updatedAfter=2026-01-01T00:00:00Z"),
    ("jobs", "createdAfter=2026-01-01T00:00:00Z&workflowId=w"), ("jobs", "status=done"), ("jobs", "hideResults=maybe"),
    ("workflows", "status=ready&privacy=public"), ("workflows", "status=odd"), ("workflows", "full=maybe"),
    *((name, f"pageSize={size}") for name in LISTS for size in ("0", "501", "x")),
    *((name, "pageSize=101") for name in LISTS if name != "models"),
    *((name, "paginationToken=x") for name in LISTS),
]  # fmt: skip


@pytest.mark.parametrize(("name", "query"), REFUSED, ids=[f"{name}?{query}" for name, query in REFUSED])
def test_what_the_vendor_documents_as_wrong_is_400(api, name: str, query: str) -> None:
    response = get(api, f"/{name}?{query}")
    assert response.status_code == 400
    assert response.json()["reason"]


def test_unknown_parameters_are_ignored(api) -> None:
    for name in LISTS:
        assert read(api, name, {"name": "x", "createdOn": "y"}) == read(api, name)


def test_the_default_page_sizes_are_the_documented_ones(api) -> None:
    sizes = {name: len(get(api, f"/{name}").json()[name]) for name in ("assets", "jobs", "tags", "models")}
    assert sizes == {"assets": 50, "jobs": 50, "tags": 50, "models": 61}
    assert get(api, "/models?pageSize=500").status_code == 200


def test_late_filters_make_short_pages_whose_records_are_the_same() -> None:
    query = {"sortBy": "createdAt", "createdAfter": "2026-01-01T00:00:00Z"}
    with Emulator(30, now=NOW) as api:
        expected = read(api, "assets", query)
    with Emulator(30, now=NOW, late_filters=True) as api:
        everything = read(api, "assets")
        asked = len(api.requests)
        found = read(api, "assets", query, page_size=10)
        assert len(api.requests) - asked == -(-len(everything) // 10)
    assert [each["id"] for each in found] == [each["id"] for each in expected]
    assert 0 < len(expected) < len(everything)
