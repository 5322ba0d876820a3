"""The numbers of the emulator's team add up: counts, links and dates, also after changes and days of work."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest

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
