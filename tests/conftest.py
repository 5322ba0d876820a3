"""What the tests share: a client that waits for nobody, and the command line as a user runs it."""

import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from scenario_etl import Client, Emulator
from tests.helpers import FakeClock, environment

settings.register_profile("deterministic", derandomize=True, deadline=None)  # no luck, and no slow machine, decides
settings.load_profile("deterministic")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def connect(clock: FakeClock) -> Iterator[Callable[..., Client]]:
    """Return a function that gives a client of an emulator, whose waits take no time."""
    clients: list[Client] = []

    def make(api: Emulator, **arguments: Any) -> Client:
        given = {"api_key": "demo", "api_secret": "demo"} if "bearer_token" not in arguments else {}
        given |= {"base_url": api.url, "sleep": clock.sleep, "clock": clock} | arguments
        clients.append(Client(**given))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def api() -> Iterator[Emulator]:
    """An API with 250 collections; a module may have its own."""
    with Emulator(250) as running:
        yield running


@pytest.fixture
def client(api: Emulator, connect: Callable[..., Client]) -> Client:
    return connect(api)


@pytest.fixture
def refusing() -> Iterator[str]:
    """The base URL of a port that refuses connections; it is bound, so that no other program listens there."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/v1"


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("API_KEY", "API_SECRET", "JWT"):
        monkeypatch.delenv(f"SCENARIO_SDK_{name}", raising=False)
    monkeypatch.delenv("SCENARIO_BASE_URL", raising=False)


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs `scenario-etl` as a process of its own, in an empty folder."""

    def scenario_etl(*arguments: object, api: Emulator | None = None, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["scenario-etl", *map(str, arguments)],
            cwd=tmp_path,
            env=environment(api, **more),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return scenario_etl
