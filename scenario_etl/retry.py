"""Retries (retryable failures, waiting times, limits) and rate limiting."""

import copy
import math
import time
from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TypeVar

import tenacity

from scenario_etl.errors import APIError
from scenario_etl.locks import ForkSafeLock

FIRST_WAIT = 1.0  # seconds
MAX_WAIT = 60.0  # seconds; the documented limit is per minute
BURST = 100  # requests without a pause: the documented limit per minute

OnWait = Callable[[str, float], None]  # called with a reason, such as "429", and seconds
Result = TypeVar("Result")


class RetryableError(Exception):
    """One attempt failed, and another may succeed.

    Attributes:
        error: The error to raise after the last attempt.
        reason: A short reason for the log and the progress bar, such as "429".
        advice: The end of the error message, after the number of attempts.
        connected: Whether there was a connection; False if the host name was not resolved, for example.

    """

    def __init__(
        self, error: APIError, reason: str, advice: str = "run again later", *, connected: bool = True
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.reason = reason
        self.advice = advice
        self.connected = connected


def is_retryable(status: int) -> bool:
    """Return whether an error with this status is retryable.

    The sources are RFC 9110 for 408 and 5xx, RFC 8470 for 425, and RFC 6585 for 429.
    """
    return status in {408, 425, 429} or 500 <= status <= 599


def parse_retry_after(headers: Mapping[str, str], body: object, now: float) -> float | None:
    """Return the number of seconds that the server asks the client to wait, None if there is no valid one.

    It is the maximum of `Retry-After`, in seconds or as a date (RFC 9110, 10.2.3), and `remainingSeconds` in the JSON
    body, at the top level or in `details`, as in a 429 of the API. `now` is in seconds since the epoch.
    """
    waits = [_seconds(headers.get("Retry-After", ""), now)]
    if isinstance(body, dict):
        details = body.get("details")
        places = (body, details if isinstance(details, dict) else {})
        waits += [_number(place.get("remainingSeconds")) for place in places]
    return max((seconds for seconds in waits if seconds is not None), default=None)


def _seconds(text: str, now: float) -> float | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return _number(text)
    return max(0.0, date.replace(tzinfo=date.tzinfo or UTC).timestamp() - now)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    return seconds if 0 <= seconds < math.inf else None


class Retry:
    """Runs one request at a time, and retries it after a RetryableError.

    The wait before a retry is the maximum of `retry_after` and an exponential backoff with jitter (1 s to 60 s); eight
    attempts take longer than two of the one-minute windows of the API. There is no retry after `attempts` attempts, or
    if it would start more than `deadline` seconds after the first attempt, or `connect_deadline` seconds if no attempt
    had a connection. `before_attempt` is called before each attempt; the deadlines start when it first returns.

    Attributes:
        retries: Number of retries of all requests so far.
        seconds_waited: Seconds spent waiting between attempts, for all requests so far.

    """

    def __init__(
        self,
        attempts: float,
        deadline: float,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        on_retry: Callable[[RetryableError, float], None] = lambda *_: None,
        *,
        before_attempt: Callable[[], None] = lambda: None,
        connect_deadline: float = math.inf,
    ) -> None:
        self.retries = 0
        self.seconds_waited = 0.0
        self._deadline = deadline
        self._connect_deadline = min(deadline, connect_deadline)
        self._connected = False
        self._clock = clock
        self._started = clock()
        self._on_retry = on_retry
        self._before_attempt = before_attempt
        self._backoff = tenacity.wait_exponential_jitter(initial=FIRST_WAIT, max=MAX_WAIT)
        self._retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(RetryableError),
            wait=self._wait,
            stop=lambda state: state.attempt_number >= attempts or self._is_past_deadline(state),
            sleep=sleep,
            before=self._start,
            before_sleep=self._count,
            retry_error_callback=self._give_up,
        )

    def __call__(self, attempt: Callable[[], Result]) -> Result:
        """Return the result of `attempt()`; raise the error of the last failure with the number of attempts."""
        return self._retrying(attempt)

    def _start(self, state: tenacity.RetryCallState) -> None:
        self._before_attempt()
        if state.attempt_number == 1:
            self._started = self._clock()
            self._connected = False

    def _wait(self, state: tenacity.RetryCallState) -> float:
        return max(_failure(state).error.retry_after or 0.0, self._backoff(state))

    def _is_past_deadline(self, state: tenacity.RetryCallState) -> bool:
        self._connected |= _failure(state).connected
        deadline = self._deadline if self._connected else self._connect_deadline
        return self._clock() - self._started + state.upcoming_sleep > deadline

    def _count(self, state: tenacity.RetryCallState) -> None:
        self.retries += 1
        self.seconds_waited += state.upcoming_sleep
        self._on_retry(_failure(state), state.upcoming_sleep)

    def _give_up(self, state: tenacity.RetryCallState) -> None:
        failure = _failure(state)
        elapsed = self._clock() - self._started
        error = failure.error
        wait = error.retry_after
        if wait is not None and elapsed + wait > self._deadline:
            reason = (
                f"; the server asked the client to wait {wait:,.0f} s, which would exceed the deadline of "
                f"{self._deadline:,g} s ({elapsed:.0f} s have passed); run again later, or increase --deadline "
                "(deadline=)"
            )
        else:
            count = f" ({state.attempt_number} attempts in {elapsed:.0f} s)" if state.attempt_number > 1 else ""
            reason = f"{count}; {failure.advice}"
        raise type(error)(
            f"{error}{reason}", status=error.status, retry_after=wait, attempts=state.attempt_number
        ) from failure.__cause__


def _failure(state: tenacity.RetryCallState) -> RetryableError:
    failure = state.outcome.exception() if state.outcome else None
    assert isinstance(failure, RetryableError)  # noqa: S101 - the only exception that is retried
    return failure


class TokenBucket:
    """A rate limit: bursts of up to `BURST` requests, and `requests_per_minute` on average."""

    def __init__(self, requests_per_minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = requests_per_minute / 60
        self._size = max(1.0, min(float(BURST), requests_per_minute))
        self._tokens = self._size
        self._clock = clock
        self._filled = -math.inf  # the clock is first read by a request

    def take(self) -> float:
        """Take one token and return the seconds to wait before the request may be sent."""
        now = self._clock()
        self._tokens = min(self._size, self._tokens + (now - self._filled) * self._per_second) - 1
        self._filled = now
        return max(0.0, -self._tokens / self._per_second)


class RateLimiter:
    """One token bucket per project, safe for several threads: the API allows 100 requests per minute and project.

    The server counts a request without a project for a project that is unknown here. Such a request takes a token from
    every bucket, and from a bucket of its own; the bucket of a new project starts as a copy of that one.

    Attributes:
        requests_per_minute: The rate limit of each project.

    """

    def __init__(self, requests_per_minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.requests_per_minute = requests_per_minute
        self._lock = ForkSafeLock()
        self._without_project = TokenBucket(requests_per_minute, clock)
        self._by_project: dict[str, TokenBucket] = {}

    def take(self, project: str | None) -> float:
        """Take a token for a request and return the seconds to wait before it may be sent.

        Args:
            project: The id of the project, None for a request without one.

        """
        with self._lock:
            if project is None:
                return max(bucket.take() for bucket in (self._without_project, *self._by_project.values()))
            if project not in self._by_project:
                self._by_project[project] = copy.copy(self._without_project)
            return self._by_project[project].take()
