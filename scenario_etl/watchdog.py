"""A limit on the total time of a response, including the connection.

The timeout of a socket only limits each period of silence, so a slow response (a byte now and then, in the status line,
headers, chunk sizes, trailers or the response of a proxy) can block a request forever. A daemon thread therefore shuts
down the socket when the time limit is exceeded, and the read that waits for it fails.
"""

import os
import socket
import threading
from contextlib import suppress
from http.client import HTTPResponse
from math import inf
from time import monotonic
from typing import Any, Self

from urllib3.connectionpool import ConnectionPool

RETRY_INTERVAL = 0.1  # seconds between attempts to shut down a socket that is still being opened

_current = threading.local()  # its `watch` is that of the request of this thread


class Watch:
    """Limits the time of the requests of a thread in a `with` block, if their connections are watched.

    Attributes:
        timed_out: Whether the time limit was exceeded, so that the response is incomplete.

    """

    __slots__ = ("connection", "ends", "socket", "timed_out")

    def __init__(self, seconds: float) -> None:
        self.ends = monotonic() + seconds
        self.timed_out = False
        self.connection: Any = None
        self.socket: Any = None

    def __enter__(self) -> Self:
        _current.watch = self
        _watchdog.add(self)
        return self

    def __exit__(self, *exception: object) -> None:
        _current.watch = None
        _watchdog.watches.discard(self)

    def shut(self) -> None:
        """Shut down the connection if it is open, which ends a read from it."""
        self.timed_out = True
        if getattr(self.connection, "watch", self) is not self:
            return  # the response was read, and another thread has the connection
        # http.client drops a socket that will be closed after the response
        opened = getattr(self.connection, "sock", None) or self.socket
        opened = getattr(opened, "socket", opened)  # of TLS within TLS
        if isinstance(opened, socket.socket):
            with suppress(OSError):
                socket.socket.shutdown(opened, socket.SHUT_RDWR)  # SSLSocket.shutdown() would remove TLS first


def watch_connections(pool: ConnectionPool) -> None:
    """Watch the connections that a pool opens from now on."""
    kind: Any = pool.ConnectionCls  # type: ignore[attr-defined] # every pool that requests uses has one
    if not issubclass(kind, _WatchedConnection):
        pool.ConnectionCls = type(kind.__name__, (_WatchedConnection, kind), {})  # type: ignore[attr-defined]


class _FinalResponse(HTTPResponse):
    """A final response: skips interim responses (102, 103) as in RFC 9110, 15.2; http.client only skips 100."""

    def begin(self) -> None:
        super().begin()
        while 101 < self.status < 200:
            self.headers = None  # type: ignore[assignment] # so that the next is read
            super().begin()


class _WatchedConnection:
    """A connection that registers with the watch of its current request."""

    response_class = _FinalResponse
    watch: Watch | None = None

    def connect(self, *arguments: Any, **settings: Any) -> Any:
        self._register()
        return super().connect(*arguments, **settings)  # type: ignore[misc]

    def request(self, *arguments: Any, **settings: Any) -> Any:
        self._register()
        return super().request(*arguments, **settings)  # type: ignore[misc]

    def getresponse(self, *arguments: Any, **settings: Any) -> Any:
        self._register()
        return super().getresponse(*arguments, **settings)  # type: ignore[misc]

    def _tunnel(self) -> None:
        super()._tunnel()  # type: ignore[misc]
        if (watch := getattr(_current, "watch", None)) and watch.timed_out:
            self.close()  # type: ignore[attr-defined]
            raise TimeoutError  # http.client accepts an incomplete status line of a proxy

    def _register(self) -> None:
        if watch := getattr(_current, "watch", None):
            self.watch, watch.connection, watch.socket = watch, self, getattr(self, "sock", None)


class _Watchdog:
    """A thread that shuts down connections when their time is up; it starts with the first watch."""

    def __init__(self) -> None:
        self.watches: set[Watch] = set()
        self._condition = threading.Condition()
        self._wakes = -inf
        self._thread: threading.Thread | None = None

    def add(self, watch: Watch) -> None:
        with self._condition:
            self.watches.add(watch)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="scenario_etl.watchdog", daemon=True)
                self._thread.start()
            elif watch.ends < self._wakes:
                self._condition.notify()

    def _run(self) -> None:
        with self._condition:
            while True:
                now = monotonic()
                watches = self.watches.copy()
                for watch in watches:
                    if watch.ends <= now:
                        watch.shut()
                self._wakes = min((max(watch.ends, now + RETRY_INTERVAL) for watch in watches), default=inf)
                self._condition.wait(None if self._wakes == inf else self._wakes - now)


_watchdog = _Watchdog()


def _reset_after_fork() -> None:
    """Start with a new watchdog after a fork, which does not copy the thread."""
    global _watchdog  # noqa: PLW0603 - one per process
    _watchdog = _Watchdog()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)
