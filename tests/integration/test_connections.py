import base64
import http.server
import json
import ssl
import threading
import traceback
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
import trustme

from scenario_etl import Client, Emulator
from scenario_etl.errors import APIError, ConfigError, ScenarioError, TransientError
from tests.helpers import answering, page, pages


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
    """The error of one list, which must not have been retried."""
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
    assert "the certificate belongs to a different host: check the base URL" in str(error)
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
    assert "the port does not support TLS" in str(error)
    with tls_server(authority.issue_cert("127.0.0.1")) as url:
        error = refused(url.replace("https:", "http:"))
    assert type(error) is APIError
    assert "the port expects TLS: use https" in str(error)


@pytest.mark.parametrize(
    ("status", "words"),
    [(407, "the proxy requires credentials"), (403, "the proxy refused the connection")],
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
