"""Thumbnails: URLs -> small pictures, fetched in parallel, within bounds of size and time."""

import io
import logging
import warnings
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from queue import Empty, Full, Queue
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests
import urllib3

from scenario_etl.arguments import number, whole_number
from scenario_etl.errors import ConfigError
from scenario_etl.extras import install_command
from scenario_etl.redact import redact

if TYPE_CHECKING:
    from PIL import Image

MAX_IMAGE_BYTES = 10 * 2**20  # bytes, as served
SIDE = 160  # pixels, the longer side of what is returned
MAX_SIDE = 4096
MAX_DEADLINE = 24 * 3600  # seconds
MAX_PIXELS = 16_000_000  # of a picture, decoded
READ_SIZE = 64 * 2**10  # bytes
CONNECTIONS = 8  # at once
LOOPBACK = ("127.0.0.1", "::1", "localhost")
FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
TIMED_OUT = "timed out"
BACKGROUND = "white"  # behind what is transparent
QUALITY = 85  # of the JPEG, as Pillow counts


class _WithoutSignatures(logging.Filter):
    """Takes the queries of URLs out of what urllib3 logs."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage(), 1000), ()
        return True


for _name in ("urllib3.connection", "urllib3.connectionpool"):
    logging.getLogger(_name).addFilter(_WithoutSignatures())


def fetch_thumbnails(urls: Iterable[object], *, side: int = SIDE, deadline: float = 30.0) -> list[bytes | None]:
    """Fetch pictures, eight at a time and each only once, and make them small.

    The URLs are asked as they are, whatever host they name; redirects are not followed and no credentials are sent.
    Needs the extra `report`.

    Args:
        urls: of the pictures, such as the column `thumbnail_url`; what is no string has no picture.
        side: the longest side of what is returned, in pixels.
        deadline: seconds for all of them together; a picture that has not come by then is None.

    Returns:
        For each URL, in order, a JPEG, or None where there is no picture: no URL, a signed one that has expired, a
        server that does not answer, more than 10 MiB or 16 million pixels, or a format other than PNG, JPEG, WebP, GIF.

    Raises:
        ConfigError: Pillow is missing, or an argument is wrong.

    >>> from scenario_etl import Client, Emulator, extract_collections
    >>> with Emulator(collections=3) as api, Client("demo", "demo", base_url=api.url) as client:
    ...     pictures = fetch_thumbnails(extract_collections(client=client)["thumbnail_url"])
    >>> [picture is not None for picture in pictures]
    [True, True, True]

    """
    check_pillow()
    side = whole_number("side", side, 1, MAX_SIDE)
    deadline = number("deadline", deadline, 0, MAX_DEADLINE)
    if isinstance(urls, str):
        raise ConfigError(f"urls must be an iterable of URLs, got {redact(repr(urls))}")
    try:
        wanted = list(urls)
    except TypeError:
        raise ConfigError(f"urls must be an iterable of URLs, got {redact(repr(urls))}") from None
    found = fetch_or_explain((url for url in wanted if isinstance(url, str)), side, deadline)
    pictures = [found.get(url) if isinstance(url, str) else None for url in wanted]
    return [picture if isinstance(picture, bytes) else None for picture in pictures]


def check_pillow() -> None:
    """Raise ConfigError where Pillow, which comes with the extra `report`, is missing."""
    try:
        import PIL  # noqa: F401, PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise ConfigError(f"thumbnails need Pillow; install it: {install_command('report')}") from error


def fetch_or_explain(urls: Iterable[str], side: int = SIDE, deadline: float = 30.0) -> dict[str, bytes | str]:
    """Fetch pictures as `fetch_thumbnails` does; return for each URL a JPEG, or why there is none, in a few words.

    Pictures are decoded in this thread, one at a time: a small file may hold many pixels, and each thread would keep
    the memory of its largest.
    """
    found: dict[str, bytes | str] = dict.fromkeys(urls, TIMED_OUT)
    waiting, arrived = deque(found), Queue[tuple[str, bytes | str]](maxsize=1)
    ends = monotonic() + deadline
    with requests.Session() as session:
        session.auth = _anonymous

        def work() -> None:
            while waiting and monotonic() < ends:
                with suppress(IndexError, Full):  # another took the last; nobody waits any more
                    url = waiting.popleft()
                    arrived.put((url, _content(session, url, ends)), timeout=max(0.0, ends - monotonic()))

        for _ in range(min(CONNECTIONS, len(found))):  # one that hangs on a silent server is left behind
            Thread(target=work, daemon=True).start()
        with suppress(Empty):
            for _ in range(len(found)):
                url, content = arrived.get(timeout=max(0.0, ends - monotonic()))
                found[url] = content if isinstance(content, str) else small_or_explain(content, side)
    return found


class _NoPictureError(Exception):
    """There is no picture; the text says why, in a few words."""


def small_or_explain(content: bytes, side: int) -> bytes | str:
    """Return a picture as `small` does, or why it cannot be, in a few words."""
    try:
        return small(content, side)
    except _NoPictureError as error:
        return str(error)
    except Exception:  # noqa: BLE001 - whatever a picture holds, it costs no more than its own place
        return "not an image that can be read"


def _content(session: requests.Session, url: str, ends: float) -> bytes | str:
    try:
        return _body(session, url, ends)
    except _NoPictureError as error:
        return str(error)
    except (requests.Timeout, urllib3.exceptions.TimeoutError):
        return TIMED_OUT
    except Exception:  # noqa: BLE001 - whatever a URL or its server holds
        return "no response"


def _body(session: requests.Session, url: str, ends: float) -> bytes:
    """Return what a URL holds; raise _NoPictureError where that is not all there within the bounds."""
    left = max(0.001, ends - monotonic())
    proxies = {"http": "", "https": ""} if urlsplit(url).hostname in LOOPBACK else {}  # no matter of a proxy
    with session.get(url, stream=True, allow_redirects=False, timeout=left, proxies=proxies) as response:
        if response.status_code != 200:
            raise _NoPictureError(f"HTTP {response.status_code}")
        content = b""
        while chunk := response.raw.read1(READ_SIZE, decode_content=True):
            content += chunk
            if len(content) > MAX_IMAGE_BYTES:
                raise _NoPictureError(f"more than {MAX_IMAGE_BYTES // 2**20} MiB")
            if monotonic() > ends:
                raise _NoPictureError(TIMED_OUT)
        return content


def small(content: bytes, side: int) -> bytes:
    """Return a picture as a JPEG whose sides are `side` pixels at most."""
    from PIL import Image  # noqa: PLC0415 - an extra

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the bound below is lower
        picture = Image.open(io.BytesIO(content), formats=FORMATS)
    with picture:
        if picture.width * picture.height > MAX_PIXELS:
            raise _NoPictureError(f"more than {MAX_PIXELS // 10**6} million pixels")
        picture.draft("RGB", (side, side))  # a large JPEG is decoded small
        layer = _eight_bits(picture).convert("RGBA")
        layer.thumbnail((side, side))
        flat = Image.new("RGB", layer.size, BACKGROUND)
        flat.paste(layer, mask=layer)
        target = io.BytesIO()
        flat.save(target, "JPEG", quality=QUALITY)
        return target.getvalue()


def _eight_bits(picture: "Image.Image") -> "Image.Image":
    """Return a picture whose values have 8 bits; Pillow cuts 16 of them off at 255 instead of scaling them."""
    return picture.point(lambda value: value / 256).convert("L") if picture.mode.startswith("I") else picture


def _anonymous(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Send no credentials, not even those of a .netrc file."""
    return request
