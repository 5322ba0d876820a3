"""A proxy before an object store, which lets its answers go wrong."""

import http.client
import http.server
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

SLOW_DOWN = (503, b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>")
DENIED = (403, b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")
UNCHANGED = {"connection", "transfer-encoding", "content-length", "date", "server"}  # of the proxy's own answers


@dataclass
class StoreFault:
    """What goes wrong with the requests that `wanted(method, path, headers)` chooses.

    Attributes:
        wanted: chooses requests.
        times: how many of them go wrong.
        answer: status and body instead of the store's.
        reaches: whether the request reaches the store all the same.
        drops: close the connection instead of an answer.
        holds: wait for `StoreProxy.released` before the answer.

    """

    wanted: Callable[[str, str, Any], bool]
    times: int = 1_000_000
    answer: tuple[int, bytes] | None = None
    reaches: bool = False
    drops: bool = False
    holds: bool = False


def is_copy(method: str, path: str, headers: Any) -> bool:
    return method == "PUT" and "x-amz-copy-source" in headers


def is_upload(method: str, path: str, headers: Any) -> bool:
    """Whether it brings content: neither the empty object before the work, nor a copy."""
    return method in {"PUT", "POST"} and not is_copy(method, path, headers) and headers.get("Content-Length") != "0"


def is_any(method: str, path: str, headers: Any) -> bool:
    return True


@dataclass
class StoreProxy:
    """Forwards requests to a store, and lets those go wrong that a fault in `faults` wants.

    Attributes:
        faults: the first that wants a request has it.
        seen: method and path of every request.
        held: set once a request is held.
        released: lets what is held go on.

    """

    store: str
    faults: list[StoreFault] = field(default_factory=list)
    seen: list[tuple[str, str]] = field(default_factory=list)
    held: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "StoreProxy":
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except OSError:
                    self.close_connection = True

            def log_message(self, *arguments: Any) -> None: ...

            def answer(self) -> None:
                proxy.handle(self)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer  # noqa: N815 - the names of http.server

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def handle(self, request: http.server.BaseHTTPRequestHandler) -> None:
        self.seen.append((request.command, request.path))
        body = _body(request)
        fault = next(
            (f for f in self.faults if f.times and f.wanted(request.command, request.path, request.headers)), None
        )
        if fault:
            fault.times -= 1
        if fault and fault.holds:
            self.held.set()
            self.released.wait()
        answer = self._forwarded(request, body) if fault is None or fault.reaches or fault.holds else None
        if fault and fault.drops:
            request.close_connection = True
            request.connection.close()
            return
        status, content, headers = (*fault.answer, {}) if fault and fault.answer else answer or (500, b"", {})
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        if request.command != "HEAD":
            request.send_header("Content-Length", str(len(content)))
        elif "Content-Length" not in headers:
            request.send_header("Content-Length", "0")
        request.end_headers()
        request.wfile.write(b"" if request.command == "HEAD" else content)

    def _forwarded(self, request: Any, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        connection = http.client.HTTPConnection(urlsplit(self.store).netloc, timeout=20)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in UNCHANGED | {"expect"}}
        connection.request(request.command, request.path, body, headers | {"Content-Length": str(len(body))})
        with connection.getresponse() as answer:
            content = answer.read()
            kept = {
                name: value
                for name, value in answer.getheaders()
                if name.lower() not in UNCHANGED - ({"content-length"} if request.command == "HEAD" else set())
            }
            return answer.status, content, kept


def _body(request: http.server.BaseHTTPRequestHandler) -> bytes:
    if "chunked" not in request.headers.get("Transfer-Encoding", ""):
        return request.rfile.read(int(request.headers.get("Content-Length") or 0))
    chunks = b""
    while size := int(request.rfile.readline().split(b";")[0], 16):
        chunks += request.rfile.read(size)
        request.rfile.readline()
    request.rfile.readline()
    return chunks
