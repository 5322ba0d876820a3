"""Images of assets, and their signed URLs."""

import base64
import contextlib
import hashlib
import json
import re
import struct
import zlib
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from scenario_etl.emulator.messages import Request, Response

SIDE = 96  # pixels
CELLS = 6  # of the pattern, in each direction


def signed_url(origin: str, asset: str, seed: str, now: datetime) -> str:
    """Return the URL of an asset's image, signed at `now`, in the form of the real ones."""
    return _signed(origin, asset, seed, int(_window_end(now).timestamp()))


@lru_cache(maxsize=1024)  # a record contains its URL several times
def _signed(origin: str, asset: str, seed: str, expires: int) -> str:
    resource = f"{origin}/assets-transform/{asset}?p=100"
    condition = {"DateLessThan": {"AWS:EpochTime": expires}}
    policy = json.dumps({"Statement": [{"Resource": resource, "Condition": condition}]}, separators=(",", ":"))
    signature = hashlib.shake_256(f"{seed} {asset} {expires}".encode()).digest(256)
    signed = f"Policy={_url_safe(policy.encode())}&Key-Pair-Id=K36FIAB9LE2OLR&Signature={_url_safe(signature)}"
    return f"{resource}&{signed}"


def asset_in(path: str) -> str | None:
    """Return the asset whose image has this path, None for any other path."""
    match = re.fullmatch("/(?:thumbnails|assets-transform)/([^/]+)", path)
    return match[1] if match else None


def respond(request: Request, asset: str, now: datetime) -> Response:
    """Return the image of an asset; reject a signed URL that has expired, as CloudFront does."""
    policy = request.query.get("Policy")
    if policy and _expiry(policy) < now.timestamp():
        return Response(403, b"<Error><Code>AccessDenied</Code></Error>", {"Content-Type": "application/xml"})
    return Response(200, png(asset), {"Content-Type": "image/png"})


def png(asset: str) -> bytes:
    """Return a PNG (RGB, 8 bits) of a mirrored pattern on a gradient, in colors that depend on the asset's id."""
    digest = hashlib.shake_256(asset.encode()).digest(64)
    back, shade, front = digest[0:3], digest[3:6], [255 - value // 3 for value in digest[6:9]]
    lines = []
    for y in range(SIDE):
        row = [back[i] + (shade[i] - back[i]) * y // SIDE for i in range(3)]
        line = b"".join(
            bytes(front if digest[16 + (y * CELLS // SIDE) * 3 + min(x, 5 - x)] > 140 else row) * (SIDE // CELLS)
            for x in range(CELLS)
        )
        lines.append(b"\0" + line)
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"".join(lines))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _url_safe(content: bytes) -> str:
    """Return content in the base64 of CloudFront's URLs: `-_~` for `+=/`."""
    return base64.b64encode(content, altchars=b"-~").replace(b"=", b"_").decode()


def _expiry(policy: str) -> float:
    with contextlib.suppress(ValueError, KeyError, TypeError, IndexError):
        document = json.loads(base64.b64decode(policy.translate(str.maketrans("-_~", "+=/"))))
        return float(document["Statement"][0]["Condition"]["DateLessThan"]["AWS:EpochTime"])
    return 0.0


def _window_end(now: datetime) -> datetime:
    """Return the time at which a URL signed now expires, as documented by the vendor; always 23:59:59 UTC.

    Signed on day 1-7 of a month, it expires on the 14th; 8-14, the 21st; 15-21, the last day; 22-31, the 7th of the
    next month.
    """
    first = now.astimezone(UTC).replace(day=1, hour=23, minute=59, second=59, microsecond=0)
    next_month = (first + timedelta(days=31)).replace(day=1)
    day = now.astimezone(UTC).day
    if day <= 7:
        return first.replace(day=14)
    if day <= 14:
        return first.replace(day=21)
    return next_month - timedelta(days=1) if day <= 21 else next_month.replace(day=7)
