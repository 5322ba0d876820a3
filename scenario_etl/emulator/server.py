"""The server: routes, pages, signed URLs and faults.

It behaves as the vendor's reference and the types of the official client say; the tests let that client, scenario-sdk,
list, create, retrieve, update and delete its collections.
"""

import base64
import contextlib
import hashlib
import hmac
import http.server
import json
import re
import socket
import struct
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from scenario_etl.emulator import team

PAGE_SIZES = {"collections": (10, 1, 100), "projects": (10, 1, 100)}  # default, least, most
SATURDAY = 5  # as `date.weekday` counts
MAX_BODY_BYTES = 2**20  # bytes of a request


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one answer; a plain `Fault()` changes nothing.

    Attributes:
        status: answered instead of the real answer, with `body` and `headers`.
        headers: added to the answer.
        body: sent instead of the real one; bytes, text, or what JSON can hold.
        cut: close the connection after so many bytes of the body, whose full length was announced.
        reset: close the connection with a TCP reset and no answer.
        token: given as the token of the next page; None leaves the real one.
        latency: seconds to wait before the answer.

    """

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    cut: int | None = None
    reset: bool = False
    token: Any = None
    latency: float = 0.0


HTML = Fault(
    status=200, headers={"Content-Type": "text/html"}, body="<!doctype html><title>Sign in</title><p>Sign in to go on"
)


@dataclass
class Response:
    """A status, headers, and a body: what JSON can hold, or bytes."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)


class Emulator:
    """A Scenario API with a made-up team, serving on loopback between `with` and its end.

    The team is the same for the same arguments: a game studio's collections in four projects, most with a thumbnail.
    The signed URLs have the form of the real ones and lead to the emulator, which serves a small PNG for each asset.

    Args:
        collections: how many, or the records themselves, as the API would give them.
        api_key: the key to accept with `api_secret` (Basic).
        api_secret: its secret.
        bearer_token: a token to accept instead (Bearer); None accepts none.
        seed: of the made-up data.
        faults: one for each request to come, in order; None for a right answer. More can be added to `api.faults`.
        latency: seconds before every answer.
        now: the time at which URLs are signed and records changed; None for the machine's. Can be set later.
        port: to serve on; 0 picks a free one.

    Attributes:
        url: the base URL, such as "http://127.0.0.1:40123/v1".
        collections: the list of records that it serves; a number stands for one that is made up when it is asked for.
            May be changed while it serves, by records as the API gives them; a thumbnail without a URL gets one.
        requests: method and path with query of every request to the API so far.

    >>> import urllib.request
    >>> with Emulator(collections=1) as api:
    ...     api.url.startswith("http://127.0.0.1:")
    True

    """

    def __init__(
        self,
        collections: int | Iterable[dict[str, Any]] = 250,
        *,
        api_key: str = "demo",
        api_secret: str = "demo",  # noqa: S107 - of a made-up team
        bearer_token: str | None = None,
        seed: int = 0,
        faults: Iterable[Fault | None] = (),
        latency: float = 0.0,
        now: datetime | None = None,
        port: int = 0,
    ) -> None:
        basic = base64.b64encode(f"{api_key}:{api_secret}".encode()).decode()
        self._accepted = {f"Basic {basic}"} | ({f"Bearer {bearer_token}"} if bearer_token else set())
        self._seed = str(seed)
        self.collections: list[Any] = list(range(collections) if isinstance(collections, int) else collections)
        self._created = 0
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self.faults: deque[Fault | None] = deque(faults)
        self.latency = latency
        self.now = now
        self.requests: list[tuple[str, str]] = []
        self._server = _Server(("127.0.0.1", port), self)
        self.origin = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.url = f"{self.origin}/v1"

    def __repr__(self) -> str:
        return f"<scenario_etl.Emulator {self.url}{'' if self._thread else ', not started'}>"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.close()

    def start(self) -> Self:
        """Serve in a thread of its own, until `close` or the end of the program, and return the emulator."""
        if not self._thread:
            self._server.server_activate()
            self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
            self._thread.start()
        return self

    def next_fault(self) -> Fault | None:
        with self._lock:
            return self.faults.popleft() if self.faults else None

    def serve_forever(self) -> None:
        """Serve in this thread until it is interrupted."""
        self._server.server_activate()
        self._server.serve_forever()

    def close(self) -> None:
        """Stop serving, end the connections that are open, and free the port."""
        if self._thread:
            self._server.shutdown()
            self._thread.join()
            self._thread = None
        self._server.close_connections()
        self._server.server_close()

    def days(self, count: int, last: date) -> Iterator[date]:
        """Simulate some days of work: yield each date after setting `collections` and `now` to 03:17 UTC of it.

        From Monday to Friday some collections are filled, renamed, created and deleted. The result is the same for the
        same seed and dates. If `count` is 5 or more, there are two nights on which the API returns an incomplete list
        with status 200: an empty one, and 10% of the collections.

        Args:
            count: how many days.
            last: the date of the last one, in UTC.

        >>> with Emulator(collections=9) as api:
        ...     for day in api.days(2, date(2026, 11, 24)):
        ...         print(day, len(api.collections))
        2026-11-23 9
        2026-11-24 13

        """
        self.collections = [dict(self._record(row, signed=False)) for row in self.collections]
        bad_nights = {int(at * count): listed for at, listed in team.BAD_NIGHTS.items()}
        for number in range(count):
            day = last - timedelta(days=count - 1 - number)
            yesterday = day - timedelta(days=1)
            if number and yesterday.weekday() < SATURDAY:
                team.work(self._seed, self.collections, yesterday)
            self.now = datetime(day.year, day.month, day.day, 3, 17, tzinfo=UTC)
            listed = bad_nights.get(number, 1.0) if count >= team.MIN_DAYS else 1.0
            everything = self.collections
            try:
                if listed < 1:
                    self.collections = everything[: int(len(everything) * listed)]
                yield day
            finally:
                self.collections = everything

    def answer(self, method: str, target: str, authorization: str | None, body: bytes) -> Response:
        """Response one request to the API, faults aside."""
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        if authorization not in self._accepted:
            return _refusal(401, "Unauthorized")
        project = query.get("projectId")
        if project is not None and project not in self.project_ids:
            return _refusal(403, "You are not a member of this project", name="ForbiddenError", details={})
        for allowed, pattern, handler in _ROUTES:
            match = re.fullmatch(pattern, parts.path)
            if match and method == allowed:
                with self._lock:
                    return handler(self, *map(unquote, match.groups()), query=query, body=body)
        return _refusal(404, f"Cannot {method} {parts.path}")

    @property
    def project_ids(self) -> list[str]:
        """The ids of the team's projects; collections have one of them as their owner."""
        return team.project_ids(self._seed)

    def list_collections(self, query: dict[str, str], body: bytes) -> Response:
        project = query.get("projectId")
        rows = self.collections
        if project is not None:
            rows = [row for row in rows if self._record(row, signed=False).get("ownerId") == project]
        return self._page("collections", rows, query, self._record)

    def create_collection(self, query: dict[str, str], body: bytes) -> Response:
        document = _json_object(body)
        name = document.get("name")
        if not isinstance(name, str) or not name:
            return _refusal(400, "name is required")
        self._created += 1
        record = {
            "id": f"collection_{team.identifier(self._seed, 'created', self._created)}",
            "name": name,
            "ownerId": query.get("projectId") or self.project_ids[0],
            "assetCount": 0,
            "modelCount": 0,
            "itemCount": 0,
            "createdAt": team.iso(self._time()),
            "updatedAt": team.iso(self._time()),
        }
        self.collections.append(record)
        return Response(200, {"collection": record})

    def retrieve_collection(self, identifier: str, query: dict[str, str], body: bytes) -> Response:
        position = self._position(identifier)
        if position is None:
            return _refusal(404, "Collection not found")
        return Response(200, {"collection": self._record(self.collections[position])})

    def update_collection(self, identifier: str, query: dict[str, str], body: bytes) -> Response:
        position = self._position(identifier)
        if position is None:
            return _refusal(404, "Collection not found")
        changes = _json_object(body)
        record = dict(self._record(self.collections[position], signed=False))
        if "name" in changes:
            if not isinstance(changes["name"], str) or not changes["name"]:
                return _refusal(400, "name must be a string that is not empty")
            record["name"] = changes["name"]
        if "thumbnail" in changes:
            record.pop("thumbnail", None)
            if changes["thumbnail"] is not None:
                record["thumbnail"] = {"assetId": str(changes["thumbnail"])}
        record["updatedAt"] = team.iso(self._time())
        self.collections[position] = record
        return Response(200, {"collection": self._record(record)})

    def delete_collection(self, identifier: str, query: dict[str, str], body: bytes) -> Response:
        position = self._position(identifier)
        if position is None:
            return _refusal(404, "Collection not found")
        del self.collections[position]
        return Response(200, {})

    def list_teams(self, query: dict[str, str], body: bytes) -> Response:
        projects = [{k: v for k, v in p.items() if k not in {"users", "keys"}} for p in team.projects(self._seed)]
        studio = {
            "id": team.TEAM_ID,
            "name": "Emberfall Studio",
            "plan": "pro",
            "type": "team",
            "createdAt": team.iso(team.SINCE),
            "updatedAt": team.iso(team.UNTIL),
            "context": {"userRole": "key", "usersCount": 1, "keysCount": 1, "invitationsCount": 0},
            "projects": projects,
        }
        return Response(200, {"teams": [studio]})

    def list_projects(self, query: dict[str, str], body: bytes) -> Response:
        return self._page("projects", team.projects(self._seed), query, lambda project: project)

    def picture(self, asset: str, query: dict[str, str]) -> Response:
        """Serve an asset's PNG; a signed URL that has expired is refused, as CloudFront does."""
        if "Policy" in query and _expiry(query["Policy"]) < self._time().timestamp():
            return Response(403, b"<Error><Code>AccessDenied</Code></Error>", {"Content-Type": "application/xml"})
        return Response(200, _png(asset), {"Content-Type": "image/png"})

    def _page(self, name: str, rows: list[Any], query: dict[str, str], record: Callable[[Any], Any]) -> Response:
        default, least, most = PAGE_SIZES[name]
        text = query.get("pageSize", str(default))
        if not re.fullmatch(r"[0-9]{1,4}", text) or not least <= int(text) <= most:
            return _refusal(400, f"pageSize must be a number from {least} to {most}")
        size, offset = int(text), 0
        if query.get("paginationToken"):
            given = self._offset(query["paginationToken"])
            if given is None:
                return _refusal(400, "Invalid pagination token")
            offset = given
        body: dict[str, Any] = {name: [record(row) for row in rows[offset : offset + size]]}
        if offset + size < len(rows):
            body["nextPaginationToken"] = self._token(offset + size, size)
        return Response(200, body)

    def _token(self, offset: int, limit: int) -> str:
        """Return an opaque token; as a captured real one, it holds an offset, in base64 with its `+`, `/` and `=`."""
        content = json.dumps({"offset": offset, "limit": limit}, separators=(",", ":")).encode()
        return base64.b64encode(content + hmac.digest(self._seed.encode(), content, "sha256")[:8]).decode()

    def _offset(self, token: str) -> int | None:
        """Return the offset in a token that this emulator gave, None for any other."""
        with contextlib.suppress(ValueError, KeyError, TypeError):
            content = base64.b64decode(token, validate=True)[:-8]
            document = json.loads(content)
            if hmac.compare_digest(self._token(document["offset"], document["limit"]), token):
                return int(document["offset"])
        return None

    def _record(self, row: Any, *, signed: bool = True) -> dict[str, Any]:
        """Return a collection as the API gives it; rows that nobody changed are made up when asked for."""
        record: dict[str, Any] = team.collection(self._seed, row) if isinstance(row, int) else row
        thumbnail = record.get("thumbnail") if isinstance(record, dict) else None
        if signed and isinstance(thumbnail, dict) and thumbnail.keys() == {"assetId"}:
            return {**record, "thumbnail": {**thumbnail, "url": self._signed_url(thumbnail["assetId"])}}
        return record

    def _position(self, identifier: str) -> int | None:
        ids = (
            team.collection_id(self._seed, row) if isinstance(row, int) else row.get("id") for row in self.collections
        )
        return next((position for position, found in enumerate(ids) if found == identifier), None)

    def _signed_url(self, asset: str) -> str:
        resource = f"{self.origin}/assets-transform/{asset}?p=100"
        expires = int(_window_end(self._time()).timestamp())
        condition = {"DateLessThan": {"AWS:EpochTime": expires}}
        policy = json.dumps({"Statement": [{"Resource": resource, "Condition": condition}]}, separators=(",", ":"))
        signature = hashlib.shake_256(f"{self._seed} {asset} {expires}".encode()).digest(256)
        signed = f"Policy={_url_safe(policy.encode())}&Key-Pair-Id=K36FIAB9LE2OLR&Signature={_url_safe(signature)}"
        return f"{resource}&{signed}"

    def _time(self) -> datetime:
        return self.now or datetime.now(UTC)


_ROUTES: tuple[tuple[str, str, Callable[..., Response]], ...] = (
    ("GET", "/v1/collections", Emulator.list_collections),
    ("POST", "/v1/collections", Emulator.create_collection),
    ("GET", "/v1/collections/([^/]+)", Emulator.retrieve_collection),
    ("PUT", "/v1/collections/([^/]+)", Emulator.update_collection),
    ("DELETE", "/v1/collections/([^/]+)", Emulator.delete_collection),
    ("GET", "/v1/teams", Emulator.list_teams),
    ("GET", "/v1/projects", Emulator.list_projects),
)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], emulator: Emulator) -> None:
        self.emulator = emulator
        self._open: set[socket.socket] = set()
        super().__init__(address, _Handler, bind_and_activate=False)
        self.server_bind()  # the port is known, but nobody is let in before somebody serves

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that leave early."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 2**16  # headers and body leave together: sent apart, the second waits 40 ms for an acknowledgement
    server: _Server

    def _handle(self) -> None:
        emulator = self.server.emulator
        body = self.rfile.read(min(int(self.headers.get("Content-Length") or 0), MAX_BODY_BYTES))
        parts = urlsplit(self.path)
        picture = re.fullmatch("/(?:thumbnails|assets-transform)/([^/]+)", parts.path)
        if picture:
            self._send(emulator.picture(picture[1], dict(parse_qsl(parts.query))), Fault())
            return
        emulator.requests.append((self.command, self.path))
        fault = emulator.next_fault() or Fault()
        time.sleep(emulator.latency + fault.latency)
        if fault.reset:
            self._reset()
            return
        if fault.status is not None:
            self._send(Response(fault.status, b"" if fault.body is None else fault.body), fault)
            return
        answer = emulator.answer(self.command, self.path, self.headers.get("Authorization"), body)
        if fault.token is not None and answer.status == 200:
            answer.body["nextPaginationToken"] = fault.token
        if fault.body is not None:
            answer.body = fault.body
        self._send(answer, fault)

    do_GET = do_POST = do_PUT = do_DELETE = _handle

    def _send(self, answer: Response, fault: Fault) -> None:
        body = answer.body.encode() if isinstance(answer.body, str) else answer.body
        if not isinstance(body, bytes):
            body = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
        self.send_response(answer.status)
        for name, value in ({"Content-Type": "application/json"} | answer.headers | fault.headers).items():
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(body)))
        if fault.cut is not None:
            body = body[: fault.cut]
            self.close_connection = True
        self.end_headers()
        if answer.status != 204:
            self.wfile.write(body)

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the standard library's name
        """Say nothing: `Emulator.requests` tells."""


def _refusal(status: int, reason: str, **more: Any) -> Response:
    return Response(status, {"reason": reason, **more})


def _json_object(body: bytes) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        document = json.loads(body or b"{}")
        if isinstance(document, dict):
            return document
    return {}


def _url_safe(content: bytes) -> str:
    """Return base64 as CloudFront has it in URLs: `-_~` for `+=/`."""
    return base64.b64encode(content).decode().translate(str.maketrans("+=/", "-_~"))


def _expiry(policy: str) -> float:
    with contextlib.suppress(ValueError, KeyError, TypeError, IndexError):
        document = json.loads(base64.b64decode(policy.translate(str.maketrans("-_~", "+=/"))))
        return float(document["Statement"][0]["Condition"]["DateLessThan"]["AWS:EpochTime"])
    return 0.0


def _window_end(now: datetime) -> datetime:
    """Return when a URL signed now expires, by the vendor's calendar, always at 23:59:59 UTC.

    Signed on day 1-7 of a month, it expires on the 14th; 8-14, the 21st; 15-21, the last day; 22-31, the 7th of the
    next month.
    """
    first = now.astimezone(UTC).replace(day=1, hour=23, minute=59, second=59, microsecond=0)
    next_month = (first + timedelta(days=31)).replace(day=1)
    day = now.astimezone(UTC).day
    if day <= 7:
        return first.replace(day=14)
    if day <= 14:
        return first.replace(day=21)
    return next_month - timedelta(days=1) if day <= 21 else next_month.replace(day=7)


def _png(asset: str, side: int = 96) -> bytes:
    """Return a PNG (RGB, 8 bits) of a mirrored 6x6 pattern on a gradient, in colours that the asset's id decides."""
    digest = hashlib.shake_256(asset.encode()).digest(64)
    back, shade, front = digest[0:3], digest[3:6], [255 - value // 3 for value in digest[6:9]]
    lines = []
    for y in range(side):
        row = [back[i] + (shade[i] - back[i]) * y // side for i in range(3)]
        line = b"".join(
            bytes(front if digest[16 + (y * 6 // side) * 3 + min(x, 5 - x)] > 140 else row) * (side // 6)
            for x in range(6)
        )
        lines.append(b"\0" + line)
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"".join(lines))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
