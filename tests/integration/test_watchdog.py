"""Real servers whose responses never end, though no silence in them is longer than the timeout."""

import gzip
import socket
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain, repeat

import pytest
import requests

from scenario_etl import Client, Emulator, transport, watchdog
from scenario_etl.errors import TransientError
from tests.helpers import in_child, page
from tests.versions import INTERIM_END

TIMEOUT = 5.0  # seconds of silence, which no busy machine makes of a pause between two parts
RESPONSE_TIME = 0.5  # seconds
PAUSE = 0.002
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
PAGE = b'{"collections": []}'
EMPTY_BLOCK = zlib.compressobj(wbits=31).flush(zlib.Z_SYNC_FLUSH)  # a gzip header, and a block of nothing
EMPTY_BLOCKS = zlib.compressobj(wbits=-15).flush(zlib.Z_SYNC_FLUSH)

SLOW = {
    "status line": (b"HTTP/1.1 200 ", b"O"),
    "header": (OK + b"X-Slow: ", b"x"),
    "chunk size": (CHUNKED, b"0"),
    "chunk extension": (CHUNKED + b"5;", b"x"),
    "trailer": (CHUNKED + b"%x\r\n%b\r\n0\r\nX-Slow: " % (len(PAGE), PAGE), b"x"),
    "body": (OK + b"Content-Length: 9999999\r\n\r\n", b" "),
    "body until the end": (OK + b"Connection: close\r\n\r\n", b" "),
    "100 Continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "103 Early Hints": (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"),
    "gzip of nothing": (OK + b"Content-Encoding: gzip\r\nConnection: close\r\n\r\n" + EMPTY_BLOCK, EMPTY_BLOCKS),
}


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bound a response by less than the timeout, so that only the watchdog can end it."""
    monkeypatch.setattr(transport, "TIMEOUTS_PER_RESPONSE", RESPONSE_TIME / TIMEOUT)


@contextmanager
def server(answer: Iterator[bytes], pause: float = PAUSE) -> Iterator[int]:
    """Serve connections, each with the pieces of a response, and yield the port."""
    listening = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            with suppress(OSError), listening.accept()[0] as connection:
                connection.recv(65536)
                for piece in answer:
                    connection.sendall(piece)
                    if ended.wait(pause):
                        return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        ended.set()
        listening.close()


def slow_response(name: str) -> Iterator[bytes]:
    first, again = SLOW[name]
    return chain([first], repeat(again))


def given_up(port: int, **arguments) -> str:
    client = Client("k", "s", base_url=f"http://127.0.0.1:{port}/v1", timeout=TIMEOUT, attempts=1, **arguments)
    with client, pytest.raises(TransientError) as caught:
        list(client.pages("/collections", "collections", {}))
    return str(caught.value)


@pytest.mark.parametrize("name", SLOW)
def test_a_slow_response_without_end_is_given_up_wherever_it_is_slow(name: str) -> None:
    with server(slow_response(name)) as port:
        assert (INTERIM_END if name == "100 Continue" else "not complete after 0.5 s") in given_up(port)


@pytest.mark.parametrize("name", ["header", "trailer"])
def test_slow_responses_end_with_a_session_of_the_user(name: str) -> None:
    with server(slow_response(name)) as port, requests.Session() as session:
        assert "not complete after 0.5 s" in given_up(port, session=session)


def test_a_proxy_whose_response_is_slow_is_given_up(monkeypatch) -> None:
    with server(chain([b"HTTP/1.1 200 "], repeat(b"O"))) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        client = Client("k", "s", base_url="https://api.example/v1", timeout=TIMEOUT, attempts=1)
        with client, pytest.raises(TransientError, match=r"not complete after 0\.5 s"):
            list(client.pages("/collections", "collections", {}))


def test_an_incomplete_response_is_never_a_page() -> None:
    """Where the end of the connection is the end of the body, shutting it down must not make a page."""
    complete = chain([OK + b"Connection: close\r\n\r\n" + PAGE], repeat(b" "))
    with server(complete) as port:
        assert "not complete after 0.5 s" in given_up(port)


def test_a_refusal_whose_text_is_slow_is_still_a_refusal() -> None:
    with server(chain([b"HTTP/1.1 503 Busy\r\nConnection: close\r\n\r\nbusy"], repeat(b"."))) as port:
        assert "503 Busy: busy..." in given_up(port)


@pytest.mark.parametrize(
    "interim", [b"HTTP/1.1 102 Processing\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"]
)
@pytest.mark.parametrize("body", [b"Content-Length: %d\r\n\r\n%b" % (len(PAGE), PAGE)])
def test_interim_responses_are_skipped(interim: bytes, body: bytes) -> None:
    with server(iter([interim * 3 + OK + body])) as port:
        client = Client("k", "s", base_url=f"http://127.0.0.1:{port}/v1", attempts=1)
        with client:
            assert [each.records for each in client.pages("/collections", "collections", {})] == [[]]


def test_responses_in_time_are_left_alone_however_many_there_are(connect) -> None:
    with Emulator(300) as api, connect(api) as client:
        for _ in range(3):
            assert (
                sum(len(each.records) for each in client.pages("/collections", "collections", {"pageSize": 100})) == 300
            )
    assert not watchdog._watchdog.watches


def test_a_child_of_a_fork_has_a_watchdog_of_its_own() -> None:
    with server(slow_response("header")) as port:
        given_up(port)
        assert in_child(lambda: given_up(port)) == 0


def test_a_later_watch_may_end_sooner() -> None:
    with server(slow_response("header")) as port, watchdog.Watch(1000):
        assert "not complete after 0.5 s" in given_up(port)


def test_a_compressed_page_is_still_read() -> None:
    body = gzip.compress(str(page()).replace("'", '"').encode())
    answer = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    with server(iter([answer])) as port:
        client = Client("k", "s", base_url=f"http://127.0.0.1:{port}/v1", attempts=1)
        with client:
            assert [each.records for each in client.pages("/collections", "collections", {})] == [[]]
