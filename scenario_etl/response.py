"""Responses: a body of limited size, strict JSON, and the text of errors."""

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
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


def is_web_page(body: bytes) -> bool:
    """Return whether a body is HTML or XML instead of JSON."""
    return body.lstrip().startswith(b"<")


class Response(NamedTuple):
    """A response that has been read and closed."""

    status: int
    reason: str
    headers: Mapping[str, str]
    url: str
    body: bytes

    @property
    def is_web_page(self) -> bool:
        """Whether the body is HTML, and so does not come from the API."""
        return is_web_page(self.body)


@dataclass(frozen=True, slots=True)
class Content:
    """The JSON of a response with status 200.

    Attributes:
        value: The requested list or object.
        document: The whole JSON object.
        size: The size of the body in bytes.

    """

    value: Any
    document: dict[str, Any]
    size: int


def parse_date_header(text: str | None) -> datetime | None:
    """Return the time of a `Date` header (RFC 9110, 6.6.1) in UTC, None if it is missing or not valid."""
    try:
        date = parsedate_to_datetime(text or "")
    except (ValueError, OverflowError):
        return None
    return date.replace(tzinfo=date.tzinfo or UTC).astimezone(UTC)


def read_body(response: requests.Response, is_late: Callable[[], bool]) -> bytes:
    """Return the decompressed body, which is read in chunks to limit its size and time.

    A page must be complete. For the text of an error, any part is enough.

    Args:
        response: A streamed response.
        is_late: A function that returns whether the time limit of the response is exceeded.

    Raises:
        TimeoutError: The time limit is exceeded.
        OSError: The body of a page is incomplete or cannot be decompressed; also HTTPError of urllib3.

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
    """Return the value of a key in the JSON object that is the body of a response with status 200.

    Args:
        body: The decompressed body.
        key: The key of the list or object in the document.
        kind: The type of the value, list or dict.
        request: The description of the request, which starts each message.
        quote: A function that redacts text of the response.

    Raises:
        APIError: The body is too large.
        RetryableError: The body is not JSON, has a duplicate key, or does not contain the list or object.

    """
    if len(body) > MAX_BODY:
        raise APIError(
            f"{request}: the response is larger than {MAX_BODY // 2**20} MiB; use a smaller page size (--page-size, "
            "page_size=)",
            status=200,
        )
    try:
        document = decode_json(body)
    except DuplicateKeyError as error:
        message = f"{request}: status 200, but the JSON has the key {quote(str(error))} twice"
        raise RetryableError(APIError(message, status=200), "a duplicate key", "report it to the vendor") from None
    except RecursionError:
        document = _NOT_SUPPORTED
    except ValueError as error:
        has_large_integer = "integer string conversion" in str(error)  # the limit of sys.set_int_max_str_digits
        document = _NOT_SUPPORTED if has_large_integer else _NOT_JSON
    if document is _NOT_SUPPORTED:
        message = f"{request}: status 200, but the JSON is nested too deeply, or has an integer with too many digits"
        raise RetryableError(APIError(message, status=200), "JSON that is not supported", "report it to the vendor")
    if document is _NOT_JSON:  # raised here, because the first error contains the whole body
        message = f"{request}: status 200, but the body is not valid JSON: {quote(body)!r}"
        advice = f"{'check the base URL, or ' if is_web_page(body) else ''}run again later"
        raise RetryableError(TransientError(message, status=200), "not JSON", advice)
    value = document.get(key) if isinstance(document, dict) else None
    if not isinstance(value, kind):
        message = f"{request}: status 200, but the body has no {_KINDS[kind]} {key!r}: {quote(body)}"
        advice = "check the base URL, or report it to the vendor"
        raise RetryableError(APIError(message, status=200), f"no {key}", advice)
    return Content(value, document, len(body))


def build_error(response: Response, request: str, advice: str, quote: Quote) -> Exception:
    """Return the exception to raise for a response that is neither a page nor a redirect.

    Args:
        response: The response, with the text of the error in any form.
        request: The description of the request, which starts the message.
        advice: The advice if the credentials are rejected.
        quote: A function that redacts text of the response.

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
    """Return the target of a redirect, which must have the same origin and the same query.

    Args:
        response: A response with status 301, 302, 303, 307 or 308.
        sent: The URL of the redirected request.
        base_url: The base URL, with the origin to which credentials may be sent.
        request: The description of the request, which starts each message.
        quote: A function that redacts text of the response.

    Raises:
        APIError: The target has a different origin or query, or there is no Location header.

    """
    status, location = response.status, response.headers.get("Location", "")
    try:
        target = urljoin(response.url, location)
        stays = _origin(urlsplit(target)) == _origin(urlsplit(base_url))
    except ValueError:
        stays = False
    if not location:
        raise APIError(f"{request}: status {status} without a Location header; check the base URL", status=status)
    if not stays:
        raise APIError(
            f"{request}: status {status} redirects to {quote(location)}, which has a different origin; credentials are "
            "not sent there; check the base URL",
            status=status,
        )
    if lost := _lost_parameter(sent, target):
        raise APIError(
            f"{request}: status {status} redirects to {quote(location)} without the parameter {lost}; check the base "
            "URL",
            status=status,
        )
    return target


def _lost_parameter(sent: str, target: str) -> str:
    """Return the name of a parameter that a redirect drops or changes, "" if it keeps them all."""
    wanted, found = (parse_qsl(urlsplit(url).query) for url in (sent, target))
    return next((name for name, value in wanted if name != "pageSize" and (name, value) not in found), "")


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


class DuplicateKeyError(ValueError):
    """A JSON object has a key twice, so its value is ambiguous (RFC 8259, section 4)."""


_KINDS: dict[type, str] = {list: "list", dict: "object"}
_NOT_JSON = object()
_NOT_SUPPORTED = object()
_DECODER = json.JSONDecoder()
_blank: Callable[[str, int], re.Match[str]] = re.compile(r"[ \t\n\r]*").match  # type: ignore[assignment] # always matches


def decode_json(body: bytes) -> Any:
    """Return the JSON document of a body; its top-level object must not have duplicate keys.

    This is as fast as `json.loads`. A hook for every object would also find duplicate keys in records, but takes twice
    as long.

    Raises:
        DuplicateKeyError: A key occurs twice; the message is the key.
        ValueError: The body is not JSON.
        RecursionError: The JSON is nested too deeply.

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
    """Return the text of an error from its JSON, which has several forms."""
    fields = (document.get(name) for name in ("reason", "message", "Message", "error", "detail"))
    return next((text for text in fields if isinstance(text, str) and text), "")
