import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from scenario_etl.errors import APIError, TransientError
from scenario_etl.retry import RateLimiter, Retry, RetryableError, TokenBucket, is_retryable, parse_retry_after
from tests.helpers import FakeClock

NOW = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT, the date of RFC 9110


UNCONNECTED = RetryableError(TransientError("GET /x: cannot connect"), "refused", connected=False)


def failing(times: int, error: APIError | None = None):
    """Return an attempt that fails so many times, then gives "page"."""
    left = iter(range(times))

    def attempt() -> str:
        if next(left, None) is not None:
            raise RetryableError(error or TransientError("GET /x: 503", status=503), "503")
        return "page"

    return attempt


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_a_retryable_status(status: int) -> None:
    assert is_retryable(status)


@pytest.mark.parametrize("status", [200, 204, 269, 301, 400, 401, 403, 404, 410, 422, 600])
def test_any_other_status_is_not_retryable(status: int) -> None:
    assert not is_retryable(status)


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({}, {}, None),
        ({"Retry-After": "7"}, {}, 7),
        ({"Retry-After": "0"}, {}, 0),
        ({"Retry-After": "1.5"}, {}, 1.5),
        ({"Retry-After": "-3"}, {}, None),
        ({"Retry-After": "soon"}, {}, None),
        ({"Retry-After": "nan"}, {}, None),
        ({"Retry-After": "1e999"}, {}, None),
        ({"Retry-After": "Sun, 06 Nov 1994 08:50:37 GMT"}, {}, 60),
        ({"Retry-After": "Fri, 31 Dec 2026 23:59:59 +99999999999999999999"}, {}, None),
        ({"Retry-After": "Sun Nov  6 08:50:37 1994"}, {}, 60),
        ({"Retry-After": "Sunday, 06-Nov-94 08:49:00 GMT"}, {}, 0),
        ({}, {"remainingSeconds": 12}, 12),
        ({}, {"details": {"remainingSeconds": 12}}, 12),
        ({}, {"remainingSeconds": True}, None),
        ({}, {"remainingSeconds": None, "details": []}, None),
        ({}, ["remainingSeconds"], None),
        ({"Retry-After": "7"}, {"remainingSeconds": 12}, 12),
    ],
)
def test_retry_after_is_read_from_header_and_body(headers, body, seconds) -> None:
    assert parse_retry_after(headers, body, NOW) == seconds


def test_waits_grow_from_one_second_to_a_minute_and_outlast_two_windows(clock: FakeClock) -> None:
    retry = Retry(8, 300, clock.sleep, clock)
    assert retry(failing(7)) == "page"
    for number, wait in enumerate(clock.waits):
        assert min(2**number, 60) <= wait <= min(2**number + 1, 60)
    assert sum(clock.waits) >= 123
    assert (retry.retries, retry.seconds_waited) == (7, sum(clock.waits))


def test_no_attempt_is_sooner_than_retry_after(clock: FakeClock) -> None:
    assert Retry(8, 300, clock.sleep, clock)(failing(2, TransientError("429", retry_after=40))) == "page"
    assert clock.waits == [40, 40]


def test_the_backoff_applies_where_retry_after_is_shorter(clock: FakeClock) -> None:
    Retry(8, 300, clock.sleep, clock)(failing(3, TransientError("429", retry_after=0.5)))
    assert clock.waits[2] >= 4


def test_the_last_error_has_the_number_of_attempts(clock: FakeClock) -> None:
    with pytest.raises(TransientError, match=r"GET /x: 503 \(3 attempts in \d+ s\); run again later") as caught:
        Retry(3, 300, clock.sleep, clock)(failing(9))
    assert (caught.value.status, caught.value.attempts, len(clock.waits)) == (503, 3, 2)


def test_a_retry_after_beyond_the_deadline_ends_it_at_once_and_the_error_says_so(clock: FakeClock) -> None:
    message = (
        "429; the server asked the client to wait 3,600 s, which would exceed the deadline of 300 s (0 s have passed); "
        "run again later, or increase --deadline (deadline=)"
    )
    with pytest.raises(TransientError, match=re.escape(message)) as caught:
        Retry(8, 300, clock.sleep, clock)(failing(9, TransientError("429", retry_after=3600)))
    assert (clock.waits, caught.value.retry_after, caught.value.attempts) == ([], 3600, 1)


def test_the_last_attempt_starts_before_the_deadline(clock: FakeClock) -> None:
    def slow_attempt() -> None:
        clock.now += 60
        raise RetryableError(TransientError("stalled"), "stalled")

    with pytest.raises(TransientError):
        Retry(99, 300, clock.sleep, clock)(slow_attempt)
    assert clock.now - 60 <= 300


def test_without_any_connection_the_last_attempt_starts_before_the_connect_deadline(clock: FakeClock) -> None:
    def refused() -> None:
        raise UNCONNECTED

    for _ in range(2):  # requests, each with its own
        started = clock.now
        with pytest.raises(TransientError, match=r" \(5 attempts in 1\d s\); run again later"):
            Retry(99, 300, clock.sleep, clock, connect_deadline=20)(refused)
        assert 15 <= clock.now - started <= 20
    with pytest.raises(TransientError, match="2 attempts in"):
        Retry(99, 3, clock.sleep, clock, connect_deadline=20)(refused)


def test_after_one_connection_the_deadline_is_that_of_every_request(clock: FakeClock) -> None:
    failures = iter([UNCONNECTED, RetryableError(TransientError("GET /x: 503"), "503"), *[UNCONNECTED] * 5])

    def attempt() -> str:
        if failed := next(failures, None):
            raise failed
        return "page"

    assert Retry(8, 300, clock.sleep, clock, connect_deadline=20)(attempt) == "page"
    assert clock.now > 100


def test_a_connection_for_one_request_counts_for_that_one_only(clock: FakeClock) -> None:
    retry = Retry(8, 300, clock.sleep, clock, connect_deadline=20)
    assert retry(failing(1)) == "page"
    started = clock.now

    def refused() -> None:
        raise UNCONNECTED

    with pytest.raises(TransientError):
        retry(refused)
    assert clock.now - started <= 20


def test_each_request_has_a_deadline_of_its_own(clock: FakeClock) -> None:
    retry = Retry(8, 300, clock.sleep, clock)
    for _ in range(20):
        assert retry(failing(6)) == "page"


def test_the_kind_of_error_is_kept_when_attempts_are_used_up(clock: FakeClock) -> None:
    with pytest.raises(APIError) as caught:
        Retry(2, 300, clock.sleep, clock)(failing(9, APIError("no list")))
    assert type(caught.value) is APIError


def test_any_other_error_is_raised_at_once(clock: FakeClock) -> None:
    def attempt() -> None:
        raise APIError("404")

    with pytest.raises(APIError):
        Retry(8, 300, clock.sleep, clock)(attempt)
    assert clock.waits == []


def test_a_hundred_requests_do_not_wait_then_one_every_600_milliseconds(clock: FakeClock) -> None:
    bucket = TokenBucket(100, clock)
    assert [bucket.take() for _ in range(100)] == [0.0] * 100
    for _ in range(10):
        wait = bucket.take()
        assert wait == pytest.approx(0.6)
        clock.sleep(wait)


def test_a_full_minute_of_rest_fills_the_bucket_and_no_more(clock: FakeClock) -> None:
    bucket = TokenBucket(100, clock)
    for _ in range(100):
        bucket.take()
    clock.sleep(3600)
    assert [bucket.take() for _ in range(100)] == [0.0] * 100
    assert bucket.take() > 0


def test_a_slow_rate_has_small_bursts(clock: FakeClock) -> None:
    bucket = TokenBucket(6, clock)
    assert [bucket.take() for _ in range(6)] == [0.0] * 6
    assert bucket.take() == pytest.approx(10)


def test_requests_of_one_project_do_not_delay_those_of_another(clock: FakeClock) -> None:
    limiter = RateLimiter(100, clock)
    assert [limiter.take("a") for _ in range(100)] == [0.0] * 100
    assert [limiter.take("b") for _ in range(100)] == [0.0] * 100
    assert limiter.take("a") == pytest.approx(0.6)
    assert limiter.take("b") == pytest.approx(0.6)


def test_a_request_without_a_project_takes_from_the_bucket_of_every_project(clock: FakeClock) -> None:
    limiter = RateLimiter(100, clock)
    limiter.take("a")
    limiter.take("b")
    assert [limiter.take(None) for _ in range(99)] == [0.0] * 99
    assert [limiter.take("a"), limiter.take("b")] == [pytest.approx(0.6)] * 2


def test_a_request_without_a_project_waits_for_the_longest_of_all_buckets(clock: FakeClock) -> None:
    limiter = RateLimiter(100, clock)
    for _ in range(100):
        limiter.take("a")
    for _ in range(104):
        limiter.take("b")
    assert limiter.take(None) == pytest.approx(3.0)


def test_a_new_project_starts_with_the_requests_without_a_project(clock: FakeClock) -> None:
    limiter = RateLimiter(100, clock)
    for _ in range(100):
        limiter.take(None)
    assert limiter.take("a") == pytest.approx(0.6)
    clock.sleep(60)
    assert [limiter.take("b") for _ in range(100)] == [0.0] * 100


def test_requests_of_two_projects_and_without_one_keep_each_project_below_its_limit(clock: FakeClock) -> None:
    limiter = RateLimiter(100, clock)
    sent: dict[str | None, list[float]] = {"a": [], "b": [], None: []}
    for number in range(600):
        project = ("a", None, "b", "a")[number % 4]
        clock.sleep(limiter.take(project))
        sent[project].append(clock.now)
    for project in ("a", "b"):
        times = sorted(sent[project] + sent[None])
        minutes = [sum(start <= time < start + 60 for time in times) for start in times]
        assert max(minutes) <= 200  # a burst, and what a minute adds to it


def test_many_threads_take_one_token_each(clock: FakeClock) -> None:
    limiter = RateLimiter(100, clock)
    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(lambda number: limiter.take(("a", None)[number % 2]), range(400)))
    assert sum(wait == 0 for wait in waits) == 100
    assert max(waits) == pytest.approx(300 * 0.6)


def test_a_wait_for_the_rate_limit_before_the_first_attempt_takes_nothing_from_the_deadline(clock: FakeClock) -> None:
    def wait() -> None:
        clock.now += 200

    retry = Retry(8, 300, clock.sleep, clock, before_attempt=wait)
    assert retry(failing(1)) == "page"
    with pytest.raises(TransientError, match="3 attempts in"):
        retry(failing(9))
