import logging
import re
import socket
from contextlib import ExitStack, suppress

import pytest
import requests

from scenario_etl import Client, Emulator
from scenario_etl.emulator import SIGN_IN_PAGE, Fault
from scenario_etl.errors import APIError, AuthError, TransientError
from tests.helpers import answering, page, pages, record


@pytest.mark.parametrize(
    "error",
    [
        requests.ConnectionError("reset"),
        requests.Timeout("silent"),
        requests.exceptions.ChunkedEncodingError("short"),
        requests.exceptions.SSLError("handshake"),
    ],
)
def test_a_transport_error_is_retried_then_exit_75(error) -> None:
    client, adapter = answering(error)
    with pytest.raises(TransientError, match="no response") as caught:
        pages(client)
    assert (caught.value.status, len(adapter.requests), caught.value.attempts) == (None, 8, 8)


def test_a_refused_connection_is_a_warning_at_once_and_says_what_to_check(refusing: str, clock, caplog) -> None:
    client = Client("k", "s", base_url=refusing, sleep=clock.sleep, clock=clock, attempts=2)
    with pytest.raises(TransientError) as caught:
        pages(client)
    (warning,) = caplog.records
    assert (warning.levelname, warning.fields["reason"]) == ("WARNING", "Connection refused")
    assert warning.getMessage().endswith(f"(page 1): Connection refused, retrying in {clock.waits[0]:.1f} s")
    assert re.search(
        r"cannot connect: \[Errno \d+\] Connection refused \(2 attempts in \d s\); "
        r"check the base URL and the network, or run again later$",
        str(caught.value),
    )


def test_a_host_name_that_cannot_be_resolved_is_a_warning_at_once(monkeypatch, clock, caplog) -> None:
    def unresolved(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unresolved)  # a real one may take as long as it likes
    client = Client("k", "s", base_url="https://api.example/v1", sleep=clock.sleep, clock=clock, connect_deadline=20)
    with pytest.raises(TransientError, match=r"cannot connect: .*Name or service not known \(5 attempts.*base URL"):
        pages(client)
    assert {record.levelname for record in caplog.records} == {"WARNING"}
    assert "Name or service not known, retrying in" in caplog.text


def test_a_host_that_does_not_respond_is_no_connection_either(clock, caplog) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        with suppress(TimeoutError):
            while True:  # until the system takes no more on behalf of a program that accepts none
                stack.enter_context(socket.create_connection(server.getsockname(), timeout=0.1))
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        arguments = {"timeout": 0.1, "connect_deadline": 5}
        client = Client("k", "s", base_url=url, sleep=clock.sleep, clock=clock, **arguments)
        with pytest.raises(TransientError, match=r"cannot connect: timed out \(3 attempts in"):
            pages(client)
    assert "timed out, retrying in" in caplog.text


def test_a_proxy_that_cannot_be_reached_is_named(monkeypatch, refusing: str, clock) -> None:
    monkeypatch.setenv("HTTPS_PROXY", refusing)
    client = Client("k", "s", base_url="https://api.example/v1", sleep=clock.sleep, clock=clock)
    with pytest.raises(TransientError, match=r"cannot connect to the proxy: .*; check HTTPS_PROXY and the network"):
        pages(client)


def test_an_untrusted_certificate_is_final() -> None:
    client, adapter = answering(requests.exceptions.SSLError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"))
    with pytest.raises(APIError, match="REQUESTS_CA_BUNDLE"):
        pages(client)
    assert len(adapter.requests) == 1


@pytest.mark.parametrize(
    "fault", [Fault(reset=True), Fault(cut=50), SIGN_IN_PAGE, Fault(status=503), Fault(status=429)]
)
def test_a_request_to_a_real_server_that_fails_once_is_retried(fault: Fault, connect) -> None:
    with Emulator(250, faults=[None, fault]) as api:
        pages = connect(api).pages("/collections", "collections", {"pageSize": 100})
        assert sum(len(page.records) for page in pages) == 250
        assert (pages.requests, pages.retries) == (4, 1)


def test_a_response_that_trickles_is_given_up_after_ten_timeouts(clock) -> None:
    class Trickle:
        def read1(self, amount: int, decode_content: bool) -> bytes:
            clock.sleep(0.9)
            return b" "

    client, adapter = answering((200, {}, b""), clock=clock, timeout=1.0, attempts=1)
    send = adapter.send

    def trickling(*arguments, **settings):
        response = send(*arguments, **settings)
        response.raw.read1 = Trickle().read1
        return response

    adapter.send = trickling  # the adapter is the fake; the client is real
    with pytest.raises(TransientError, match="not complete after 10 s"):
        pages(client)
    assert 10 < clock.now < 11


# Redirects


def test_a_refusal_that_breaks_off_is_still_a_refusal(connect) -> None:
    with Emulator(faults=[Fault(status=401, body="x" * 100, cut=10)]) as api:
        with pytest.raises(AuthError):
            pages(connect(api))
        assert len(api.requests) == 1


def test_a_redirect_within_the_origin_is_followed_with_the_credentials() -> None:
    client, adapter = answering((307, {"Location": "/v2/collections?x=1"}, b""), page(1))
    assert pages(client)[0].records == [1]
    assert adapter.requests[1].url == "https://api.example/v2/collections?x=1"
    assert "Authorization" in adapter.requests[1].headers


@pytest.mark.parametrize(
    ("location", "lost"), [("/v1/collections/", "projectId"), ("/v1/collections?projectId=other", "projectId")]
)
def test_a_redirect_that_loses_a_part_of_the_query_is_rejected(location: str, lost: str) -> None:
    client, adapter = answering((308, {"Location": location}, b""), page(1))
    with pytest.raises(APIError, match=f"without the parameter {lost}; check the base URL"):
        pages(client, projectId="p1", pageSize=100)
    assert len(adapter.requests) == 1


@pytest.mark.parametrize(
    "location",
    [
        "https://elsewhere.example/v1",
        "http://api.example/v1",
        "https://api.example:444/v1",
        "//x.example",
        "",
        "file:///x",
        "http://[bad",
        "https://api.example:abc/",
    ],
)
def test_a_redirect_to_another_origin_is_rejected(location: str) -> None:
    client, adapter = answering((302, {"Location": location}, b""))
    with pytest.raises(
        APIError, match=r"has a different origin; credentials are not sent there|without a Location header"
    ) as caught:
        pages(client)
    assert (len(adapter.requests), caught.value.status) == (1, 302)


def test_a_redirect_loop_ends_and_is_not_retried() -> None:
    client, adapter = answering((301, {"Location": "https://api.example/v1/collections"}, b""))
    with pytest.raises(APIError, match="more than 5 redirects"):
        pages(client)
    assert len(adapter.requests) == 6


# Rate limiting


def test_lists_of_one_project_share_its_bucket_and_other_projects_have_their_own(clock) -> None:
    client, _ = answering(page(record()), requests_per_minute=100, clock=clock, sleep=clock.sleep)
    for _ in range(100):
        pages(client, projectId="a")
    pages(client, projectId="b")
    assert clock.waits == []
    pages(client, projectId="a")
    assert clock.waits == [pytest.approx(0.6)]


def test_rate_limiting_is_logged_at_debug_level_and_takes_nothing_from_the_deadline(clock, caplog) -> None:
    caplog.set_level(logging.INFO)
    slow = {"requests_per_minute": 0.15, "clock": clock, "sleep": clock.sleep}
    client, adapter = answering(page(1, token="a"), page(2, token="b"), (503, {}, b""), page(3), **slow)
    assert len(pages(client)) == 3
    assert (len(adapter.requests), sum(clock.waits) > 300) == (4, True)
    assert "503, retrying in" in caplog.text
    assert "rate limiting" not in caplog.text


@pytest.mark.parametrize("unlimited", [0, None])
def test_rate_limiting_can_be_switched_off(unlimited, clock) -> None:
    client, _ = answering(page(record()), requests_per_minute=unlimited, clock=clock, sleep=clock.sleep)
    for _ in range(300):
        pages(client)
    assert clock.waits == []


def test_on_wait_is_called_with_the_reason_and_the_seconds() -> None:
    waits = []
    client, _ = answering((429, {"Retry-After": "12"}, b""), page())
    list(client.pages("/collections", "collections", {}, lambda reason, seconds: waits.append((reason, seconds))))
    assert waits == [("429", 12)]
