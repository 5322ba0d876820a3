"""The vendor's own client, which nobody here wrote, keeps the emulator honest."""

import ast
import asyncio
import base64
import json
import struct
import sys
import urllib.error
import urllib.request
import zlib
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import scenario_sdk

from scenario_etl import Emulator, emulator, extract_collections
from scenario_etl.emulator import SIGN_IN_PAGE, Fault, Response, paging
from scenario_etl.resources import COLLECTIONS


@pytest.fixture
def api():
    with Emulator(250) as running:
        yield running


@pytest.fixture
def official(api: Emulator):
    with scenario_sdk.Scenario(api_key="demo", api_secret="demo", base_url=api.url, max_retries=0) as client:
        yield client


def get(api: Emulator, path: str, **arguments) -> requests.Response:
    return requests.get(f"{api.url}{path}", **({"auth": ("demo", "demo"), "timeout": 5} | arguments))


def post(api: Emulator, name: str) -> requests.Response:
    return requests.post(f"{api.url}/collections", json={"name": name}, auth=("demo", "demo"), timeout=5)


def test_the_official_client_lists_the_same_rows_as_extract_collections(api, official, connect) -> None:
    listed = [collection.to_dict() for collection in official.collections.list(page_size=100)]
    frame = extract_collections(client=connect(api))
    assert len(listed) == len(frame) == 250
    for column in COLLECTIONS.columns:
        parent, _, name = column.field.rpartition(".")
        values = [(item.get(parent) or {} if parent else item).get(name) for item in listed]
        if column.name.endswith("_at"):
            values = [datetime.fromisoformat(value) for value in values]
        assert frame[column.name].astype(object).where(frame[column.name].notna(), None).tolist() == values


def test_the_official_client_creates_retrieves_updates_and_deletes(api, official, connect) -> None:
    created = official.collections.create(name="Boss Fights").collection
    assert official.collections.retrieve(created.id).collection.name == "Boss Fights"
    updated = official.collections.update(created.id, name="Bosses", thumbnail="asset_boss").collection
    assert (updated.name, updated.thumbnail.asset_id) == ("Bosses", "asset_boss")
    assert updated.updated_at >= created.updated_at
    frame = extract_collections(client=connect(api)).set_index("id")
    assert frame.loc[created.id, "name"] == "Bosses"
    assert frame.loc[created.id, "thumbnail_url"] == updated.thumbnail.url
    assert official.collections.update(created.id, thumbnail=None).collection.thumbnail is None
    official.collections.delete(created.id)
    with pytest.raises(scenario_sdk.NotFoundError):
        official.collections.retrieve(created.id)
    assert created.id not in set(extract_collections(client=connect(api))["id"])


def test_the_official_client_changes_and_deletes_what_the_team_had(api, official) -> None:
    first, second = official.collections.list(page_size=2).collections
    renamed = official.collections.update(first.id, name="Renamed").collection
    assert renamed.thumbnail.to_dict() == first.thumbnail.to_dict()
    official.collections.delete(second.id)
    listed = list(official.collections.list(page_size=100))
    assert (len(listed), listed[0].name) == (249, "Renamed")


def test_the_official_async_client_works_as_well(api) -> None:
    async def story() -> tuple[int, str]:
        async with scenario_sdk.AsyncScenario(api_key="demo", api_secret="demo", base_url=api.url) as client:
            created = (await client.collections.create(name="Async")).collection
            names = [collection.name async for collection in client.collections.list(page_size=100)]
            await client.collections.update(created.id, name="Later")
            found = (await client.collections.retrieve(created.id)).collection
            await client.collections.delete(created.id)
            return len(names), found.name

    assert asyncio.run(story()) == (251, "Later")


def test_the_official_client_reads_teams_and_projects(api, official) -> None:
    (team,) = official.teams.list().teams
    projects = list(official.projects.list())
    assert [project.id for project in team.projects] == [project.id for project in projects] == api.project_ids


@pytest.mark.parametrize("auth", [None, ("demo", "wrong"), ("wrong", "demo")])
def test_a_wrong_key_is_401_for_us_and_for_the_official_client(api, auth) -> None:
    assert get(api, "/collections", auth=auth).status_code == 401
    with pytest.raises(scenario_sdk.AuthenticationError):
        scenario_sdk.Scenario(api_key="demo", api_secret="wrong", base_url=api.url).collections.list()


def test_a_bearer_token_is_accepted_where_one_is_set() -> None:
    with Emulator(1, bearer_token="jwt") as api:
        listed = scenario_sdk.Scenario(bearer_auth="jwt", base_url=api.url).collections.list()
        assert len(listed.collections) == 1


@pytest.mark.parametrize("size", ["0", "101", "x", "-1", "1.5", ""])
def test_a_page_size_out_of_bounds_is_400(api, size: str) -> None:
    response = get(api, f"/collections?pageSize={size}")
    assert (response.status_code, response.json()) == (400, {"reason": "pageSize must be a number from 1 to 100"})


def test_pages_have_ten_records_by_default_and_the_last_has_no_token(api) -> None:
    assert len(get(api, "/collections").json()["collections"]) == 10
    first = get(api, "/collections?pageSize=100").json()
    token = first["nextPaginationToken"]
    middle = get(api, "/collections", params={"pageSize": 100, "paginationToken": token}).json()
    token = middle["nextPaginationToken"]
    last = get(api, "/collections", params={"pageSize": 100, "paginationToken": token}).json()
    assert [len(page["collections"]) for page in (first, middle, last)] == [100, 100, 50]
    assert "nextPaginationToken" not in last


def test_a_token_of_another_server_is_400(api) -> None:
    forged = base64.b64encode(b'{"offset":5,"limit":5}12345678').decode()
    for wrong in ["x", "é", forged, "e30="]:
        assert get(api, "/collections", params={"paginationToken": wrong}).status_code == 400


def test_tokens_hold_what_must_be_percent_encoded() -> None:
    tokens = "".join(paging.token("0", offset, 100) for offset in range(0, 2000, 10))
    assert set("+/=") <= set(tokens)


def test_a_project_has_its_own_collections_and_an_unknown_one_is_403(api, connect) -> None:
    frames = [extract_collections(client=connect(api), project_id=project) for project in api.project_ids]
    assert sum(map(len, frames)) == 250
    for project, frame in zip(api.project_ids, frames, strict=True):
        assert set(frame["owner_id"]) == {project}
    assert get(api, "/collections?projectId=other").status_code == 403


@pytest.mark.parametrize(
    ("signed", "expires"),
    [
        ("2026-11-01T00:00", "2026-11-14"),
        ("2026-11-07T23:59", "2026-11-14"),
        ("2026-11-08T00:00", "2026-11-21"),
        ("2026-11-15T00:00", "2026-11-30"),
        ("2026-02-21T23:59", "2026-02-28"),
        ("2026-11-22T00:00", "2026-12-07"),
        ("2026-12-31T23:59", "2027-01-07"),
    ],
)
def test_signed_urls_have_the_real_form_and_expire_by_the_vendors_calendar(signed: str, expires: str) -> None:
    with Emulator(9, now=datetime.fromisoformat(f"{signed}+00:00")) as api:
        listed = get(api, "/collections?pageSize=9").json()["collections"]
    thumbnail = next(row["thumbnail"] for row in listed if "thumbnail" in row)
    query = parse_qs(urlsplit(thumbnail["url"]).query)
    assert urlsplit(thumbnail["url"]).path == f"/assets-transform/{thumbnail['assetId']}"
    assert list(query) == ["p", "Policy", "Key-Pair-Id", "Signature"]
    policy = json.loads(base64.b64decode(query["Policy"][0].translate(str.maketrans("-_~", "+=/"))))
    moment = datetime.fromtimestamp(policy["Statement"][0]["Condition"]["DateLessThan"]["AWS:EpochTime"], UTC)
    assert moment.isoformat() == f"{expires}T23:59:59+00:00"


def test_urls_change_when_they_are_signed_anew_and_nothing_else_does(api) -> None:
    api.now = datetime(2026, 11, 1, tzinfo=UTC)
    before = get(api, "/collections").json()["collections"]
    api.now = datetime(2026, 11, 8, tzinfo=UTC)
    after = get(api, "/collections").json()["collections"]
    assert before != after
    for rows in (before, after):
        for row in rows:
            row.get("thumbnail", {}).pop("url", None)
    assert before == after


def png_size(content: bytes) -> tuple[int, int]:
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    data_length = struct.unpack(">I", content[33:37])[0]
    pixels = zlib.decompress(content[41 : 41 + data_length])
    width, height = struct.unpack(">II", content[16:24])
    assert len(pixels) == height * (1 + 3 * width)
    return width, height


def test_each_asset_has_an_image_of_its_own(api, official) -> None:
    urls = [c.thumbnail.url for c in official.collections.list(page_size=20).collections if c.thumbnail]
    images = {requests.get(url, timeout=5).content for url in urls}
    assert len(images) == len(urls)
    assert {png_size(image) for image in images} == {(96, 96)}
    assert requests.get(f"{api.origin}/thumbnails/asset_1", timeout=5).headers["Content-Type"] == "image/png"


def test_an_expired_url_is_rejected(api, official) -> None:
    api.now = datetime(2026, 11, 1, tzinfo=UTC)
    url = next(c.thumbnail.url for c in official.collections.list(page_size=20) if c.thumbnail)
    api.now = datetime(2026, 11, 15, tzinfo=UTC)
    assert requests.get(url, timeout=5).status_code == 403


def test_faults_apply_in_order_and_later_responses_are_normal(api) -> None:
    api.faults.extend(
        [
            Fault(status=429, headers={"Retry-After": "7"}, body={"reason": "slow down"}),
            SIGN_IN_PAGE,
            Fault(token="again"),
            Fault(body="raw"),
            None,
        ]
    )
    first = get(api, "/collections")
    assert (first.status_code, first.headers["Retry-After"], first.json()) == (429, "7", {"reason": "slow down"})
    assert get(api, "/collections").text.startswith("<!doctype html>")
    assert get(api, "/collections").json()["nextPaginationToken"] == "again"
    assert get(api, "/collections").text == "raw"
    assert get(api, "/collections").status_code == get(api, "/collections").status_code == 200


@pytest.mark.parametrize("fault", [Fault(reset=True), Fault(cut=10)])
def test_a_connection_can_be_reset_or_a_response_cut(api, fault: Fault) -> None:
    api.faults.append(fault)
    with pytest.raises(requests.RequestException):
        get(api, "/collections")
    assert get(api, "/collections").status_code == 200


def test_latency_delays_a_response(api) -> None:
    api.faults.append(Fault(latency=0.05))
    assert get(api, "/collections").elapsed.total_seconds() >= 0.05


def test_it_serves_records_of_the_user_as_they_are() -> None:
    with Emulator([{"id": "mine", "extra": 1}]) as api:
        assert get(api, "/collections").json() == {"collections": [{"id": "mine", "extra": 1}]}


def test_close_ends_connections_and_frees_the_port() -> None:
    with Emulator(1) as api:
        port = int(api.url.split(":")[2].split("/")[0])
        get(api, "/collections")
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(api.url, timeout=1)
    with Emulator(1, port=port) as again:
        assert again.url == api.url


def test_started_it_serves_until_it_is_closed() -> None:
    api = Emulator(1).start().start()
    ask = {"url": f"{api.url}/collections", "auth": ("demo", "demo"), "timeout": 5}
    assert len(requests.get(**ask).json()["collections"]) == 1
    api.close()
    with pytest.raises(requests.ConnectionError):
        requests.get(**ask)
    api.close()


def test_a_subclass_can_respond_in_its_own_way() -> None:
    class Teapot(Emulator):
        def respond(self, method: str, target: str, authorization: str | None, body: bytes) -> Response:
            response = super().respond(method, target, authorization, body)
            return Response(418, {"method": method, "target": target, "status": response.status})

    with Teapot(1) as api:
        response = get(api, "/teams?x=1")
    assert (response.status_code, response.json()) == (418, {"method": "GET", "target": "/v1/teams?x=1", "status": 200})


def test_it_imports_the_standard_library_and_itself_alone() -> None:
    modules: set[str] = set()
    for path in Path(emulator.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                modules.add(node.module)
    others = {module for module in modules if module.partition(".")[0] not in sys.stdlib_module_names}
    assert all(module.startswith("scenario_etl.emulator") for module in others)
