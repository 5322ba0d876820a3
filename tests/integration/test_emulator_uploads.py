"""Assets that are created while an emulator runs: by a client, or by a test."""

import base64
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
import requests

from scenario_etl import Emulator
from tests.integration.test_emulator import get
from tests.integration.test_emulator_lists import NOW
from tests.integration.test_emulator_team import AUTH, Team, read

IMAGE = base64.b64encode(b"\x89PNG").decode()


def test_the_official_client_uploads_an_asset_that_is_then_the_newest(small, official) -> None:
    before = {each["id"] for each in read(small, "assets")}
    small.now = datetime(2026, 11, 2, 3, 4, 5, 678_901, tzinfo=UTC)
    uploaded = official.assets.upload(name="boss.png", image=IMAGE).asset
    newest = official.assets.list(page_size=10).assets[0]
    assert newest.to_dict() == uploaded.to_dict() == official.assets.retrieve(uploaded.id).asset.to_dict()
    assert uploaded.id not in before
    assert uploaded.created_at == uploaded.updated_at == "2026-11-02T03:04:05.678Z"
    assert (uploaded.owner_id, uploaded.metadata.name, uploaded.metadata.type) == (
        small.project_ids[0], "boss.png", "uploaded",
    )  # fmt: skip
    assert requests.get(uploaded.url, timeout=5).headers["Content-Type"] == "image/png"


def test_an_upload_has_the_project_the_parent_and_the_collections_of_its_request(small, official) -> None:
    project = small.project_ids[1]
    collections = [each["id"] for each in read(small, "collections", projectId=project)][:2]
    parent = read(small, "assets", projectId=project)[0]
    arguments = {"collection_ids": [*collections, collections[0]], "parent_id": parent["id"], "hide": True}
    small.now = NOW + timedelta(seconds=1)
    first = official.assets.upload(name="a.png", project_id=project, **arguments).asset
    small.now = NOW + timedelta(seconds=2)
    second = official.assets.upload(name="b.png", project_id=project, parent_id=first.id).asset
    assert (first.owner_id, first.collection_ids, first.is_hidden) == (project, collections, True)
    root = parent["metadata"].get("rootParentId", parent["id"])
    assert (second.metadata.parent_id, second.metadata.root_parent_id) == (first.id, root)
    assert first.author_id == read(small, "projects")[1]["keys"][0]["apiKeyId"]
    assert first.id in {each["id"] for each in read(small, "assets", parentAssetId=parent["id"])}
    Team(small).check()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (None, 400), ({"image": IMAGE}, 400), ({"name": ""}, 400), ({"name": "a", "hide": "yes"}, 400),
        ({"name": "a", "collectionIds": "c"}, 400), ({"name": "a", "collectionIds": ["nothing"]}, 404),
        ({"name": "a", "parentId": "nothing"}, 404),
    ],
)  # fmt: skip
def test_a_wrong_upload_is_rejected_and_creates_nothing(small, body, status: int) -> None:
    before = read(small, "assets")
    assert requests.post(f"{small.url}/assets", json=body, **AUTH).status_code == status
    assert requests.post(f"{small.url}/assets?projectId=x", json={"name": "a"}, **AUTH).status_code == 403
    assert read(small, "assets") == before


def test_a_test_creates_many_assets_in_one_millisecond(small) -> None:
    created = datetime(2025, 1, 2, 3, 4, 5, 678_999, tzinfo=UTC)
    ids = small.create_assets(300, project_id=small.project_ids[2], created_at=created)
    query = {"sortBy": "createdAt", "createdAfter": "2025-01-02T03:04:05.677Z"}
    found = [each for each in read(small, "assets", **query) if each["id"] in set(ids)]
    assert Counter((each["ownerId"], each["createdAt"], each["updatedAt"]) for each in found) == {
        (small.project_ids[2], "2025-01-02T03:04:05.678Z", "2025-01-02T03:04:05.678Z"): 300
    }
    query = {"sortBy": "createdAt", "createdAfter": "2025-01-02T03:04:05.678Z"}
    assert not {each["id"] for each in read(small, "assets", **query)} & {*ids}
    Team(small).check()


def test_created_assets_are_of_the_first_project_and_the_present_by_default_and_can_be_deleted(small) -> None:
    small.now = NOW + timedelta(hours=1)
    first, second = small.create_assets(2)
    assert small.create_assets(0) == []
    found = get(small, f"/assets/{first}").json()["asset"]
    assert (found["ownerId"], found["createdAt"]) == (small.project_ids[0], "2026-11-01T01:00:00.000Z")
    assert requests.delete(f"{small.url}/assets/{first}", **AUTH).status_code == 200
    assert read(small, "assets")[0]["id"] == second


def test_assets_created_before_the_first_read_are_the_same_as_after_it() -> None:
    def ids(*, is_read: bool) -> set[str]:
        with Emulator(5, now=NOW) as api:
            if is_read:
                read(api, "assets")
            api.create_assets(3)
            return {each["id"] for each in read(api, "assets")}

    assert ids(is_read=True) == ids(is_read=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": -1}, "count must be an integer of at least 0, got -1"),
        ({"count": 1, "project_id": "x"}, "project_id must be one of project_ids, got 'x'"),
        ({"count": 1, "created_at": datetime(2026, 1, 1)}, "created_at must be a datetime with a time zone"),
    ],
)
def test_wrong_arguments_create_nothing(small, arguments, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small.create_assets(**arguments)
