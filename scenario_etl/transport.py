"""One request at a time, and its answer: paced, retried, redirected within the origin, bounded in size and time."""

import http.client
import json
import logging
import os
import re
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urljoin, urlsplit

import requests
import urllib3
from requests.adapters import BaseAdapter, HTTPAdapter

from scenario_etl.auth import BasicAuth, BearerAuth, hide
from scenario_etl.errors import APIError, AuthError, ConfigError, TransientError
from scenario_etl.redact import redact
from scenario_etl.retry import Retry, RetryableError, TokenBucket, Waiting, is_retryable, retry_after_of
from scenario_etl.watchdog import Watch, watch_connections

CONNECT_TIMEOUT = 5.0  # seconds
ANSWER_TIMEOUTS = 10  # an answer as a whole may take this many times the timeout on silence
MAX_BODY = 32 * 2**20  # bytes, decompressed; the API's own gateway ends at 6 MB
MAX_ERROR_BODY = 64 * 2**10  # bytes
READ_SIZE = 256 * 2**10  # bytes
MAX_REDIRECTS = 5
QUOTED_CHARACTERS = 200  # of the server's words in an error
LONG_WAIT = 5.0  # seconds; a longer one is a warning, so that a program without logging shows it
HEADERS = {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "scenario-etl"}

logger = logging.getLogger("scenario_etl")


class Transport:
    """What all requests of a client share: its connections, credentials, bounds and pacing.

    Args:
        base_url: of the API, without a slash at its end.
        authorization: adds the credentials to a request.
        timeout: the longest silence on the socket, in seconds.
        attempts: how often one request is sent at most.
        deadline: seconds from the first attempt of a request to the start of its last.
        connect_deadline: the same, as long as no attempt of the request had a connection.
        requests_per_minute: pacing for each project; None or 0 switches it off.
        session: the user's own, or None.
        sleep: what waits, given seconds.
        clock: what tells the time, in seconds.

    Raises:
        ConfigError: a proxy in the environment or the session is no URL.

    """

    def __init__(
        self,
        base_url: str,
        authorization: BasicAuth | BearerAuth,
        *,
        timeout: float,
        attempts: int,
        deadline: float,
        connect_deadline: float,
        requests_per_minute: float | None,
        session: requests.Session | None,
        sleep: Callable[[float], None],
        clock: Callable[[], float],
    ) -> None:
        self.base_url = base_url
        self.authorization = authorization
        self.timeout = timeout
        self.attempts = attempts
        self.deadline = deadline
        self.connect_deadline = connect_deadline
        self.sleep = sleep
        self.clock = clock
        self._requests_per_minute = requests_per_minute
        self._buckets: dict[str | None, TokenBucket] = {}
        self._owns_session = session is None
        self.session = session or requests.Session()
        if session is None:
            self.session.mount(base_url, _OneOrigin())
        self._adapter = self.session.get_adapter(base_url)
        self._process = os.getpid()
        self._has_answered = False
        # The look-ups in environment and files that requests would otherwise do anew for each call.
        verify = None if self.session.verify is True else self.session.verify  # its own beats the environment's
        settings = self.session.merge_environment_settings(base_url, {}, True, verify, None)
        self.settings: dict[str, Any] = dict(settings)
        if base_url.startswith("http:"):  # so it is loopback, which is no matter of a proxy
            self.settings["proxies"] = {}
        self._proxy_secrets = _proxy_secrets(base_url, self.settings["proxies"])

    def close(self) -> None:
        """Close the connections, unless the session is the user's own."""
        if self._owns_session:
            self.session.close()

    def send(self, request: requests.PreparedRequest) -> requests.Response:
        """Send a request on a connection of this process, which is watched where its kind allows it."""
        adapter = self.adapter()
        if not self._owns_session and isinstance(adapter, HTTPAdapter):
            settings = {name: self.settings[name] for name in ("verify", "proxies", "cert")}
            watch_connections(adapter.get_connection_with_tls_context(request, **settings))
        timeout = (min(CONNECT_TIMEOUT, self.timeout), self.timeout)
        response = adapter.send(request, timeout=timeout, **self.settings)
        self._has_answered = True
        return response

    def expects_tls(self) -> bool:
        """Whether the base URL has http, but its port speaks TLS; not asked once a response has come.

        A TLS server ends a connection that begins with anything else, often with a reset, as other servers do for now.
        So this tries one TLS handshake, without credentials.
        """
        parts = urlsplit(self.base_url)
        if self._has_answered or parts.scheme != "http":
            return False
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        address = parts.hostname, parts.port or 80
        try:
            with (
                socket.create_connection(address, timeout=min(CONNECT_TIMEOUT, self.timeout)) as connection,
                context.wrap_socket(connection),
            ):
                return True
        except OSError:
            return False

    def adapter(self) -> BaseAdapter:
        """Return what sends requests, with connections that belong to this process.

        A process that was forked shares the open connections of its parent. If both use one, each gets responses that
        were meant for the other.
        """
        if self._process != os.getpid():
            if isinstance(self._adapter, HTTPAdapter):
                self._adapter.__setstate__(self._adapter.__getstate__())  # type: ignore[attr-defined] # empty pools
            self._process = os.getpid()
        return self._adapter

    def bucket(self, project: object) -> TokenBucket | None:
        """Return the project's bucket, which all requests share; None where pacing is off."""
        if not self._requests_per_minute:
            return None
        key = None if project is None else str(project)
        return self._buckets.setdefault(key, TokenBucket(self._requests_per_minute, self.clock))

    def redact(self, value: object) -> str:
        """Return a value of the server as it may be shown: one short line, without URL queries and secrets."""
        return redact(self._without_secrets(value if isinstance(value, str) else redact(value, QUOTED_CHARACTERS)))

    def _without_secrets(self, text: str) -> str:
        return hide(text[:MAX_ERROR_BODY], [*self.authorization.secrets, *self._proxy_secrets])

    def quoted(self, words: str | bytes | None) -> str:
        """Return words of the server as they may be shown: one bounded line, without tags, URL queries and secrets."""
        text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words or ""
        text = self._without_secrets(text)
        return redact(re.sub(r"<[^<>]*>", " ", text), QUOTED_CHARACTERS)


@dataclass(frozen=True, slots=True)
class Response:
    """What came in the body of a 200.

    Attributes:
        value: what was asked for: a list or an object.
        document: the whole JSON object.
        size: of the body, in bytes.

    """

    value: Any
    document: dict[str, Any]
    size: int


class _Response(NamedTuple):
    """What came back, read and closed."""

    status: int
    reason: str
    headers: Mapping[str, str]
    url: str
    body: bytes


class Requests:
    """Sends GET requests for one path, one at a time: paced, retried, redirected within the origin, and bounded.

    Attributes:
        requests: how many requests were sent, retries and redirects included.
        url: of the first.
        page: which page of a listing is asked for, None for what has no pages.
        is_web_page: whether the last refusal was a page of HTML, so that it is no answer of the API.

    """

    def __init__(
        self,
        transport: Transport,
        path: str,
        parameters: Mapping[str, str | int],
        on_wait: Waiting | None = None,
        *,
        attempts: int | None = None,
        seconds: float | None = None,
    ) -> None:
        self.requests = 0
        self.url = f"{transport.base_url}{path}?{urlencode(parameters)}".rstrip("?")
        self.page: int | None = None
        self.is_web_page = False
        self._seconds_paced = 0.0
        self._is_paced = False
        self._seconds = seconds or ANSWER_TIMEOUTS * transport.timeout
        self._transport = transport
        self._on_wait = on_wait
        self._retry = Retry(
            attempts or transport.attempts,
            transport.deadline,
            transport.sleep,
            transport.clock,
            self._announce_retry,
            connect_deadline=transport.connect_deadline,
        )
        self._bucket = transport.bucket(parameters.get("projectId"))
        self._request = transport.session.prepare_request(requests.Request("GET", self.url, headers=HEADERS))

    @property
    def asked(self) -> str:
        """What is asked for, as errors say it."""
        return f"GET {self.url}" + (f" (page {self.page})" if self.page else "")

    @property
    def retries(self) -> int:
        """Attempts beyond the first of each request."""
        return self._retry.retries

    @property
    def seconds_waited(self) -> float:
        """The time waited, for retries and pacing."""
        return self._retry.seconds_waited + self._seconds_paced

    def get(self, key: str, kind: type, url: str | None = None) -> Response:
        """Return what a 200 has under a key, which must be of this kind (list or dict).

        Raises:
            APIError: or its kinds TransientError and AuthError.

        """
        self._pace()  # before the first attempt, from which the deadline counts
        self._is_paced = True
        return self._retry(lambda: self._attempt(key, kind, url or self.url))

    def _attempt(self, key: str, kind: type, url: str) -> Response:
        """Return the answer at `url`, following redirects within the origin and refreshing a bearer token once."""
        refreshed = False
        for _ in range(MAX_REDIRECTS + 1):
            self._pace()
            response = self._sent(url)
            if isinstance(response, Exception):  # raised here, as the errors of requests hold the credentials
                raise response
            if response.status == 200:
                return self._decode(response.body, key, kind)
            if response.status in {301, 302, 303, 307, 308}:
                url = self._redirected(response)
            elif not refreshed and self._transport.authorization.may_refresh(
                response.status, response.headers.get("x-amzn-errortype", "")
            ):
                refreshed = True
            else:
                raise self._failure(response)
        raise APIError(f"{self.asked}: more than {MAX_REDIRECTS} redirects; check the base URL")

    def _pace(self) -> None:
        seconds = self._bucket.take() if self._bucket and not self._is_paced else 0.0
        self._is_paced = False
        if seconds:
            self._seconds_paced += seconds
            self._announce(logging.DEBUG, "pacing", "waiting", seconds)
            self._transport.sleep(seconds)

    def _announce_retry(self, failure: RetryableError, seconds: float) -> None:
        is_warning = seconds > LONG_WAIT or not failure.connected  # the base URL may be wrong
        self._announce(logging.WARNING if is_warning else logging.INFO, failure.reason, "retrying in", seconds)

    def _announce(self, level: int, reason: str, action: str, seconds: float) -> None:
        facts = {"request": redact(self.asked, QUOTED_CHARACTERS), "reason": reason, "seconds": round(seconds, 1)}
        message = f"%(request)s: %(reason)s, {action} %(seconds).1f s"
        logger.log(level, message, facts, extra={"event": "waiting", "facts": facts | {"page": self.page}})
        if self._on_wait:
            self._on_wait(reason, seconds)

    def _sent(self, url: str) -> _Response | Exception:
        """Send the request once, and return what came, or what to raise where nothing did, or half of it."""
        self.requests += 1
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("%s at %s", redact(self.asked, QUOTED_CHARACTERS), redact(url, QUOTED_CHARACTERS))
        self._request.url = url
        try:
            self._transport.authorization(self._request)
        except TransientError as error:
            return RetryableError(TransientError(f"{self.asked}: {error}"), "no token")
        seconds = self._seconds
        status = None
        with Watch(seconds) as watch:
            try:
                with self._transport.send(self._request) as response:
                    status = response.status_code
                    body = self._read(response, self._transport.clock() + seconds)
                    if watch.is_over and status == 200:
                        raise TimeoutError
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                cause = TimeoutError(f"not complete after {seconds:g} s") if watch.is_over else _innermost(error)
                return self._unanswered(cause, error, status)
        return _Response(status, response.reason, response.headers, str(response.url), body)

    def _read(self, response: requests.Response, ends: float) -> bytes:
        """Return the decompressed body, taking it as it arrives, so that its size and its time stay bounded.

        A page must be whole; of the words in an error whatever came is enough.
        """
        whole = response.status_code == 200
        limit = MAX_BODY if whole else MAX_ERROR_BODY
        chunks, size = [], 0
        try:
            while size <= limit and (chunk := response.raw.read1(READ_SIZE, decode_content=True)):
                chunks.append(chunk)
                size += len(chunk)
                if self._transport.clock() > ends:
                    raise TimeoutError(f"not complete after {self._seconds:g} s")
        except (urllib3.exceptions.HTTPError, OSError):
            if whole:
                raise
        return b"".join(chunks)

    def _redirected(self, response: _Response) -> str:
        location = response.headers.get("Location", "")
        try:
            target = urljoin(response.url, location)
            stays = _origin(urlsplit(target)) == _origin(urlsplit(self._transport.base_url))
        except ValueError:
            stays = False
        if not location:
            raise APIError(
                f"{self.asked}: {response.status} without a Location header; check the base URL", status=response.status
            )
        if stays and self._lost(target):
            raise APIError(
                f"{self.asked}: {response.status} redirects to {self.quoted(location)}, without the parameter "
                f"{self._lost(target)}; check the base URL",
                status=response.status,
            )
        if not stays:
            raise APIError(
                f"{self.asked}: {response.status} redirects to {self.quoted(location)}, which is another origin, so "
                "the credentials were not sent there; check the base URL",
                status=response.status,
            )
        return target

    def _lost(self, target: str) -> str:
        """Return the name of a parameter that a redirect has dropped or changed, "" where there is none."""
        wanted, found = (parse_qsl(urlsplit(url).query) for url in (str(self._request.url), target))
        return next((name for name, value in wanted if name != "pageSize" and (name, value) not in found), "")

    def _decode(self, body: bytes, key: str, kind: type) -> Response:
        """Return what the body of a 200 has under a key; nothing but a JSON object that has it is right."""
        if len(body) > MAX_BODY:
            raise APIError(
                f"{self.asked}: the answer is larger than {MAX_BODY // 2**20} MiB; ask for smaller pages (page_size)",
                status=200,
            )
        try:
            document = _decoded(body)
        except DuplicateKeyError as error:
            message = f"{self.asked}: 200, but its JSON has the key {self.quoted(str(error))} twice"
            raise RetryableError(APIError(message, status=200), "a duplicate key", "report it to the vendor") from None
        except (ValueError, RecursionError):
            document = _NO_JSON
        if document is _NO_JSON:  # raised here, as the first error has the whole body
            message = f"{self.asked}: 200, but its body is no JSON: {self.quoted(body)!r}"
            raise RetryableError(TransientError(message, status=200), "no JSON")
        value = document.get(key) if isinstance(document, dict) else None
        if not isinstance(value, kind):
            message = f"{self.asked}: 200, but without {_KINDS[kind]} {key!r}: {self.quoted(body)}"
            advice = "check the base URL, or report it to the vendor"
            raise RetryableError(APIError(message, status=200), f"no {key}", advice)
        return Response(value, document, len(body))

    def _failure(self, response: _Response) -> Exception:
        """Return what to raise for an answer that is no page."""
        status = response.status
        self.is_web_page = response.body.lstrip().startswith(b"<")
        document = _json_object(response.body)
        retry_after = retry_after_of(response.headers, document, time.time())
        words = self.quoted(_reason(document) or response.body)
        reason = self.quoted(response.reason)
        message = f"{self.asked}: {status} {reason}: {'' if words == reason else words}".rstrip(": ")
        if is_retryable(status):
            return RetryableError(TransientError(message, status=status, retry_after=retry_after), str(status))
        if status in {401, 403}:
            return AuthError(f"{message}; {self._transport.authorization.advice}", status=status)
        advice = "; check the base URL" if status == 404 else ""
        return APIError(message + advice, status=status, retry_after=retry_after)

    def _unanswered(self, cause: BaseException, error: Exception, status: int | None) -> Exception:
        """Return what to raise where no answer came, or half of one, given the first cause and the error around it."""
        what = "no answer" if status is None else "the answer broke off"
        words = self.quoted(str(cause))
        message = f"{self.asked}: {what}: {type(cause).__name__}: {words}"
        if isinstance(cause, ConnectionError | http.client.HTTPException) and self._transport.expects_tls():
            return APIError(f"{message}; the port speaks TLS: use https")
        for pattern, kind, advice in _FINAL:
            if re.search(pattern, f"{type(cause).__name__}: {cause}"):
                return kind(f"{message}; {advice}")
        if isinstance(error, ValueError):  # InvalidURL, InvalidProxyURL, InvalidHeader
            return APIError(message, status=status)
        if isinstance(cause, urllib3.exceptions.ConnectTimeoutError):  # or a kind of it, such as NameResolutionError
            return self._unconnected(cause, isinstance(error, requests.exceptions.ProxyError))
        return RetryableError(TransientError(message, status=status), type(cause).__name__)

    def _unconnected(self, cause: BaseException, by_proxy: bool) -> RetryableError:
        """Return what to raise where a name was not resolved, or a connection was refused or timed out."""
        where, checked = (" to the proxy", "HTTPS_PROXY") if by_proxy else ("", "the base URL")
        failure = cause.__cause__ or cause  # the system's own words
        words = self.quoted(str(failure))
        message = f"{self.asked}: no connection{where}: {words}"
        reason = getattr(failure, "strerror", None) or words
        advice = f"check {checked} and the network, or run again later"
        return RetryableError(TransientError(message), reason, advice, connected=False)

    def quoted(self, words: str | bytes | None) -> str:
        """Return words of the server as they may be shown."""
        return self._transport.quoted(words)


_FINAL: list[tuple[str, type[APIError | ConfigError], str]] = [  # waiting does not help
    (
        r"^OSError: Could not find (a suitable TLS CA certificate bundle|the TLS)",
        ConfigError,
        "the certificates cannot be used: check REQUESTS_CA_BUNDLE, or the session",
    ),
    (
        r"^(SSL|Cert)\w*: .*(certificate has expired|certificate is not yet valid)",
        APIError,
        "check the clock of this machine, or tell whoever runs the server that its certificate has to be renewed",
    ),
    (
        r"^(SSL|Cert)\w*: .*([Hh]ostname mismatch|IP address mismatch|doesn't match)",
        APIError,
        "the certificate is that of another host: check the base URL",
    ),
    (
        r"^SSL\w*: .*CERTIFICATE_VERIFY_FAILED",
        APIError,
        "the certificate is not trusted: set REQUESTS_CA_BUNDLE, or pass a session",
    ),
    (
        r"^SSL\w*: .*(NO_CERTIFICATE_OR_CRL_FOUND|NO_START_LINE|BAD_BASE64_DECODE|PEM|X509|ASN1)",
        ConfigError,
        "the certificates cannot be used: REQUESTS_CA_BUNDLE, or the session, must name a file of them in PEM",
    ),
    (
        r"^SSL\w*: .*(WRONG_VERSION_NUMBER|HTTP_REQUEST|HTTPS_PROXY_REQUEST|RECORD_LAYER_FAILURE)",
        APIError,
        "the port does not speak TLS: check the base URL, and the proxy",
    ),
    (r"^OSError: Tunnel connection failed: 407", APIError, "the proxy asks for credentials: check HTTPS_PROXY"),
    (r"^OSError: Tunnel connection failed: 4(?!08|29)", APIError, "the proxy refuses to connect: check HTTPS_PROXY"),
]
_KINDS: dict[type, str] = {list: "a list", dict: "an object"}


class _OneOrigin(HTTPAdapter):
    """The adapter of requests, for a single origin: it finds the pool of connections once, and reads no cookies.

    requests means both methods to be replaced; as they are there, they are a sixth of the cost of a request.
    """

    _pool: Any = None

    def init_poolmanager(self, *arguments: Any, **settings: Any) -> None:
        self._pool = None
        super().init_poolmanager(*arguments, **settings)

    def get_connection_with_tls_context(self, *arguments: Any, **settings: Any) -> Any:
        if self._pool is None:
            self._pool = super().get_connection_with_tls_context(*arguments, **settings)
            watch_connections(self._pool)
        return self._pool

    def build_response(self, request: requests.PreparedRequest, raw: Any) -> requests.Response:
        response = requests.Response()
        response.status_code, response.reason, response.headers = raw.status, raw.reason, raw.headers
        response.raw, response.request, response.url = raw, request, str(request.url)
        return response

    def close(self) -> None:
        self._pool = None
        super().close()


class DuplicateKeyError(ValueError):
    """A JSON object has a key twice, so that which of the values counts is anybody's guess (RFC 8259, section 4)."""


_NO_JSON = object()
_DECODER = json.JSONDecoder()
_blank: Callable[[str, int], re.Match[str]] = re.compile(r"[ \t\n\r]*").match  # type: ignore[assignment] # always one


def _decoded(body: bytes) -> Any:
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


def _reason(document: dict[str, Any]) -> str:
    """Return the server's own words: error bodies have no single shape."""
    fields = (document.get(name) for name in ("reason", "message", "Message", "error", "detail"))
    return next((words for words in fields if isinstance(words, str) and words), "")


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _innermost(error: BaseException) -> BaseException:
    """Return the exception at the bottom of the ones that requests and urllib3 wrap around each other."""
    inner = getattr(error, "reason", None) or next((a for a in error.args if isinstance(a, BaseException)), None)
    return _innermost(inner) if isinstance(inner, BaseException) else error


def _proxy_secrets(base_url: str, proxies: Mapping[str, str]) -> list[str]:
    """Return the passwords in the URL of the proxy, as they are and as they are written there.

    Raises:
        ConfigError: it is no URL.

    """
    proxy = requests.utils.select_proxy(base_url, proxies)
    if not proxy:
        return []
    try:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        usable = bool(parts.hostname and parts.hostname.encode("idna")) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError(
            f"the proxy {redact(proxy)!r} is not a URL: check HTTPS_PROXY, or the session. "
            "Give one like http://proxy.example:3128"
        )
    password = parts.password or ""
    return [password, unquote(password)]
