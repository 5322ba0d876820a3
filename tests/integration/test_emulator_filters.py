"""The filters of the emulator's lists: each gives what a filter over the whole list gives, or is refused."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

import pytest

from scenario_etl import Emulator
from tests.integration.test_emulator import get
from tests.integration.test_emulator_lists import LISTS, NOW, Record, read


@pytest.fixture(scope="module")
def api():
    with Emulator(250, now=NOW) as running:
        yield running


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


def test_filters_of_several_values_give_the_records_that_have_one_of_them(api) -> None:
    assets, jobs, collections = read(api, "assets"), read(api, "jobs"), read(api, "collections")
    types = ["upscale", "img2video"]
    found = read(api, "assets", {"types": ",".join(types)})
    assert found == [each for each in assets if each["metadata"]["type"] in types]
    found = read(api, "jobs", {"types": "upscale,workflow"})
    assert_by_update(found, [each for each in jobs if each["jobType"] in {"upscale", "workflow"}])
    assert read(api, "jobs", {"type": "inference", "types": "upscale"}) == read(api, "jobs", {"types": "upscale"})
    largest = max(collections, key=lambda each: each["assetCount"])["id"]
    for name in ("assets", "models"):
        found = read(api, name, {"collectionId": largest})
        assert found == [each for each in read(api, name) if largest in each["collectionIds"]]
    tagged = read(api, "workflows", {"tags": "approved,armor"})
    assert tagged == [each for each in read(api, "workflows") if {"approved", "armor"} & {*each["tagSet"]}]


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
    tags = [tag for each in models for tag in each["tags"]][:2]
    tagged = read(api, "models", {"privacy": "public", "tags": ",".join(tags)})
    assert tagged == [each for each in models if {*tags} & {*each["tags"]}]
    assert read(api, "models", {"privacy": "public", "collectionIds": "a,b"}) == []
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
    ("models", "collectionId=c&privacy=public"), ("models", "status=trained&privacy=public"),
    ("models", "status=odd"), ("models", "createdAfter=2026-01-01"), ("models", "privacy=secret"),
    ("models", "type=custom&types=custom&privacy=public"), ("models", "sortBy=score"),
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
