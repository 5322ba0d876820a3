"""The numbers of the emulator's team add up: counts, links and dates, also after changes and days of work."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import pytest
import requests
import scenario_sdk

from scenario_etl import Emulator
from tests.integration.test_emulator import get
from tests.integration.test_emulator_lists import NOW, Record

AUTH = {"auth": ("demo", "demo"), "timeout": 5}


def read(api: Emulator, name: str, **query: str) -> list[Record]:
    """All records of a list as they are now."""
    records, token = [], ""
    while token is not None:
        page = get(api, f"/{name}", params={"pageSize": "100", "paginationToken": token} | query).json()
        records += page[name]
        token = page.get("nextPaginationToken")
    return records


class Team:
    """All records of a team, read at once."""

    def __init__(self, api: Emulator) -> None:
        self.collections = {each["id"]: each for each in read(api, "collections")}
        self.assets = {each["id"]: each for each in read(api, "assets")}
        self.models = {each["id"]: each for each in read(api, "models")}
        self.jobs = {each["jobId"]: each for each in read(api, "jobs")}
        self.workflows = {
            each["id"]: each
            for privacy in ("private", "unlisted", "public")
            for each in read(api, "workflows", privacy=privacy)
        }
        self.tags = read(api, "tags")
        self.public_models = {each["id"]: each for each in read(api, "models", privacy="public")}
        self.public_assets = {each["id"]: each for each in read(api, "assets", privacy="public")}

    def check_counts(self) -> None:
        """Check the counts of collections and tags."""
        assets = Counter(identifier for each in self.assets.values() for identifier in each["collectionIds"])
        models = Counter(identifier for each in self.models.values() for identifier in each["collectionIds"])
        assert {*assets, *models} <= {*self.collections}
        for identifier, each in self.collections.items():
            expected = (assets[identifier], models[identifier], assets[identifier] + models[identifier])
            assert (each["assetCount"], each["modelCount"], each["itemCount"]) == expected
        items = [*self.assets.values(), *self.models.values()]
        tags = Counter((each["ownerId"], tag) for each in items for tag in each["tags"])
        assert {(each["ownerId"], each["tagName"]): each["itemCount"] for each in self.tags} == tags

    def check_links(self) -> None:
        """Check that ids in records are those of records that exist, in the same project."""
        models = self.models | self.public_models
        for asset in self.assets.values():
            metadata = asset["metadata"]
            job, model = metadata.get("inferenceId"), metadata.get("modelId")
            assert (job is None) == (model is None)
            if job is not None:
                assert model in models
                assert asset["id"] in self.jobs[job]["metadata"]["assetIds"]
                assert self.jobs[job]["metadata"]["input"]["modelId"] == model
                assert self.jobs[job]["ownerId"] == asset["ownerId"]
            for identifier in asset["collectionIds"]:
                assert self.collections[identifier]["ownerId"] == asset["ownerId"]
            for name in ("thumbnail", "firstFrame", "lastFrame", "preview"):
                assert asset.get(name, asset.get("thumbnail", {"assetId": asset["id"]}))["assetId"] in self.assets
        for job in self.jobs.values():
            metadata = job["metadata"]
            assert {*metadata["assetIds"]} <= {*self.assets}
            assert metadata["input"].get("modelId") in models
            assert metadata.get("workflowId") in {None, *self.workflows}
            assert metadata.get("outputModelId") in {None, *models}
        for model in models.values():
            known = self.assets if model["custom"] else self.public_assets
            assert {*model["exampleAssetIds"], *(each["id"] for each in model.get("trainingImages", ()))} <= {*known}
            assert model["trainingImagesNumber"] == len(model.get("trainingImages", ()))
            assert model["thumbnail"]["assetId"] in known
            assert model.get("parentModelId") in {None, *models}
            assert not model["custom"] or self.jobs[model["jobId"]]["metadata"]["outputModelId"] == model["id"]
        for each in [*self.workflows.values(), *self.collections.values()]:
            for name in ("thumbnail", "before", "after"):
                assert each.get(name) is None or each[name]["assetId"] in self.assets
        for workflow in self.workflows.values():
            assert {node["modelId"] for node in workflow.get("flow", ())} <= {*models}

    def check_dates(self) -> None:
        """Check that parents are older than children, and that assets are created when their job ends."""
        for asset in self.assets.values():
            assert asset["createdAt"] <= asset["updatedAt"]
            parent, root = (asset["metadata"].get(name) for name in ("parentId", "rootParentId"))
            if parent is not None:
                assert self.assets[parent]["createdAt"] < asset["createdAt"]
                assert root == (self.assets[parent]["metadata"].get("rootParentId") or parent)
            job = asset["metadata"].get("inferenceId")
            assert job is None or asset["createdAt"] == self.jobs[job]["statusHistory"][-1]["date"]
        for job in self.jobs.values():
            dates = [each["date"] for each in job["statusHistory"]]
            assert dates == sorted(dates)
            assert (dates[0], dates[-1]) == (job["createdAt"], job["updatedAt"])
            assert job["statusHistory"][-1]["status"] == job["status"]
            assert ("error" in job["metadata"]) == (job["status"] == "failure")

    def check(self) -> None:
        """Check everything."""
        self.check_counts()
        self.check_links()
        self.check_dates()


@pytest.fixture(scope="module")
def team():
    with Emulator(250, now=NOW) as api:
        yield Team(api)


def test_the_default_team_has_the_documented_size_and_shape(team) -> None:
    assert len(team.collections) == 250
    assert 4_000 < len(team.assets) < 5_000
    assert (len(team.models), len(team.workflows)) == (61, 30)
    assert 1_400 < len(team.jobs) < 1_800
    assert 70 < len(team.tags) <= 80
    links = Counter(len(each["collectionIds"]) for each in team.assets.values())
    assert links[0] > 100
    assert sum(count for number, count in links.items() if number > 1) > 1_000
    statuses = Counter(each["status"] for each in team.jobs.values())
    assert statuses["success"] > 0.8 * len(team.jobs)
    unfinished = [each for each in team.jobs.values() if each["status"] not in {"success", "failure", "canceled"}]
    newest = max(each["createdAt"] for each in team.jobs.values())
    assert unfinished
    assert all(moment(newest) - moment(each["createdAt"]) < timedelta(hours=1) for each in unfinished)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_half_of_the_assets_are_created_in_a_tenth_of_the_time(team) -> None:
    dates = sorted(moment(each["createdAt"]) for each in team.assets.values())
    tenth, half = (dates[-1] - dates[0]) / 10, len(dates) // 2
    shortest = min(end - start for start, end in zip(dates, dates[half:], strict=False))
    assert shortest < tenth * 1.05
    assert max(Counter(dates).values()) > 100  # a page of a single timestamp


def test_counts_links_and_dates_agree(team) -> None:
    team.check()


@pytest.mark.parametrize("collections", [0, 1, 9, 60])
def test_they_agree_in_teams_of_any_size(collections: int) -> None:
    with Emulator(collections, now=NOW, seed=3) as api:
        Team(api).check()


def test_they_agree_for_records_of_the_user() -> None:
    odd = [{"id": f"c{count}", "ownerId": "proj_x", "assetCount": count, "modelCount": 1} for count in (0, 3, 5)]
    with Emulator([*odd, "junk", {"id": None}], now=NOW) as api:
        assets = read(api, "assets")
        links = Counter(identifier for each in assets for identifier in each["collectionIds"])
        assert links == {"c3": 3, "c5": 5}
        assert {each["ownerId"] for each in assets} == {"proj_x"}


def test_there_are_as_many_assets_as_asked_for_and_collections_share_them() -> None:
    with Emulator(9, assets=1234, now=NOW) as api:
        team = Team(api)
        assert len(team.assets) == 1234
        team.check()
    with Emulator(9, assets=1, now=NOW) as api:
        assert len(read(api, "assets")) >= max(each["assetCount"] for each in read(api, "collections"))


def test_a_list_of_collections_makes_up_nothing_else() -> None:
    with Emulator(1_000_000) as api:
        assert len(get(api, "/collections?pageSize=100").json()["collections"]) == 100
        assert api._account._studio is None


def test_the_team_is_the_same_for_the_same_seed_however_it_is_read() -> None:
    def records(first: str) -> tuple[list[Record], dict[str, list[str]]]:
        with Emulator(20, seed=5, now=NOW) as api:
            get(api, f"/{first}")
            return read(api, "jobs"), links(Team(api))

    assert records("tags") == records("assets?sortBy=updatedAt")


@pytest.fixture
def small():
    with Emulator(12, now=NOW) as running:
        yield running


@pytest.fixture
def official(small: Emulator):
    with scenario_sdk.Scenario(api_key="demo", api_secret="demo", base_url=small.url, max_retries=0) as client:
        yield client


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
    links = getattr(official.collections, name)
    arguments = {f"{noun}_ids": [inside[0], *outside[:2]]}
    small.now = NOW + timedelta(hours=1)
    added = links.add(collection["id"], **arguments).collection.to_dict()
    assert added[f"{noun}Count"] == len(inside) + 2
    assert added["updatedAt"] == "2026-11-01T01:00:00.000Z"
    Team(small).check_counts()
    removed = links.remove(collection["id"], **arguments).collection.to_dict()
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


def test_days_of_work_make_assets_and_keep_the_numbers_right_whenever_they_are_read() -> None:
    def teams(*dates: date) -> list[Team]:
        with Emulator(40) as api:
            return [Team(api) for day in api.days(8, date(2026, 11, 20)) if day in dates]

    last = date(2026, 11, 20)
    early, late, end = teams(date(2026, 11, 14), date(2026, 11, 18), last)
    for team in (early, late, end):
        team.check()
    assert {*early.assets} < {*late.assets} < {*end.assets}
    new = {*end.assets} - {*early.assets}
    assert all(moment(end.assets[each]["createdAt"]) > datetime(2026, 11, 14, tzinfo=UTC) for each in new)
    assert links(end) == links(*teams(last))


def links(team: Team) -> dict[str, list[str]]:
    return {identifier: each["collectionIds"] for identifier, each in team.assets.items()}
