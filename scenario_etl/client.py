"""A client of the API, and the pages of a listing from token to token."""

import hashlib
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, Self
from urllib.parse import quote

import requests

from scenario_etl.arguments import instance, number, whole_number
from scenario_etl.auth import Token, authorization
from scenario_etl.connections import Connections, checked_base_url
from scenario_etl.errors import APIError, ConfigError, PaginationError
from scenario_etl.locks import ForkSafeLock
from scenario_etl.redact import redact_value
from scenario_etl.retry import OnWait, Pacer
from scenario_etl.transport import Endpoint, Transport

MAX_EMPTY_PAGES = 10
MAX_PAGES = 100_000
MIN_SECONDS, MAX_SECONDS = 0.001, 1_000_000  # of timeout and deadlines
MAX_ATTEMPTS = 1_000_000
MIN_REQUESTS_PER_MINUTE, MAX_REQUESTS_PER_MINUTE = 0.001, 1_000_000
_counting = ForkSafeLock()


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing.

    Attributes:
        records: as in the JSON.
        next_token: of the next page, None at the end.
        size: of the page's JSON, in bytes.

    """

    records: list[Any]
    next_token: str | None
    size: int


class Client:
    """A client of the Scenario API with its credentials; several threads may use it at once.

    Args:
        api_key: None takes it from `SCENARIO_SDK_API_KEY`, or the file that `SCENARIO_SDK_API_KEY_FILE` names.
        api_secret: None takes it from `SCENARIO_SDK_API_SECRET`, or `SCENARIO_SDK_API_SECRET_FILE`.
        bearer_token: a JWT, or a callable that returns a fresh one for each request (JWTs may expire after about 60 s),
            called in the thread of the request; None takes it from `SCENARIO_SDK_JWT` if the environment has no
            complete API key.
        base_url: None takes it from `SCENARIO_BASE_URL`, or the vendor's. Plain http only to loopback.
        timeout: the longest silence on the socket, in seconds; connecting may take 5 s at most, a response as a whole
            ten times `timeout`.
        attempts: maximum number of attempts per request.
        deadline: seconds from the first attempt of a request to the start of its last.
        connect_deadline: the same, while no connection can be made (name not resolved, refused); None is `deadline`.
        requests_per_minute: pacing for each project, in bursts of up to 100 requests; None or 0 switches it off.
        session: your own `requests.Session`, for its proxies, certificates, headers and adapters. Its `send`, hooks,
            `params` and `auth` are not used; it is left open.
        sleep: called with seconds to wait.
        clock: returns the time in seconds, for deadlines and pacing.

    Attributes:
        base_url: of the API, without a slash at its end.
        api_name: of the API in files: its base URL, or "demo" for the emulator of the command line.

    Raises:
        ConfigError: a credential is missing, or an argument is not valid.

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
        connect_deadline: float | None = None,
        requests_per_minute: float | None = 100,
        session: requests.Session | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.base_url = self.api_name = checked_base_url(base_url)
        credentials = authorization(api_key, api_secret, bearer_token)
        _check_objects(session, sleep=sleep, clock=clock)
        self._transport = Transport(
            credentials,
            Connections(self.base_url, _seconds("timeout", timeout), session),
            _pacer(requests_per_minute, clock),
            whole_number("attempts", attempts, 1, MAX_ATTEMPTS),
            _seconds("deadline", deadline),
            _seconds("connect_deadline", deadline if connect_deadline is None else connect_deadline),
            sleep,
            clock,
        )

    @property
    def credentials(self) -> str:
        """The kind of credentials in use, "API key" or "bearer token"."""
        return self._transport.authorization.kind

    @property
    def deadline(self) -> float:
        """Seconds from the first attempt of a request to the start of its last."""
        return self._transport.deadline

    def __repr__(self) -> str:
        return f"<scenario_etl.Client {self.base_url} with {self.credentials}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise ConfigError("a Client contains credentials, so it cannot be pickled or copied; make one where it is used")

    def redact(self, value: object) -> str:
        """Return a value of the API as one short line without URL queries and credentials."""
        return redact_value(value, self._transport.secrets)

    def close(self) -> None:
        """Close the connections, unless the session is your own."""
        self._transport.connections.close()

    def retrieve(
        self,
        path: str,
        record_key: str,
        parameters: Mapping[str, str | int] | None = None,
        *,
        counts: Counter[str] | None = None,
    ) -> dict[str, Any] | None:
        """Return one record, paced and retried like a page; None where it does not exist (404, 410, but not in HTML).

        Args:
            path: below the base URL, with the id percent-encoded, such as "/collections/collection_1".
            record_key: the key of the record in the response.
            parameters: the query, by the API's own names.
            counts: `requests`, `retries` and `seconds_waited` are added to it.

        Raises:
            APIError: or its subclasses TransientError and AuthError: the request failed.

        """
        endpoint = Endpoint(self._transport, path, parameters or {})
        try:
            record: dict[str, Any] = endpoint.get(record_key, dict).value
        except APIError as error:
            if error.status in {404, 410} and not endpoint.is_web_page:
                return None
            raise
        finally:
            _add(counts, endpoint)
        return record

    def pages(
        self,
        path: str,
        records_key: str,
        parameters: Mapping[str, str | int],
        on_wait: OnWait | None = None,
        *,
        max_pages: int = MAX_PAGES,
        attempts: int | None = None,
        seconds: float | None = None,
    ) -> "Pages":
        """Return the pages of a listing; iterating over them makes the requests.

        Args:
            path: below the base URL, such as "/collections".
            records_key: the key of the page's list of records.
            parameters: the query, by the API's own names.
            on_wait: called with a reason ("429") and seconds before each wait.
            max_pages: of the listing.
            attempts: of one request, at most; None is the client's.
            seconds: for one response, headers included; None is ten times the client's timeout.

        """
        endpoint = Endpoint(self._transport, path, parameters, on_wait, attempts=attempts, seconds=seconds)
        return Pages(endpoint, records_key, max_pages)


class Pages:
    """One iteration over the pages of a listing, in one thread at a time.

    Only an absent, null or empty token ends it. One request is retried, never the listing.

    Attributes:
        pages: how many were read.

    """

    def __init__(self, endpoint: Endpoint, records_key: str, max_pages: int) -> None:
        self.pages = 0
        self._endpoint = endpoint
        self._records_key = records_key
        self._max_pages = max_pages
        self._chain = hashlib.sha256()

    @property
    def requests(self) -> int:
        """How many requests were sent, retries and redirects included."""
        return self._endpoint.requests

    @property
    def retries(self) -> int:
        """Attempts beyond the first of each request."""
        return self._endpoint.retries

    @property
    def seconds_waited(self) -> float:
        """For retries and pacing."""
        return self._endpoint.seconds_waited

    @property
    def tokens_sha256(self) -> str:
        """SHA-256 over the chain of tokens, in hexadecimal."""
        return self._chain.hexdigest()

    def redact(self, value: object) -> str:
        """Return a value of the pages as one short line without URL queries and credentials, those of its own too."""
        return self._endpoint.redact(value)

    def __iter__(self) -> Iterator[Page]:
        """Yield each page as it arrives.

        Raises:
            APIError: or its subclasses TransientError and AuthError: a request failed.
            PaginationError: a token came twice, ten consecutive pages were empty, or there are too many pages.

        """
        url = self._endpoint.url
        next_url = f"{url}{'&' if '?' in url else '?'}paginationToken="
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
            url = next_url + quote(page.next_token, safe="")

    def _check_progress(self, token: str, seen: set[str], empty_pages: int) -> None:
        if token in seen:
            raise PaginationError(
                f"{self._endpoint.url}: page {self.pages} has the token {self._endpoint.quote(token)!r}, which an "
                "earlier page had too, so the listing does not end; report it to the vendor"
            )
        if empty_pages >= MAX_EMPTY_PAGES:
            raise PaginationError(
                f"{self._endpoint.url}: {empty_pages} consecutive empty pages, up to page {self.pages}, each with a "
                "token of a next page; report it to the vendor"
            )
        if self.pages >= self._max_pages:
            raise PaginationError(
                f"{self._endpoint.url}: page {self.pages} has a token of a next page, but max_pages is "
                f"{self._max_pages}; raise it if the listing is that long (--max-pages, max_pages=)"
            )
        seen.add(token)
        self._chain.update(token.encode() + b"\n")

    def _page(self, url: str) -> Page:
        self._endpoint.page = self.pages + 1
        content = self._endpoint.get(self._records_key, list, url)
        return Page(content.value, self._next_token(content.document.get("nextPaginationToken")), content.size)

    def _next_token(self, token: object) -> str | None:
        if token is None or token == "":
            return None
        if isinstance(token, str) and not re.search("[\ud800-\udfff]", token):
            return token
        raise PaginationError(
            f"{self._endpoint.description}: nextPaginationToken must be text, got {self._endpoint.redact(token)}; "
            "report it to the vendor"
        )


def _add(counts: Counter[str] | None, endpoint: Endpoint) -> None:
    if counts is not None:
        with _counting:  # threads may share the counts
            for name in ("requests", "retries", "seconds_waited"):
                counts[name] += getattr(endpoint, name)


def _seconds(name: str, value: float) -> float:
    return number(name, value, MIN_SECONDS, MAX_SECONDS)


def _pacer(requests_per_minute: float | None, clock: Callable[[], float]) -> Pacer | None:
    name = "requests_per_minute"
    pace = number(name, 0 if requests_per_minute is None else requests_per_minute, 0, MAX_REQUESTS_PER_MINUTE)
    return Pacer(number(name, pace, MIN_REQUESTS_PER_MINUTE, MAX_REQUESTS_PER_MINUTE), clock) if pace else None


def _check_objects(session: object, **functions: object) -> None:
    if session is not None:
        instance("session", session, requests.Session)
    for name, function in functions.items():
        if not callable(function):
            raise ConfigError(f"{name} must be callable, got a value of type {type(function).__name__}")
