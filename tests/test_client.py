import gzip
import hashlib
import json
import logging
import weakref
from pathlib import Path

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from scenario_etl import Client, Emulator
from scenario_etl.client import Page
from scenario_etl.emulator import HTML, Fault
from scenario_etl.errors import (
    APIError,
    AuthError,
    ConfigError,
    PaginationError,
    ScenarioError,
    TransientError,
)
from scenario_etl.transport import DuplicateKeyError, _decoded
from tests.helpers import answering, page, record

SECRETS = ("secret-of-mine", "a2V5LW9mLW1pbmU6c2VjcmV0LW9mLW1pbmU=")


def pages(client: Client, **parameters) -> list[Page]:
    return list(client.walk("/collections", "collections", parameters or {"pageSize": 100}))


def failure(*answers, **arguments) -> ScenarioError:
    with pytest.raises(ScenarioError) as caught:
        pages(answering(*answers, **arguments)[0])
    return caught.value


# Credentials


def test_without_credentials_the_error_names_the_variables() -> None:
    with pytest.raises(ConfigError, match="SCENARIO_SDK_API_KEY and SCENARIO_SDK_API_SECRET not set"):
        Client()


def test_half_a_key_is_an_error_that_names_the_other_half(monkeypatch) -> None:
    monkeypatch.setenv("SCENARIO_SDK_JWT", "jwt")
    with pytest.raises(ConfigError, match=r"credentials: SCENARIO_SDK_API_SECRET not set"):
        Client("key")


@pytest.mark.parametrize(
    ("arguments", "variables", "kind"),
    [
        ({}, {"API_KEY": "k", "API_SECRET": "s", "JWT": "j"}, "API key"),
        ({}, {"JWT": "j"}, "bearer token"),
        ({}, {"API_KEY": "k", "JWT": "j"}, "bearer token"),
        ({"bearer_token": "b"}, {"API_KEY": "k", "API_SECRET": "s"}, "bearer token"),
        ({"api_key": "k", "api_secret": "s"}, {"JWT": "j"}, "API key"),
    ],
)
def test_arguments_beat_the_environment_and_the_key_pair_beats_the_jwt(arguments, variables, kind, monkeypatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"SCENARIO_SDK_{name}", value)
    assert Client(**arguments).credentials == kind


@pytest.mark.parametrize(
    "arguments",
    [
        {"api_key": "k", "api_secret": "s", "bearer_token": "b"},
        {"api_key": "k:k", "api_secret": "s"},
        {"bearer_token": "line\nbreak"},
        {"bearer_token": ""},
        {"base_url": "ftp://api.example"},
        {"base_url": "api.example/v1"},
        {"base_url": "http://api.example/v1"},
        {"base_url": "https://user:hush@api.example/v1"},
        {"base_url": "https://api.example/v1?x=1"},
        {"base_url": "https://api.example:99999/v1"},
        {"base_url": "https://.../v1"},
        {"base_url": "http://[bad"},
        {"base_url": ""},
        {"api_key": "", "api_secret": "s"},
        {"api_key": "k", "api_secret": "\udce9"},
        {"timeout": "60"},
        {"timeout": 1e10},
        {"requests_per_minute": 1e-300},
        {"timeout": 0},
        {"timeout": float("nan")},
        {"attempts": 0},
        {"attempts": 1.5},
        {"deadline": -1},
        {"requests_per_minute": -1},
    ],
)
def test_a_wrong_argument_is_refused_before_any_request_without_showing_secrets(arguments) -> None:
    complete = (
        arguments if {"bearer_token", "api_key"} & set(arguments) else {"api_key": "k", "api_secret": "s"} | arguments
    )
    with pytest.raises(ConfigError) as caught:
        Client(**complete)
    assert "hush" not in str(caught.value)
    assert "break" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/v1", "http://localhost/v1", "http://[::1]:80/v1/", "https://x.example"]
)
def test_plain_http_is_for_loopback(url: str) -> None:
    assert Client("k", "s", base_url=url).base_url == url.rstrip("/")


def test_netrc_never_replaces_the_credentials(tmp_path: Path, monkeypatch, connect) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with Emulator(3) as api:
        assert len(pages(connect(api))) == 1


def test_a_bearer_callable_is_asked_anew_for_each_request() -> None:
    tokens = iter(["first", "second"])
    client, adapter = answering(page(token="t"), page(), bearer_token=lambda: next(tokens))
    pages(client)
    assert [r.headers["Authorization"] for r in adapter.requests] == ["Bearer first", "Bearer second"]


EXPIRED = (403, {"x-amzn-errortype": "AccessDeniedException"}, {"Message": "User is not authorized"})


def test_an_expired_jwt_is_refreshed_once_and_the_walk_goes_on() -> None:
    client, adapter = answering(page(token="t"), EXPIRED, page(), bearer_token=lambda: "fresh")
    assert len(pages(client)) == 2
    assert len(adapter.requests) == 3


def test_a_jwt_that_is_refused_twice_is_an_auth_error() -> None:
    client, adapter = answering(EXPIRED, bearer_token=lambda: "fresh")
    with pytest.raises(AuthError, match="JWTs may expire"):
        pages(client)
    assert len(adapter.requests) == 2


def test_a_plain_403_is_not_refreshed() -> None:
    client, adapter = answering((403, {}, {"reason": "no member"}), bearer_token=lambda: "fresh")
    with pytest.raises(AuthError, match="no member"):
        pages(client)
    assert len(adapter.requests) == 1


def test_a_bearer_callable_that_fails_is_a_config_error() -> None:
    def fail() -> str:
        raise OSError("hush")

    assert type(failure(page(), bearer_token=fail)) is ConfigError


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_one_request_and_says_what_to_fix(status: int) -> None:
    client, adapter = answering((status, {}, {"reason": "Unauthorized"}))
    with pytest.raises(AuthError, match="Unauthorized; check SCENARIO_SDK_API_KEY") as caught:
        pages(client)
    assert (len(adapter.requests), caught.value.status) == (1, status)


def test_a_session_of_the_users_brings_headers_and_is_left_open() -> None:
    with Emulator(1) as api, requests.Session() as session:
        session.headers["X-Team"] = "art"
        with Client("demo", "demo", base_url=api.url, session=session) as client:
            assert client._transport.session is session
            assert len(pages(client)) == 1
        assert session.get(f"{api.url}/collections", auth=("demo", "demo"), timeout=5).status_code == 200


def test_a_session_brings_its_proxies_and_certificates_and_every_request_has_a_timeout() -> None:
    client, adapter = answering(page())
    client._transport.session.verify = "/company/ca.pem"
    client._transport.session.proxies = {"https": "http://proxy.example:3128"}
    again = Client("k", "s", base_url="https://api.example/v1", session=client._transport.session, timeout=7)
    pages(again)
    (settings,) = adapter.settings
    assert settings["verify"] == "/company/ca.pem"
    assert settings["proxies"]["https"] == "http://proxy.example:3128"
    assert settings["timeout"] == (5, 7)


def test_a_proxy_is_no_matter_of_loopback(monkeypatch, connect) -> None:
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
    pool = own._transport._adapter.poolmanager.connection_from_url("https://api.example")
    assert len(own._transport._adapter.poolmanager.pools) == 1
    own.close()
    assert len(own._transport._adapter.poolmanager.pools) == 0
    assert pool is not None


def test_a_closed_client_holds_no_connection_and_can_be_used_again(connect) -> None:
    with Emulator(1) as api:
        client = connect(api)
        for _ in range(2):
            assert len(pages(client)) == 1
            connections = weakref.ref(client._transport._adapter._pool)
            client.close()
            assert connections() is None  # urllib3 closes them when nobody refers to the pool


# The walk


@given(st.lists(st.lists(st.integers(), max_size=3), min_size=1, max_size=12))
def test_any_split_into_pages_gives_every_record_once_in_order(split) -> None:
    bodies = [page(*records, token=f"t{i}") for i, records in enumerate(split)]
    del bodies[-1]["nextPaginationToken"]
    most_empty = max(len(run) for run in "".join("e" if not records else "-" for records in split[:-1]).split("-"))
    if most_empty >= 10:
        assert type(failure(*bodies)) is PaginationError
    else:
        got = pages(answering(*bodies)[0])
        assert [record for page in got for record in page.records] == [r for records in split for r in records]


@pytest.mark.parametrize("end", [{}, {"nextPaginationToken": None}, {"nextPaginationToken": ""}])
def test_an_absent_null_or_empty_token_ends_the_walk(end) -> None:
    assert len(pages(answering({"collections": [1]} | end)[0])) == 1


@pytest.mark.parametrize("token", [0, False, 7, {}, [], ["t"], "\ud800"])
def test_any_other_token_that_cannot_be_sent_is_an_error(token) -> None:
    assert type(failure({"collections": [1], "nextPaginationToken": token})) is PaginationError


def test_tokens_are_percent_encoded_and_everything_else_stays() -> None:
    token = "a=b+c/d&e%f é\n~"
    client, adapter = answering(page(token=token), page())
    pages(client, pageSize=7, projectId="proj a&b")
    assert adapter.requests[0].url == "https://api.example/v1/collections?pageSize=7&projectId=proj+a%26b"
    assert adapter.requests[1].url == (adapter.requests[0].url + "&paginationToken=a%3Db%2Bc%2Fd%26e%25f%20%C3%A9%0A~")


@pytest.mark.parametrize("tokens", ["aa", "aba", "abca"])
def test_a_token_seen_before_ends_in_an_error(tokens: str) -> None:
    error = failure(*(page(1, token=token) for token in tokens))
    assert type(error) is PaginationError
    assert f"page {len(tokens)} gave the token" in str(error)


def test_nine_empty_pages_running_are_passed_over_and_ten_are_an_error() -> None:
    nine = [page(token=f"t{i}") for i in range(9)]
    assert len(pages(answering(*nine, page(1, token="x"), *[page(token=f"u{i}") for i in range(9)], page())[0])) == 20
    assert "10 consecutive empty pages" in str(failure(*nine, page(token="t9"), page()))


def test_the_walk_counts_pages_requests_and_the_chain_of_tokens() -> None:
    client, _ = answering(page(token="a"), (503, {}, b""), page(token="b"), page())
    walk = client.walk("/collections", "collections", {})
    list(walk)
    assert (walk.pages, walk.requests, walk.retries) == (3, 4, 1)
    assert walk.seconds_waited >= 1
    assert walk.tokens_sha256 == hashlib.sha256(b"a\nb\n").hexdigest()


# What is no page


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"collections": [', b"\xff\xfe\xfa", b"[" * 100_000, b"text\n"])
def test_a_200_that_is_no_json_is_tried_again_then_exit_75(body: bytes) -> None:
    client, adapter = answering((200, {}, body))
    with pytest.raises(TransientError, match="its body is no JSON") as caught:
        pages(client)
    assert (caught.value.exit_code, caught.value.status, len(adapter.requests)) == (75, 200, 8)


@pytest.mark.parametrize(
    "body", [None, [], [{"id": "x"}], 3, {}, {"collections": None}, {"collections": {}}, {"reason": "quota"}]
)
def test_json_without_the_list_is_tried_again_then_exit_69(body) -> None:
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
def test_the_servers_words_are_in_the_error(body) -> None:
    assert "W" in str(failure((400, {}, body)))


def test_the_error_tells_what_was_asked() -> None:
    error = failure(page(1, token="t"), (404, {}, b""))
    assert str(error).startswith("GET https://api.example/v1/collections?pageSize=100 (page 2): 404")


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_that_the_server_repeats_is_not_in_the_error(secret: str) -> None:
    words = "x" * 190 + secret
    for answer in [(400, {}, {"reason": words}), (200, {}, {"reason": words}), (200, {}, words.encode())]:
        error = failure(answer)
        assert secret[:8] not in str(error)


@pytest.mark.parametrize("form", ['s"cr3t', 's\\"cr3t', "s%22cr3t", "key-of-mine"])
def test_a_secret_is_taken_out_in_every_way_it_is_written(form: str) -> None:
    given = {"api_key": "key-of-mine", "api_secret": 's"cr3t'}
    body = f'{{"hint": "{form}"}}'.encode()
    for answer in [(400, {}, body), (302, {"Location": f"https://x.example/{form}"}, b""), page(1, token=form)]:
        error = failure(answer, **given)
        assert "cr3t" not in str(error)
        assert "key-of-mine" not in str(error)


def test_a_bearer_token_that_the_server_repeats_is_not_in_the_error() -> None:
    assert "tok3n" not in str(failure((400, {}, {"reason": "bad tok3n"}), bearer_token="tok3n"))


def test_a_quoted_answer_is_bounded() -> None:
    assert len(str(failure((400, {}, b"x" * 10**6)))) < 400


def test_neither_repr_nor_logs_show_a_secret(caplog) -> None:
    caplog.set_level(logging.DEBUG)
    client, _ = answering((503, {}, b""), page(token="t"), page())
    pages(client)
    assert repr(client) == "<scenario_etl.Client https://api.example/v1 with API key>"
    assert "503, waiting" in caplog.text
    assert not any(secret in caplog.text for secret in SECRETS)


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
def test_a_transport_error_is_tried_again_then_exit_75(error) -> None:
    client, adapter = answering(error)
    with pytest.raises(TransientError, match="no answer") as caught:
        pages(client)
    assert (caught.value.status, len(adapter.requests), caught.value.attempts) == (None, 8, 8)


def test_an_untrusted_certificate_is_final() -> None:
    client, adapter = answering(requests.exceptions.SSLError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"))
    with pytest.raises(APIError, match="REQUESTS_CA_BUNDLE"):
        pages(client)
    assert len(adapter.requests) == 1


@pytest.mark.parametrize("fault", [Fault(reset=True), Fault(cut=50), HTML, Fault(status=503), Fault(status=429)])
def test_a_real_server_that_fails_once_is_asked_again(fault: Fault, connect) -> None:
    with Emulator(250, faults=[None, fault]) as api:
        walk = connect(api).walk("/collections", "collections", {"pageSize": 100})
        assert sum(len(page.records) for page in walk) == 250
        assert (walk.requests, walk.retries) == (4, 1)


def test_an_answer_that_trickles_is_given_up_after_ten_timeouts(clock) -> None:
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


def test_a_compressed_answer_is_bounded_while_it_is_unpacked() -> None:
    bomb = gzip.compress(b" " * (40 * 2**20))
    client, adapter = answering((200, {"Content-Encoding": "gzip"}, bomb))
    with pytest.raises(APIError, match="larger than 32 MiB; ask for smaller pages"):
        pages(client)
    assert len(adapter.requests) == 1


def test_a_compressed_page_is_unpacked_and_a_corrupt_one_tried_again() -> None:
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
    with pytest.raises(APIError, match="credentials are sent to no other origin") as caught:
        pages(client)
    assert (len(adapter.requests), caught.value.status) == (1, 302)


def test_a_redirect_loop_ends_and_is_not_retried() -> None:
    client, adapter = answering((301, {"Location": "https://api.example/v1/collections"}, b""))
    with pytest.raises(APIError, match="more than 5 redirects"):
        pages(client)
    assert len(adapter.requests) == 6


# Pacing


def test_walks_of_one_project_share_its_budget_and_other_projects_have_their_own(clock) -> None:
    client, _ = answering(page(record()), requests_per_minute=100, clock=clock, sleep=clock.sleep)
    for _ in range(100):
        pages(client, projectId="a")
    pages(client, projectId="b")
    assert clock.waits == []
    pages(client, projectId="a")
    assert clock.waits == [pytest.approx(0.6)]


def test_pacing_is_logged_for_the_curious_only_and_takes_nothing_from_the_deadline(clock, caplog) -> None:
    caplog.set_level(logging.INFO)
    slow = {"requests_per_minute": 0.15, "clock": clock, "sleep": clock.sleep}
    client, adapter = answering(page(1, token="a"), page(2, token="b"), (503, {}, b""), page(3), **slow)
    assert len(pages(client)) == 3
    assert (len(adapter.requests), sum(clock.waits) > 300) == (4, True)
    assert "503, waiting" in caplog.text
    assert "pacing" not in caplog.text


@pytest.mark.parametrize("unpaced", [0, None])
def test_pacing_can_be_switched_off(unpaced, clock) -> None:
    client, _ = answering(page(record()), requests_per_minute=unpaced, clock=clock, sleep=clock.sleep)
    for _ in range(300):
        pages(client)
    assert clock.waits == []


def test_waiting_is_announced_with_its_reason() -> None:
    heard = []
    client, _ = answering((429, {"Retry-After": "12"}, b""), page())
    list(client.walk("/collections", "collections", {}, lambda reason, seconds: heard.append((reason, seconds))))
    assert heard == [("429", 12)]


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
        list(client.walk("/collections", "collections", {}))
    assert (error.value.exit_code, len(adapter.requests)) == (69, 8)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(json_values, st.sampled_from([None, 1]), st.sampled_from(["utf-8", "utf-16", "utf-8-sig"]))
def test_json_is_decoded_as_the_standard_library_does(value, indent, encoding) -> None:
    body = json.dumps(value, indent=indent).encode(encoding)
    assert _decoded(body) == json.loads(body) == value


@given(json_values, st.data())
def test_what_is_no_json_is_refused_as_the_standard_library_does(value, data) -> None:
    text = json.dumps({"a": value, "b": 1})
    cut = data.draw(st.integers(0, len(text)))
    broken = text[:cut] + data.draw(st.sampled_from(["", ",", "}", "x", '"', ":", "{"])) + text[cut + 1 :]
    try:
        right = json.loads(broken)
    except ValueError:
        with pytest.raises(ValueError):  # noqa: PT011 - of any kind
            _decoded(broken.encode())
    else:
        try:
            assert _decoded(broken.encode()) == right
        except DuplicateKeyError as error:
            assert broken.count(f'"{error}"') >= 2


def test_a_record_is_retrieved_by_its_path_and_404_is_none() -> None:
    client, adapter = answering({"collection": {"id": "c1"}})
    assert client.retrieve("/collections/c1", "collection", {"projectId": "p"}) == {"id": "c1"}
    assert adapter.requests[0].url == "https://api.example/v1/collections/c1?projectId=p"
    for status in (404, 410):
        client, adapter = answering((status, {}, b""))
        assert client.retrieve("/collections/c1", "collection") is None
        assert len(adapter.requests) == 1
    client, adapter = answering((503, {}, b""), {"collection": {}})
    assert (client.retrieve("/collections/c1", "collection"), len(adapter.requests)) == ({}, 2)
    for status, error in ((401, AuthError), (403, AuthError), (400, APIError), (503, TransientError)):
        with pytest.raises(error):
            answering((status, {}, b""))[0].retrieve("/collections/c1", "collection")
    client, adapter = answering({"collections": []})
    with pytest.raises(APIError, match="without an object 'collection'"):
        client.retrieve("/collections/c1", "collection")
