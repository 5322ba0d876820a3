"""Credentials, one request, and the walk from token to token: HTTP bytes -> Page."""

import base64
import hashlib
import ipaddress
import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import SplitResult, quote, urlencode, urljoin, urlsplit

import requests
import urllib3
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.auth import AuthBase

from scenario_etl.errors import APIError, AuthError, ConfigError, PaginationError, TransientError
from scenario_etl.redact import redact
from scenario_etl.retry import FailedAttempt, Retry, TokenBucket, Waiting, is_retried, seconds_asked

BASE_URL = "https://api.cloud.scenario.com/v1"
CONNECT_TIMEOUT = 5.0  # seconds
ANSWER_TIMEOUTS = 10  # an answer as a whole may take this many times the timeout on silence
LARGEST_BODY = 32 * 2**20  # bytes, decompressed; the API's own gateway ends at 6 MB
LARGEST_ERROR_BODY = 64 * 2**10  # bytes
READ_SIZE = 256 * 2**10  # bytes
MOST_REDIRECTS = 5
MOST_EMPTY_PAGES = 10
MAX_PAGES = 100_000
QUOTED_CHARACTERS = 200  # of the server's words in an error
PACING = "pacing"  # the reason of a wait that nothing went wrong for

Token = str | Callable[[], str]

logger = logging.getLogger("scenario_etl")


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing.

    Attributes:
        records: as the API gave them.
        next_token: of the next page, None at the end.
        size: of the page's JSON, in bytes.

    """

    records: list[Any]
    next_token: str | None
    size: int


class Client:
    """A connection to the Scenario API, and the credentials for it.

    Args:
        api_key: the key; None takes it from `SCENARIO_SDK_API_KEY`, or the file that `SCENARIO_SDK_API_KEY_FILE` names.
        api_secret: its secret; None takes it from `SCENARIO_SDK_API_SECRET`, or `SCENARIO_SDK_API_SECRET_FILE`.
        bearer_token: a JWT, or a callable that gives a fresh one for each request (JWTs may expire after about 60 s);
            None takes it from `SCENARIO_SDK_JWT` where the environment holds no key.
        base_url: None takes it from `SCENARIO_BASE_URL`, or the vendor's. Plain http only to loopback.
        timeout: the longest silence on the socket, in seconds; connecting may take 5 s at most, the body of an answer
            ten times `timeout`.
        attempts: how often one request is sent at most.
        deadline: seconds from the first attempt of a request to the start of its last.
        requests_per_minute: pacing for each project, in bursts of up to 100 requests; None or 0 switches it off.
        session: your own `requests.Session`, for its proxies, certificates, headers and adapters. Its `send`, hooks,
            `params` and `auth` are not used; it is left open.
        sleep: what waits, given seconds.
        clock: what tells the time for deadline and pacing, in seconds.

    Attributes:
        base_url: of the API, without a slash at its end.
        api_name: what files call the API: its base URL, or "demo" for the emulator of the command line.

    Raises:
        ConfigError: a credential is missing, or an argument is wrong.

    >>> from scenario_etl import Client, Emulator, extract_collections
    >>> with Emulator(collections=3) as api, Client("demo", "demo", base_url=api.url) as client:
    ...     len(extract_collections(client=client))
    3

    """

    def __init__(
        self,
        api_key: str | None = None,
        api_secret: str | None = None,
        *,
        bearer_token: Token | None = None,
        base_url: str | None = None,
        timeout: float = 60.0,
        attempts: int = 8,
        deadline: float = 300.0,
        requests_per_minute: float | None = 100,
        session: requests.Session | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        chosen = base_url if base_url is not None else os.environ.get("SCENARIO_BASE_URL") or BASE_URL
        self.base_url = _checked_base_url(chosen.strip())
        self.api_name = self.base_url
        self._authorization = _authorization(api_key, api_secret, bearer_token)
        _check_numbers(timeout=timeout, attempts=attempts, deadline=deadline)
        if requests_per_minute:
            _check_numbers(requests_per_minute=requests_per_minute)
        self._timeout = timeout
        self._attempts = attempts
        self._deadline = deadline
        self._requests_per_minute = requests_per_minute
        self._buckets: dict[str | None, TokenBucket] = {}
        self._sleep = sleep
        self._clock = clock
        self._owns_session = session is None
        self._session = session or requests.Session()
        if session is None:
            self._session.mount(self.base_url, _OneOrigin())
        self._adapter = self._session.get_adapter(self.base_url)
        self._process = os.getpid()
        # The look-ups in environment and files that requests would otherwise do anew for each call.
        verify = None if self._session.verify is True else self._session.verify  # its own beats the environment's
        settings = self._session.merge_environment_settings(self.base_url, {}, True, verify, None)
        self._settings: dict[str, Any] = dict(settings)
        if self.base_url.startswith("http:"):  # so it is loopback, which is no matter of a proxy
            self._settings["proxies"] = {}

    @property
    def credentials(self) -> str:
        """The kind of credentials in use, "API key" or "bearer token"; never themselves."""
        return self._authorization.kind

    def __repr__(self) -> str:
        return f"<scenario_etl.Client {self.base_url} with {self.credentials}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, unless the session is your own."""
        if self._owns_session:
            self._session.close()

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

    def retrieve(
        self, path: str, record_key: str, parameters: Mapping[str, str | int] | None = None
    ) -> dict[str, Any] | None:
        """Return one record as the API has it now, None where it has none (404, 410).

        It is paced and retried as a page is.

        Args:
            path: below the base URL, with the id percent-encoded, such as "/collections/collection_1".
            record_key: the key of the record in the response.
            parameters: the query, by the API's own names.

        Raises:
            APIError: or its kinds TransientError and AuthError: the record did not come.

        """
        try:
            found: dict[str, Any] = Requests(self, path, parameters or {}).get(record_key, dict).value
        except APIError as error:
            if error.status in {404, 410}:
                return None
            raise
        return found

    def walk(
        self,
        path: str,
        records_key: str,
        parameters: Mapping[str, str | int],
        on_wait: Waiting | None = None,
        *,
        max_pages: int = MAX_PAGES,
    ) -> "Walk":
        """Return a Walk over the pages of a listing.

        Args:
            path: below the base URL, such as "/collections".
            records_key: the key of the page's list of records.
            parameters: the query, by the API's own names.
            on_wait: called with a reason ("429") and seconds before each wait.
            max_pages: how many pages the listing may have.

        """
        return Walk(self, path, records_key, parameters, on_wait, max_pages=max_pages)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came in the body of a 200.

    Attributes:
        value: what was asked for: a list or an object.
        document: the whole JSON object.
        size: of the body, in bytes.

    """

    value: Any
    document: dict[str, Any]
    size: int


class Requests:
    """Sends GET requests for one path, one at a time: paced, retried, redirected within the origin, and bounded.

    Attributes:
        requests: how many requests were sent, retries and redirects included.

    """

    def __init__(
        self,
        client: Client,
        path: str,
        parameters: Mapping[str, str | int],
        on_wait: Waiting | None = None,
    ) -> None:
        self.requests = 0
        self.url = f"{client.base_url}{path}?{urlencode(parameters)}".rstrip("?")
        self.asked = f"GET {self.url}"
        self._seconds_paced = 0.0
        self._is_paced = False
        self._client = client
        self._on_wait = on_wait
        self._retry = Retry(client._attempts, client._deadline, client._sleep, client._clock, self._announce)
        self._bucket = _bucket(client, parameters.get("projectId"))
        self._request = client._session.prepare_request(requests.Request("GET", self.url, headers=_HEADERS))

    @property
    def retries(self) -> int:
        """Attempts beyond the first of each request."""
        return self._retry.retries

    @property
    def seconds_waited(self) -> float:
        """The time waited, for retries and pacing."""
        return self._retry.seconds_waited + self._seconds_paced

    def get(self, key: str, kind: type, url: str | None = None) -> Answer:
        """Return what a 200 has under a key, which must be of this kind (list or dict).

        Raises:
            APIError: or its kinds TransientError and AuthError.

        """
        self._pace()  # before the first attempt, from which the deadline counts
        self._is_paced = True
        return self._retry(lambda: self._attempt(key, kind, url or self.url))

    def _attempt(self, key: str, kind: type, url: str) -> Answer:
        """Return the answer at `url`, following redirects within the origin and refreshing a bearer token once."""
        refreshed = False
        for _ in range(MOST_REDIRECTS + 1):
            self._pace()
            with self._send(url) as response:
                status = response.status_code
                if status == 200:
                    return self._decode(self._read(response, LARGEST_BODY, whole=True), key, kind)
                if status in {301, 302, 303, 307, 308}:
                    url = self._redirected(response)
                elif self._client._authorization.may_refresh(response) and not refreshed:
                    refreshed = True
                else:
                    raise self._failure(response)
        raise APIError(f"{self.asked}: more than {MOST_REDIRECTS} redirects; check the base URL")

    def _pace(self) -> None:
        seconds = self._bucket.take() if self._bucket and not self._is_paced else 0.0
        self._is_paced = False
        if seconds:
            self._seconds_paced += seconds
            self._announce(PACING, seconds)
            self._client._sleep(seconds)

    def _announce(self, reason: str, seconds: float) -> None:
        facts = {"request": redact(self.asked, QUOTED_CHARACTERS), "reason": reason, "seconds": round(seconds, 1)}
        message = "%(request)s: %(reason)s, waiting %(seconds).1f s"
        level = logging.DEBUG if reason == PACING else logging.INFO
        logger.log(level, message, facts, extra={"event": "waiting", "facts": facts})
        if self._on_wait:
            self._on_wait(reason, seconds)

    def _send(self, url: str) -> requests.Response:
        self.requests += 1
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("%s at %s", redact(self.asked, QUOTED_CHARACTERS), redact(url, QUOTED_CHARACTERS))
        self._request.url = url
        self._client._authorization(self._request)
        timeout = (min(CONNECT_TIMEOUT, self._client._timeout), self._client._timeout)
        try:
            return self._client.adapter().send(self._request, timeout=timeout, **self._client._settings)
        except requests.RequestException as error:
            raise self._unanswered("no answer", error) from error
        except OSError as error:  # what requests says of files that it cannot find
            raise ConfigError(f"the certificates cannot be used: {redact(str(error), QUOTED_CHARACTERS)}") from error

    def _redirected(self, response: requests.Response) -> str:
        location = response.headers.get("Location", "")
        try:
            target = urljoin(str(response.url), location)
            stays = bool(location) and _origin(urlsplit(target)) == _origin(urlsplit(self._client.base_url))
        except ValueError:
            stays = False
        if not stays:
            raise APIError(
                f"{self.asked}: {response.status_code} redirects to {self.quoted(location) or 'nowhere'}; "
                "credentials are sent to no other origin. Check the base URL",
                status=response.status_code,
            )
        return target

    def _read(self, response: requests.Response, limit: int, *, whole: bool) -> bytes:
        """Return the decompressed body, taking it as it arrives, so that its size and its time stay bounded.

        A page must be whole; of the words in an error whatever came is enough.
        """
        longest = ANSWER_TIMEOUTS * self._client._timeout
        deadline = self._client._clock() + longest
        chunks, size = [], 0
        try:
            while size <= limit and (chunk := response.raw.read1(READ_SIZE, decode_content=True)):
                chunks.append(chunk)
                size += len(chunk)
                if self._client._clock() > deadline:
                    raise TimeoutError(f"not complete after {longest:g} s")
        except (urllib3.exceptions.HTTPError, OSError) as error:
            if whole:
                raise self._unanswered("the answer broke off", error, response.status_code) from error
        if size > limit and whole:
            raise APIError(
                f"{self.asked}: the answer is larger than {limit // 2**20} MiB; ask for smaller pages (page_size)",
                status=response.status_code,
            )
        return b"".join(chunks)

    def _decode(self, body: bytes, key: str, kind: type) -> Answer:
        """Return what the body of a 200 has under a key; nothing but a JSON object that has it is right."""
        try:
            document = _decoded(body)
        except DuplicateKeyError as error:
            message = f"{self.asked}: 200, but its JSON has the key {redact(str(error))} twice. Report it to the vendor"
            raise FailedAttempt(APIError(message, status=200), "a duplicate key") from None
        except (ValueError, RecursionError) as error:
            message = f"{self.asked}: 200, but its body is no JSON: {self.quoted(body)!r}"
            raise FailedAttempt(TransientError(message, status=200), "no JSON") from error
        value = document.get(key) if isinstance(document, dict) else None
        if not isinstance(value, kind):
            message = (
                f"{self.asked}: 200, but without {_KINDS[kind]} {key!r}: {self.quoted(body)}. "
                "Check the base URL, or report it to the vendor"
            )
            raise FailedAttempt(APIError(message, status=200), f"no {key}")
        return Answer(value, document, len(body))

    def _failure(self, response: requests.Response) -> Exception:
        """Return what to raise for an answer that is no page."""
        status = response.status_code
        body = self._read(response, LARGEST_ERROR_BODY, whole=False)
        document = _json_object(body)
        retry_after = seconds_asked(response.headers, document, time.time())
        message = f"{self.asked}: {status} {self.quoted(response.reason)}: {self.quoted(_reason(document) or body)}"
        message = message.rstrip(": ")
        if is_retried(status):
            return FailedAttempt(TransientError(message, status=status, retry_after=retry_after), str(status))
        if status in {401, 403}:
            return AuthError(f"{message}; {self._client._authorization.advice}", status=status)
        return APIError(message, status=status, retry_after=retry_after)

    def _unanswered(self, what: str, error: Exception, status: int | None = None) -> Exception:
        """Return what to raise where no answer came, or half of one."""
        cause = _innermost(error)
        message = f"{self.asked}: {what}: {type(cause).__name__}: {self.quoted(str(cause))}"
        if "CERTIFICATE_VERIFY_FAILED" in str(cause):
            return APIError(f"{message}; the certificate is not trusted: set REQUESTS_CA_BUNDLE, or pass a session")
        if isinstance(error, ValueError):  # InvalidURL, InvalidProxyURL, InvalidHeader
            return APIError(message, status=status)
        return FailedAttempt(TransientError(message, status=status), type(cause).__name__)

    def quoted(self, words: str | bytes | None) -> str:
        """Return words of the server as they may be shown: one bounded line, without tags, URL queries and secrets."""
        text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words or ""
        for secret in self._client._authorization.secrets:
            text = text.replace(secret, "***")
        return redact(re.sub(r"<[^<>]*>", " ", text), QUOTED_CHARACTERS)


class Walk:
    """One pass over the pages of a listing. Iterating over it makes the requests.

    Only an absent, null or empty token ends it. One request is retried, never the whole.

    Attributes:
        pages: how many pages came.

    """

    def __init__(
        self,
        client: Client,
        path: str,
        records_key: str,
        parameters: Mapping[str, str | int],
        on_wait: Waiting | None = None,
        *,
        max_pages: int = MAX_PAGES,
    ) -> None:
        self.pages = 0
        self._max_pages = max_pages
        self._chain = hashlib.sha256()
        self._records_key = records_key
        self._requests = Requests(client, path, parameters, on_wait)

    @property
    def requests(self) -> int:
        """How many requests were sent, retries and redirects included."""
        return self._requests.requests

    @property
    def retries(self) -> int:
        """Attempts beyond the first of each request."""
        return self._requests.retries

    @property
    def seconds_waited(self) -> float:
        """The time waited, for retries and pacing."""
        return self._requests.seconds_waited

    @property
    def tokens_sha256(self) -> str:
        """SHA-256 over the chain of tokens, in hexadecimal."""
        return self._chain.hexdigest()

    def __iter__(self) -> Iterator[Page]:
        """Yield each page as it arrives.

        Raises:
            APIError: or its kinds TransientError and AuthError: a page did not come.
            PaginationError: a token came twice, ten consecutive pages were empty, or there are too many pages.

        """
        url = self._requests.url
        seen: set[str] = set()
        empty_pages = 0
        while True:
            page = self._page(url)
            self.pages += 1
            yield page
            if page.next_token is None:
                return
            empty_pages = 0 if page.records else empty_pages + 1
            self._check_progress(page.next_token, seen, empty_pages)
            url = _with_token(self._requests.url, page.next_token)

    def _check_progress(self, token: str, seen: set[str], empty_pages: int) -> None:
        if token in seen:
            raise PaginationError(
                f"{self._requests.url}: page {self.pages} gave the token {self._requests.quoted(token)!r} a second "
                "time; the listing goes in a circle. Nothing was written; report it to the vendor"
            )
        if empty_pages >= MOST_EMPTY_PAGES:
            raise PaginationError(
                f"{self._requests.url}: {empty_pages} consecutive empty pages, up to page {self.pages}, each with a "
                "token for one more. Nothing was written; report it to the vendor"
            )
        if self.pages >= self._max_pages:
            raise PaginationError(
                f"{self._requests.url}: page {self.pages} has a token for one more, but max_pages is "
                f"{self._max_pages}. Nothing was written; raise it if the listing is that long (--max-pages)"
            )
        seen.add(token)
        self._chain.update(token.encode() + b"\n")

    def _page(self, url: str) -> Page:
        self._requests.asked = f"GET {self._requests.url} (page {self.pages + 1})"
        answer = self._requests.get(self._records_key, list, url)
        return Page(answer.value, self._next_token(answer.document.get("nextPaginationToken")), answer.size)

    def _next_token(self, token: object) -> str | None:
        if token is None or token == "":
            return None
        if isinstance(token, str) and not re.search("[\ud800-\udfff]", token):
            return token
        raise PaginationError(
            f"{self._requests.asked}: nextPaginationToken is {redact(token)}, which no request can carry. "
            "Report it to the vendor"
        )


_KINDS: dict[type, str] = {list: "a list", dict: "an object"}
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "scenario-etl"}


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
        return self._pool

    def build_response(self, request: requests.PreparedRequest, raw: Any) -> requests.Response:
        response = requests.Response()
        response.status_code, response.reason, response.headers = raw.status, raw.reason, raw.headers
        response.raw, response.request, response.url = raw, request, str(request.url)
        return response

    def close(self) -> None:
        self._pool = None
        super().close()


class _Basic(AuthBase):
    kind = "API key"
    advice = "check SCENARIO_SDK_API_KEY and SCENARIO_SDK_API_SECRET, and the project"

    def __init__(self, key: str, secret: str) -> None:
        if ":" in key:
            raise ConfigError("the API key contains a colon, which HTTP Basic authentication does not allow")
        try:
            self._encoded = base64.b64encode(f"{key}:{secret}".encode()).decode()
        except UnicodeEncodeError:
            raise ConfigError("the API key or its secret is no valid text") from None
        written = (form(text) for text in (secret, key) for form in (str, quote, lambda text: json.dumps(text)[1:-1]))
        self.secrets = (self._encoded, *dict.fromkeys(written))

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Basic {self._encoded}"
        return request

    def may_refresh(self, _: requests.Response) -> bool:
        return False


class _Bearer(AuthBase):
    kind = "bearer token"
    advice = "JWTs may expire after about 60 s: use an API key, or pass a callable that gives a fresh token"

    def __init__(self, token: Token) -> None:
        self._token = token
        self._last = "" if callable(token) else _checked_token(token)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if callable(self._token):
            self._last = _checked_token(_called(self._token))
        request.headers["Authorization"] = f"Bearer {self._last}"
        return request

    def may_refresh(self, response: requests.Response) -> bool:
        """Whether this is how the API's gateway says that a JWT has expired, and a fresh one can be had."""
        kind = response.headers.get("x-amzn-errortype", "")
        return callable(self._token) and response.status_code == 403 and kind.startswith("AccessDeniedException")

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self._last,) if self._last else ()


def _authorization(api_key: str | None, api_secret: str | None, bearer_token: Token | None) -> _Basic | _Bearer:
    """Choose the credentials: an argument beats the environment, within it the key pair beats the JWT."""
    if bearer_token is not None:
        if api_key is not None or api_secret is not None:
            raise ConfigError("an API key and a bearer token were given: give one of them")
        return _Bearer(bearer_token)
    if "" in (api_key, api_secret):
        raise ConfigError("the API key or its secret is an empty string: leave it out to take it from the environment")
    key = api_key or _variable_or_file("SCENARIO_SDK_API_KEY")
    secret = api_secret or _variable_or_file("SCENARIO_SDK_API_SECRET")
    jwt = os.environ.get("SCENARIO_SDK_JWT")
    if key and secret:
        return _Basic(key, secret)
    if jwt and api_key is None and api_secret is None:
        return _Bearer(jwt)
    missing = [n for n, v in (("SCENARIO_SDK_API_KEY", key), ("SCENARIO_SDK_API_SECRET", secret)) if not v]
    raise ConfigError(
        f"no credentials: {' and '.join(missing)} not set. Set SCENARIO_SDK_API_KEY and SCENARIO_SDK_API_SECRET (or "
        "SCENARIO_SDK_JWT), or use the emulator, which needs no account (--demo)"
    )


def _variable_or_file(name: str) -> str | None:
    """Return the value of a variable, or what the file holds that the variable with `_FILE` names: a mounted secret."""
    value, path = os.environ.get(name), os.environ.get(f"{name}_FILE")
    if value or not path:
        return value
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{name}_FILE names {path}, which cannot be read: {type(error).__name__}") from error


def _called(token: Callable[[], str]) -> object:
    try:
        return token()
    except Exception as error:
        raise ConfigError(f"the callable for the bearer token failed: {type(error).__name__}") from error


def _checked_token(token: object) -> str:
    if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
        raise ConfigError("the bearer token is empty or holds characters that no HTTP header can carry")
    return token


def _checked_base_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        requests.Request("GET", url, params={"port": str(parts.port)}).prepare()
    except ValueError as error:
        raise ConfigError(f"the base URL {redact(url)!r} is none: give one like {BASE_URL}") from error
    if parts.username is not None or parts.password is not None:
        raise ConfigError("the base URL holds credentials: take them out, and set the SCENARIO_SDK_ variables")
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ConfigError(f"the base URL {redact(url)!r} is none: give one like {BASE_URL}")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ConfigError(f"the base URL {redact(url)!r} would send the credentials unencrypted: use https")
    return url.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_numbers(**numbers: float) -> None:
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, int | float) or not 1e-6 < number < 1e6:
            raise ConfigError(f"{name} is {number!r}: give a positive number below a million")
        if name == "attempts" and number != int(number):
            raise ConfigError(f"attempts is {number}: give a whole number")


def _bucket(client: Client, project: object) -> TokenBucket | None:
    """Return the project's bucket, which all walks of a client share; None where pacing is off."""
    if not client._requests_per_minute:
        return None
    key = None if project is None else str(project)
    return client._buckets.setdefault(key, TokenBucket(client._requests_per_minute, client._clock))


def _with_token(url: str, token: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}paginationToken={quote(token, safe='')}"


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _innermost(error: BaseException) -> BaseException:
    """Return the exception at the bottom of the ones that requests and urllib3 wrap around each other."""
    inner = getattr(error, "reason", None) or next((a for a in error.args if isinstance(a, BaseException)), None)
    return _innermost(inner) if isinstance(inner, BaseException) else error


class DuplicateKeyError(ValueError):
    """A JSON object has a key twice, so that which of the values counts is anybody's guess (RFC 8259, section 4)."""


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
