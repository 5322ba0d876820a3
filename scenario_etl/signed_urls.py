"""Signed URLs: their expiry, and their permanent form.

The query of a signed URL is a credential: everyone who has the URL can fetch the image until it expires. The URLs have
CloudFront's custom policy: `.../assets-transform/<asset id>?Policy=...&Signature=...`, with the time of expiry in the
policy (base64 of JSON, with `-_~` for `+=/`). According to the vendor, they are signed again about four times a month,
and `<origin>/thumbnails/<asset id>` is public and permanent.
"""

import base64
import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, get_args, overload
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa

from scenario_etl.arguments import check_choice
from scenario_etl.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

SignedURLs = Literal["keep", "public", "omit"]

_QUERY = "[?&;](Policy|Signature|Key-Pair-Id|X-Amz-Signature|X-Goog-Signature|sig|token)="
_SIGNED = re.compile(_QUERY, re.IGNORECASE)
# in JSON text: a URL that is signed, or its permanent form; also for RE2
SIGNED_URL_IN_JSON = rf'(?i)"https?://([^"]*{_QUERY}[^"]*|[^"/]+/thumbnails/[^"/]+)"'
_TRANSFORMED = re.compile(r"(https?://[^/?#]+)/assets-transform/([^/?#]+)\?")
_EXPIRY = pa.timestamp("us", tz="UTC")


def apply_form(value: Any, form: SignedURLs, kind: str = "content") -> Any:
    """Return a signed URL in the given form, None if it has no such form; other values are returned unchanged.

    In a JSON list or object, all URLs are returned in that form. Only the URL of a thumbnail has a permanent form: in a
    JSON object, that is the `url` of an object named "thumbnail".

    Args:
        value: The value from the API.
        form: The form: "keep" is the unchanged URL, "public" the permanent form or None if there is none, "omit" None.
        kind: Kind of the URL, "thumbnail" or "content".

    >>> apply_form("https://cdn.example/assets-transform/asset_1?Policy=abc&Signature=def", "public", "thumbnail")
    'https://cdn.example/thumbnails/asset_1'

    """
    if isinstance(value, dict):
        return {
            name: apply_form(each, form, "thumbnail" if name == "thumbnail" else kind if name == "url" else "content")
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [apply_form(each, form) for each in value]
    if form == "keep" or not isinstance(value, str) or not _SIGNED.search(value):
        return value
    transformed = _TRANSFORMED.match(value) if form == "public" and kind == "thumbnail" else None
    return f"{transformed[1]}/thumbnails/{transformed[2]}" if transformed else None


def check_form(form: object) -> SignedURLs:
    """Check the form of signed URLs, and return it; raise ConfigError if it is not valid."""
    check_choice("signed_urls", form, get_args(SignedURLs))
    return form  # type: ignore[return-value] # it is one of them


@overload
def signed_url_expiry(urls: str | None) -> datetime | None: ...
@overload
def signed_url_expiry(urls: "pd.Series[Any]") -> "pd.Series[Any]": ...
@overload
def signed_url_expiry(urls: pa.Array) -> pa.Array: ...
def signed_url_expiry(urls: Any) -> Any:
    """Return the time at which signed URLs expire.

    Args:
        urls: A URL, or a pandas Series or Arrow array of URLs, with or without nulls.

    Returns:
        The time in UTC: a datetime for one URL, a Series of datetime64[us, UTC] with the same index, or an Arrow array
        of timestamp[us, UTC]. It is None or null if the URL is not signed or its policy cannot be read.

    Raises:
        ConfigError: The argument has a different type.

    >>> signed_url_expiry("https://cdn.example/thumbnails/asset_1") is None
    True

    """
    if urls is None or isinstance(urls, str):
        return _expiry(urls)
    if isinstance(urls, pa.Array | pa.ChunkedArray) and not pa.types.is_primitive(urls.type):
        return pa.array([_expiry(url) if isinstance(url, str) else None for url in urls.to_pylist()], _EXPIRY)
    import pandas as pd  # noqa: PLC0415 - already imported if the argument is a Series

    if not isinstance(urls, pd.Series) or pd.api.types.is_numeric_dtype(urls.dtype):
        raise ConfigError(f"urls must be a URL, or a Series or an Arrow array of URLs, got {_type_of(urls)}")
    return pd.Series(
        [_expiry(url) if isinstance(url, str) else None for url in urls], index=urls.index, dtype="datetime64[us, UTC]"
    )


def _type_of(urls: Any) -> str:
    values = getattr(urls, "dtype", getattr(urls, "type", None))
    return f"a {type(urls).__name__}" + (f" of {values}" if values is not None else "")


def _expiry(url: str | None) -> datetime | None:
    try:
        policy = parse_qs(urlsplit(url or "").query)["Policy"][0].translate(str.maketrans("-_~", "+=/"))
        statement = json.loads(base64.b64decode(policy))["Statement"][0]
        return datetime.fromtimestamp(int(statement["Condition"]["DateLessThan"]["AWS:EpochTime"]), UTC)
    except (ValueError, KeyError, TypeError, IndexError, OverflowError, OSError, RecursionError):
        return None
