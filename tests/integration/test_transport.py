import base64
import gzip
import http.server
import json
import logging
import re
import socket
import ssl
import threading
import traceback
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
import trustme
from hypothesis import given
from hypothesis import strategies as st

from scenario_etl import Client, Emulator
from scenario_etl.emulator import HTML, Fault
from scenario_etl.errors import APIError, AuthError, ConfigError, ScenarioError, TransientError
from scenario_etl.response import DuplicateKeyError, decode_json
from tests.helpers import answering, failure, page, pages, record

# Sessions


def test_a_session_of_the_users_brings_headers_and_is_left_open() -> None:
    with Emulator(1) as api, requests.Session() as session:
        session.headers["X-Team"] = "art"
        with Client("demo", "demo", base_url=api.url, session=session) as client:
            assert client._transport.connections._session is session
            assert len(pages(client)) == 1
        assert session.get(f"{api.url}/collections", auth=("demo", "demo"), timeout=5).status_code == 200


def test_a_session_brings_its_proxies_and_certificates_and_every_request_has_a_timeout() -> None:
    client, adapter = answering(page())
    client._transport.connections._session.verify = "/company/ca.pem"
    client._transport.connections._session.proxies = {"https": "http://proxy.example:3128"}
    again = Client(
        "k", "s", base_url="https://api.example/v1", session=client._transport.connections._session, timeout=7
    )
    pages(again)
    (settings,) = adapter.settings
    assert settings["verify"] == "/company/ca.pem"
    assert settings["proxies"]["https"] == "http://proxy.example:3128"
    assert settings["timeout"] == (5, 7)


def test_loopback_uses_no_proxy(monkeypatch, connect) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with Emulator(1) as api:
        assert len(pages(connect(api, attempts=1))) == 1


def test_certificates_that_are_not_there_are_a_config_error(monkeypatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/missing/ca.pem")
    with Client("k", "s", base_url="https://127.0.0.1:9") as client, pytest.raises(ConfigError, match="certificates"):
        pages(client)


def test_close_closes_a_session_of_its_own_only() -> None:
    closed = []

    class Session(requests.Session):
        def close(self) -> None:
            closed.append(self)

    with Client("k", "s", session=Session()):
        pass
    assert closed == []
    own = Client("k", "s")
    pool = own._transport.connections._adapter.poolmanager.connection_from_url("https://api.example")
    assert len(own._transport.connections._adapter.poolmanager.pools) == 1
    own.close()
    assert len(own._transport.connections._adapter.poolmanager.pools) == 0
    assert pool is not None


def test_a_closed_client_holds_no_connection_and_can_be_used_again(connect) -> None:
    with Emulator(1) as api:
        client = connect(api)
        for _ in range(2):
            assert len(pages(client)) == 1
            pools = client._transport.connections._adapter.poolmanager.pools
            connections = weakref.ref(pools[next(iter(pools.keys()))])
            client.close()
            assert connections() is None  # urllib3 closes them when nobody refers to the pool


# Responses that are not pages


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"collections": [', b"\xff\xfe\xfa", b"[" * 100_000, b"text\n"])
def test_a_200_that_is_not_json_is_retried_then_exit_75(body: bytes) -> None:
    client, adapter = answering((200, {}, body))
    with pytest.raises(TransientError, match="its body is not valid JSON") as caught:
        pages(client)
    assert (caught.value.exit_code, caught.value.status, len(adapter.requests)) == (75, 200, 8)


@pytest.mark.parametrize(
    "body", [None, [], [{"id": "x"}], 3, {}, {"collections": None}, {"collections": {}}, {"reason": "quota"}]
)
def test_json_without_the_list_is_retried_then_exit_69(body) -> None:
    client, adapter = answering((200, {}, body))
    with pytest.raises(APIError, match="without a list 'collections'") as caught:
        pages(client)
    assert (caught.value.exit_code, len(adapter.requests)) == (69, 8)


@pytest.mark.parametrize("status", [201, 202, 204, 206, 269, 300, 304, 400, 404, 410, 422])
def test_any_other_status_is_final(status: int) -> None:
    client, adapter = answering((status, {}, page()))
    with pytest.raises(APIError) as caught:
        pages(client)
    assert (type(caught.value), caught.value.status, len(adapter.requests)) == (APIError, status, 1)


@pytest.mark.parametrize(
    "body",
    [
        {"reason": "W"},
        {"message": "W"},
        {"Message": "W"},
        {"error": "W"},
        {"detail": "W"},
        b"<html><b>W</b>",
        {"x": "W"},
    ],
)
def test_the_text_of_the_server_is_in_the_error(body) -> None:
    assert "W" in str(failure((400, {}, body)))


def test_the_error_names_the_request() -> None:
    error = failure(page(1, token="t"), (404, {}, b""))
    assert str(error).startswith("GET https://api.example/v1/collections?pageSize=100 (page 2): 404")


def test_a_quoted_response_is_bounded() -> None:
    assert len(str(failure((400, {}, b"x" * 10**6)))) < 400


# Transport


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
        r"no connection: \[Errno \d+\] Connection refused, tried 2 times in \d s; "
        r"check the base URL and the network, or run again later$",
        str(caught.value),
    )


def test_a_host_name_that_cannot_be_resolved_is_a_warning_at_once(monkeypatch, clock, caplog) -> None:
    def unresolved(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unresolved)  # a real one may take as long as it likes
    client = Client("k", "s", base_url="https://api.example/v1", sleep=clock.sleep, clock=clock, connect_deadline=20)
    with pytest.raises(TransientError, match=r"no connection: .*Name or service not known, tried 5 times.*base URL"):
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
        with pytest.raises(TransientError, match="no connection: timed out, tried 3 times in"):
            pages(client)
    assert "timed out, retrying in" in caplog.text


def test_a_proxy_that_cannot_be_reached_is_named(monkeypatch, refusing: str, clock) -> None:
    monkeypatch.setenv("HTTPS_PROXY", refusing)
    client = Client("k", "s", base_url="https://api.example/v1", sleep=clock.sleep, clock=clock)
    with pytest.raises(TransientError, match=r"no connection to the proxy: .*; check HTTPS_PROXY and the network"):
        pages(client)


def test_an_untrusted_certificate_is_final() -> None:
    client, adapter = answering(requests.exceptions.SSLError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"))
    with pytest.raises(APIError, match="REQUESTS_CA_BUNDLE"):
        pages(client)
    assert len(adapter.requests) == 1


@pytest.mark.parametrize("fault", [Fault(reset=True), Fault(cut=50), HTML, Fault(status=503), Fault(status=429)])
def test_a_request_to_a_real_server_that_fails_once_is_retried(fault: Fault, connect) -> None:
    with Emulator(250, faults=[None, fault]) as api:
        listing = connect(api).pages("/collections", "collections", {"pageSize": 100})
        assert sum(len(page.records) for page in listing) == 250
        assert (listing.requests, listing.retries) == (4, 1)


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


def test_a_compressed_response_is_bounded_while_it_is_decompressed() -> None:
    bomb = gzip.compress(b" " * (40 * 2**20))
    client, adapter = answering((200, {"Content-Encoding": "gzip"}, bomb))
    with pytest.raises(APIError, match="larger than 32 MiB; use a smaller page_size"):
        pages(client)
    assert len(adapter.requests) == 1


def test_a_compressed_page_is_decompressed_and_a_corrupt_one_retried() -> None:
    good = gzip.compress(json.dumps(page(1)).encode())
    header = {"Content-Encoding": "gzip"}
    client, adapter = answering((200, header, good[:20] + b"garbage"), (200, header, good[:-12]), (200, header, good))
    assert pages(client)[0].records == [1]
    assert len(adapter.requests) == 3


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
def test_a_redirect_that_loses_a_part_of_the_query_is_refused(location: str, lost: str) -> None:
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
def test_a_redirect_to_another_origin_is_refused(location: str) -> None:
    client, adapter = answering((302, {"Location": location}, b""))
    with pytest.raises(APIError, match=r"so the credentials were not sent there|without a Location header") as caught:
        pages(client)
    assert (len(adapter.requests), caught.value.status) == (1, 302)


def test_a_redirect_loop_ends_and_is_not_retried() -> None:
    client, adapter = answering((301, {"Location": "https://api.example/v1/collections"}, b""))
    with pytest.raises(APIError, match="more than 5 redirects"):
        pages(client)
    assert len(adapter.requests) == 6


# Pacing


def test_listings_of_one_project_share_its_bucket_and_other_projects_have_their_own(clock) -> None:
    client, _ = answering(page(record()), requests_per_minute=100, clock=clock, sleep=clock.sleep)
    for _ in range(100):
        pages(client, projectId="a")
    pages(client, projectId="b")
    assert clock.waits == []
    pages(client, projectId="a")
    assert clock.waits == [pytest.approx(0.6)]


def test_pacing_is_logged_at_debug_level_and_takes_nothing_from_the_deadline(clock, caplog) -> None:
    caplog.set_level(logging.INFO)
    slow = {"requests_per_minute": 0.15, "clock": clock, "sleep": clock.sleep}
    client, adapter = answering(page(1, token="a"), page(2, token="b"), (503, {}, b""), page(3), **slow)
    assert len(pages(client)) == 3
    assert (len(adapter.requests), sum(clock.waits) > 300) == (4, True)
    assert "503, retrying in" in caplog.text
    assert "pacing" not in caplog.text


@pytest.mark.parametrize("unpaced", [0, None])
def test_pacing_can_be_switched_off(unpaced, clock) -> None:
    client, _ = answering(page(record()), requests_per_minute=unpaced, clock=clock, sleep=clock.sleep)
    for _ in range(300):
        pages(client)
    assert clock.waits == []


def test_on_wait_is_called_with_the_reason_and_the_seconds() -> None:
    waits = []
    client, _ = answering((429, {"Retry-After": "12"}, b""), page())
    list(client.pages("/collections", "collections", {}, lambda reason, seconds: waits.append((reason, seconds))))
    assert waits == [("429", 12)]


@pytest.mark.parametrize(
    "body",
    [
        b'{"collections":[{"id":"c1"}],"collections":[]}',
        b'{"collections":[],"collections":[]}',
        b'{"collections":[],"c\\u006fllections":[]}',
        b'{"collections":[],"nextPaginationToken":"t1","nextPaginationToken":null}',
        b' {"nextPaginationToken" : "t1" , "collections" : [] , "nextPaginationToken" : "t2"}\n',
        b'{"other":1,"collections":[],"other":2}',
    ],
)
def test_a_page_with_a_key_twice_is_not_a_page(body: bytes) -> None:
    client, adapter = answering((200, {}, body))
    with pytest.raises(APIError, match=r"has the key (collections|nextPaginationToken|other) twice") as error:
        list(client.pages("/collections", "collections", {}))
    assert (error.value.exit_code, len(adapter.requests)) == (69, 8)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(json_values, st.sampled_from([None, 1]), st.sampled_from(["utf-8", "utf-16", "utf-8-sig"]))
def test_json_is_decoded_as_the_standard_library_does(value, indent, encoding) -> None:
    body = json.dumps(value, indent=indent).encode(encoding)
    assert decode_json(body) == json.loads(body) == value


@given(json_values, st.data())
def test_invalid_json_is_refused_as_the_standard_library_does(value, data) -> None:
    text = json.dumps({"a": value, "b": 1})
    cut = data.draw(st.integers(0, len(text)))
    broken = text[:cut] + data.draw(st.sampled_from(["", ",", "}", "x", '"', ":", "{"])) + text[cut + 1 :]
    try:
        right = json.loads(broken)
    except ValueError:
        with pytest.raises(ValueError):  # noqa: PT011 - of any kind
            decode_json(broken.encode())
    else:
        try:
            assert decode_json(broken.encode()) == right
        except DuplicateKeyError as error:
            assert broken.count(f'"{error}"') >= 2


# Certificates and proxies


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@contextmanager
def tls_server(certificate: trustme.LeafCert) -> Iterator[str]:
    """An API over TLS, which responds to every request with an empty page."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(page()).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # handshakes fail on purpose
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with serving(server):
        yield f"https://127.0.0.1:{server.server_port}/v1"


@contextmanager
def serving(server: http.server.HTTPServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def proxy_server(status: int) -> Iterator[int]:
    """A proxy that refuses every connection, and its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            given = self.headers.get("Proxy-Authorization", "")
            self.send_error(status, f"not {given}, {base64.b64decode(given.rpartition(' ')[2]).decode()}")

        def log_message(self, *arguments: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with serving(server):
        yield server.server_port


def refused(url: str) -> ScenarioError:
    """The error of one listing, which must not have been retried."""
    waits: list[float] = []
    with Client("k", "s", base_url=url, sleep=waits.append) as client, pytest.raises(ScenarioError) as caught:
        pages(client)
    assert waits == []
    return caught.value


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))


def test_a_trusted_certificate_is_accepted(authority, trusted) -> None:
    with tls_server(authority.issue_cert("127.0.0.1")) as url, Client("k", "s", base_url=url) as client:
        assert len(pages(client)) == 1


def test_an_expired_certificate_is_final_and_the_clock_or_the_server_is_named(authority, trusted) -> None:
    past = datetime.now(UTC) - timedelta(days=1)
    with tls_server(authority.issue_cert("127.0.0.1", not_after=past)) as url:
        error = refused(url)
    assert type(error) is APIError
    assert "check the clock of this machine" in str(error)
    assert "REQUESTS_CA_BUNDLE" not in str(error)


def test_a_certificate_of_another_host_is_final_and_the_base_url_is_named(authority, trusted) -> None:
    with tls_server(authority.issue_cert("other.example")) as url:
        error = refused(url)
    assert type(error) is APIError
    assert "the certificate belongs to another host: check the base URL" in str(error)
    assert "REQUESTS_CA_BUNDLE" not in str(error)


def test_an_unknown_authority_is_final_and_the_bundle_is_named(authority) -> None:
    with tls_server(authority.issue_cert("127.0.0.1")) as url:
        error = refused(url)
    assert type(error) is APIError
    assert "the certificate is not trusted: set REQUESTS_CA_BUNDLE" in str(error)


@pytest.mark.parametrize("content", ["garbage", "", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_bundle_without_certificates_is_a_config_error(authority, tmp_path, monkeypatch, content) -> None:
    path = tmp_path / "ca.pem"
    path.write_text(content)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    with tls_server(authority.issue_cert("127.0.0.1")) as url:
        error = refused(url)
    assert type(error) is ConfigError
    assert "REQUESTS_CA_BUNDLE" in str(error)


def test_a_port_without_tls_and_a_port_with_it_have_errors_of_their_own(authority) -> None:
    with Emulator(1) as api:
        error = refused(api.url.replace("http:", "https:"))
    assert type(error) is APIError
    assert "the port does not speak TLS" in str(error)
    with tls_server(authority.issue_cert("127.0.0.1")) as url:
        error = refused(url.replace("https:", "http:"))
    assert type(error) is APIError
    assert "the port speaks TLS: use https" in str(error)


@pytest.mark.parametrize(
    ("status", "words"),
    [(407, "the proxy asks for credentials"), (403, "the proxy refuses to connect")],
)
def test_a_proxy_that_refuses_is_final_and_its_password_is_not_shown(monkeypatch, status: int, words: str) -> None:
    with proxy_server(status) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:p4ssw0rd@127.0.0.1:{port}")
        error = refused("https://api.example/v1")
    assert type(error) is APIError
    assert f"{words}: check HTTPS_PROXY" in str(error) or f"{words}" in str(error)
    said = "".join(traceback.format_exception(error))
    assert "***" in said
    assert not [secret for secret in ("p4ssw0rd", base64.b64encode(b"user:p4ssw0rd").decode()[:-2]) if secret in said]


@pytest.mark.parametrize("status", [429, 502, 503])
def test_a_proxy_that_fails_for_now_is_retried(monkeypatch, status: int) -> None:
    waits: list[float] = []
    with proxy_server(status) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        client = Client("k", "s", base_url="https://api.example/v1", sleep=waits.append, attempts=3)
        with client, pytest.raises(TransientError, match=str(status)):
            pages(client)
    assert len(waits) == 2


@pytest.mark.parametrize(
    "proxy", ["http://user:p4ssw0rd@", "http://user:p4ssw0rd@:80", "http://user:p4ss/w0rd@[bad", "http://h:99999"]
)
def test_a_proxy_that_is_not_a_url_is_a_config_error_without_its_password(monkeypatch, proxy: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(ConfigError, match="check HTTPS_PROXY") as caught:
        Client("k", "s")
    said = "".join(traceback.format_exception(caught.value))
    assert "p4ss" not in said
    assert "w0rd" not in said
