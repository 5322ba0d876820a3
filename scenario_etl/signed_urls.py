"""Signed URLs: their expiry, and their permanent form.

The query of a signed URL is a credential: anyone who has the URL can fetch the image until it expires. The URLs have
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
from scenario_etl.redact import SIGNATURE

if TYPE_CHECKING:
    import pandas as pd

SignedURLs = Literal["keep", "public", "omit"]

_URL_MARKS = (":/", ":\\")  # one of them is in every text with a URL
_SIGNATURE = re.compile(SIGNATURE, re.IGNORECASE)
_URL = re.compile(r"(?:https?|s3)://\S+", re.IGNORECASE)
# in a text, from the colon after the scheme; it may be escaped for JSON
_URL_IN_TEXT = re.compile(r""":(?:\\{0,8}/){2}(?:[^\s"<>\\]+|\\{1,8}[u/])*""")
_USER = re.compile(r"""(:(?:\\{0,8}/){2})[^\s"<>\\/?#@:]*:[^\s"<>\\/?#@]*@""")
_QUERY = re.compile(rf"[?#]|%(?:25){{0,3}}(?:23|3F)|{SIGNATURE}", re.IGNORECASE)
_PUNCTUATION = ".,:;!?'`*)]}"  # after a URL in a text
_CHARACTERS_IN_JSON = r'(?:[^"\\\s]|\\\\)*'
# Pairs of a pattern for RE2 and its replacement, after which JSON texts are equal if they differ only in the form of
# signed URLs: a key that is a URL is marked, then a value that is a signed URL, or the permanent form of one, is null.
FORMS_IN_JSON = (
    (rf'(?i)"(https?|s3)(://{_CHARACTERS_IN_JSON}":)', r'" \1\2'),
    (
        rf'(?i)"(?:(?:https?|s3)://{_CHARACTERS_IN_JSON}{SIGNATURE}{_CHARACTERS_IN_JSON}'
        r'|https?://[^"\\\s/]+/thumbnails/asset_[^"\\\s/?#]+)"',
        "null",
    ),
)
_TRANSFORMED = re.compile(r"(https?://[^/?#@]+)/assets-transform/([^/?#]+)[?#]")
_EXPIRY = pa.timestamp("us", tz="UTC")


def apply_form(value: Any, form: SignedURLs, kind: str = "content") -> Any:
    """Return a value of the API in which signed URLs have the given form.

    A text that is a signed URL as a whole gets that form, None if there is none; a longer text loses only the queries
    of signed URLs, and so do the names in JSON objects. Other values are returned unchanged. Only the URL of a
    thumbnail has a permanent form: in a JSON object, that is the `url` of an object named "thumbnail".

    Args:
        value: The value from the API.
        form: The form: "keep" is the unchanged URL, "public" the permanent form or None if there is none, "omit" None.
        kind: Kind of the URL, "thumbnail" or "content".

    >>> apply_form("https://cdn.example/assets-transform/asset_1?Policy=abc&Signature=def", "public", "thumbnail")
    'https://cdn.example/thumbnails/asset_1'

    """
    if isinstance(value, str):
        if form == "keep" or ":" not in value:
            return value
        is_signed = _URL.fullmatch(value) and _SIGNATURE.search(value)
        return _permanent_form(value, form, kind) if is_signed else cut_signatures(value)
    if isinstance(value, dict):
        return {
            cut_signatures(name) if ":" in name and form != "keep" else name: apply_form(
                each, form, "thumbnail" if name == "thumbnail" else kind if name == "url" else "content"
            )
            for name, each in value.items()
        }
    return [apply_form(each, form) for each in value] if isinstance(value, list) else value


def apply_form_to_url(url: Any, form: SignedURLs, kind: str) -> Any:
    """Return a value of a column of signed URLs in the given form.

    In such a column, every URL is taken for a signed one: "omit" is always None, and "public" is None for a URL with a
    query, a fragment or a password that has no permanent form. A value that is not a string is returned unchanged.
    """
    if form == "keep" or not isinstance(url, str):
        return url
    permanent = _permanent_form(url, form, kind)
    return permanent if permanent or form == "omit" or _QUERY.search(url) or _USER.search(url) else url


def _permanent_form(url: str, form: SignedURLs, kind: str) -> str | None:
    transformed = _TRANSFORMED.match(url) if form == "public" and kind == "thumbnail" else None
    return f"{transformed[1]}/thumbnails/{transformed[2]}" if transformed else None


def cut_signatures(value: Any) -> Any:
    """Return a text, or a list of texts, without the queries of signed URLs and without passwords in URLs.

    >>> cut_signatures("cannot fetch https://cdn.example/a.png?Policy=abc&Signature=def: 403")
    'cannot fetch https://cdn.example/a.png: 403'

    """
    if isinstance(value, list):
        return [cut_signatures(each) for each in value]
    return _URL_IN_TEXT.sub(_without_signature, value) if isinstance(value, str) else value


def _without_signature(found: re.Match[str]) -> str:
    url = _USER.sub(r"\1", found[0])
    if not _SIGNATURE.search(url):
        return url
    return _QUERY.split(url, maxsplit=1)[0] + url[len(url.rstrip(_PUNCTUATION)) :]


def contain_urls(texts: pa.Array) -> bool:
    """Return whether any string in an array of strings, or of lists of strings, may contain a URL."""
    strings = texts.values if pa.types.is_list(texts.type) else texts
    joined = strings.buffers()[2]
    return joined is not None and any(mark.encode() in joined.to_pybytes() for mark in _URL_MARKS)


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
    return f"a value of type {type(urls).__name__}" + (f" of {values}" if values is not None else "")


def _expiry(url: str | None) -> datetime | None:
    try:
        policy = parse_qs(urlsplit(url or "").query)["Policy"][0].translate(str.maketrans("-_~", "+=/"))
        statement = json.loads(base64.b64decode(policy))["Statement"][0]
        return datetime.fromtimestamp(int(statement["Condition"]["DateLessThan"]["AWS:EpochTime"]), UTC)
    except (ValueError, KeyError, TypeError, IndexError, OverflowError, OSError, RecursionError):
        return None
