"""Records, a clock, an adapter and an environment for the tests."""

import io
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import requests
import urllib3
from requests.adapters import BaseAdapter

from scenario_etl import Client, Emulator
from scenario_etl.errors import ScenarioError
from scenario_etl.pages import Page

RIGHT = {
    "id": "c1",
    "name": "Key Art",
    "ownerId": "proj_1",
    "assetCount": 3,
    "modelCount": 1,
    "itemCount": 4,
    "createdAt": "2026-04-22T08:57:03.106Z",
    "updatedAt": "2026-04-23T08:57:03.106Z",
    "thumbnail": {"assetId": "asset_1", "url": "https://cdn.example/assets-transform/asset_1?p=100&Signature=hush"},
}


def record(**changes: Any) -> dict[str, Any]:
    """A right record with some fields changed; `...` takes a field out."""
    return {name: value for name, value in (RIGHT | changes).items() if value is not ...}


OLD = b"yesterday's file"


def records(count: int) -> list[dict[str, Any]]:
    """Right records with ids of their own."""
    return [record(id=f"c{number}", assetCount=number) for number in range(count)]


class FakeClock:
    """A clock that only `sleep` moves; it remembers every wait, in seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


class FakeAdapter(BaseAdapter):
    """Answers requests with (status, headers, body) in turn, the last one again and again; remembers the requests.

    An exception in place of an answer is raised, as the network would.
    """

    def __init__(self, answers: Iterable[Any]) -> None:
        super().__init__()
        self.answers = list(answers)
        self.requests: list[requests.PreparedRequest] = []
        self.settings: list[dict[str, Any]] = []

    def send(self, request: requests.PreparedRequest, *arguments: Any, **settings: Any) -> requests.Response:
        self.requests.append(request.copy())
        self.settings.append(settings)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        status, headers, body = answer
        content = body if isinstance(body, bytes) else json.dumps(body).encode("utf-8", "surrogatepass")
        raw = urllib3.HTTPResponse(io.BytesIO(content), headers, status, preload_content=False)
        return requests.adapters.HTTPAdapter().build_response(request, raw)

    def close(self) -> None:
        pass


def answering(*answers: Any, **arguments: Any) -> tuple[Client, FakeAdapter]:
    """A client whose requests get these answers, and the adapter that gives them; its waits take no time.

    An answer is (status, headers, body), an exception, or a page's body.
    """
    clock = FakeClock()
    adapter = FakeAdapter(answer if isinstance(answer, tuple | Exception) else (200, {}, answer) for answer in answers)
    session = requests.Session()
    session.mount("https://", adapter)
    given = {"api_key": "key-of-mine", "api_secret": "secret-of-mine"} if "bearer_token" not in arguments else {}
    given |= {"base_url": "https://api.example/v1", "session": session, "sleep": clock.sleep, "clock": clock}
    return Client(**(given | {"requests_per_minute": 0} | arguments)), adapter


def page(*records: Any, token: Any = None) -> dict[str, Any]:
    """The body of one page."""
    return {"collections": list(records)} | ({} if token is None else {"nextPaginationToken": token})


def in_child(work: Callable[[], object], killed_after: float | None = None) -> int:
    """Do work in a forked child, which imports nothing anew; kill -9 it after some seconds. Return its exit code."""
    child = os.fork()
    if not child:
        try:
            work()
            os._exit(0)
        except BaseException:  # noqa: BLE001 - a child of the tests must never run the tests
            os._exit(1)
    if killed_after is not None:
        time.sleep(killed_after)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def environment(api: Emulator | None = None, **more: str) -> dict[str, str]:
    """The environment of a user of the command line, with the emulator's key where one is given."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SCENARIO_")}
    inherited.pop("PYTHONUNBUFFERED", None)  # it hides what goes wrong where Python flushes at its end
    inherited["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{inherited.get('PATH', '')}"
    if api:
        inherited |= {
            "SCENARIO_BASE_URL": api.url,
            "SCENARIO_SDK_API_KEY": "demo",
            "SCENARIO_SDK_API_SECRET": "demo",
        }
    return inherited | more


def said(stderr: str) -> list[str]:
    """The lines of a log, without the time and the name that each must begin with."""
    lines = stderr.splitlines()
    matches = [re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ scenario-etl: (.*)", line) for line in lines]
    assert all(matches), stderr
    return [match[1] for match in matches]


def pages(client: Client, **parameters: Any) -> list[Page]:
    """All pages of the collections."""
    return list(client.pages("/collections", "collections", parameters or {"pageSize": 100}))


def failure(*answers: Any, **arguments: Any) -> ScenarioError:
    """The error of a client whose requests get these answers."""
    with pytest.raises(ScenarioError) as caught:
        pages(answering(*answers, **arguments)[0])
    return caught.value


def split(rows: list[Any], sizes: list[int]) -> list[dict[str, Any]]:
    """Bodies of pages of these sizes, empty ones included, and of the rest."""
    bodies = []
    for number, size in enumerate(sizes):
        bodies.append(page(*rows[:size], token=f"t{number}"))
        rows = rows[size:]
    return [*bodies, page(*rows)]
