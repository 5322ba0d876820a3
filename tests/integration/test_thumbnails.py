import io
import logging
import re
import sys
import threading
import time
import zlib
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


def make_image(form: str, mode: str = "RGB", side: int = 300) -> bytes:
    target = io.BytesIO()
    Image.new(mode, (side, side // 2)).save(target, form)
    return target.getvalue()


def thumbnail_of(content: bytes, status: int = 200) -> bytes | None:
    """Return the thumbnail of a URL whose server sends this content."""
    with FaultServer(lambda exchange: exchange.send(content, status), breaks=0) as server:
        return fetch_thumbnails([server.origin])[0]


def test_images_are_returned_in_order_as_small_jpegs(api: Emulator) -> None:
    requested = urls(api)
    small = [Image.open(io.BytesIO(content)) for content in fetch_thumbnails(requested, side=32)]
    assert {(image.format, image.size) for image in small} == {("JPEG", (32, 32))}
    shuffled = fetch_thumbnails(requested[::-1], side=32)
    assert shuffled == fetch_thumbnails(requested, side=32)[::-1]
    assert len(set(shuffled)) == len(requested)


def test_values_that_are_not_urls_give_none_and_a_repeated_url_is_fetched_once(api: Emulator) -> None:
    first = urls(api)[0]
    images = fetch_thumbnails([None, first, float("nan"), first, "", "ftp://127.0.0.1/x", "http://127.0.0.1:9/x"])
    assert [image is not None for image in images] == [False, True, False, True, False, False, False]
    assert images[1] is images[3]


def test_an_expired_signature_gives_none_and_one_warning_with_the_reason(api: Emulator, caplog) -> None:
    requested = urls(api)[0]
    api.now = datetime(2037, 1, 1, tzinfo=UTC)
    assert fetch_thumbnails([requested, None]) == [None, None]
    assert caplog.messages == ["1 of 2 images are missing: HTTP 403 (1)"]
    assert fetch_thumbnails([re.sub("assets-transform/([^?]+).*", r"thumbnails/\1", requested)]) != [None]


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF"])
def test_supported_formats_keep_their_proportions(form: str) -> None:
    assert Image.open(io.BytesIO(thumbnail_of(make_image(form)))).size == (160, 80)


def test_transparent_pixels_become_white() -> None:
    assert Image.open(io.BytesIO(thumbnail_of(make_image("PNG", "RGBA")))).getpixel((5, 5)) == (255, 255, 255)


@pytest.mark.parametrize(
    "content", [b"", b"<html>", make_image("PNG")[:60], make_image("TIFF"), b"\x89PNG\r\n\x1a\n" * 9]
)
def test_an_unreadable_image_gives_none(content: bytes) -> None:
    assert thumbnail_of(content) is None


def test_a_jpeg_with_too_many_scans_is_not_decoded() -> None:
    target = io.BytesIO()
    Image.new("RGB", (300, 150)).save(target, "JPEG", progressive=True)
    content = target.getvalue()
    scan = content[content.rindex(b"\xff\xda") : -2]
    assert thumbnail_of(content) is not None
    assert thumbnails.try_shrink(content[:-2] + 100 * scan + content[-2:], 32) == "more than 100 scans"


def test_a_png_may_contain_the_bytes_of_a_scan() -> None:
    content = make_image("PNG")
    comment = b"tEXta\0" + 200 * b"\xff\xda"
    chunk = (len(comment) - 4).to_bytes(4, "big") + comment + zlib.crc32(comment).to_bytes(4, "big")
    assert thumbnail_of(content[:33] + chunk + content[33:]) == thumbnail_of(content)


def test_an_image_with_too_many_pixels_gives_none_without_a_warning_from_pillow(recwarn) -> None:
    target = io.BytesIO()
    Image.new("1", (10_000, 10_000)).save(target, "PNG")
    assert thumbnail_of(target.getvalue()) is None
    assert len(recwarn) == 0


def test_proxies_are_not_used_for_loopback(api: Emulator, monkeypatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert fetch_thumbnails(urls(api)[:1]) != [None]


def test_another_status_than_200_gives_none() -> None:
    assert thumbnail_of(make_image("PNG"), 404) is None


def test_bytes_and_pixels_are_limited(monkeypatch) -> None:
    monkeypatch.setattr(thumbnails, "MAX_IMAGE_BYTES", 100)
    assert thumbnail_of(make_image("PNG")) is None
    monkeypatch.setattr(thumbnails, "MAX_IMAGE_BYTES", 10**6)
    monkeypatch.setattr(thumbnails, "MAX_PIXELS", 300 * 150 - 1)
    assert thumbnail_of(make_image("PNG")) is None


def test_an_image_exactly_at_the_limits_is_returned(monkeypatch) -> None:
    monkeypatch.setattr(thumbnails, "MAX_PIXELS", 300 * 150)
    monkeypatch.setattr(thumbnails, "MAX_IMAGE_BYTES", len(make_image("PNG")))
    assert thumbnail_of(make_image("PNG")) is not None


def test_16_bit_values_are_scaled_and_not_clipped() -> None:
    target = io.BytesIO()
    Image.new("I;16", (10, 10), 20_000).save(target, "PNG")
    (value, *_) = Image.open(io.BytesIO(thumbnail_of(target.getvalue()))).getpixel((5, 5))
    assert value == pytest.approx(20_000 / 256, abs=3)


def test_the_deadline_holds_for_all_urls_even_if_a_server_stalls(api: Emulator) -> None:
    assert fetch_thumbnails(urls(api), deadline=0) == [None] * len(urls(api))
    over = threading.Event()

    def respond_slowly(exchange: Exchange) -> None:
        exchange.connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while not over.wait(0.05):
            exchange.connection.sendall(b"X-More: headers\r\n")

    with FaultServer(respond_slowly, breaks=0) as server:
        started = time.monotonic()
        images = fetch_thumbnails([server.origin, urls(api)[0]], deadline=0.5)
        took = time.monotonic() - started
        over.set()
    assert (images[0], images[1] is not None) == (None, True)
    assert took < 5


def test_redirects_are_not_followed() -> None:
    with FaultServer(lambda exchange: exchange.send(make_image("PNG")), breaks=0) as elsewhere:
        location = {"Location": elsewhere.origin}
        with FaultServer(lambda exchange: exchange.send(b"", 302, location), breaks=0) as server:
            assert fetch_thumbnails([server.origin]) == [None]
        assert elsewhere.requests == 0


def test_no_signature_reaches_a_log(caplog) -> None:
    caplog.set_level(logging.DEBUG)
    malformed = b"HTTP/1.1 200 OK\r\nNo colon\r\nContent-Length: 0\r\n\r\n"

    def respond(exchange: Exchange) -> None:
        exchange.connection.sendall(malformed)
        exchange.close()

    with FaultServer(respond, breaks=0) as server:
        fetch_thumbnails([f"{server.origin}/x.png?Policy=P0L1CY&Signature=S1GNATURE"])
    assert "Policy=..." in caplog.text
    assert "P0L1CY" not in caplog.text
    assert "S1GNATURE" not in caplog.text


def test_an_invalid_side_and_a_missing_pillow_are_config_errors(monkeypatch) -> None:
    with pytest.raises(
        ConfigError, match=r"urls must be a list of URLs, got the string 'https://x'; pass \['https://x'\]"
    ):
        fetch_thumbnails("https://x")
    with pytest.raises(ConfigError, match="side must be between 1 and 4,096, got 0"):
        fetch_thumbnails([], side=0)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ConfigError, match=r"thumbnails require Pillow; install it: pip install '.*\[report\]'"):
        fetch_thumbnails([])


def test_no_credentials_are_sent(monkeypatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password secret")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with FaultServer(lambda exchange: exchange.send(make_image("PNG")), breaks=0) as server:
        assert fetch_thumbnails([server.origin]) != [None]
        assert (server.requests, server.authorized) == (1, 0)


def test_eight_are_fetched_at_a_time() -> None:
    together = threading.Barrier(CONNECTIONS, timeout=20)
    arrived: list[int] = []

    def respond(exchange: Exchange) -> None:
        arrived.append(together.wait())  # no response before eight requests have arrived
        exchange.send(make_image("PNG"))

    with FaultServer(respond, breaks=0) as server:
        images = fetch_thumbnails([f"{server.origin}/{number}" for number in range(2 * CONNECTIONS)])
    assert None not in images
    assert len(arrived) == 2 * CONNECTIONS
