"""HTTP server on loopback, with faults."""

import contextlib
import http.server
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from scenario_etl.emulator.messages import Request, Response

MAX_BODY_BYTES = 6 * 2**20  # of a request


@dataclass(frozen=True)
class Fault:
    """A fault in one response; `Fault()` without arguments changes nothing.

    Attributes:
        status: Status of the response that replaces the normal one, with `body` and `headers`.
        headers: Headers to add to the response.
        body: Body of the response: bytes, text, or a value for JSON.
        cut: Number of bytes of the body after which the connection is closed; Content-Length does not change.
        reset: Whether to close the connection with a TCP reset, without a response.
        token: Token of the next page; None for the normal one.
        latency: Seconds before the response.

    """

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    cut: int | None = None
    reset: bool = False
    token: Any = None
    latency: float = 0.0


SIGN_IN_PAGE = Fault(
    status=200, headers={"Content-Type": "text/html"}, body="<!doctype html><title>Sign in</title><p>Sign in to go on"
)


class Server(http.server.ThreadingHTTPServer):
    """A server that binds its port at once and accepts connections once it is started, with a thread for each.

    Args:
        port: Port on loopback; 0 chooses a free port.
        respond: Function that returns the response to a request; called by several threads at once.
        fault: Function that returns the fault of a request; called once per request, before `respond`.
        clock: Function that returns the time for the header `Date`.

    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(
        self,
        port: int,
        respond: Callable[[Request], Response],
        fault: Callable[[Request], Fault],
        clock: Callable[[], datetime],
    ) -> None:
        self.respond = respond
        self.fault = fault
        self.clock = clock
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler, bind_and_activate=False)
        self.server_bind()
        self.origin = f"http://127.0.0.1:{self.server_address[1]}"
        self._thread: threading.Thread | None = None

    @property
    def is_started(self) -> bool:
        """Whether a thread accepts connections."""
        return self._thread is not None

    def start(self) -> None:
        """Accept connections in a thread, until `close`."""
        if not self._thread:
            self.server_activate()
            self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End the thread and the connections that are open, and free the port."""
        if self._thread:
            self.shutdown()
            self._thread.join()
            self._thread = None
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread, and remember it while it is open."""
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that leave early."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    # sends headers and body together; sent separately, the body would wait 40 ms for an acknowledgement
    wbufsize = 2**16
    server: Server

    def _handle(self) -> None:
        length = self.headers.get("Content-Length") or "0"
        if not re.fullmatch(r"[0-9]{1,18}", length):
            self.send_error(400, "Content-Length is not valid")
            return
        body = self.rfile.read(min(int(length), MAX_BODY_BYTES))
        request = Request(self.command, self.path, self.headers.get("Authorization"), body)
        fault = self.server.fault(request)
        time.sleep(fault.latency)
        if fault.reset:
            self._reset()
        elif fault.status is not None:
            self._send(Response(fault.status, b"" if fault.body is None else fault.body), fault)
        else:
            response = self.server.respond(request)
            if fault.token is not None and response.status == 200:
                response.body["nextPaginationToken"] = fault.token
            if fault.body is not None:
                response.body = fault.body
            self._send(response, fault)

    do_GET = do_POST = do_PUT = do_DELETE = _handle

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return a time as a header has it, by default that of the server's clock."""
        return super().date_time_string(self.server.clock().timestamp() if timestamp is None else timestamp)

    def _send(self, response: Response, fault: Fault) -> None:
        body = response.body.encode() if isinstance(response.body, str) else response.body
        if not isinstance(body, bytes):
            body = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
        self.send_response(response.status)
        for name, value in ({"Content-Type": "application/json"} | response.headers | fault.headers).items():
            self.send_header(name, value)
        if response.status != 204:
            self.send_header("Content-Length", str(len(body)))
        if fault.cut is not None:
            body = body[: fault.cut]
            self.close_connection = True
        self.end_headers()
        if response.status != 204:
            self.wfile.write(body)

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the standard library's name
        """Write nothing to stderr: `Emulator.requests` has the requests."""
