"""Connections to the API: base URL, session, proxy and certificates, and the errors raised without a response."""

import http.client
import ipaddress
import os
import re
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import requests
import urllib3
from requests.adapters import BaseAdapter, HTTPAdapter

from scenario_etl.errors import APIError, ConfigError, TransientError
from scenario_etl.redact import redact
from scenario_etl.retry import RetryableError
from scenario_etl.watchdog import watch_connections

BASE_URL = "https://api.cloud.scenario.com/v1"
CONNECT_TIMEOUT = 5.0  # seconds
MIN_SECRET_LENGTH = 8  # characters of a header or cookie; shorter values would be redacted in ordinary words
PUBLIC_HEADERS = {"accept", "accept-encoding", "accept-language", "connection", "user-agent"}
HEADERS = {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "scenario-etl"}


class Connections:
    """The connections of a client, which several threads may use at once; a forked process opens its own.

    Args:
        base_url: The base URL of the API, without a trailing slash.
        timeout: The read timeout in seconds.
        session: The session of the user, which is left open, or None.

    Attributes:
        base_url: The base URL of the API, without a trailing slash.
        timeout: The read timeout in seconds.

    Raises:
        ConfigError: The proxy of the environment or the session is not a valid URL.

    """

    def __init__(self, base_url: str, timeout: float, session: requests.Session | None) -> None:
        self.base_url = base_url
        self.timeout = timeout
        self._owns_session = session is None
        self._session = session or requests.Session()
        self._adapter = self._session.get_adapter(base_url)
        self._process = os.getpid()
        self._had_response = False
        # Read once: searching the environment and files takes longer than a request.
        verify = (
            None if self._session.verify is True else self._session.verify
        )  # it takes precedence over the environment
        settings = self._session.merge_environment_settings(base_url, {}, True, verify, None)
        self._settings: dict[str, Any] = dict(settings)
        if base_url.startswith("http:"):  # loopback, which a proxy cannot reach
            self._settings["proxies"] = {}
        self._proxy_secrets = _proxy_secrets(base_url, self._settings["proxies"])

    @property
    def user_session(self) -> requests.Session | None:
        """The session of the user, None if there is none."""
        return None if self._owns_session else self._session

    @property
    def secrets(self) -> list[str]:
        """The password of the proxy, and the headers and cookies of the session that may be credentials."""
        headers = self._session.headers.items()
        values = [
            *(value for name, value in headers if name.lower() not in PUBLIC_HEADERS),
            *(cookie.value for cookie in self._session.cookies),
        ]
        texts = [value.decode("latin-1") if isinstance(value, bytes) else value for value in values]
        return [*self._proxy_secrets, *(text for text in texts if text and len(text) >= MIN_SECRET_LENGTH)]

    def close(self) -> None:
        """Close the connections, unless the session belongs to the user."""
        if self._owns_session:
            self._session.close()

    def prepare(self, url: str) -> requests.PreparedRequest:
        """Return a GET request with the headers of the session and of this package."""
        return self._session.prepare_request(requests.Request("GET", url, headers=HEADERS))

    def send(self, request: requests.PreparedRequest) -> requests.Response:
        """Send a request on a connection of this process, and watch it if its adapter allows that."""
        adapter = self._own_adapter()
        if isinstance(adapter, HTTPAdapter):
            settings = {name: self._settings[name] for name in ("verify", "proxies", "cert")}
            watch_connections(adapter.get_connection_with_tls_context(request, **settings))
        timeout = (min(CONNECT_TIMEOUT, self.timeout), self.timeout)
        response = adapter.send(request, timeout=timeout, **self._settings)
        self._had_response = True
        return response

    def _own_adapter(self) -> BaseAdapter:
        """Return the adapter, without the connections of a parent process.

        A forked process shares the open connections of its parent. If both use one, each may receive a response to a
        request of the other.
        """
        if self._process != os.getpid():
            if isinstance(self._adapter, HTTPAdapter):
                self._adapter.__setstate__(self._adapter.__getstate__())  # type: ignore[attr-defined] # empty pools
            self._process = os.getpid()
        return self._adapter

    def expects_tls(self) -> bool:
        """Return whether the base URL uses http, but its port expects TLS; False after the first response.

        A TLS server closes a connection that starts with anything else, often with a reset, as an overloaded server
        does. To distinguish them, try one TLS handshake, without credentials.
        """
        parts = urlsplit(self.base_url)
        if self._had_response or parts.scheme != "http":
            return False
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        address = parts.hostname, parts.port or 80
        try:
            with (
                socket.create_connection(address, timeout=min(CONNECT_TIMEOUT, self.timeout)) as connection,
                context.wrap_socket(connection),
            ):
                return True
        except OSError:
            return False

    def build_error(self, request: str, error: Exception, status: int | None, quote: Callable[[str], str]) -> Exception:
        """Return the exception to raise if there is no response, or only a part of it.

        Args:
            request: The description of the request, which starts the message.
            error: The exception of requests, urllib3 or the system.
            status: The status of the response, None if there is none.
            quote: A function that redacts the text of the error.

        """
        cause = _innermost(error)
        problem = "no response" if status is None else "the response is incomplete"
        message = f"{request}: {problem}: {type(cause).__name__}: {quote(str(cause))}"
        if isinstance(cause, ConnectionError | http.client.HTTPException) and self.expects_tls():
            return APIError(f"{message}; the port expects TLS: use https")
        for pattern, kind, advice in _NOT_RETRYABLE:
            if re.search(pattern, f"{type(cause).__name__}: {cause}"):
                return kind(f"{message}; {advice}")
        if isinstance(error, ValueError):  # InvalidURL, InvalidProxyURL, InvalidHeader
            return APIError(message, status=status)
        if isinstance(cause, urllib3.exceptions.ConnectTimeoutError):  # or a subclass, such as NameResolutionError
            return _connect_error(request, cause, quote, isinstance(error, requests.exceptions.ProxyError))
        return RetryableError(TransientError(message, status=status), type(cause).__name__)


_NOT_RETRYABLE: list[tuple[str, type[APIError | ConfigError], str]] = [
    (
        r"^OSError: Could not find (a suitable TLS CA certificate bundle|the TLS)",
        ConfigError,
        "the certificates cannot be loaded: check REQUESTS_CA_BUNDLE or the session",
    ),
    (
        r"^(SSL|Cert)\w*: .*(certificate has expired|certificate is not yet valid)",
        APIError,
        "check the clock of this machine, or ask the operator of the server to renew its certificate",
    ),
    (
        r"^(SSL|Cert)\w*: .*([Hh]ostname mismatch|IP address mismatch|doesn't match)",
        APIError,
        "the certificate belongs to a different host: check the base URL",
    ),
    (
        r"^SSL\w*: .*CERTIFICATE_VERIFY_FAILED",
        APIError,
        "the certificate is not trusted: set REQUESTS_CA_BUNDLE, or pass a session with the right certificates",
    ),
    (
        r"^SSL\w*: .*(NO_CERTIFICATE_OR_CRL_FOUND|NO_START_LINE|BAD_BASE64_DECODE|PEM|X509|ASN1)",
        ConfigError,
        "the certificates cannot be loaded: REQUESTS_CA_BUNDLE or the session must name a file in PEM format",
    ),
    (
        r"^SSL\w*: .*(WRONG_VERSION_NUMBER|HTTP_REQUEST|HTTPS_PROXY_REQUEST|RECORD_LAYER_FAILURE)",
        APIError,
        "the port does not support TLS: check the base URL and the proxy",
    ),
    (r"^OSError: Tunnel connection failed: 407", APIError, "the proxy requires credentials: check HTTPS_PROXY"),
    (
        r"^OSError: Tunnel connection failed: 4(?!08|29)",
        APIError,
        "the proxy refused the connection: check HTTPS_PROXY",
    ),
]


def _connect_error(request: str, error: BaseException, quote: Callable[[str], str], to_proxy: bool) -> RetryableError:
    """Return the exception to raise if a name cannot be resolved, or a connection is refused or times out."""
    target, setting = (" to the proxy", "HTTPS_PROXY") if to_proxy else ("", "the base URL")
    failure = error.__cause__ or error  # contains the message of the operating system
    text = quote(str(failure))
    reason = getattr(failure, "strerror", None) or text
    advice = f"check {setting} and the network, or run again later"
    return RetryableError(TransientError(f"{request}: cannot connect{target}: {text}"), reason, advice, connected=False)


def _innermost(error: BaseException) -> BaseException:
    """Return the innermost of the nested exceptions of requests and urllib3."""
    inner = getattr(error, "reason", None) or next((a for a in error.args if isinstance(a, BaseException)), None)
    return _innermost(inner) if isinstance(inner, BaseException) else error


def _proxy_secrets(base_url: str, proxies: Mapping[str, str]) -> list[str]:
    """Return the password in the URL of the proxy, decoded and as written there.

    Raises:
        ConfigError: The proxy is not a valid URL.

    """
    proxy = requests.utils.select_proxy(base_url, proxies)
    if not proxy:
        return []
    try:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        usable = bool(parts.hostname and parts.hostname.encode("idna")) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError(
            f"proxy {redact(proxy)!r} is not valid; expected something like http://proxy.example:3128; check "
            "HTTPS_PROXY or the session"
        )
    password = parts.password or ""
    return [password, unquote(password)]


def resolve_base_url(value: object) -> str:
    """Return a base URL without a trailing slash; by default that of the environment, or else of the vendor.

    Raises:
        ConfigError: The URL is not valid, contains credentials, or uses http with a host other than loopback.

    """
    if value is None:
        value = os.environ.get("SCENARIO_BASE_URL") or BASE_URL
    url = value.strip() if isinstance(value, str) else ""
    try:
        parts = urlsplit(url)
        requests.Request("GET", url, params={"port": str(parts.port)}).prepare()
        usable = bool(parts.hostname and parts.hostname.encode("idna"))
    except ValueError:
        usable = False
    if not usable or parts.scheme not in {"http", "https"} or parts.query or parts.fragment:
        raise ConfigError(
            f"base URL {redact(value, 200)!r} is not valid; expected something like {BASE_URL}, without a query or a "
            "fragment"
        )
    if parts.username is not None or parts.password is not None:
        raise ConfigError(
            "the base URL contains credentials; remove them, and set SCENARIO_SDK_API_KEY and SCENARIO_SDK_API_SECRET"
        )
    if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        raise ConfigError(f"base URL {redact(url, 200)!r} would send the credentials unencrypted; use https")
    return url.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
