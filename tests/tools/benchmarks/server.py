"""Serve pages that are serialized in advance: `python -m tests.tools.benchmarks.server RESOURCE ROWS MS`.

Prints its base URL, then sends each page after MS milliseconds. All records are made from a block of a thousand, so
that the server needs little memory and CPU time. Each record and its images have their own ids, as in a real team: if
a thousand signed URLs were repeated, the file would be much smaller. After `PUT /changes`, 1% of the records differ.
"""

import contextlib
import json
import socket
import sys
import threading
import time
from collections.abc import Callable
from email.utils import formatdate
from functools import lru_cache

import requests

from scenario_etl import Emulator

BLOCK = 1000  # different records
DEFAULT_PAGE_SIZE = 10
CHANGE_EVERY = 100  # records
CHANGES = (  # each is made to every fifth record that changes
    {"description": "A new description."},
    {"tags": ["a new tag"]},
    {"metadata": {"new": {"depth": [3]}}},  # added to the object
    "deleted",
    "replaced",  # deleted, and a record with another id added
)
NUMBER = "<number>"  # its place in the text of a record
NEW = 10**9  # is added to the number in the id of a record that is added


class Pages:
    """The bodies of the pages of a resource, as bytes.

    Attributes:
        is_changed: Whether `CHANGES` are made.

    """

    def __init__(self, resource: str, rows: int) -> None:
        self.rows = rows
        self.is_changed = False
        self._start = b'{"%s":[' % resource.encode()
        self._records = records_of(resource)
        self._parts = [split(record) for record in self._records]

    def body(self, offset: int, size: int) -> bytes:
        """Return the page of `size` records from `offset`."""
        last = min(offset + size, self.rows)
        records = filter(None, map(self._record, range(offset, last)))
        token = b',"nextPaginationToken":"%d"' % last if last < self.rows else b""
        return self._start + b",".join(records) + b"]" + token + b"}"

    def _record(self, number: int) -> bytes:
        parts, identifier = self._parts[number % BLOCK], number
        if self.is_changed and number % CHANGE_EVERY == 0:
            change = CHANGES[number // CHANGE_EVERY % len(CHANGES)]
            if change == "deleted":
                return b""
            if change == "replaced":
                identifier += NEW
            else:
                parts = split(changed(self._records[number % BLOCK], change))
        return (b"%022d" % identifier).join(parts)


def records_of(resource: str) -> list[dict]:
    """Return a block of records as the emulator has them."""
    if resource == "collections":
        emulator = Emulator(0)
        emulator.close()
        return [emulator.record(number) for number in range(BLOCK)]
    found: list[dict] = []
    with Emulator(50, assets=BLOCK) as emulator:
        query: dict[str, str | int] = {"pageSize": 100}
        while len(found) < BLOCK:
            page = requests.get(f"{emulator.url}/{resource}", query, auth=("demo", "demo"), timeout=60).json()
            found += page[resource]
            query["paginationToken"] = page.get("nextPaginationToken", "")
    return found[:BLOCK]


def changed(record: dict, change: dict) -> dict:
    """Return a record with other values; an object gets more keys."""
    return record | {k: record[k] | value if isinstance(value, dict) else value for k, value in change.items()}


def split(record: dict) -> list[bytes]:
    """Return the JSON text of a record around the numbers that its ids will have."""
    image = record.get("thumbnail", {}).get("assetId")
    text = json.dumps(record, separators=(",", ":")).replace(record["id"], f"{record['id'].partition('_')[0]}_{NUMBER}")
    return (text.replace(image, f"asset_{NUMBER}") if image else text).encode().split(NUMBER.encode())


def response(status: str, body: bytes) -> bytes:
    """Return the bytes of a response."""
    fields = f"Date: {formatdate(usegmt=True)}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return f"HTTP/1.1 {status}\r\n{fields}\r\n\r\n".encode() + body


def serve(resource: str, rows: int, seconds: float) -> None:
    """Serve until killed."""
    pages = Pages(resource, rows)

    @lru_cache(maxsize=2)
    def ready(offset: int, size: int, _: bool) -> bytes:
        return pages.body(offset, size)

    def respond(method: str, target: str) -> bytes:
        path, _, text = target.partition("?")
        if method == "PUT":
            pages.is_changed = True
        if path.removeprefix("/v1/") != resource:
            return response("404 Not Found", b'{"reason": "not found"}')  # a record that was deleted
        query = dict(pair.split("=", 1) for pair in text.split("&") if pair)
        size = int(query.get("pageSize", DEFAULT_PAGE_SIZE))
        time.sleep(seconds) if seconds else None
        return response("200 OK", ready(int(query.get("paginationToken", 0)), size, pages.is_changed))

    listen(respond)


def listen(respond: Callable[[str, str], bytes]) -> None:
    """Print the base URL, and respond to the method and the target of each request until killed."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    sys.stdout.write(f"http://127.0.0.1:{listener.getsockname()[1]}/v1\n")
    sys.stdout.flush()
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=answer, args=(connection, respond), daemon=True).start()


def answer(connection: socket.socket, respond: Callable[[str, str], bytes]) -> None:
    """Answer the requests of one connection."""
    with contextlib.suppress(ConnectionError), connection, connection.makefile("rb") as lines:  # a client may be killed
        while first := lines.readline():
            while lines.readline() not in (b"\r\n", b""):
                pass
            method, target, _ = first.decode().split()
            connection.sendall(respond(method, target))


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]) / 1000)
