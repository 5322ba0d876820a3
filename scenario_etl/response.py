"""What a response contains: its body within bounds, strict JSON, and the text of its error."""

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import SplitResult, parse_qsl, urljoin, urlsplit

import requests
import urllib3

from scenario_etl.errors import APIError, AuthError, TransientError
from scenario_etl.retry import RetryableError, is_retryable, parse_retry_after

MAX_BODY = 32 * 2**20  # bytes, decompressed; the limit of the API's gateway is 6 MB
MAX_ERROR_BODY = 64 * 2**10  # bytes
READ_SIZE = 256 * 2**10  # bytes

Quote = Callable[[str | bytes | None], str]


class Response(NamedTuple):
    """A response that was read and closed."""

    status: int
    reason: str
    headers: Mapping[str, str]
    url: str
    body: bytes

    @property
    def is_web_page(self) -> bool:
        """Whether the body is HTML, so that it is not from the API."""
        return self.body.lstrip().startswith(b"<")


@dataclass(frozen=True, slots=True)
class Content:
    """The JSON of a 200.

    Attributes:
        value: the requested list or object.
        document: the whole JSON object.
        size: of the body, in bytes.

    """

    value: Any
    document: dict[str, Any]
    size: int


def read_body(response: requests.Response, is_late: Callable[[], bool]) -> bytes:
    """Return the decompressed body, read as it arrives, so that its size and its time stay bounded.

    A page must be complete; for the text of an error any part is enough.

    Args:
        response: a streamed one.
        is_late: whether the time for the response is up.

    Raises:
        TimeoutError: the time is up.
        OSError: or urllib3's HTTPError: the body of a 200 is incomplete or cannot be decompressed.

    """
    must_be_complete = response.status_code == 200
    limit = MAX_BODY if must_be_complete else MAX_ERROR_BODY
    chunks, size = [], 0
    try:
        while size <= limit and (chunk := response.raw.read1(READ_SIZE, decode_content=True)):
            chunks.append(chunk)
            size += len(chunk)
            if is_late():
                raise TimeoutError
    except (urllib3.exceptions.HTTPError, OSError):
        if must_be_complete:
            raise
    return b"".join(chunks)


def parse_content(body: bytes, key: str, kind: type, request: str, quote: Quote) -> Content:
    """Return what the body of a 200 has under a key, which must be a JSON object.

    Args:
        body: decompressed.
        key: of the list or the object in the document.
        kind: list or dict.
        request: its description, with which messages begin.
        quote: redacts text of the response.

    Raises:
        APIError: the body is too large.
        RetryableError: it is not JSON, has a key twice, or lacks the list or the object.

    """
    if len(body) > MAX_BODY:
        raise APIError(
            f"{request}: the response is larger than {MAX_BODY // 2**20} MiB; use a smaller page_size", status=200
        )
    try:
        document = decode_json(body)
    except DuplicateKeyError as error:
        message = f"{request}: 200, but its JSON has the key {quote(str(error))} twice"
        raise RetryableError(APIError(message, status=200), "a duplicate key", "report it to the vendor") from None
    except (ValueError, RecursionError):
        document = _NOT_JSON
    if document is _NOT_JSON:  # raised here, as the first error contains the whole body
        message = f"{request}: 200, but its body is not valid JSON: {quote(body)!r}"
        raise RetryableError(TransientError(message, status=200), "not JSON")
    value = document.get(key) if isinstance(document, dict) else None
    if not isinstance(value, kind):
        message = f"{request}: 200, but without {_KINDS[kind]} {key!r}: {quote(body)}"
        advice = "check the base URL, or report it to the vendor"
        raise RetryableError(APIError(message, status=200), f"no {key}", advice)
    return Content(value, document, len(body))


def build_error(response: Response, request: str, advice: str, quote: Quote) -> Exception:
    """Return the exception to raise for a response other than a 200 or a redirect.

    Args:
        response: with the text of the error, in any shape.
        request: its description, with which the message begins.
        advice: for refused credentials.
        quote: redacts text of the response.

    """
    status = response.status
    document = _json_object(response.body)
    retry_after = parse_retry_after(response.headers, document, time.time())
    text = quote(_error_text(document) or response.body)
    reason = quote(response.reason)
    message = f"{request}: {status} {reason}: {'' if text == reason else text}".rstrip(": ")
    if is_retryable(status):
        return RetryableError(TransientError(message, status=status, retry_after=retry_after), str(status))
    if status in {401, 403}:
        return AuthError(f"{message}; {advice}", status=status)
    check = "; check the base URL" if status == 404 else ""
    return APIError(message + check, status=status, retry_after=retry_after)


def redirect_target(response: Response, sent: str, base_url: str, request: str, quote: Quote) -> str:
    """Return the URL that a redirect leads to, which has the same origin and the same query.

    Args:
        response: of status 301, 302, 303, 307 or 308.
        sent: the URL of the redirected request.
        base_url: with the origin that credentials may be sent to.
        request: its description, with which messages begin.
        quote: redacts text of the response.

    Raises:
        APIError: another origin or query, or no Location header.

    """
    status, location = response.status, response.headers.get("Location", "")
    try:
        target = urljoin(response.url, location)
        stays = _origin(urlsplit(target)) == _origin(urlsplit(base_url))
    except ValueError:
        stays = False
    if not location:
        raise APIError(f"{request}: {status} without a Location header; check the base URL", status=status)
    if not stays:
        raise APIError(
            f"{request}: {status} redirects to {quote(location)}, which is another origin, so the credentials were not "
            "sent there; check the base URL",
            status=status,
        )
    if lost := _lost_parameter(sent, target):
        raise APIError(
            f"{request}: {status} redirects to {quote(location)}, without the parameter {lost}; check the base URL",
            status=status,
        )
    return target


def _lost_parameter(sent: str, target: str) -> str:
    """Return the name of a parameter that a redirect has dropped or changed, "" where it kept them all."""
    wanted, found = (parse_qsl(urlsplit(url).query) for url in (sent, target))
    return next((name for name, value in wanted if name != "pageSize" and (name, value) not in found), "")


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


class DuplicateKeyError(ValueError):
    """A JSON object has a key twice, so that it is unclear which of the values is meant (RFC 8259, section 4)."""


_KINDS: dict[type, str] = {list: "a list", dict: "an object"}
_NOT_JSON = object()
_DECODER = json.JSONDecoder()
_blank: Callable[[str, int], re.Match[str]] = re.compile(r"[ \t\n\r]*").match  # type: ignore[assignment] # always one


def decode_json(body: bytes) -> Any:
    """Return the JSON document in a body whose topmost object has no key twice.

    The values are decoded at the speed of `json.loads`. A hook for every object would find a key that a record has
    twice, too, but doubles the time.

    Raises:
        DuplicateKeyError: the message is the key.
        ValueError: the body is not JSON.
        RecursionError: it is too deeply nested.

    """
    text = body.decode(json.detect_encoding(body), "surrogatepass")
    position = _blank(text, 0).end()
    if text[position : position + 1] != "{":
        return _DECODER.decode(text)
    found: dict[str, Any] = {}
    position = _blank(text, position + 1).end()
    is_empty = text[position : position + 1] == "}"
    while not is_empty:
        key, position = _DECODER.raw_decode(text, position)
        position = _blank(text, position).end()
        if not isinstance(key, str) or text[position : position + 1] != ":":
            raise ValueError("a key and a colon are expected")
        if key in found:
            raise DuplicateKeyError(key)
        found[key], position = _DECODER.raw_decode(text, _blank(text, position + 1).end())
        position = _blank(text, position).end()
        if text[position : position + 1] == "}":
            break
        if text[position : position + 1] != ",":
            raise ValueError("a comma or the end is expected")
        position = _blank(text, position + 1).end()
    if _blank(text, position + 1).end() != len(text):
        raise ValueError("there is more after the end")
    return found


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _error_text(document: dict[str, Any]) -> str:
    """Return the text of an error from its JSON, which has no single shape."""
    fields = (document.get(name) for name in ("reason", "message", "Message", "error", "detail"))
    return next((text for text in fields if isinstance(text, str) and text), "")
