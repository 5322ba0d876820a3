"""Secrets that come and go: tokens in use, headers of a session, files."""

import pytest
import requests

from scenario_etl import Client, scan
from scenario_etl.auth import MAX_RECENT_TOKENS, BearerAuth
from scenario_etl.errors import ConfigError, ScenarioError
from tests.helpers import answering


def test_the_token_of_a_request_that_is_not_complete_stays_a_secret() -> None:
    numbers = iter(range(1000))
    auth = BearerAuth(lambda: f"token-{next(numbers)}")
    slow = auth.credentials()
    for _ in range(MAX_RECENT_TOKENS + 1):
        auth.release(auth.credentials())
    assert slow in auth.secrets
    assert len(auth.secrets) == MAX_RECENT_TOKENS + 1
    auth.release(slow)
    assert slow not in auth.secrets
    assert len(auth.secrets) == MAX_RECENT_TOKENS


def test_a_request_that_fails_releases_its_token() -> None:
    client, _ = answering(requests.ConnectionError(), (400, {}, {}), bearer_token=lambda: "token-of-mine", attempts=2)
    with pytest.raises(ScenarioError):
        scan("collections", client=client).to_arrow()
    assert not client._transport.authorization._in_use


def test_headers_and_cookies_of_the_session_are_redacted() -> None:
    client, _ = answering((400, {}, {"reason": "bad header-of-mine and cookie-of-mine, Accept application/json"}))
    session = client._transport.connections._session
    session.headers.update({"X-Api-Key": b"header-of-mine", "Accept": "application/json", "X-Short": "bad"})
    session.cookies.set("sid", "cookie-of-mine")
    with pytest.raises(ScenarioError, match=r"bad \*\*\* and \*\*\*, Accept application/json"):
        scan("collections", client=client).to_arrow()


def test_an_empty_file_of_a_secret_is_named(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("SCENARIO_SDK_API_KEY", "key")
    monkeypatch.setenv("SCENARIO_SDK_API_SECRET_FILE", str(tmp_path / "secret"))
    (tmp_path / "secret").write_text("\n")
    with pytest.raises(ConfigError, match="the file that SCENARIO_SDK_API_SECRET_FILE names is empty"):
        Client()
