"""Changes of assets, models and their links by clients: the numbers of the team stay right."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import requests

from scenario_etl import Emulator
from tests.integration.test_emulator import get
from tests.integration.test_emulator_lists import NOW
from tests.integration.test_emulator_team import AUTH, Team, links, read


def test_a_deleted_asset_or_model_leaves_the_lists_and_the_counts(small) -> None:
    before = Team(small)
    asset = max(before.assets.values(), key=lambda each: len(each["collectionIds"]) + len(each["tags"]))
    model = max(before.models.values(), key=lambda each: len(each["collectionIds"]))
    assert asset["collectionIds"]
    assert model["collectionIds"]
    for path in (f"assets/{asset['id']}", f"models/{model['id']}"):
        assert requests.delete(f"{small.url}/{path}", **AUTH).status_code == 200
        assert requests.delete(f"{small.url}/{path}", **AUTH).status_code == 404
        assert get(small, f"/{path}").status_code == 404
    after = Team(small)
    after.check_counts()
    assert {*before.assets} - {*after.assets} == {asset["id"]}
    assert {*before.models} - {*after.models} == {model["id"]}
    (newest, *_) = read(small, "assets", deleted="true")
    assert (newest["id"], newest["deletedAt"]) == (asset["id"], "2026-11-01T00:00:00.000Z")
    assert model["id"] in {each["id"] for each in read(small, "models", status="deleted")}
    small.now = NOW + timedelta(days=31)
    assert read(small, "assets", deleted="true") == read(small, "models", status="deleted") == []


def test_the_official_client_deletes_several_assets_and_changes_tags(small, official) -> None:
    first, second, third = read(small, "assets")[:3]
    official.assets.delete_multiple(asset_ids=[first["id"], second["id"]])
    official.assets.update_tags(third["id"], add=["new", *third["tags"]], delete=["nothing"])
    updated = official.assets.update(third["id"], description="Two words")
    assert updated.asset.description == "Two words"
    after = Team(small)
    after.check_counts()
    assert not {first["id"], second["id"]} & {*after.assets}
    assert {*after.assets[third["id"]]["tags"]} == {"new", *third["tags"]}
    assert after.assets[third["id"]]["updatedAt"] == "2026-11-01T00:00:00.000Z"


def test_an_asset_gets_a_description_and_tags(small) -> None:
    asset = read(small, "assets")[0]
    url = f"{small.url}/assets/{asset['id']}"
    found = requests.put(url, json={"description": "new", "tags": ["a", "b", "a"]}, **AUTH).json()["asset"]
    assert (found["description"], found["tags"]) == ("new", ["a", "b"])
    assert get(small, f"/assets/{asset['id']}").json()["asset"] == found
    Team(small).check_counts()
    for wrong in ({"description": 1}, {"tags": "a"}, {"tags": [1]}):
        assert requests.put(url, json=wrong, **AUTH).status_code == 400


@pytest.mark.parametrize("name", ["assets", "models"])
def test_links_of_a_collection_change_with_its_counts(small, official, name: str) -> None:
    noun, records = name[:-1], read(small, name)
    collection = max(read(small, "collections"), key=lambda each: each[f"{noun}Count"])
    inside = [each["id"] for each in records if collection["id"] in each["collectionIds"]]
    outside = [each["id"] for each in records if collection["id"] not in each["collectionIds"]]
    resource = getattr(official.collections, name)
    arguments = {f"{noun}_ids": [inside[0], *outside[:2]]}
    small.now = NOW + timedelta(hours=1)
    added = resource.add(collection["id"], **arguments).collection.to_dict()
    assert added[f"{noun}Count"] == len(inside) + 2
    assert added["updatedAt"] == "2026-11-01T01:00:00.000Z"
    Team(small).check_counts()
    removed = resource.remove(collection["id"], **arguments).collection.to_dict()
    assert removed[f"{noun}Count"] == len(inside) - 1
    Team(small).check_counts()
    for path, ids, status in (
        (f"collections/{collection['id']}", ["nothing"], 404), ("collections/nothing", inside[:1], 404),
        (f"collections/{collection['id']}", "x", 400), (f"collections/{collection['id']}", ["x"] * 50, 400),
    ):  # fmt: skip
        url = f"{small.url}/{path}/{name}"
        assert requests.put(url, json={f"{noun}Ids": ids}, **AUTH).status_code == status


def test_links_that_many_clients_add_and_remove_at_once_are_all_counted(small) -> None:
    first, second = read(small, "collections")[:2]
    ids = [each["id"] for each in read(small, "assets")][:24]

    def change(identifier: str) -> None:
        for method, collection in (("PUT", first), ("PUT", second), ("DELETE", second)):
            url = f"{small.url}/collections/{collection['id']}/assets"
            assert requests.request(method, url, json={"assetIds": [identifier]}, **AUTH).status_code == 200
        assert requests.delete(f"{small.url}/assets/{identifier}", **AUTH).status_code == 200

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(change, ids))
    after = Team(small)
    after.check_counts()
    assert not {*ids} & {*after.assets}


def test_a_deleted_collection_leaves_no_link(small) -> None:
    before = Team(small)
    collection = max(before.collections.values(), key=lambda each: each["assetCount"])
    requests.delete(f"{small.url}/collections/{collection['id']}", **AUTH)
    after = Team(small)
    after.check_counts()
    assert {*after.assets} == {*before.assets}


def test_a_change_before_the_first_read_is_the_same_change_as_after_it() -> None:
    def changed(*, is_read: bool) -> dict[str, list[str]]:
        with Emulator(12, now=NOW) as api:
            if is_read:
                read(api, "assets")
            requests.delete(f"{api.url}/collections/{api.record(3)['id']}", **AUTH)
            return links(Team(api))

    assert changed(is_read=True) == changed(is_read=False)
