"""Teams with any number of projects, and projects that the key must not read."""

from collections import Counter

import pytest
import requests
import scenario_sdk

from scenario_etl import Emulator
from tests.integration.test_emulator import get
from tests.integration.test_emulator_lists import NOW
from tests.integration.test_emulator_team import Team, read


@pytest.mark.parametrize("count", [1, 3, 40, 100])
def test_a_team_has_as_many_projects_as_asked_for_and_its_numbers_agree(count: int) -> None:
    with Emulator(120, assets=2500, projects=count, now=NOW) as api:
        projects = read(api, "projects")
        (team,) = get(api, "/teams").json()["teams"]
        listed = [[each["id"], each["name"]] for each in projects]
        assert listed == [[each["id"], each["name"]] for each in team["projects"]]
        assert len({identifier for identifier, _ in listed}) == len({name for _, name in listed}) == count
        assert [identifier for identifier, _ in listed] == api.project_ids
        found = Team(api)
        found.check()
        collections = Counter(each["ownerId"] for each in found.collections.values())
        assert max(collections.values()) - min(collections[each] for each in api.project_ids) <= 1


def test_the_first_four_projects_are_the_same_in_a_larger_team() -> None:
    with Emulator(9, now=NOW) as api, Emulator(9, projects=7, now=NOW) as larger:
        assert read(larger, "projects")[:4] == read(api, "projects")


@pytest.mark.parametrize(("collections", "projects"), [(0, 5), (10, 5), (200, 3)])
def test_projects_share_the_assets_equally(collections: int, projects: int) -> None:
    with Emulator(collections, assets=2000, projects=projects, now=NOW) as api:
        owners = Counter(each["ownerId"] for each in read(api, "assets"))
    assert owners.total() == 2000
    assert len(owners) == projects
    assert max(owners.values()) - min(owners.values()) < projects


def test_a_forbidden_project_is_listed_and_cannot_be_read(api) -> None:
    forbidden, allowed = api.project_ids[:2]
    api.forbidden_projects.add(forbidden)
    for name in ("collections", "assets", "models", "jobs", "tags", "workflows"):
        response, unknown = (get(api, f"/{name}?projectId={each}") for each in (forbidden, "unknown"))
        assert (response.status_code, response.json()) == (403, unknown.json())
        assert get(api, f"/{name}?projectId={allowed}").status_code == 200
    url = f"{api.url}/collections?projectId={forbidden}"
    assert requests.post(url, json={"name": "x"}, auth=("demo", "demo"), timeout=5).status_code == 403
    with scenario_sdk.Scenario(api_key="demo", api_secret="demo", base_url=api.url, max_retries=0) as official:
        assert [each.id for each in official.projects.list()] == api.project_ids
        with pytest.raises(scenario_sdk.PermissionDeniedError):
            official.assets.list(project_id=forbidden)
    assert [each["id"] for each in get(api, "/teams").json()["teams"][0]["projects"]] == api.project_ids
    api.forbidden_projects = set()
    assert get(api, f"/assets?projectId={forbidden}").status_code == 200
