import io
import logging
import re
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image

from scenario_etl import ConfigError, Emulator, fetch_thumbnails, thumbnails
from scenario_etl.thumbnails import CONNECTIONS
from tests.system.faults.server import Exchange, FaultServer


@pytest.fixture
def api() -> Iterator[Emulator]:
    with Emulator(20) as api:
        yield api


def urls(api: Emulator) -> list[str]:
    records = [api.record(number) for number in range(20)]
    return [record["thumbnail"]["url"] for record in records if "thumbnail" in record]


def picture(form: str, mode: str = "RGB", side: int = 300) -> bytes:
    target = io.BytesIO()
    Image.new(mode, (side, side // 2)).save(target, form)
    return target.getvalue()


def served(content: bytes, status: int = 200) -> bytes | None:
    """What comes of a URL behind which this is served."""
    with FaultServer(lambda exchange: exchange.send(content, status), breaks=0) as server:
        return fetch_thumbnails([server.origin])[0]


def test_pictures_come_in_order_as_small_jpegs(api: Emulator) -> None:
    wanted = urls(api)
    small = [Image.open(io.BytesIO(found)) for found in fetch_thumbnails(wanted, side=32)]
    assert {(image.format, image.size) for image in small} == {("JPEG", (32, 32))}
    shuffled = fetch_thumbnails(wanted[::-1], side=32)
    assert shuffled == fetch_thumbnails(wanted, side=32)[::-1]
    assert len(set(shuffled)) == len(wanted)


def test_what_is_no_url_has_no_picture_and_one_url_is_fetched_once(api: Emulator) -> None:
    first = urls(api)[0]
    found = fetch_thumbnails([None, first, float("nan"), first, "", "ftp://127.0.0.1/x", "http://127.0.0.1:9/x"])
    assert [each is not None for each in found] == [False, True, False, True, False, False, False]
    assert found[1] is found[3]


def test_an_expired_signature_has_no_picture(api: Emulator) -> None:
    wanted = urls(api)[0]
    api.now = datetime(2037, 1, 1, tzinfo=UTC)
    assert fetch_thumbnails([wanted]) == [None]
    assert fetch_thumbnails([re.sub("assets-transform/([^?]+).*", r"thumbnails/\1", wanted)]) != [None]


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF"])
def test_the_usual_formats_are_read_and_keep_their_proportions(form: str) -> None:
    assert Image.open(io.BytesIO(served(picture(form)))).size == (160, 80)


def test_what_is_transparent_becomes_white() -> None:
    assert Image.open(io.BytesIO(served(picture("PNG", "RGBA")))).getpixel((5, 5)) == (255, 255, 255)


@pytest.mark.parametrize("content", [b"", b"<html>", picture("PNG")[:60], picture("TIFF"), b"\x89PNG\r\n\x1a\n" * 9])
def test_what_is_no_picture_that_can_be_read_is_none(content: bytes) -> None:
    assert served(content) is None


def test_a_picture_of_too_many_pixels_is_none_without_a_warning_of_pillow(recwarn) -> None:
    target = io.BytesIO()
    Image.new("1", (10_000, 10_000)).save(target, "PNG")
    assert served(target.getvalue()) is None
    assert len(recwarn) == 0


def test_loopback_is_no_matter_of_a_proxy(api: Emulator, monkeypatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert fetch_thumbnails(urls(api)[:1]) != [None]


def test_another_status_is_none() -> None:
    assert served(picture("PNG"), 404) is None


def test_size_and_pixels_are_bounded(monkeypatch) -> None:
    monkeypatch.setattr(thumbnails, "MAX_IMAGE_BYTES", 100)
    assert served(picture("PNG")) is None
    monkeypatch.setattr(thumbnails, "MAX_IMAGE_BYTES", 10**6)
    monkeypatch.setattr(thumbnails, "MAX_PIXELS", 300 * 150 - 1)
    assert served(picture("PNG")) is None


def test_a_large_picture_may_be_no_larger_than_allowed_and_is_right_at_the_limit(monkeypatch) -> None:
    monkeypatch.setattr(thumbnails, "MAX_PIXELS", 300 * 150)
    monkeypatch.setattr(thumbnails, "MAX_IMAGE_BYTES", len(picture("PNG")))
    assert served(picture("PNG")) is not None


def test_sixteen_bits_are_scaled_not_cut_off() -> None:
    target = io.BytesIO()
    Image.new("I;16", (10, 10), 20_000).save(target, "PNG")
    (value, *_) = Image.open(io.BytesIO(served(target.getvalue()))).getpixel((5, 5))
    assert value == pytest.approx(20_000 / 256, abs=3)


def test_all_together_end_with_the_deadline_even_where_a_server_is_silent(api: Emulator) -> None:
    assert fetch_thumbnails(urls(api), deadline=0) == [None] * len(urls(api))
    over = threading.Event()

    def drip(exchange: Exchange) -> None:
        exchange.connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while not over.wait(0.05):
            exchange.connection.sendall(b"X-More: headers\r\n")

    with FaultServer(drip, breaks=0) as server:
        started = time.monotonic()
        found = fetch_thumbnails([server.origin, urls(api)[0]], deadline=0.5)
        took = time.monotonic() - started
        over.set()
    assert (found[0], found[1] is not None) == (None, True)
    assert took < 5


def test_redirects_are_not_followed() -> None:
    with FaultServer(lambda exchange: exchange.send(picture("PNG")), breaks=0) as elsewhere:
        location = {"Location": elsewhere.origin}
        with FaultServer(lambda exchange: exchange.send(b"", 302, location), breaks=0) as server:
            assert fetch_thumbnails([server.origin]) == [None]
        assert elsewhere.requests == 0


def test_no_signature_reaches_a_log(caplog) -> None:
    caplog.set_level(logging.DEBUG)
    malformed = b"HTTP/1.1 200 OK\r\nNo colon\r\nContent-Length: 0\r\n\r\n"

    def answer(exchange: Exchange) -> None:
        exchange.connection.sendall(malformed)
        exchange.close()

    with FaultServer(answer, breaks=0) as server:
        fetch_thumbnails([f"{server.origin}/x.png?Policy=P0L1CY&Signature=S1GNATURE"])
    assert "Policy=..." in caplog.text
    assert "P0L1CY" not in caplog.text
    assert "S1GNATURE" not in caplog.text


def test_a_side_that_is_none_and_a_missing_pillow_are_config_errors(monkeypatch) -> None:
    with pytest.raises(ConfigError, match="side must be between 1 and 4,096, got 0"):
        fetch_thumbnails([], side=0)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ConfigError, match=r"thumbnails need Pillow; install it: pip install '.*\[report\]'"):
        fetch_thumbnails([])


def test_no_credentials_are_sent(monkeypatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password secret")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with FaultServer(lambda exchange: exchange.send(picture("PNG")), breaks=0) as server:
        assert fetch_thumbnails([server.origin]) != [None]
        assert (server.requests, server.authorized) == (1, 0)


def test_eight_are_fetched_at_a_time() -> None:
    together = threading.Barrier(CONNECTIONS, timeout=20)
    arrived: list[int] = []

    def answer(exchange: Exchange) -> None:
        arrived.append(together.wait())  # nobody is answered before eight have asked
        exchange.send(picture("PNG"))

    with FaultServer(answer, breaks=0) as server:
        found = fetch_thumbnails([f"{server.origin}/{number}" for number in range(2 * CONNECTIONS)])
    assert None not in found
    assert len(arrived) == 2 * CONNECTIONS
