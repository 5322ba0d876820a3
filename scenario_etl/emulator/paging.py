"""Pages and tokens."""

import base64
import contextlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from scenario_etl.emulator.messages import HTTPError


class PageSizes(NamedTuple):
    """Default, minimum and maximum number of records per page."""

    default: int
    min: int
    max: int


def page(rows: Iterable[Any], sizes: PageSizes, query: Mapping[str, str], seed: str) -> tuple[list[Any], str | None]:
    """Return the rows of the page that a query requests, and the token of the next one, None if it is the last.

    A token is an offset, as in the real API: rows that are inserted or deleted between two pages shift the second.

    Raises:
        HTTPError: 400 if the size is out of bounds, or the token is not one of this emulator.

    """
    size, offset = _size(query, sizes), _offset(query, seed)
    end = offset + size
    window = rows[offset : end + 1] if isinstance(rows, Sequence) else islice(rows, offset, end + 1)
    found = list(window)
    return found[:size], token(seed, end, size) if len(found) > size else None


def token(seed: str, offset: int, limit: int) -> str:
    """Return an opaque token; as in the real API, it is an offset in base64 with `+`, `/` and `=`."""
    content = json.dumps({"offset": offset, "limit": limit}, separators=(",", ":")).encode()
    return base64.b64encode(content + hmac.digest(seed.encode(), content, "sha256")[:8]).decode()


def _size(query: Mapping[str, str], sizes: PageSizes) -> int:
    text = query.get("pageSize", str(sizes.default))
    if not re.fullmatch(r"[0-9]{1,4}", text) or not sizes.min <= int(text) <= sizes.max:
        raise HTTPError(400, f"pageSize must be a number from {sizes.min} to {sizes.max}")
    return int(text)


def _offset(query: Mapping[str, str], seed: str) -> int:
    sent = query.get("paginationToken")
    if not sent:
        return 0
    with contextlib.suppress(ValueError, KeyError, TypeError):
        document = json.loads(base64.b64decode(sent, validate=True)[:-8])
        if hmac.compare_digest(token(seed, document["offset"], document["limit"]), sent):
            return int(document["offset"])
    raise HTTPError(400, "Invalid pagination token")
