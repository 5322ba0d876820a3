"""Thumbnails: small images, fetched in parallel with limits on size and time."""

import io
import logging
import warnings
from collections import Counter, deque
from collections.abc import Iterable
from contextlib import suppress
from queue import Empty, Full, Queue
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests
import urllib3

from scenario_etl.arguments import check_integer, check_number
from scenario_etl.errors import ConfigError
from scenario_etl.extras import install_command
from scenario_etl.redact import redact

if TYPE_CHECKING:
    from PIL import Image

MAX_IMAGE_BYTES = 10 * 2**20  # bytes, as served
SIDE = 160  # pixels, the longer side of a returned image
MAX_SIDE = 4096
MAX_DEADLINE = 24 * 3600  # seconds
MAX_PIXELS = 16_000_000  # of a decoded image
START_OF_SCAN, MAX_SCANS = b"\xff\xda", 100  # of a JPEG; each scan of a progressive one takes time
READ_SIZE = 64 * 2**10  # bytes
CONNECTIONS = 8  # at once
LOOPBACK = ("127.0.0.1", "::1", "localhost")
FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
TIMED_OUT = "timed out"
BACKGROUND = "white"  # behind transparent pixels
QUALITY = 85  # of a JPEG, on Pillow's scale

logger = logging.getLogger("scenario_etl")


class _RedactURLs(logging.Filter):
    """Removes the queries of URLs from the log records of urllib3."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage(), 1000), ()
        return True


for _name in ("urllib3.connection", "urllib3.connectionpool"):
    logging.getLogger(_name).addFilter(_RedactURLs())


def fetch_thumbnails(urls: Iterable[object], *, side: int = SIDE, deadline: float = 30.0) -> list[bytes | None]:
    """Fetch images and reduce their size. Up to eight are fetched at once, and each URL only once.

    URLs of any host are requested, without credentials; redirects are not followed. Requires the `report` extra.

    Args:
        urls: URLs of images, such as the column `thumbnail_url`. The result is None for values that are not strings,
            such as nulls.
        side: Maximum width and height of the returned images in pixels; smaller images are not enlarged.
        deadline: Seconds for all images together. The result is None for images that arrive later.

    Returns:
        A JPEG for each URL, in order, or None if the image is missing: no URL, an expired signature, no response, more
        than 10 MiB or 16 million pixels, or a format other than PNG, JPEG, WebP and GIF.

    Raises:
        ConfigError: Pillow is not installed, or an argument is not valid.

    >>> from scenario_etl import Client, Emulator, extract_collections
    >>> with Emulator(collections=3) as api, Client("demo", "demo", base_url=api.url) as client:
    ...     images = fetch_thumbnails(extract_collections(client=client)["thumbnail_url"])
    >>> [image is not None for image in images]
    [True, True, True]

    """
    check_pillow()
    side = check_integer("side", side, 1, MAX_SIDE)
    deadline = check_number("deadline", deadline, 0, MAX_DEADLINE)
    if isinstance(urls, str):
        quoted = redact(repr(urls))
        raise ConfigError(f"urls must be a list of URLs, got the string {quoted}; pass [{quoted}]")
    try:
        requested = list(urls)
    except TypeError:
        raise ConfigError(f"urls must be a list of URLs, got {redact(repr(urls))}") from None
    fetched = fetch_images((url for url in requested if isinstance(url, str)), side, deadline)
    images = [fetched.get(url) if isinstance(url, str) else None for url in requested]
    if problems := Counter(image for image in images if isinstance(image, str)):
        logger.warning("%d of %d images are missing: %s", problems.total(), len(images), count_reasons(problems))
    return [image if isinstance(image, bytes) else None for image in images]


def count_reasons(reasons: "Counter[str]") -> str:
    """Return the reasons with their counts, the most frequent first.

    >>> count_reasons(Counter(["HTTP 403", "timed out", "HTTP 403"]))
    'HTTP 403 (2), timed out (1)'
    """
    return ", ".join(f"{reason} ({count})" for reason, count in reasons.most_common())


def check_pillow() -> None:
    """Raise ConfigError if Pillow, which comes with the `report` extra, is not installed."""
    try:
        import PIL  # noqa: F401, PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise ConfigError(f"thumbnails require Pillow; install it: {install_command('report')}") from error


def fetch_images(urls: Iterable[str], side: int = SIDE, deadline: float = 30.0) -> dict[str, bytes | str]:
    """Fetch images as `fetch_thumbnails` does; return a JPEG, or a short reason why it is missing, by URL.

    Images are decoded in the calling thread, one at a time, because a small file can contain many pixels, and each
    thread would keep the memory of its largest image.
    """
    results: dict[str, bytes | str] = dict.fromkeys(urls, TIMED_OUT)
    waiting, arrived = deque(results), Queue[tuple[str, bytes | str]](maxsize=1)
    end = monotonic() + deadline
    with requests.Session() as session:
        session.auth = _anonymous

        def work() -> None:
            while waiting and monotonic() < end:
                with suppress(IndexError, Full):  # another thread took the last URL; the deadline has passed
                    url = waiting.popleft()
                    arrived.put((url, _content(session, url, end)), timeout=max(0.0, end - monotonic()))

        for _ in range(min(CONNECTIONS, len(results))):  # daemons, so that they do not delay the exit of Python
            Thread(target=work, daemon=True).start()
        with suppress(Empty):
            for _ in range(len(results)):
                url, content = arrived.get(timeout=max(0.0, end - monotonic()))
                results[url] = content if isinstance(content, str) else try_shrink(content, side)
    return results


class _MissingImageError(Exception):
    """An image is missing; the message is a short reason."""


def try_shrink(content: bytes, side: int) -> bytes | str:
    """Return an image as `shrink` does, or a short reason why that fails."""
    try:
        return shrink(content, side)
    except _MissingImageError as error:
        return str(error)
    except Exception:  # noqa: BLE001 - one broken image must not affect the others
        return "unreadable image"


def _content(session: requests.Session, url: str, end: float) -> bytes | str:
    try:
        return _body(session, url, end)
    except _MissingImageError as error:
        return str(error)
    except (requests.Timeout, urllib3.exceptions.TimeoutError):
        return TIMED_OUT
    except Exception:  # noqa: BLE001 - whatever is wrong with a URL or its server
        return "no response"


def _body(session: requests.Session, url: str, end: float) -> bytes:
    """Return the body of a URL; raise _MissingImageError if it is not complete within the limits."""
    remaining = max(0.001, end - monotonic())
    proxies = {"http": "", "https": ""} if urlsplit(url).hostname in LOOPBACK else {}  # a proxy cannot reach it
    with session.get(url, stream=True, allow_redirects=False, timeout=remaining, proxies=proxies) as response:
        if response.status_code != 200:
            raise _MissingImageError(f"HTTP {response.status_code}")
        content = b""
        while chunk := response.raw.read1(READ_SIZE, decode_content=True):
            content += chunk
            if len(content) > MAX_IMAGE_BYTES:
                raise _MissingImageError(f"more than {MAX_IMAGE_BYTES // 2**20} MiB")
            if monotonic() > end:
                raise _MissingImageError(TIMED_OUT)
        return content


def shrink(content: bytes, side: int) -> bytes:
    """Return an image as a JPEG with sides of at most `side` pixels."""
    from PIL import Image  # noqa: PLC0415 - an extra

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit below is lower
        image = Image.open(io.BytesIO(content), formats=FORMATS)
    with image:
        if image.format in {"JPEG", "MPO"} and content.count(START_OF_SCAN) > MAX_SCANS:
            raise _MissingImageError(f"more than {MAX_SCANS} scans")
        if image.width * image.height > MAX_PIXELS:
            raise _MissingImageError(f"more than {MAX_PIXELS // 10**6} million pixels")
        image.draft("RGB", (side, side))  # decodes a large JPEG at a reduced size
        layer = _eight_bits(image).convert("RGBA")
        layer.thumbnail((side, side))
        flat = Image.new("RGB", layer.size, BACKGROUND)
        flat.paste(layer, mask=layer)
        target = io.BytesIO()
        flat.save(target, "JPEG", quality=QUALITY)
        return target.getvalue()


def _eight_bits(image: "Image.Image") -> "Image.Image":
    """Return an image with 8 bits per channel; Pillow would clip 16-bit values at 255 instead of scaling them."""
    return image.point(lambda value: value / 256).convert("L") if image.mode.startswith("I") else image


def _anonymous(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Send no credentials, not even those in a .netrc file."""
    return request
