"""A connection to the API, and the walk from token to token over the pages of a listing."""

import hashlib
import ipaddress
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, Self
from urllib.parse import quote, urlsplit

import requests

from scenario_etl.arguments import instance, number, whole_number
from scenario_etl.auth import Token, authorization
from scenario_etl.errors import APIError, ConfigError, PaginationError
from scenario_etl.redact import redact
from scenario_etl.retry import Waiting
from scenario_etl.transport import Requests, Transport

BASE_URL = "https://api.cloud.scenario.com/v1"
MAX_EMPTY_PAGES = 10
MAX_PAGES = 100_000
SECONDS = 0.001, 1_000_000  # the least and the most of timeout and deadline
MAX_ATTEMPTS = 1_000_000
MAX_REQUESTS_PER_MINUTE = 1_000_000


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
        timeout: the longest silence on the socket, in seconds; connecting may take 5 s at most, an answer as a whole
            ten times `timeout`.
        attempts: how often one request is sent at most.
        deadline: seconds from the first attempt of a request to the start of its last.
        connect_deadline: the same, as long as no connection can be made, because the host name is not resolved or
            connections are refused, for example; None is `deadline`.
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
        connect_deadline: float | None = None,
        requests_per_minute: float | None = 100,
        session: requests.Session | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        chosen = base_url if base_url is not None else os.environ.get("SCENARIO_BASE_URL") or BASE_URL
        self.base_url = _checked_base_url(chosen)
        self.api_name = self.base_url
        credentials = authorization(api_key, api_secret, bearer_token)
        if session is not None:
            instance("session", session, requests.Session)
        for name, function in {"sleep": sleep, "clock": clock}.items():
            if not callable(function):
                raise ConfigError(f"{name} must be callable, got a value of type {type(function).__name__}")
        pace = number(
            "requests_per_minute",
            0 if requests_per_minute is None else requests_per_minute,
            0,
            MAX_REQUESTS_PER_MINUTE,
        )
        self._transport = Transport(
            self.base_url,
            credentials,
            timeout=number("timeout", timeout, *SECONDS),
            attempts=whole_number("attempts", attempts, 1, MAX_ATTEMPTS),
            deadline=number("deadline", deadline, *SECONDS),
            connect_deadline=number(
                "connect_deadline", deadline if connect_deadline is None else connect_deadline, *SECONDS
            ),
            requests_per_minute=pace and number("requests_per_minute", pace, 0.001, MAX_REQUESTS_PER_MINUTE),
            session=session,
            sleep=sleep,
            clock=clock,
        )

    @property
    def credentials(self) -> str:
        """The kind of credentials in use, "API key" or "bearer token"; never themselves."""
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
        raise ConfigError("a Client holds credentials, so it cannot be pickled or copied: make one where it is used")

    def redact(self, value: object) -> str:
        """Return a value of the API as it may be shown: one short line, without URL queries and credentials."""
        return self._transport.redact(value)

    def close(self) -> None:
        """Close the connections, unless the session is your own."""
        self._transport.close()

    def retrieve(
        self,
        path: str,
        record_key: str,
        parameters: Mapping[str, str | int] | None = None,
        *,
        counts: Counter[str] | None = None,
    ) -> dict[str, Any] | None:
        """Return one record as the API has it now, None where it has none (404, 410, but no page of HTML).

        It is paced and retried as a page is.

        Args:
            path: below the base URL, with the id percent-encoded, such as "/collections/collection_1".
            record_key: the key of the record in the response.
            parameters: the query, by the API's own names.
            counts: `requests`, `retries` and `seconds_waited` are added to it.

        Raises:
            APIError: or its kinds TransientError and AuthError: the record did not come.

        """
        sent = Requests(self._transport, path, parameters or {})
        try:
            found: dict[str, Any] = sent.get(record_key, dict).value
        except APIError as error:
            if error.status in {404, 410} and not sent.is_web_page:
                return None
            raise
        finally:
            if counts is not None:
                counts["requests"] += sent.requests
                counts["retries"] += sent.retries
                counts["seconds_waited"] += sent.seconds_waited  # type: ignore[assignment] # a Counter holds any number
        return found

    def pages(
        self,
        path: str,
        records_key: str,
        parameters: Mapping[str, str | int],
        on_wait: Waiting | None = None,
        *,
        max_pages: int = MAX_PAGES,
        attempts: int | None = None,
        seconds: float | None = None,
    ) -> "Pages":
        """Return a Walk over the pages of a listing.

        Args:
            path: below the base URL, such as "/collections".
            records_key: the key of the page's list of records.
            parameters: the query, by the API's own names.
            on_wait: called with a reason ("429") and seconds before each wait.
            max_pages: how many pages the listing may have.
            attempts: how often one request is sent at most; None is as the client has it.
            seconds: for one response, headers included; None is ten times the client's timeout.

        """
        return Pages(
            self._transport, path, records_key, parameters, on_wait,
            max_pages=max_pages, attempts=attempts, seconds=seconds,
        )  # fmt: skip


class Pages:
    """One pass over the pages of a listing. Iterating over it makes the requests.

    Only an absent, null or empty token ends it. One request is retried, never the whole.

    Attributes:
        pages: how many pages came.

    """

    def __init__(
        self,
        transport: Transport,
        path: str,
        records_key: str,
        parameters: Mapping[str, str | int],
        on_wait: Waiting | None = None,
        *,
        max_pages: int = MAX_PAGES,
        attempts: int | None = None,
        seconds: float | None = None,
    ) -> None:
        self.pages = 0
        self._max_pages = max_pages
        self._chain = hashlib.sha256()
        self._records_key = records_key
        self._transport = transport
        self._requests = Requests(transport, path, parameters, on_wait, attempts=attempts, seconds=seconds)

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
                "time; the listing goes in a circle; report it to the vendor"
            )
        if empty_pages >= MAX_EMPTY_PAGES:
            raise PaginationError(
                f"{self._requests.url}: {empty_pages} consecutive empty pages, up to page {self.pages}, each with a "
                "token for one more; report it to the vendor"
            )
        if self.pages >= self._max_pages:
            raise PaginationError(
                f"{self._requests.url}: page {self.pages} has a token for one more, but max_pages is "
                f"{self._max_pages}; raise it if the listing is that long (--max-pages, max_pages=)"
            )
        seen.add(token)
        self._chain.update(token.encode() + b"\n")

    def _page(self, url: str) -> Page:
        self._requests.page = self.pages + 1
        answer = self._requests.get(self._records_key, list, url)
        return Page(answer.value, self._next_token(answer.document.get("nextPaginationToken")), answer.size)

    def _next_token(self, token: object) -> str | None:
        if token is None or token == "":
            return None
        if isinstance(token, str) and not re.search("[\ud800-\udfff]", token):
            return token
        raise PaginationError(
            f"{self._requests.asked}: nextPaginationToken is {self._transport.redact(token)}, expected text; report it "
            "to the vendor"
        )


def _checked_base_url(given: object) -> str:
    url = given.strip() if isinstance(given, str) else ""
    try:
        parts = urlsplit(url)
        requests.Request("GET", url, params={"port": str(parts.port)}).prepare()
        usable = bool(parts.hostname and parts.hostname.encode("idna"))
    except ValueError:
        usable = False
    if not usable or parts.scheme not in {"http", "https"} or parts.query or parts.fragment:
        raise ConfigError(
            f"the base URL {redact(given, 200)!r} is not valid; use one like {BASE_URL}, without a query or a fragment"
        )
    if parts.username is not None or parts.password is not None:
        raise ConfigError("the base URL holds credentials: take them out, and set the SCENARIO_SDK_ variables")
    if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        raise ConfigError(f"the base URL {redact(url, 200)} would send the credentials unencrypted: use https")
    return url.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _with_token(url: str, token: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}paginationToken={quote(token, safe='')}"
