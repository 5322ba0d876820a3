"""Thumbnails: URLs -> small pictures, fetched in parallel, within bounds of size and time."""

import io
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import requests
from PIL import Image

LARGEST_PICTURE = 10 * 2**20  # bytes, as served
MOST_PIXELS = 50_000_000  # of a picture, decoded
READ_SIZE = 64 * 2**10  # bytes
CONNECTIONS = 8  # at once
FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
BACKGROUND = "white"  # behind what is transparent
QUALITY = 85  # of the JPEG, as Pillow counts


def fetch_thumbnails(urls: Iterable[object], *, side: int = 160, deadline: float = 30.0) -> list[bytes | None]:
    """Fetch pictures, eight at a time and each only once, and make them small.

    Args:
        urls: of the pictures, such as the column `thumbnail_url`; what is no string has no picture.
        side: the longest side of what is returned, in pixels.
        deadline: seconds for all of them together; a picture that has not come by then is None.

    Returns:
        For each URL, in order, a JPEG, or None where there is no picture: no URL, a signed one that has expired, a
        server that does not answer, more than 10 MiB or 50 million pixels, or a format other than PNG, JPEG, WebP, GIF.

    >>> from scenario_etl import Client, Emulator, extract_collections
    >>> with Emulator(collections=3) as api, Client("demo", "demo", base_url=api.url) as client:
    ...     pictures = fetch_thumbnails(extract_collections(client=client)["thumbnail_url"])
    >>> [picture is not None for picture in pictures]
    [True, True, True]

    """
    wanted = list(urls)
    distinct = list(dict.fromkeys(url for url in wanted if isinstance(url, str)))
    ends = monotonic() + deadline
    with requests.Session() as session, ThreadPoolExecutor(CONNECTIONS) as pool:
        session.auth = _anonymous
        found = dict(zip(distinct, pool.map(lambda url: _picture(session, url, side, ends), distinct), strict=True))
    return [found.get(url) if isinstance(url, str) else None for url in wanted]


def _picture(session: requests.Session, url: str, side: int, ends: float) -> bytes | None:
    try:
        content = _body(session, url, ends)
        return _small(content, side) if content else None
    except Exception:  # noqa: BLE001 - whatever a server or a picture holds, it costs no more than its own place
        return None


def _body(session: requests.Session, url: str, ends: float) -> bytes | None:
    """Return what a URL holds, None where that is not all there within the bounds."""
    left = ends - monotonic()
    if left <= 0:
        return None
    with session.get(url, stream=True, timeout=left) as response:
        content = b""
        while response.status_code == 200 and (chunk := response.raw.read1(READ_SIZE, decode_content=True)):
            content += chunk
            if len(content) > LARGEST_PICTURE or monotonic() > ends:
                return None
        return content


def _small(content: bytes, side: int) -> bytes | None:
    """Return a picture as a JPEG whose sides are `side` pixels at most."""
    with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
        if picture.width * picture.height > MOST_PIXELS:
            return None
        picture.thumbnail((side, side))
        flat = Image.new("RGB", picture.size, BACKGROUND)
        layer = picture.convert("RGBA")
        flat.paste(layer, mask=layer)
        target = io.BytesIO()
        flat.save(target, "JPEG", quality=QUALITY)
        return target.getvalue()


def _anonymous(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Send no credentials, not even those of a .netrc file."""
    return request
