import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from scenario_etl import Client, Emulator, extract_collections, scan
from scenario_etl.auth import BearerAuth
from scenario_etl.client import _counts_lock
from scenario_etl.retry import RateLimiter
from tests.helpers import in_child, record

ROWS = 30


@pytest.fixture
def api() -> Iterator[Emulator]:
    """Two projects with rows of their own, on small pages, so that processes would meet."""
    api = Emulator([])
    for number in range(2 * ROWS):
        api.collections.append(record(id=f"c{number}", ownerId=api.project_ids[number % 2]))
    with api:
        yield api


def read(client: Client, api: Emulator, project: int) -> list[str]:
    frame = extract_collections(client=client, project_id=api.project_ids[project], page_size=3)
    return frame["id"].tolist()


def in_children(work: Callable[[int], object], folder: Path, count: int = 4) -> list[object]:
    """What work(0), work(1) ... return, each in a forked child, all at once."""
    children = []
    for number in range(count):
        child = os.fork()
        if not child:
            try:
                (folder / str(number)).write_text(json.dumps(work(number)))
            finally:
                os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    return [json.loads((folder / str(number)).read_text()) for number in range(count)]


@pytest.mark.parametrize("given", [False, True])
def test_a_client_used_before_a_fork_gives_each_process_its_own_rows(
    api: Emulator, tmp_path: Path, given: bool
) -> None:
    session = requests.Session() if given else None
    with Client("demo", "demo", base_url=api.url, requests_per_minute=0, session=session) as client:
        right = [read(client, api, project) for project in range(2)]
        assert [len(rows) for rows in right] == [ROWS, ROWS]
        found = in_children(lambda number: read(client, api, number % 2), tmp_path)
        assert found == right * 2
        assert read(client, api, 0) == right[0]


def test_a_stream_that_is_open_during_a_fork_goes_on_in_both_processes(api: Emulator, tmp_path: Path) -> None:
    with Client("demo", "demo", base_url=api.url, requests_per_minute=0) as client:
        batches = scan("collections", client=client, page_size=3).to_batches()
        first = next(batches)["id"].to_pylist()
        found = in_children(lambda _: [key for batch in batches for key in batch["id"].to_pylist()], tmp_path, 2)
        rest = [key for batch in batches for key in batch["id"].to_pylist()]
    assert found == [rest, rest]
    assert len(first + rest) == 2 * ROWS


def test_a_child_that_ends_leaves_the_connection_of_its_parent_open(api: Emulator) -> None:
    with Client("demo", "demo", base_url=api.url, requests_per_minute=0) as client:
        read(client, api, 0)
        assert in_child(client.close) == 0
        assert in_child(lambda: read(client, api, 1)) == 0
        assert len(read(client, api, 0)) == ROWS


@pytest.mark.parametrize(
    "lock", [RateLimiter(100)._lock, BearerAuth("token")._lock, _counts_lock], ids=["limiter", "tokens", "counts"]
)
def test_a_child_takes_a_lock_that_another_thread_held_at_the_fork(lock) -> None:
    held, released = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            released.wait()

    def take() -> None:
        signal.alarm(20)  # ends a child that hangs
        with lock:
            pass

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    try:
        assert in_child(take) == 0
    finally:
        released.set()
        thread.join()
