"""Eight threads use one client, each request with a bearer token of its own, which a real server echoes."""

import hashlib
import http.server
import itertools
import json
import logging
import threading
import traceback
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from scenario_etl import Client, scan
from scenario_etl.errors import AuthError, ScenarioError, TransientError
from scenario_etl.pages import Pages
from tests.helpers import FakeAdapter, page

THREADS = 8
LISTS = 32
PAGES = 6
ATTEMPTS = 3
REFUSED = 3  # number % 4 of a list that ends with a 401, on its last page
FAILED = 2  # of one that ends with a 500, on its last page
PART = 8  # characters of a token that must not be seen


class Tokens:
    """A callable that returns another bearer token each time, and remembers them all."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self.returned: list[str] = []

    def __call__(self) -> str:
        token = hashlib.sha256(str(next(self._numbers)).encode()).hexdigest()
        self.returned.append(token)
        return token

    def parts_in(self, text: str) -> set[str]:
        """The parts of any token that are in the text."""
        parts = {token[i : i + PART] for token in self.returned for i in range(len(token) - PART + 1)}
        return parts & {text[i : i + PART] for i in range(len(text) - PART + 1)}


class Server(http.server.ThreadingHTTPServer):
    """An API whose failures echo the Authorization header."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.Lock()
        self.attempts: Counter[tuple[int, int]] = Counter()
        self.credentials: list[str] = []

    def respond(self, number: int, token: int, credentials: str) -> tuple[int, dict]:
        with self.lock:
            self.credentials.append(credentials)
            self.attempts[number, token] += 1
            attempt = self.attempts[number, token]
        is_last = token == PAGES - 1
        if is_last and number % 4 == REFUSED:
            return 401, {"reason": f"{credentials} has expired, {credentials.partition(' ')[2]}"}
        if (is_last and number % 4 == FAILED) or (attempt == 1 and fails_once(number, token)):
            return 500, {"reason": f"cannot handle {credentials}"}
        body = page({"id": f"{number}-{token}"}, token=None if is_last else str(token + 1))
        return 200, body


def fails_once(number: int, token: int) -> bool:
    return token < PAGES - 1 and (number + token) % 3 == 0


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        number, token = int(query["projectId"][0]), int(query.get("paginationToken", ["0"])[0])
        status, document = self.server.respond(number, token, self.headers["Authorization"])
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None: ...


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def read(client: Client, number: int) -> tuple[Pages, list[str], ScenarioError | None]:
    """All records of a list, and its error."""
    pages, ids = client.pages("/collections", "collections", {"projectId": str(number)}), []
    try:
        for each in pages:
            ids.extend(record["id"] for record in each.records)
    except ScenarioError as error:
        return pages, ids, error
    return pages, ids, None


@pytest.mark.parametrize("own_session", [True, False])
def test_eight_threads_read_whole_lists_and_no_text_contains_a_token(own_session: bool, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    tokens = Tokens()
    barrier = threading.Barrier(THREADS)
    with serving() as server, requests.Session() as session:
        url = f"http://127.0.0.1:{server.server_port}/v1"
        client = Client(
            bearer_token=tokens, base_url=url, sleep=lambda _: None, attempts=ATTEMPTS, requests_per_minute=0,
            session=None if own_session else session,
        )  # fmt: skip
        with client, ThreadPoolExecutor(THREADS, initializer=barrier.wait) as pool:
            results = list(pool.map(lambda number: read(client, number), range(LISTS)))
    text = caplog.text + repr(client)
    for number, (pages, ids, error) in enumerate(results):
        kind = {REFUSED: AuthError, FAILED: TransientError}.get(number % 4)
        retries = sum(fails_once(number, token) for token in range(PAGES)) + (ATTEMPTS - 1) * (kind is TransientError)
        assert ids == [f"{number}-{token}" for token in range(PAGES - (kind is not None))]
        assert (pages.retries, pages.requests) == (retries, PAGES + retries)
        assert type(error) is (kind or type(None))
        text += repr(pages) + repr(vars(pages))
        if error:
            assert "***" in str(error)
            text += "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))
    assert "retrying in" in text
    assert "pool is full" not in text
    assert tokens.parts_in(text) == set()
    sent = [credentials.removeprefix("Bearer ") for credentials in server.credentials]
    assert len(set(sent)) == len(sent) == sum(pages.requests for pages, _, _ in results)


class BusyAdapter(FakeAdapter):
    """Sends many other requests of the client before it responds to one; the response echoes the credentials."""

    client: Client

    def __init__(self, status: int, body: dict) -> None:
        super().__init__([])
        self._status, self._body = status, json.dumps(body)

    def send(self, request, *arguments, **settings):
        if "/collections/" in request.url:
            self.answers = [(200, {}, {"collection": {}})]
            return super().send(request, *arguments, **settings)
        for number in range(150):
            self.client.retrieve(f"/collections/{number}", "collection")
        echo = self._body.replace("ECHO", request.headers["Authorization"].partition(" ")[2])
        self.answers = [(self._status, {}, echo.encode())]
        return super().send(request, *arguments, **settings)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, {"reason": "ECHO has expired"}),
        (400, {"reason": "unknown: ECHO"}),
        (200, {"reason": "ECHO"}),
        (200, page(token=["ECHO"])),
        (200, page({"id": "c1", "assetCount": "ECHO"})),
    ],
)
def test_the_token_of_a_request_is_redacted_in_its_error_after_150_other_tokens(status: int, body: dict) -> None:
    tokens = Tokens()
    adapter = BusyAdapter(status, body)
    with requests.Session() as session:
        session.mount("https://", adapter)
        adapter.client = Client(
            bearer_token=tokens, base_url="https://api.example/v1", session=session, requests_per_minute=0, attempts=1
        )
        with pytest.raises(ScenarioError) as caught:
            scan("collections", client=adapter.client).to_arrow()
    assert len(tokens.returned) == 151
    assert "***" in str(caught.value)
    assert tokens.parts_in("".join(traceback.format_exception(caught.value))) == set()


def test_threads_may_share_the_counts_of_retrieved_records() -> None:
    counts: Counter[str] = Counter()
    adapter = FakeAdapter([(200, {}, {"collection": {}})])
    with requests.Session() as session:
        session.mount("https://", adapter)
        client = Client("k", "s", base_url="https://api.example/v1", session=session, requests_per_minute=0)
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(lambda n: client.retrieve(f"/collections/{n}", "collection", counts=counts), range(400)))
    assert (counts["requests"], counts["retries"], len(adapter.requests)) == (400, 0, 400)
