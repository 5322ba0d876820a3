"""Requests that the emulator refuses."""

import pytest
import requests


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/nothing", None, 404),
        ("PATCH", "/collections", None, 501),
        ("DELETE", "/collections", None, 404),
        ("GET", "/collections/unknown", None, 404),
        ("PUT", "/collections/unknown", {"name": "x"}, 404),
        ("DELETE", "/collections/unknown", None, 404),
        ("POST", "/collections", {"name": ""}, 400),
        ("POST", "/collections", None, 400),
    ],
)
def test_an_unknown_route_or_record_is_rejected(api, method: str, path: str, body, status: int) -> None:
    response = requests.request(method, f"{api.url}{path}", json=body, auth=("demo", "demo"), timeout=5)
    assert response.status_code == status


@pytest.mark.parametrize("thumbnail", [{"assetId": "a"}, 5, [], False, ""])
def test_a_thumbnail_that_is_no_id_is_400(api, thumbnail) -> None:
    with requests.Session() as session:
        session.auth = ("demo", "demo")
        first = session.get(f"{api.url}/collections", timeout=5).json()["collections"][0]
        url = f"{api.url}/collections/{first['id']}"
        assert session.put(url, json={"thumbnail": thumbnail}, timeout=5).status_code == 400
        assert session.get(url, timeout=5).json()["collection"]["updatedAt"] == first["updatedAt"]


@pytest.mark.parametrize("length", ["-1", "zz", "1" * 30])
def test_a_length_that_is_no_number_is_400_at_once(api, length: str) -> None:
    with requests.Session() as session:
        request = requests.Request("POST", f"{api.url}/collections", auth=("demo", "demo")).prepare()
        request.headers["Content-Length"] = length
        assert session.send(request, timeout=5).status_code == 400
