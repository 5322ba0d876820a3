"""What a test can do between two requests: watch, fail, change records, and set the clock."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pytest
import requests

from scenario_etl.emulator import Fault
from tests.integration.test_emulator import get, post


def test_on_request_sees_every_request_to_the_api_and_no_request_for_an_image(api) -> None:
    seen: list[tuple[str, str]] = []
    api.on_request = lambda *request: seen.append(request)
    get(api, "/assets?pageSize=2")
    post(api, "new")
    api.faults.append(Fault(status=503))
    assert get(api, "/teams").status_code == 503
    requests.get(f"{api.origin}/thumbnails/asset_1", timeout=5)
    assert seen == api.requests == [("GET", "/v1/assets?pageSize=2"), ("POST", "/v1/collections"), ("GET", "/v1/teams")]


def test_on_request_limits_one_project_only_and_a_queued_fault_comes_first(api) -> None:
    slow, fast = api.project_ids[:2]
    limited = Fault(status=429, body={"reason": "slow down"})
    api.on_request = lambda _, target: limited if slow in target else None
    for each, status in ((slow, 429), (fast, 200)):
        assert get(api, f"/assets?projectId={each}").status_code == status
    api.faults.extend([Fault(status=503), None])
    assert [get(api, f"/assets?projectId={slow}").status_code for _ in range(2)] == [503, 429]
    api.on_request = None
    assert get(api, f"/assets?projectId={slow}").status_code == 200


def test_a_change_by_on_request_is_in_the_response(api) -> None:
    api.on_request = lambda *_: api.collections.insert(0, {"id": "new"})
    assert get(api, "/collections").json()["collections"][0] == {"id": "new"}
    assert [each["id"] for each in get(api, "/collections?pageSize=3").json()["collections"][:2]] == ["new", "new"]


def test_latency_applies_to_a_fault_of_on_request(api) -> None:
    api.latency = 0.05
    api.on_request = lambda *_: Fault(status=500, latency=0.05)
    response = get(api, "/teams")
    assert (response.status_code, response.elapsed.total_seconds() >= 0.1) == (500, True)


def test_an_error_in_on_request_is_reported_to_the_client(api) -> None:
    api.on_request = lambda *_: 1 / 0
    response = get(api, "/teams")
    assert (response.status_code, "division by zero" in response.json()["reason"]) == (400, True)


def test_several_threads_call_on_request_once_for_each_request(api) -> None:
    counts: list[str] = []
    api.on_request = lambda _, target: counts.append(target)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: get(api, f"/teams?number={number}"), range(64)))
    assert set(Counter(counts).values()) == {1}
    assert len(counts) == 64


@pytest.mark.parametrize("path", ["/v1/teams", "/v1/unknown", "/thumbnails/asset_1"])
def test_the_date_header_is_that_of_the_emulators_clock(api, path: str) -> None:
    api.now = datetime(2026, 11, 1, 4, 5, 6, 789_000, tzinfo=timezone(timedelta(hours=2)))
    assert (
        requests.get(f"{api.origin}{path}", auth=("demo", "demo"), timeout=5).headers["Date"]
        == "Sun, 01 Nov 2026 02:05:06 GMT"
    )
    api.faults.append(Fault(status=503))
    assert get(api, "/teams").headers["Date"] == "Sun, 01 Nov 2026 02:05:06 GMT"


def test_the_date_header_is_the_current_time_by_default(api) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    found = datetime.strptime(get(api, "/teams").headers["Date"], "%a, %d %b %Y %H:%M:%S %Z").replace(tzinfo=UTC)
    assert before <= found <= datetime.now(UTC)


def test_a_change_is_dated_in_utc_and_milliseconds(api) -> None:
    api.now = datetime(2026, 11, 1, 4, 5, 6, 789_999, tzinfo=timezone(timedelta(hours=2)))
    assert post(api, "new").json()["collection"]["createdAt"] == "2026-11-01T02:05:06.789Z"
