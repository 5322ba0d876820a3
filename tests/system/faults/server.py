"""A loopback server that lists three pages of records and breaks one of them in one way."""

import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from tests.system.faults.listings import COLLECTIONS, Listing

TOKENS = {None: 0, "page-2": 1, "page-3": 2}


@dataclass
class Exchange:
    """One request and the socket to answer it on; a fault does with it what it likes."""

    connection: socket.socket
    target: str
    headers: dict[str, str]
    page: dict[str, Any]
    server: "FaultServer"
    keep_open: bool = True

    @property
    def listing(self) -> Listing:
        return self.server.listing

    @property
    def records(self) -> list[Any]:
        """The records of the right page."""
        return self.page[self.listing.name]

    @property
    def token(self) -> str | None:
        return parse_qs(urlsplit(self.target).query).get("paginationToken", [None])[0]

    def send(self, body: Any = None, status: int = 200, headers: dict[str, str] | None = None) -> None:
        """Send a whole answer; a body that is no bytes as JSON, the right page where there is none."""
        content = encoded(self.page if body is None else body)
        given = {"Content-Type": "application/json", "Content-Length": str(len(content))} | (headers or {})
        self.connection.sendall(head(status, given) + (b"" if status == 204 else content))

    def reset(self) -> None:
        """End the connection with a TCP reset."""
        self.keep_open = False
        reset(self.connection)

    def close(self) -> None:
        """End the connection."""
        self.keep_open = False
        self.connection.close()


Fault = Callable[[Exchange], None]


def reset(connection: socket.socket) -> None:
    """Close a connection with a TCP reset instead of a goodbye."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def encoded(body: Any) -> bytes:
    """The bytes of a body: JSON unless they are bytes already."""
    return body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()


def head(status: int, headers: dict[str, str]) -> bytes:
    """A status line and headers, up to the body."""
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")


@dataclass
class FaultServer:
    """Serves on loopback between `with` and its end.

    Attributes:
        fault: what answers the requests for the page that breaks.
        breaks: the index of that page.
        times: how often it breaks before it is right.
        pages: by token; replaced where a mode needs others.
        listing: the list that is served, at any path.
        arrivals: the time of each request for the page that breaks, in seconds.

    """

    fault: Fault = Exchange.send
    breaks: int = 1
    times: float = float("inf")
    pages: dict[str | None, dict[str, Any]] | None = None
    listing: Listing = COLLECTIONS
    arrivals: list[float] = field(default_factory=list)
    resets: int = 0  # how many of the next connections are reset as soon as they are made
    elsewhere: "FaultServer | None" = None  # where a redirect leads
    requests: int = 0
    authorized: int = 0  # how many of them brought credentials

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.origin = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Accept no more connections: whoever tries is refused."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            if self.resets:
                self.resets -= 1
                reset(connection)
                continue
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as lines:
                while True:
                    first = lines.readline().decode()
                    if not first:
                        return
                    headers = {}
                    while line := lines.readline().decode().strip():
                        name, _, value = line.partition(":")
                        headers[name.lower()] = value.strip()
                    exchange = Exchange(connection, first.split()[1], headers, {}, self)
                    self._answer(exchange)
                    if not exchange.keep_open:
                        return
        except OSError:
            return  # the client has left

    def _answer(self, exchange: Exchange) -> None:
        self.requests += 1
        self.authorized += "authorization" in exchange.headers
        if self.pages is not None:
            exchange.page = self.pages.get(exchange.token, {})
            exchange.send() if exchange.page else exchange.send({"reason": "no such token"}, 400)
            return
        index = TOKENS.get(exchange.token)
        if index is None:
            exchange.send({"reason": "no such token"}, 400)
            return
        exchange.page = self.listing.right_pages()[index]
        if index == self.breaks:
            self.arrivals.append(time.monotonic())
            if len(self.arrivals) <= self.times:
                self.fault(exchange)
                return
        exchange.send()
