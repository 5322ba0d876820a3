"""A server of pages that are serialised beforehand: `python -m tests.tools.benchmarks.server ROWS MS`, as a process.

Prints its base URL, then answers every GET of a page after MS milliseconds. A million collections are one block of a
thousand made-up records, so that the server's memory stays small; collections and thumbnails have ids of their own, as
in a real team: otherwise a dictionary of a thousand signed URLs would make a file of all of them.
"""

import json
import socket
import sys
import threading
import time
from functools import lru_cache

from scenario_etl import Emulator

BLOCK = 1000  # different records; beyond it they come again under other ids
DEFAULT_PAGE_SIZE = 10


class Pages:
    """The bodies of the pages of a list, as bytes."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        emulator = Emulator(0)
        emulator.close()
        self._parts = [self._split(emulator.record(number)) for number in range(BLOCK)]

    @staticmethod
    def _split(record: dict) -> list[bytes]:
        """Return the bytes of a record around the numbers in its ids."""
        text = json.dumps(record | {"id": "collection_#"}, separators=(",", ":"))
        if record.get("thumbnail"):
            text = text.replace(record["thumbnail"]["assetId"], "asset_#")
        return text.encode().split(b"#")

    def body(self, offset: int, size: int) -> bytes:
        """Return the page of `size` records from `offset`."""
        last = min(offset + size, self.rows)
        records = [(b"%022d" % number).join(self._parts[number % BLOCK]) for number in range(offset, last)]
        token = b',"nextPaginationToken":"%d"' % last if last < self.rows else b""
        return b'{"collections":[' + b",".join(records) + b"]" + token + b"}"


def serve(rows: int, seconds: float) -> None:
    """Serve until killed."""
    pages = Pages(rows)

    @lru_cache(maxsize=2)
    def ready(offset: int, size: int) -> bytes:
        body = pages.body(offset, size)
        return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    sys.stdout.write(f"http://127.0.0.1:{listener.getsockname()[1]}/v1\n")
    sys.stdout.flush()
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=answer, args=(connection, ready, seconds), daemon=True).start()


def answer(connection: socket.socket, ready, seconds: float) -> None:
    """Answer the requests of one connection."""
    with connection, connection.makefile("rb") as lines:
        while first := lines.readline():
            while lines.readline() not in (b"\r\n", b""):
                pass
            query = dict(pair.split("=", 1) for pair in first.split()[1].decode().partition("?")[2].split("&") if pair)
            size = int(query.get("pageSize", DEFAULT_PAGE_SIZE))
            offset = int(query.get("paginationToken", 0))
            time.sleep(seconds) if seconds else None
            connection.sendall(ready(offset, size))


if __name__ == "__main__":
    serve(int(sys.argv[1]), float(sys.argv[2]) / 1000)
