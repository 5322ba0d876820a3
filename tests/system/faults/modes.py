"""The modes: what breaks, how often, and what the right outcome is, for each list. Data, one row a mode."""

from dataclasses import replace

from tests.system.faults.faults import (
    CHUNKED,
    MORE_NOTHING,
    NOTHING,
    OK,
    Slow,
    a_page,
    all_but_a_trailer,
    body,
    body_then_reset,
    bomb,
    closed_quietly,
    cut,
    elsewhere,
    gone,
    good_chunks,
    headers_then_reset,
    in_two_seconds,
    list_twice,
    moved,
    no_last_chunk,
    replaced,
    reset_on_connect,
    round_and_round,
    sending_slowly,
    short_chunk,
    stall,
    stall_in_the_body,
    status,
    the_list,
    trickle,
    twice,
    unknown_key_twice,
    with_early_hints,
    with_list,
    with_token,
    zipped,
)
from tests.system.faults.listings import COLLECTIONS, LISTINGS, Listing
from tests.system.faults.mode import DATA, KEY, LATER, REPORT, Mode
from tests.system.faults.record_modes import RECORDS, shared_record_modes
from tests.system.faults.server import Exchange, encoded

FAMILIES = ("status codes", "bodies", "transport", "slow responses", "pages", "records", "redirects")
MANY_EMPTY = [(f"e{i}", [], f"e{i + 1}") for i in range(8)]


def slow(where: str, start: Slow, part: bytes) -> Mode:
    """Return a mode in which an answer comes slowly, once."""
    return Mode("slow responses", f"{where}, once", sending_slowly(start, part), times=1, timeout=0.2)


# of every list
SHARED = [
    # status codes
    *[
        Mode("status codes", f"{code} once", status(code), times=1)
        for code in (408, 425, 429, 500, 501, 502, 503, 504, 599)
    ],
    Mode("status codes", "429, Retry-After an hour", status(429, {"Retry-After": "3600"}), LATER),
    Mode("status codes", "503 on the first page", status(503), times=1, breaks=0),
    Mode("status codes", "503 on the last page", status(503), times=1, breaks=2),
    Mode("status codes", "400", status(400), REPORT),
    Mode("status codes", "401", status(401), KEY),
    Mode("status codes", "403", status(403), KEY),
    Mode("status codes", "404", status(404), REPORT),
    Mode("status codes", "410", status(410), REPORT),
    Mode("status codes", "404 with an empty list", a_page(404), REPORT),
    Mode("status codes", "204", status(204), REPORT),
    Mode("status codes", "206 with half a page", a_page(206, 4), REPORT),
    Mode("status codes", "269 with an empty list", a_page(269), REPORT),
    # bodies
    Mode("bodies", "truncated once", cut(0.5, announced=False), times=1),
    Mode("bodies", "truncated last page", cut(0.5, announced=False), times=1, breaks=2),
    Mode("bodies", "empty once", body(b""), times=1),
    Mode("bodies", "HTML once", body(b"<!doctype html><p>Sign in", {"Content-Type": "text/html"}), times=1),
    Mode("bodies", "HTML as the first page", body(b"<!doctype html>"), LATER, breaks=0),
    Mode("bodies", "invalid UTF-8", replaced(b" 4", b"\xff\xfe 4"), LATER),
    Mode("bodies", "a byte order mark", lambda exchange: exchange.send(b"\xef\xbb\xbf" + encoded(exchange.page))),
    Mode("bodies", "a list at the top", the_list, REPORT),
    Mode("bodies", "an empty list at the top", body([]), REPORT),
    Mode("bodies", "null", body(b"null"), REPORT),
    Mode("bodies", "an error object, once", body({"error": "internal"}), times=1),
    Mode("bodies", "an error object, for ever", body({"error": "internal"}), REPORT),
    Mode("bodies", "an error object as the first page", body({"message": "Internal server error"}), REPORT, breaks=0),
    Mode("bodies", "an error object as the last page", body({"error": "internal"}), REPORT, breaks=2),
    Mode("bodies", "the list is missing", with_list(...), REPORT),
    Mode("bodies", "the list is null", with_list(None), REPORT),
    Mode("bodies", "the list is null, once", with_list(None), times=1),
    Mode("bodies", "the list is an object", with_list({"id": "x"}), REPORT),
    Mode("bodies", "the list twice", list_twice, REPORT),
    Mode("bodies", "the list twice, once", list_twice, times=1),
    Mode("bodies", "the token twice", twice("nextPaginationToken", None), REPORT),
    Mode("bodies", "an unknown key twice", unknown_key_twice, REPORT),
    # transport
    Mode("transport", "reset before the answer", Exchange.reset, times=1),
    Mode("transport", "reset on connect", reset_on_connect, times=1),
    Mode("transport", "reset in the headers", headers_then_reset, times=1),
    Mode("transport", "reset in the body", body_then_reset, times=1),
    Mode("transport", "closed in the body", cut(0.5, announced=True), times=1),
    Mode("transport", "short chunk", short_chunk, times=1),
    Mode("transport", "no last chunk", no_last_chunk, times=1),
    Mode("transport", "good chunks", good_chunks),
    Mode("transport", "keep-alive connection closed", closed_quietly, breaks=0),
    Mode("transport", "server gone", gone, LATER),
    Mode("transport", "gzip", zipped(lambda content: content)),
    Mode("transport", "corrupt gzip once", zipped(lambda content: content[:40] + b"???" + content[43:]), times=1),
    Mode("transport", "gzip bomb of 2.5 GiB", bomb, REPORT),
    Mode("transport", "102 and 103 before the answer", with_early_hints),
    # slow responses: no silence in them is longer than the timeout
    slow("chunks of blanks", CHUNKED, b"1\r\n \r\n"),
    slow("trailer", all_but_a_trailer, b"x"),
    slow("gzip of nothing", OK + b"Content-Encoding: gzip\r\n\r\n" + NOTHING, MORE_NOTHING),
    # pages
    Mode("pages", "the same token for ever", with_token("page-2"), DATA),
    Mode("pages", "a cycle of two", fails=DATA, pages=((None, [0, 1], "a"), ("a", [2], "b"), ("b", [3], "a"))),
    Mode("pages", "a cycle of three", fails=DATA,
         pages=((None, [0], "a"), ("a", [1], "b"), ("b", [2], "c"), ("c", [3], "a"))),
    Mode("pages", "endless empty pages", fails=DATA,
         pages=((None, [0], "e0"), *[(f"e{i}", [], f"e{i + 1}") for i in range(200)], ("e200", [], ...))),
    Mode("pages", "the token is ignored", fails=DATA,
         pages=((None, [0, 1], "e0"), *[(f"e{i}", [0, 1], f"e{i + 1}") for i in range(200)], ("e200", [], ...))),
    Mode("pages", "a page comes three times",
         pages=((None, [0, 1], "a"), ("a", [2, 3], "b"), ("b", [2, 3], "c"), ("c", [2, 3], "d"), ("d", [4], ...))),
    Mode("pages", "an empty page in the middle", pages=((None, [0, 1], "a"), ("a", [], "b"), ("b", [2, 3], ...))),
    Mode("pages", "eight empty pages in the middle", pages=((None, [0], "e0"), *MANY_EMPTY, ("e8", [1], ...))),
    Mode("pages", "an empty first page", pages=((None, [], "a"), ("a", [2, 3], ...))),
    Mode("pages", "an empty last page", pages=((None, [0, 1], "a"), ("a", [], ...))),
    Mode("pages", "short pages", pages=((None, [0], "a"), ("a", [1], "b"), ("b", [2, 3, 5], "c"), ("c", [6], ...))),
    Mode("pages", "no records at all", pages=((None, [], ...),)),
    Mode("pages", "a token with + / = & %",
         pages=((None, [0, 1], "a+b/c==&d=1%2B#?"), ("a+b/c==&d=1%2B#?", [2], ...))),
    Mode("pages", "a token that is not ASCII", pages=((None, [0, 1], "page·二"), ("page·二", [2], ...))),
    Mode("pages", "the end as null", pages=((None, [0, 1], "a"), ("a", [2], None))),
    Mode("pages", "the end as an empty string", pages=((None, [0, 1], "a"), ("a", [2], ""))),
    Mode("pages", "the token is a number", with_token(7), DATA),
    Mode("pages", "the token is an object", with_token({"offset": 7}), DATA),
    # redirects
    Mode("redirects", "within the origin", moved),
    Mode("redirects", "to another origin", elsewhere, REPORT),
    Mode("redirects", "in a circle", round_and_round, REPORT),
]  # fmt: skip

# of collections alone: they differ from others only in how long, or for what, a program waits
WAITING = [
    Mode("status codes", "429, Retry-After 2", status(429, {"Retry-After": "2"}), times=1, min_wait=2),
    Mode("status codes", "429, Retry-After as a date", in_two_seconds, times=1, min_wait=2),
    Mode("status codes", "503, Retry-After 2", status(503, {"Retry-After": "2"}), times=1, min_wait=2),
    Mode("status codes", "429, Retry-After 0", status(429, {"Retry-After": "0"}), times=1),
    Mode("status codes", "429, Retry-After -5", status(429, {"Retry-After": "-5"}), times=1),
    Mode("status codes", "429, Retry-After in the past",
         status(429, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}), times=1),
    Mode("status codes", "429, Retry-After garbage", status(429, {"Retry-After": "in a while"}), times=1),
    Mode("status codes", "429, remainingSeconds 2", status(429, body={"remainingSeconds": 2}), times=1, min_wait=2),
    Mode("status codes", "429, details.remainingSeconds 2",
         status(429, body={"reason": "slow down", "details": {"remainingSeconds": 2}}), times=1, min_wait=2),
    Mode("status codes", "429 for ever", status(429), LATER),
    Mode("status codes", "503 for ever", status(503), LATER),
    Mode("bodies", "truncated for ever", cut(0.5, announced=False), LATER),
    Mode("bodies", "empty for ever", body(b""), LATER),
    Mode("bodies", "HTML for ever", body(b"<!doctype html><p>Sign in", {"Content-Type": "text/html"}), LATER),
    Mode("transport", "reset for ever", Exchange.reset, LATER),
    Mode("transport", "closed in the body, for ever", cut(0.5, announced=True), LATER),
    Mode("transport", "stall before the answer", stall, times=1, timeout=0.5),
    Mode("transport", "stall in the body", stall_in_the_body, times=1, timeout=0.5),
    Mode("transport", "one byte at a time", trickle(0.0005), timeout=1.0),
    Mode("transport", "one byte at a time, endlessly slow", trickle(0.02), LATER, timeout=0.2),
    Mode("transport", "corrupt gzip for ever", zipped(lambda content: content[:40] + b"???" + content[43:]), LATER),
    Mode("slow responses", "status line, for ever", sending_slowly(b"HTTP/1.1 200 ", b"O"), LATER, timeout=0.1),
    slow("status line", b"HTTP/1.1 200 ", b"O"),
    slow("header", OK + b"X-Slow: ", b"x"),
    slow("headers", OK, b"X-Slow: x\r\n"),
    slow("chunk size", CHUNKED, b"0"),
    slow("chunk extension", CHUNKED + b"5;", b"x"),
    slow("100 Continue", b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    slow("103 Early Hints", b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
]  # fmt: skip

MODES = [
    replace(mode, listing=listing)
    for listing in LISTINGS.values()
    for mode in [
        *SHARED,
        *(WAITING if listing is COLLECTIONS else []),
        *shared_record_modes(listing),
        *RECORDS[listing.name],
    ]
]


def modes_of(listing: Listing) -> list[Mode]:
    """Return the modes of one list."""
    return [mode for mode in MODES if mode.listing is listing]
