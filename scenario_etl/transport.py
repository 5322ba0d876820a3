"""One GET request: credentials, rate limiting, retries, and redirects within the origin."""

import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

import requests
import urllib3

from scenario_etl.auth import MAX_RECENT_TOKENS, BasicAuth, BearerAuth
from scenario_etl.connections import Connections
from scenario_etl.errors import APIError, TransientError
from scenario_etl.filters import PROJECT_ID
from scenario_etl.redact import MAX_QUOTED_CHARACTERS, redact, redact_response, redact_value
from scenario_etl.response import Content, Response, build_error, parse_content, read_body, redirect_target
from scenario_etl.retry import OnWait, RateLimiter, Retry, RetryableError
from scenario_etl.watchdog import Watch

TIMEOUTS_PER_RESPONSE = 10  # a complete response may take this many times the read timeout
MAX_REDIRECTS = 5
LONG_WAIT = 5.0  # seconds; a longer wait is logged as a warning, which Python shows by default

logger = logging.getLogger("scenario_etl")


@dataclass(frozen=True, slots=True)
class Transport:
    """State that all requests of a client share. Several threads can use it at once.

    Attributes:
        authorization: The credentials.
        connections: The connections that send the requests.
        rate_limiter: The rate limit of the requests, None without one.
        attempts: Maximum number of attempts per request.
        deadline: Time limit in seconds for retries, counted from the start of the first attempt of a request.
        connect_deadline: Deadline in seconds for requests that cannot connect.
        sleep: Function that waits for a number of seconds.
        clock: Function that returns the time in seconds.

    """

    authorization: BasicAuth | BearerAuth
    connections: Connections
    rate_limiter: RateLimiter | None
    attempts: int
    deadline: float
    connect_deadline: float
    sleep: Callable[[float], None]
    clock: Callable[[], float]

    @property
    def secrets(self) -> list[str]:
        """Secrets to redact in the text of every response."""
        return [*self.authorization.secrets, *self.connections.secrets]


class Endpoint:
    """Sends GET requests to one path with one query, one at a time. Each thread uses its own endpoint.

    Attributes:
        url: The URL of the first request.
        requests: Number of requests, including retries and redirects.
        page: Number of the requested page, None for a single record.
        date_header: The header `Date` of the last response with status 200, None if it has none.
        is_web_page: Whether the last failure was an HTML page, and so did not come from the API.

    """

    def __init__(
        self,
        transport: Transport,
        path: str,
        parameters: Mapping[str, str | int],
        on_wait: OnWait | None = None,
        *,
        attempts: int | None = None,
        response_timeout: float | None = None,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        self.url = f"{transport.connections.base_url}{path}?{urlencode(parameters)}".rstrip("?")
        self.requests = 0
        self.page: int | None = None
        self.is_web_page = False
        project = parameters.get(PROJECT_ID.api_name)
        self._project = None if project is None else str(project)
        self._project_text = redact_value(self._project, transport.secrets)
        self._seconds_limited = 0.0
        self._response_timeout = response_timeout or TIMEOUTS_PER_RESPONSE * transport.connections.timeout
        self.date_header: str | None = None
        self._transport = transport
        self._sleep = sleep or transport.sleep
        self._on_wait = on_wait
        self._retry = Retry(
            attempts or transport.attempts,
            transport.deadline,
            self._sleep,
            transport.clock,
            self._log_retry,
            before_attempt=self._limit_rate,
            connect_deadline=transport.connect_deadline,
        )
        self._request = transport.connections.prepare(self.url)
        self._credentials: deque[str] = deque(maxlen=MAX_RECENT_TOKENS)  # of its own requests

    @property
    def description(self) -> str:
        """Description of the request for messages, such as "GET https://... (project proj_a, page 2)"."""
        if self._project is None:
            return f"GET {self.url} (page {self.page})" if self.page else f"GET {self.url}"
        page = f", page {self.page}" if self.page else ""
        return f"GET {self.url} (project {self._project_text}{page})"

    @property
    def retries(self) -> int:
        """Number of retries."""
        return self._retry.retries

    @property
    def seconds_waited(self) -> float:
        """Seconds spent waiting for retries and rate limiting."""
        return self._retry.seconds_waited + self._seconds_limited

    @property
    def _secrets(self) -> list[str]:
        return [*self._transport.secrets, *self._credentials]

    def quote(self, text: str | bytes | None) -> str:
        """Return text of a response as one short line, without tags, secrets or the queries of URLs."""
        return redact_response(text, self._secrets)

    def redact(self, value: object) -> str:
        """Return a value of a response as one short line, without secrets or the queries of URLs."""
        return redact_value(value, self._secrets)

    def get(self, key: str, kind: type, url: str | None = None) -> Content:
        """Send the request, and return the value of a key in the JSON response; it must be of this type.

        Raises:
            APIError: The request failed; TransientError and AuthError are subclasses.
            ConfigError: The bearer token or the certificates are not valid.

        """
        return self._retry(lambda: self._attempt(key, kind, url or self.url))

    def _attempt(self, key: str, kind: type, requested: str) -> Content:
        """Follow redirects within the origin, and refresh a bearer token once."""
        authorization = self._transport.authorization
        url = requested
        refreshed = False
        for number in range(MAX_REDIRECTS + 1):
            if number:
                self._limit_rate()
            response = self._send(url, is_redirected=url != requested)
            if isinstance(response, Exception):  # raised here, because the errors of requests contain the credentials
                raise response
            if response.status == 200:
                self.date_header = response.headers.get("Date")
                return parse_content(response.body, key, kind, self.description, self.quote)
            if response.status in {301, 302, 303, 307, 308}:
                url = redirect_target(response, url, self._transport.connections.base_url, self.description, self.quote)
            elif not refreshed and authorization.can_refresh(
                response.status, response.headers.get("x-amzn-errortype", "")
            ):
                refreshed = True
            else:
                self.is_web_page = response.is_web_page
                raise build_error(response, self.description, authorization.advice, self.quote)
        raise APIError(f"{self.description}: more than {MAX_REDIRECTS} redirects; check the base URL")

    def _send(self, url: str, *, is_redirected: bool) -> Response | Exception:
        """Send the request once, and return the response, or the exception to raise."""
        self.requests += 1
        if logger.isEnabledFor(logging.DEBUG):
            target = f", redirected to {redact(url, MAX_QUOTED_CHARACTERS)}" if is_redirected else ""
            logger.debug("%s%s", redact(self.description, MAX_QUOTED_CHARACTERS), target)
        authorization = self._transport.authorization
        try:
            credentials = authorization.credentials()
        except TransientError as error:
            return RetryableError(TransientError(f"{self.description}: {error}"), "no token")
        self._credentials.append(credentials)
        self._request.headers["Authorization"] = f"{authorization.scheme} {credentials}"
        self._request.url = url
        try:
            return _exchange(self, self._transport, self._request, self._response_timeout)
        finally:
            authorization.release(credentials)

    def _limit_rate(self) -> None:
        seconds = self._transport.rate_limiter.take(self._project) if self._transport.rate_limiter else 0.0
        if seconds:
            self._seconds_limited += seconds
            self._log_wait(logging.DEBUG, "rate limiting", "waiting", seconds)
            self._sleep(seconds)

    def _log_retry(self, failure: RetryableError, seconds: float) -> None:
        is_warning = seconds > LONG_WAIT or not failure.connected  # the base URL may be wrong
        self._log_wait(logging.WARNING if is_warning else logging.INFO, failure.reason, "retrying in", seconds)

    def _log_wait(self, level: int, reason: str, action: str, seconds: float) -> None:
        request = redact(self.description, MAX_QUOTED_CHARACTERS)
        fields = {"request": request, "reason": reason, "seconds": round(seconds, 1)}
        message = f"%(request)s: %(reason)s, {action} %(seconds).1f s"
        logger.log(level, message, fields, extra={"event": "waiting", "fields": fields | {"page": self.page}})
        if self._on_wait:
            self._on_wait(reason, seconds)


def _exchange(
    endpoint: Endpoint, transport: Transport, request: requests.PreparedRequest, seconds: float
) -> Response | Exception:
    """Send a prepared request, and return the response, or the exception to raise."""
    status = None
    with Watch(seconds) as watch:
        ends = transport.clock() + seconds
        try:
            with transport.connections.send(request) as response:
                status = response.status_code
                body = read_body(response, lambda: transport.clock() > ends)
                if watch.timed_out and status == 200:
                    raise TimeoutError
            return Response(status, response.reason, response.headers, str(response.url), body)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            late = watch.timed_out or transport.clock() > ends
            cause = TimeoutError(f"not complete after {seconds:g} s") if late else error
            return transport.connections.build_error(endpoint.description, cause, status, endpoint.quote)
