"""The modes: what breaks, how often, and what the right outcome is. Pure data, one row a mode."""

import gzip
import json
import time
import zlib
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

from tests.system.faults.server import Exchange, Fault, FaultServer, encoded, head, right_pages, right_record

ALWAYS = float("inf")
REPORT, LATER, KEY, DATA = 69, 75, 77, 65  # the exit codes of a right failure


@dataclass(frozen=True, eq=False)
class Mode:
    """One way to fail.

    Attributes:
        family: the row of the table of docs/reliability.md.
        name: says what is wrong.
        fault: answers for the page that breaks.
        fails: the exit code of a right failure; 0 where the right rows must come.
        times: how often the page breaks before it is right.
        breaks: the index of the page.
        pages: all pages by token, where one broken page is not enough.
        rows: the records that make the right result; those of the right pages by default.
        min_wait: seconds that the server requires before the next request.
        timeout: of the client, in seconds.

    """

    family: str
    name: str
    fault: Fault = Exchange.send
    fails: int = 0
    times: float = ALWAYS
    breaks: int = 1
    pages: dict[str | None, dict[str, Any]] | None = None
    rows: list[dict[str, Any]] | None = None
    min_wait: float = 0.0
    timeout: float = 2.0

    def __str__(self) -> str:
        return f"{self.family}: {self.name}"

    def server(self) -> FaultServer:
        """Return a server that breaks in this way."""
        return FaultServer(self.fault, self.breaks, self.times, deepcopy(self.pages))

    def right_rows(self) -> list[dict[str, Any]]:
        """Return the records that the right result has, in order."""
        return deepcopy(self.rows) if self.rows is not None else [r for p in right_pages() for r in p["collections"]]


def status(code: int, headers: dict[str, str] | None = None, body: Any = None) -> Fault:
    """Answer with a status."""
    return lambda exchange: exchange.send({"reason": "so it is"} if body is None else body, code, headers)


def in_two_seconds(exchange: Exchange) -> None:
    """Answer 429 with a date, which counts whole seconds: rounded up, so that it is at least two from now."""
    exchange.send({}, 429, {"Retry-After": formatdate(int(time.time()) + 3, usegmt=True)})


def body(content: Any, headers: dict[str, str] | None = None) -> Fault:
    """Answer 200 with this body."""
    return lambda exchange: exchange.send(content, 200, headers)


def changed(change: Callable[[dict[str, Any]], Any]) -> Fault:
    """Answer with the right page after `change` was made to it, or with what `change` returns."""

    def fault(exchange: Exchange) -> None:
        replacement = change(exchange.page)
        exchange.send(exchange.page if replacement is None else replacement)

    return fault


def replaced(old: bytes, new: bytes) -> Fault:
    """Answer with the right page in which some bytes are others."""
    return lambda exchange: exchange.send(encoded(exchange.page).replace(old, new, 1))


def cut(where: float, announced: bool) -> Fault:
    """Answer with the first part of the page; `announced`: the length of the whole is in the header."""

    def fault(exchange: Exchange) -> None:
        content = encoded(exchange.page)
        part = content[: int(where * len(content))]
        length = len(content) if announced else len(part)
        exchange.connection.sendall(head(200, {"Content-Length": str(length)}) + part)
        exchange.close() if announced else None

    return fault


def headers_then_reset(exchange: Exchange) -> None:
    exchange.connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Ty")
    exchange.reset()


def body_then_reset(exchange: Exchange) -> None:
    content = encoded(exchange.page)
    exchange.connection.sendall(head(200, {"Content-Length": str(len(content))}) + content[:200])
    exchange.reset()


def short_chunk(exchange: Exchange) -> None:
    exchange.connection.sendall(head(200, {"Transfer-Encoding": "chunked"}) + b"40\r\n" + encoded(exchange.page)[:20])
    exchange.close()


def no_last_chunk(exchange: Exchange) -> None:
    content = encoded(exchange.page)
    chunk = f"{len(content):x}\r\n".encode() + content + b"\r\n"
    exchange.connection.sendall(head(200, {"Transfer-Encoding": "chunked"}) + chunk)
    exchange.close()


def good_chunks(exchange: Exchange) -> None:
    content = encoded(exchange.page)
    chunks = [content[i : i + 100] for i in range(0, len(content), 100)]
    coded = b"".join(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n" for chunk in [*chunks, b""])
    exchange.connection.sendall(head(200, {"Transfer-Encoding": "chunked"}) + coded)


def closed_quietly(exchange: Exchange) -> None:
    """Answer as if nothing was wrong, then end a connection that was said to stay open."""
    exchange.send()
    exchange.close()


def reset_on_connect(exchange: Exchange) -> None:
    exchange.server.resets = 1
    exchange.close()


def gone(exchange: Exchange) -> None:
    exchange.server.stop()
    exchange.close()


def stall(exchange: Exchange) -> None:
    """Say nothing for longer than our client waits; who waits longer gets the page."""
    time.sleep(4)
    exchange.send()


def stall_in_the_body(exchange: Exchange) -> None:
    content = encoded(exchange.page)
    exchange.connection.sendall(head(200, {"Content-Length": str(len(content))}) + content[:100])
    time.sleep(4)
    exchange.connection.sendall(content[100:])


def trickle(seconds: float) -> Fault:
    """Send the body one byte at a time."""

    def fault(exchange: Exchange) -> None:
        content = encoded(exchange.page)
        exchange.connection.sendall(head(200, {"Content-Length": str(len(content))}))
        for position in range(len(content)):
            exchange.connection.sendall(content[position : position + 1])
            time.sleep(seconds)

    return fault


def sending_slowly(start: bytes, part: bytes) -> Fault:
    """Send the start of an answer, then the same few bytes again and again, for as long as anybody listens."""

    def fault(exchange: Exchange) -> None:
        exchange.connection.sendall(start)
        while True:
            exchange.connection.sendall(part)
            time.sleep(0.005)

    return fault


def with_early_hints(exchange: Exchange) -> None:
    exchange.connection.sendall(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
    exchange.send()


def twice(key: str, value: Any) -> Fault:
    """Answer with the page in which a key stands once more, at the end, with another value."""

    def fault(exchange: Exchange) -> None:
        more = json.dumps({key: value}).removeprefix("{")
        exchange.send(encoded(exchange.page)[:-1] + b", " + more.encode())

    return fault


def zipped(change: Callable[[bytes], bytes]) -> Fault:
    """Answer with the page in gzip, after `change`."""
    return lambda exchange: exchange.send(
        change(gzip.compress(encoded(exchange.page))), 200, {"Content-Encoding": "gzip"}
    )


def bomb(exchange: Exchange) -> None:
    """Answer with 2.5 GiB of blanks in 2.5 MB of gzip: 40 members of 64 MiB."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    member = packer.compress(b" " * 2**26) + packer.flush()
    exchange.send(member * 40, 200, {"Content-Encoding": "gzip"})


def paging(*pages: tuple[Any, list[int], Any]) -> dict[str, Any]:
    """The arguments of a mode that has these pages: its token, the numbers of its records, the next token."""
    bodies = {}
    for token, numbers, following in pages:
        bodies[token] = {"collections": [right_record(number) for number in numbers]}
        if following is not ...:
            bodies[token]["nextPaginationToken"] = following
    once = dict.fromkeys(number for _, numbers, _ in pages for number in numbers)
    return {"pages": bodies, "rows": [right_record(number) for number in once]}


def elsewhere(exchange: Exchange) -> None:
    """Redirect to another origin; the server there would return the page, and must not be requested."""
    other = FaultServer(Exchange.send).__enter__()
    exchange.server.elsewhere = other
    exchange.send({}, 302, {"Location": f"{other.origin}{exchange.target}"})


def moved(exchange: Exchange) -> None:
    """Redirect within the origin, once: a request with `moved` gets the page."""
    if "moved=1" in exchange.target:
        exchange.send()
    else:
        exchange.send({}, 307, {"Location": f"{exchange.target}&moved=1"})


def round_and_round(exchange: Exchange) -> None:
    exchange.send({}, 302, {"Location": exchange.target})


def first(**changes: Any) -> Fault:
    """Answer with the page in which the first record has some fields changed; `...` takes one out."""

    def change(page: dict[str, Any]) -> None:
        record = page["collections"][0] | changes
        page["collections"][0] = {name: value for name, value in record.items() if value is not ...}

    return changed(change)


def kept(name: str, /, **changes: Any) -> Mode:
    """A mode whose first record of the second page is unusual, but right."""
    rows = [record for page in right_pages() for record in page["collections"]]
    rows[4] = {field: value for field, value in (rows[4] | changes).items() if value is not ...}
    return Mode("records", name, first(**changes), rows=rows)


def refused(name: str, /, **changes: Any) -> Mode:
    """A mode whose first record of the second page cannot be right."""
    return Mode("records", name, first(**changes), DATA)


def append(record: Any) -> Fault:
    """Answer with the page and one more record."""
    return changed(lambda page: page["collections"].append(record))


RIGHT = [record for page in right_pages() for record in page["collections"]]
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
NOTHING = zlib.compressobj(wbits=31).flush(zlib.Z_SYNC_FLUSH)  # the start of a gzip stream, with a block of nothing
MORE_NOTHING = zlib.compressobj(wbits=-15).flush(zlib.Z_SYNC_FLUSH)
MANY_EMPTY = [(f"e{i}", [], f"e{i + 1}") for i in range(8)]

MODES = [
    # status codes
    *[
        Mode("status codes", f"{code} once", status(code), times=1)
        for code in (408, 425, 429, 500, 501, 502, 503, 504, 599)
    ],
    Mode("status codes", "429, Retry-After 2", status(429, {"Retry-After": "2"}), times=1, min_wait=2),
    Mode("status codes", "429, Retry-After as a date", in_two_seconds, times=1, min_wait=2),
    Mode("status codes", "503, Retry-After 2", status(503, {"Retry-After": "2"}), times=1, min_wait=2),
    Mode("status codes", "429, Retry-After 0", status(429, {"Retry-After": "0"}), times=1),
    Mode("status codes", "429, Retry-After -5", status(429, {"Retry-After": "-5"}), times=1),
    Mode("status codes", "429, Retry-After in the past",
         status(429, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}), times=1),
    Mode("status codes", "429, Retry-After garbage", status(429, {"Retry-After": "in a while"}), times=1),
    Mode("status codes", "429, Retry-After an hour", status(429, {"Retry-After": "3600"}), LATER),
    Mode("status codes", "429, remainingSeconds 2", status(429, body={"remainingSeconds": 2}), times=1, min_wait=2),
    Mode("status codes", "429, details.remainingSeconds 2",
         status(429, body={"reason": "slow down", "details": {"remainingSeconds": 2}}), times=1, min_wait=2),
    Mode("status codes", "429 for ever", status(429), LATER),
    Mode("status codes", "503 for ever", status(503), LATER),
    Mode("status codes", "503 on the first page", status(503), times=1, breaks=0),
    Mode("status codes", "503 on the last page", status(503), times=1, breaks=2),
    Mode("status codes", "400", status(400), REPORT),
    Mode("status codes", "401", status(401), KEY),
    Mode("status codes", "403", status(403), KEY),
    Mode("status codes", "404", status(404), REPORT),
    Mode("status codes", "410", status(410), REPORT),
    Mode("status codes", "404 with an empty list", status(404, body={"collections": []}), REPORT),
    Mode("status codes", "204", status(204), REPORT),
    Mode("status codes", "206 with half a page", status(206, body={"collections": [right_record(4)]}), REPORT),
    Mode("status codes", "269 with an empty list", status(269, body={"collections": []}), REPORT),
    # bodies
    Mode("bodies", "truncated once", cut(0.5, announced=False), times=1),
    Mode("bodies", "truncated for ever", cut(0.5, announced=False), LATER),
    Mode("bodies", "truncated last page", cut(0.5, announced=False), times=1, breaks=2),
    Mode("bodies", "empty once", body(b""), times=1),
    Mode("bodies", "empty for ever", body(b""), LATER),
    Mode("bodies", "HTML once", body(b"<!doctype html><p>Sign in", {"Content-Type": "text/html"}), times=1),
    Mode("bodies", "HTML for ever", body(b"<!doctype html><p>Sign in", {"Content-Type": "text/html"}), LATER),
    Mode("bodies", "HTML as the first page", body(b"<!doctype html>"), LATER, breaks=0),
    Mode("bodies", "invalid UTF-8", replaced(b"Collection 4", b"Coll\xff\xfe 4"), LATER),
    Mode("bodies", "a byte order mark", lambda exchange: exchange.send(b"\xef\xbb\xbf" + encoded(exchange.page))),
    Mode("bodies", "a list at the top", changed(lambda page: page["collections"]), REPORT),
    Mode("bodies", "an empty list at the top", body([]), REPORT),
    Mode("bodies", "null", body(b"null"), REPORT),
    Mode("bodies", "an error object, once", body({"error": "internal"}), times=1),
    Mode("bodies", "an error object, for ever", body({"error": "internal"}), REPORT),
    Mode("bodies", "an error object as the first page", body({"message": "Internal server error"}), REPORT, breaks=0),
    Mode("bodies", "an error object as the last page", body({"error": "internal"}), REPORT, breaks=2),
    Mode("bodies", "the list is missing", changed(lambda page: page.pop("collections") and None), REPORT),
    Mode("bodies", "the list is null", changed(lambda page: page.update(collections=None)), REPORT),
    Mode("bodies", "the list is null, once", changed(lambda page: page.update(collections=None)), times=1),
    Mode("bodies", "the list is an object", changed(lambda page: page.update(collections={"id": "x"})), REPORT),
    Mode("bodies", "the list twice", twice("collections", []), REPORT),
    Mode("bodies", "the list twice, once", twice("collections", []), times=1),
    Mode("bodies", "the token twice", twice("nextPaginationToken", None), REPORT),
    Mode("bodies", "an unknown key twice", body(b'{"collections": [], "x": 1, "x": 2}'), REPORT),
    # transport
    Mode("transport", "reset before the answer", Exchange.reset, times=1),
    Mode("transport", "reset for ever", Exchange.reset, LATER),
    Mode("transport", "reset on connect", reset_on_connect, times=1),
    Mode("transport", "reset in the headers", headers_then_reset, times=1),
    Mode("transport", "reset in the body", body_then_reset, times=1),
    Mode("transport", "closed in the body", cut(0.5, announced=True), times=1),
    Mode("transport", "closed in the body, for ever", cut(0.5, announced=True), LATER),
    Mode("transport", "short chunk", short_chunk, times=1),
    Mode("transport", "no last chunk", no_last_chunk, times=1),
    Mode("transport", "good chunks", good_chunks),
    Mode("transport", "keep-alive connection closed", closed_quietly, breaks=0),
    Mode("transport", "server gone", gone, LATER),
    Mode("transport", "stall before the answer", stall, times=1, timeout=0.5),
    Mode("transport", "stall in the body", stall_in_the_body, times=1, timeout=0.5),
    Mode("transport", "one byte at a time", trickle(0.0005), timeout=1.0),
    Mode("transport", "one byte at a time, endlessly slow", trickle(0.02), LATER, timeout=0.2),
    Mode("transport", "gzip", zipped(lambda content: content)),
    Mode("transport", "corrupt gzip once", zipped(lambda content: content[:40] + b"???" + content[43:]), times=1),
    Mode("transport", "corrupt gzip for ever", zipped(lambda content: content[:40] + b"???" + content[43:]), LATER),
    Mode("transport", "gzip bomb of 2.5 GiB", bomb, REPORT),
    Mode("transport", "102 and 103 before the answer", with_early_hints),
    # slow responses: no silence in them is longer than the timeout
    *[
        Mode("slow responses", f"{name}, once", sending_slowly(start, part), times=1, timeout=0.2)
        for name, start, part in [
            ("status line", b"HTTP/1.1 200 ", b"O"),
            ("header", OK + b"X-Slow: ", b"x"),
            ("headers", OK, b"X-Slow: x\r\n"),
            ("chunk size", CHUNKED, b"0"),
            ("chunk extension", CHUNKED + b"5;", b"x"),
            ("chunks of blanks", CHUNKED, b"1\r\n \r\n"),
            ("trailer", CHUNKED + b"13\r\n{\"collections\": []}\r\n0\r\nX-Slow: ", b"x"),
            ("100 Continue", b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
            ("103 Early Hints", b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
            ("gzip of nothing", OK + b"Content-Encoding: gzip\r\n\r\n" + NOTHING, MORE_NOTHING),
        ]
    ],
    Mode("slow responses", "status line, for ever", sending_slowly(b"HTTP/1.1 200 ", b"O"), LATER, timeout=0.1),
    # pages
    Mode("pages", "the same token for ever", changed(lambda page: page.update(nextPaginationToken="page-2")), DATA),
    Mode("pages", "a cycle of two", fails=DATA, **paging((None, [0, 1], "a"), ("a", [2], "b"), ("b", [3], "a"))),
    Mode("pages", "a cycle of three", fails=DATA,
         **paging((None, [0], "a"), ("a", [1], "b"), ("b", [2], "c"), ("c", [3], "a"))),
    Mode("pages", "endless empty pages", fails=DATA,
         **paging((None, [0], "e0"), *[(f"e{i}", [], f"e{i + 1}") for i in range(200)], ("e200", [], ...))),
    Mode("pages", "the token is ignored", fails=DATA,
         **paging((None, [0, 1], "e0"), *[(f"e{i}", [0, 1], f"e{i + 1}") for i in range(200)], ("e200", [], ...))),
    Mode("pages", "a page comes three times",
         **paging((None, [0, 1], "a"), ("a", [2, 3], "b"), ("b", [2, 3], "c"), ("c", [2, 3], "d"), ("d", [4], ...))),
    Mode("pages", "an empty page in the middle", **paging((None, [0, 1], "a"), ("a", [], "b"), ("b", [2, 3], ...))),
    Mode("pages", "eight empty pages in the middle", **paging((None, [0], "e0"), *MANY_EMPTY, ("e8", [1], ...))),
    Mode("pages", "an empty first page", **paging((None, [], "a"), ("a", [2, 3], ...))),
    Mode("pages", "an empty last page", **paging((None, [0, 1], "a"), ("a", [], ...))),
    Mode("pages", "short pages", **paging((None, [0], "a"), ("a", [1], "b"), ("b", [2, 3, 5], "c"), ("c", [6], ...))),
    Mode("pages", "no collections at all", **paging((None, [], ...))),
    Mode("pages", "a token with + / = & %",
         **paging((None, [0, 1], "a+b/c==&d=1%2B#?"), ("a+b/c==&d=1%2B#?", [2], ...))),
    Mode("pages", "a token that is not ASCII", **paging((None, [0, 1], "page·二"), ("page·二", [2], ...))),
    Mode("pages", "the end as null", **paging((None, [0, 1], "a"), ("a", [2], None))),
    Mode("pages", "the end as an empty string", **paging((None, [0, 1], "a"), ("a", [2], ""))),
    Mode("pages", "the token is a number", changed(lambda page: page.update(nextPaginationToken=7)), DATA),
    Mode("pages", "the token is an object", changed(lambda page: page.update(nextPaginationToken={"offset": 7})), DATA),
    # records
    refused("id missing", id=...),
    refused("id null", id=None),
    refused("id a number", id=4),
    refused("id empty", id=""),
    Mode("records", "identical duplicate", append(right_record(1))),
    Mode("records", "differing duplicate", append(right_record(1) | {"name": "renamed during the run"})),
    Mode("records", "duplicate within a page", append(right_record(5))),
    Mode("records", "a record is a string", append("collection_9"), DATA),
    Mode("records", "a record is null", append(None), DATA),
    kept("count 3.0", assetCount=3.0),
    kept("count 2^53+1", assetCount=2**53 + 1),
    refused("count 3.5", assetCount=3.5),
    refused("count 1e20", assetCount=1e20),
    refused("count true", assetCount=True),
    refused('count "7"', assetCount="7"),
    refused("count NaN", assetCount=float("nan")),
    kept("count missing", assetCount=...),
    kept("date without fraction", createdAt="2026-04-22T08:57:03Z"),
    kept("date with 6 digits", createdAt="2026-04-22T08:57:03.123456Z"),
    kept("date with an offset", createdAt="2026-04-22T08:57:03.106+02:00"),
    refused("date unreadable", createdAt="yesterday"),
    refused("date without an offset", createdAt="2026-04-22T08:57:03.106"),
    refused("date a number", createdAt=1776848223),
    kept("thumbnail null", thumbnail=None),
    kept("thumbnail missing", thumbnail=...),
    refused("thumbnail a string", thumbnail="asset_4"),
    kept("thumbnail without url", thumbnail={"assetId": "asset_4"}),
    kept("unknown field", colour="red"),
    kept("name missing", name=...),
    refused("name a number", name=7),
    kept("name of 20 kB", name="long " * 4000),
    kept("name with NUL", name="a\0b"),
    kept("name with emoji", name="Dragons \N{DRAGON FACE}\u200d\N{FIRE}"),
    # redirects
    Mode("redirects", "within the origin", moved),
    Mode("redirects", "to another origin", elsewhere, REPORT),
    Mode("redirects", "in a circle", round_and_round, REPORT),
]  # fmt: skip
