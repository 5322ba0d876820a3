"""The faults: how a response is broken."""

import gzip
import json
import time
import zlib
from collections.abc import Callable
from email.utils import formatdate
from functools import cache
from typing import Any

from tests.system.faults.listings import Listing
from tests.system.faults.server import Exchange, Fault, FaultServer, encoded, head

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
NOTHING = zlib.compressobj(wbits=31).flush(zlib.Z_SYNC_FLUSH)  # the start of a gzip stream, with a block of nothing
MORE_NOTHING = zlib.compressobj(wbits=-15).flush(zlib.Z_SYNC_FLUSH)


def status(code: int, headers: dict[str, str] | None = None, body: Any = None) -> Fault:
    """Answer with a status."""
    return lambda exchange: exchange.send({"reason": "so it is"} if body is None else body, code, headers)


def in_two_seconds(exchange: Exchange) -> None:
    """Answer 429 with a date, which counts whole seconds: rounded up, so that it is at least two from now."""
    exchange.send({}, 429, {"Retry-After": formatdate(int(time.time()) + 3, usegmt=True)})


def body(content: Any, headers: dict[str, str] | None = None) -> Fault:
    """Answer 200 with this body."""
    return lambda exchange: exchange.send(content, 200, headers)


def a_page(code: int, *numbers: int) -> Fault:
    """Answer with a status and a page of these records."""
    return lambda exchange: exchange.send(exchange.listing.page(numbers), code)


def the_list(exchange: Exchange) -> None:
    """Answer with the list alone, without the object around it."""
    exchange.send(exchange.records)


def with_list(value: Any) -> Fault:
    """Answer with the page in which the list is another value; `...` takes it out."""

    def fault(exchange: Exchange) -> None:
        page = exchange.page | {exchange.listing.name: value}
        exchange.send({name: each for name, each in page.items() if each is not ...})

    return fault


def with_token(value: Any) -> Fault:
    """Answer with the page and another token of the next one."""
    return lambda exchange: exchange.send(exchange.page | {"nextPaginationToken": value})


def with_records(change: Callable[[list[Any]], object]) -> Fault:
    """Answer with the page after `change` was made to its records."""

    def fault(exchange: Exchange) -> None:
        change(exchange.records)
        exchange.send()

    return fault


def appended(*records: Any) -> Fault:
    """Answer with the page and more records."""
    return with_records(lambda listed: listed.extend(records))


def repeated(number: int) -> Fault:
    """Answer with the page and one more record, which is listed elsewhere as well."""
    return lambda exchange: appended(exchange.listing.record(number))(exchange)


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


Slow = bytes | Callable[[Listing], bytes]  # the start of an answer


def sending_slowly(start: Slow, part: bytes) -> Fault:
    """Send the start of an answer, then the same few bytes again and again, for as long as anybody listens."""

    def fault(exchange: Exchange) -> None:
        exchange.connection.sendall(start if isinstance(start, bytes) else start(exchange.listing))
        while True:
            exchange.connection.sendall(part)
            time.sleep(0.005)

    return fault


def all_but_a_trailer(listing: Listing) -> bytes:
    """Return an answer with an empty list, up to the value of a header after it."""
    content = encoded(listing.page([]))
    return CHUNKED + f"{len(content):x}\r\n".encode() + content + b"\r\n0\r\nX-Slow: "


def with_early_hints(exchange: Exchange) -> None:
    exchange.connection.sendall(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
    exchange.send()


def twice(key: str, value: Any) -> Fault:
    """Answer with the page in which a key stands once more, at the end, with another value."""
    return lambda exchange: exchange.send(with_another(exchange.page, key, value))


def list_twice(exchange: Exchange) -> None:
    """Answer with the page in which the list stands once more, empty."""
    exchange.send(with_another(exchange.page, exchange.listing.name, []))


def unknown_key_twice(exchange: Exchange) -> None:
    exchange.send(with_another(exchange.listing.page([], x=1), "x", 2))


def with_another(page: dict[str, Any], key: str, value: Any) -> bytes:
    """Return a page as JSON with one more key at its end."""
    more = json.dumps({key: value}).removeprefix("{")
    return encoded(page)[:-1] + b", " + more.encode()


def zipped(change: Callable[[bytes], bytes]) -> Fault:
    """Answer with the page in gzip, after `change`."""
    return lambda exchange: exchange.send(
        change(gzip.compress(encoded(exchange.page))), 200, {"Content-Encoding": "gzip"}
    )


@cache
def packed_blanks() -> bytes:
    """Return 64 MiB of blanks in gzip."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return packer.compress(b" " * 2**26) + packer.flush()


def bomb(exchange: Exchange) -> None:
    """Answer with 2.5 GiB of blanks in 2.5 MB of gzip: 40 members."""
    exchange.send(packed_blanks() * 40, 200, {"Content-Encoding": "gzip"})


def elsewhere(exchange: Exchange) -> None:
    """Redirect to another origin; the server there would return the page, and must not be requested."""
    other = FaultServer(Exchange.send, listing=exchange.listing).__enter__()
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
