from pathlib import Path

import pytest

from scenario_etl import Client, Emulator
from scenario_etl.errors import TransientError
from tests.helpers import pages


def test_netrc_never_replaces_the_credentials(tmp_path: Path, monkeypatch, connect) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with Emulator(3) as api:
        assert len(pages(connect(api))) == 1


def test_a_file_with_a_secret_may_start_with_a_byte_order_mark(monkeypatch, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("demo\r\n", encoding="utf-8-sig")
    monkeypatch.setenv("SCENARIO_SDK_API_KEY", "demo")
    monkeypatch.setenv("SCENARIO_SDK_API_SECRET_FILE", str(path))
    with Emulator(3) as api, Client(base_url=api.url) as client:
        assert len(pages(client)) == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/v1", "https://127.0.0.1:1/v1"])
def test_no_error_leads_to_the_headers_of_a_request(url: str) -> None:
    with Client("key", "s3cr3t", base_url=url, attempts=1) as client, pytest.raises(TransientError) as caught:
        pages(client)
    error, chain = caught.value, []
    while error:
        chain.append(error)
        error = error.__cause__ or error.__context__
    assert not [link for link in chain if getattr(link, "request", None) is not None]
