"""A client of the API: credentials, limits and requests."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, Self

import requests

from scenario_etl.arguments import check_integer, check_number, check_type
from scenario_etl.auth import Token, resolve_credentials
from scenario_etl.connections import Connections, resolve_base_url
from scenario_etl.errors import APIError, ConfigError
from scenario_etl.locks import ForkSafeLock
from scenario_etl.pages import MAX_PAGES, Pages
from scenario_etl.redact import redact_value
from scenario_etl.retry import OnWait, RateLimiter
from scenario_etl.transport import Endpoint, Transport

MIN_SECONDS, MAX_SECONDS = 0.001, 1_000_000  # of timeout and deadlines
MAX_ATTEMPTS = 1_000_000
MIN_REQUESTS_PER_MINUTE, MAX_REQUESTS_PER_MINUTE = 0.001, 1_000_000
_counts_lock = ForkSafeLock()


class Client:
    """A client of the Scenario API. Several threads can use it at once.

    Args:
        api_key: API key; by default `SCENARIO_SDK_API_KEY`, or the content of `SCENARIO_SDK_API_KEY_FILE`.
        api_secret: Secret of the API key; by default `SCENARIO_SDK_API_SECRET` or `SCENARIO_SDK_API_SECRET_FILE`.
        bearer_token: JWT, or a callable that returns one per request; by default `SCENARIO_SDK_JWT` if no key is set.
        base_url: Base URL; by default `SCENARIO_BASE_URL`, or that of the vendor. http is only allowed for loopback.
        timeout: Read timeout in seconds. Connecting may take 5 s, and a complete response ten times `timeout`.
        attempts: Maximum number of attempts per request.
        deadline: Time limit in seconds for retries, counted from the start of the first attempt of a request.
        connect_deadline: Deadline in seconds for requests that cannot connect to the host; by default `deadline`.
        requests_per_minute: Maximum requests per minute and project, in bursts of up to 100; 0 or None for no limit.
        session: Session with proxies, certificates, headers and adapters to use, but no hooks; it is not closed.
        sleep: Function that waits for a number of seconds.
        clock: Function that returns the time in seconds, for deadlines and rate limiting.

    Attributes:
        base_url: Base URL of the API, without a trailing slash.
        api_name: Name of the API in files: its base URL, or "demo" for the emulator of the command line.

    Raises:
        ConfigError: A credential is missing, or an argument is not valid.

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
        self.base_url = self.api_name = resolve_base_url(base_url)
        credentials = resolve_credentials(api_key, api_secret, bearer_token)
        _check_objects(session, sleep=sleep, clock=clock)
        self._transport = Transport(
            credentials,
            Connections(self.base_url, _seconds("timeout", timeout), session),
            _rate_limiter(requests_per_minute, clock),
            check_integer("attempts", attempts, 1, MAX_ATTEMPTS),
            _seconds("deadline", deadline),
            _seconds("connect_deadline", deadline if connect_deadline is None else connect_deadline),
            sleep,
            clock,
        )

    @property
    def credentials(self) -> str:
        """The kind of credentials, "API key" or "bearer token"."""
        return self._transport.authorization.kind

    @property
    def account(self) -> str:
        """The API key, without its secret; empty for a bearer token."""
        return self._transport.authorization.account

    @property
    def sleep(self) -> Callable[[float], None]:
        """Function that waits for a number of seconds."""
        return self._transport.sleep

    @property
    def deadline(self) -> float:
        """Time limit in seconds for retries."""
        return self._transport.deadline

    def __repr__(self) -> str:
        return f"<scenario_etl.Client {self.base_url} with {self.credentials}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise ConfigError(
            "a Client cannot be pickled or copied: it contains credentials; create one in each process, or pickle a "
            "Scan without a client, and where it is read, call with_client or set the credentials in the environment"
        )

    def arguments(self) -> dict[str, Any]:
        """Return the arguments that create a client with the same settings, for another process.

        They contain the credentials, so they must not be logged.
        """
        transport = self._transport
        return {
            **transport.authorization.arguments,
            "base_url": self.base_url,
            "timeout": transport.connections.timeout,
            "attempts": transport.attempts,
            "deadline": transport.deadline,
            "connect_deadline": transport.connect_deadline,
            "requests_per_minute": transport.rate_limiter and transport.rate_limiter.requests_per_minute,
            "session": transport.connections.user_session,
            "sleep": transport.sleep,
            "clock": transport.clock,
        }

    def redact(self, value: object) -> str:
        """Return a value from the API as one short line, without the queries of URLs and without credentials."""
        return redact_value(value, self._transport.secrets)

    def close(self) -> None:
        """Close the connections, unless a session was passed."""
        self._transport.connections.close()

    def retrieve(
        self,
        path: str,
        record_key: str,
        parameters: Mapping[str, str | int] | None = None,
        *,
        counts: Counter[str] | None = None,
    ) -> dict[str, Any] | None:
        """Return one record, or None if it does not exist (404 or 410 with a body other than HTML).

        Args:
            path: Path below the base URL with a percent-encoded id, such as "/collections/collection_1".
            record_key: Key of the record in the response.
            parameters: Query parameters, with their names in the API.
            counts: Counter to which `requests`, `retries` and `seconds_waited` are added.

        Raises:
            APIError: The request failed; TransientError and AuthError are subclasses.
            ConfigError: The bearer token or the certificates are not valid.

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
        response_timeout: float | None = None,
        sleep: Callable[[float], None] | None = None,
    ) -> Pages:
        """Return the pages of a list. Iterating over them sends one request per page, plus retries and redirects.

        Args:
            path: Path below the base URL, such as "/collections".
            records_key: Key of the list of records in a page.
            parameters: Query parameters, with their names in the API.
            on_wait: Function that is called before each wait with a reason, such as "429", and the seconds.
            max_pages: Maximum number of pages.
            attempts: Maximum number of attempts per request; by default that of the client.
            response_timeout: Maximum seconds for one response, including headers; by default ten times the timeout.
            sleep: Function that waits for a number of seconds; by default that of the client.

        """
        endpoint = Endpoint(
            self._transport, path, parameters, on_wait,
            attempts=attempts, response_timeout=response_timeout, sleep=sleep,
        )  # fmt: skip
        return Pages(endpoint, records_key, max_pages)


def _add(counts: Counter[str] | None, endpoint: Endpoint) -> None:
    if counts is not None:
        with _counts_lock:  # threads may share the counts
            for name in ("requests", "retries", "seconds_waited"):
                counts[name] += getattr(endpoint, name)


def _seconds(name: str, value: float) -> float:
    return check_number(name, value, MIN_SECONDS, MAX_SECONDS)


def _rate_limiter(requests_per_minute: float | None, clock: Callable[[], float]) -> RateLimiter | None:
    name = "requests_per_minute"
    limit = check_number(name, 0 if requests_per_minute is None else requests_per_minute, 0, MAX_REQUESTS_PER_MINUTE)
    if not limit:
        return None
    return RateLimiter(check_number(name, limit, MIN_REQUESTS_PER_MINUTE, MAX_REQUESTS_PER_MINUTE), clock)


def _check_objects(session: object, **functions: object) -> None:
    if session is not None:
        check_type("session", session, requests.Session)
    for name, function in functions.items():
        if not callable(function):
            raise ConfigError(f"{name} must be callable, got a value of type {type(function).__name__}")
