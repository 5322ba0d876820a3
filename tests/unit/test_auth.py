import base64
import copy
import html
import json
import logging
import pickle
import re
import traceback
from urllib.parse import quote, quote_plus, unquote

import pytest
import requests
from hypothesis import assume, given
from hypothesis import strategies as st

from scenario_etl import Client, scan
from scenario_etl.errors import AuthError, ConfigError, ScenarioError
from scenario_etl.redact import redact_secrets
from tests.helpers import answering, failure, page, pages

SECRETS = ("secret-of-mine", "a2V5LW9mLW1pbmU6c2VjcmV0LW9mLW1pbmU=")


def test_without_credentials_the_error_names_the_variables() -> None:
    with pytest.raises(ConfigError, match="SCENARIO_SDK_API_KEY and SCENARIO_SDK_API_SECRET are not set"):
        Client()


def test_the_error_without_credentials_names_each_variable_once() -> None:
    with pytest.raises(ConfigError) as caught:
        Client()
    assert re.findall(r"SCENARIO_SDK_\w+", str(caught.value)) == [
        "SCENARIO_SDK_API_KEY", "SCENARIO_SDK_API_SECRET", "SCENARIO_SDK_JWT",
    ]  # fmt: skip


def test_an_error_of_refused_credentials_names_where_they_came_from(monkeypatch) -> None:
    assert str(failure((401, {}, {}))).endswith("; check api_key and api_secret, and the project")
    monkeypatch.setenv("SCENARIO_SDK_API_KEY", "k")
    monkeypatch.setenv("SCENARIO_SDK_API_SECRET", "s")
    for arguments, names in (
        ({"api_key": None, "api_secret": None}, "SCENARIO_SDK_API_KEY and SCENARIO_SDK_API_SECRET"),
        ({"api_key": "k", "api_secret": None}, "api_key and SCENARIO_SDK_API_SECRET"),
    ):
        assert str(failure((401, {}, {}), **arguments)).endswith(f"; check {names}, and the project")


@pytest.mark.parametrize("padded", [" hush", "hush ", "hush\n", "\thush", "hush\r\n"])
def test_a_key_or_secret_with_space_around_it_is_an_error_that_names_it_and_does_not_show_it(
    monkeypatch, padded: str
) -> None:
    with pytest.raises(ConfigError, match=r"^api_key starts or ends with a space or a line break; remove it$"):
        Client(padded, "s")
    monkeypatch.setenv("SCENARIO_SDK_API_KEY", "k")
    monkeypatch.setenv("SCENARIO_SDK_API_SECRET", padded)
    with pytest.raises(ConfigError, match=r"^SCENARIO_SDK_API_SECRET starts or ends with a space or a line break"):
        Client()


def test_half_a_key_is_an_error_that_names_the_other_half(monkeypatch) -> None:
    monkeypatch.setenv("SCENARIO_SDK_JWT", "jwt")
    with pytest.raises(ConfigError, match=r"credentials: SCENARIO_SDK_API_SECRET is not set"):
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


def test_a_bearer_callable_is_called_for_each_request() -> None:
    tokens = iter(["first", "second"])
    client, adapter = answering(page(token="t"), page(), bearer_token=lambda: next(tokens))
    pages(client)
    assert [r.headers["Authorization"] for r in adapter.requests] == ["Bearer first", "Bearer second"]


EXPIRED = (403, {"x-amzn-errortype": "AccessDeniedException"}, {"Message": "User is not authorized"})


def test_an_expired_jwt_is_refreshed_once_and_the_list_goes_on() -> None:
    client, adapter = answering(page(token="t"), EXPIRED, page(), bearer_token=lambda: "fresh")
    assert len(pages(client)) == 2
    assert len(adapter.requests) == 3


def test_a_jwt_that_is_rejected_twice_is_an_auth_error() -> None:
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
    with pytest.raises(AuthError, match="Unauthorized; check api_key and api_secret, and the project") as caught:
        pages(client)
    assert (len(adapter.requests), caught.value.status) == (1, status)


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_that_the_server_echoes_is_not_in_the_error(secret: str) -> None:
    words = "x" * 190 + secret
    for answer in [(400, {}, {"reason": words}), (200, {}, {"reason": words}), (200, {}, words.encode())]:
        error = failure(answer)
        assert secret[:8] not in str(error)


@pytest.mark.parametrize("form", ['s"cr3t', 's\\"cr3t', "s%22cr3t", "key-of-mine"])
def test_a_secret_is_redacted_in_every_encoding(form: str) -> None:
    given = {"api_key": "key-of-mine", "api_secret": 's"cr3t'}
    body = f'{{"hint": "{form}"}}'.encode()
    for answer in [(400, {}, body), (302, {"Location": f"https://x.example/{form}"}, b""), page(1, token=form)]:
        error = failure(answer, **given)
        assert "cr3t" not in str(error)
        assert "key-of-mine" not in str(error)


def test_a_bearer_token_that_the_server_echoes_is_not_in_the_error() -> None:
    assert "tok3n" not in str(failure((400, {}, {"reason": "bad tok3n"}), bearer_token="tok3n"))


def test_neither_repr_nor_logs_contain_a_secret(caplog) -> None:
    caplog.set_level(logging.DEBUG)
    client, _ = answering((503, {}, b""), page(token="t"), page())
    pages(client)
    assert repr(client) == "<scenario_etl.Client https://api.example/v1 with API key>"
    assert "503, retrying in" in caplog.text
    assert not any(secret in caplog.text for secret in SECRETS)


# Secrets in errors


SECRET_TEXT = "s3cr3t/of+mine?"
ENCODED = base64.b64encode(f"key-of-mine:{SECRET_TEXT}".encode()).decode()
FORMS = {
    "plain": SECRET_TEXT,
    "percent": quote(SECRET_TEXT, safe=""),
    "percent twice": quote(quote(SECRET_TEXT, safe=""), safe=""),
    "form": quote_plus(SECRET_TEXT),
    "html": html.escape(SECRET_TEXT.replace("/", "&#47;")),
    "html hexadecimal": "".join(f"&#x{ord(c):x};" for c in SECRET_TEXT),
    "json": "".join(f"\\u{ord(c):04x}" for c in SECRET_TEXT),
    "json in json": json.dumps(json.dumps(SECRET_TEXT.replace("/", "\\/"))),
    "base64": ENCODED,
    "base64 without padding": ENCODED.rstrip("="),
    "base64 for URLs": base64.urlsafe_b64encode(f"key-of-mine:{SECRET_TEXT}".encode()).decode().rstrip("="),
    "base64 of the secret": base64.b64encode(SECRET_TEXT.encode()).decode(),
    "base64 of more": base64.b64encode(f"user=x&secret={SECRET_TEXT}&more".encode()).decode(),
    "hexadecimal": SECRET_TEXT.encode().hex().upper(),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("place", ["reason", "body", "location", "token", "status line"])
def test_a_secret_is_redacted_in_every_encoding_and_place(form: str, place: str) -> None:
    text = FORMS[form]
    answers = {
        "reason": [(400, {}, {"reason": f"wrong: {text}."})],
        "body": [(400, {}, f"<p>{text}</p>".encode())],
        "location": [(302, {"Location": f"https://x.example/{text}"}, b"")],
        "token": [page(1, token=text)],
        "status line": [requests.ConnectionError(f"broken: {text}")],
    }[place]
    said = str(failure(*answers, api_key="key-of-mine", api_secret=SECRET_TEXT, attempts=1))
    assert "***" in said
    assert text.strip('"') not in said
    assert SECRET_TEXT not in said


DIVIDED = {
    "left-to-right mark": "s3cr3t\u200e/of+mine?",
    "zero width space": "s3cr3t/of\u200b+mine?",
    "tag": "s3cr3t/of<wbr>+mine?",
    "newline": "s3cr3t/of\n+mine?",
    "NUL": "\0".join(SECRET_TEXT),
    "base64 in lines": "\n".join(ENCODED[i : i + 7] for i in range(0, len(ENCODED), 7)),
    "all but the last": SECRET_TEXT[:-1],
    "all but the first": SECRET_TEXT[1:],
    "base64 cut": ENCODED[:-3],
    "hexadecimal with colons": SECRET_TEXT.encode().hex(":"),
    "escaped bytes": "".join(f"\\x{byte:02x}" for byte in SECRET_TEXT.encode()),
}


@pytest.mark.parametrize("form", DIVIDED)
def test_a_secret_that_is_cut_or_divided_is_redacted(form: str) -> None:
    said = str(
        failure((400, {}, {"reason": f"wrong: {DIVIDED[form]}."}), api_key="key-of-mine", api_secret=SECRET_TEXT)
    )
    squeezed = re.sub(r"[^!-~]", "", said)
    assert "***" in said
    assert not [part for part in (SECRET_TEXT[:8], SECRET_TEXT[-8:], ENCODED[8:20]) if part in squeezed]


def test_a_secret_at_the_end_of_what_is_read_of_an_error_is_redacted() -> None:
    body = b"<" + b"x" * (2**16 - len(SECRET_TEXT)) + b">" + SECRET_TEXT.encode()
    assert SECRET_TEXT[:8] not in str(failure((400, {}, body), api_key="key-of-mine", api_secret=SECRET_TEXT))


@pytest.mark.parametrize(
    "body",
    [
        {"collections": [{"id": "c1", SECRET_TEXT: 1}]},
        {"collections": [{"id": "c1", "assetCount": SECRET_TEXT}]},
        {"collections": [{"id": SECRET_TEXT, "assetCount": "x"}]},
        {"collections": [], "nextPaginationToken": [SECRET_TEXT]},
        b'{"collections": [], "%b": 1, "%b": 2}' % (SECRET_TEXT.encode(), SECRET_TEXT.encode()),
    ],
)
def test_a_secret_in_the_place_of_a_name_or_a_value_is_redacted(body, caplog) -> None:
    client, _ = answering((200, {}, body), api_key="key-of-mine", api_secret=SECRET_TEXT, attempts=1)
    described = scan("collections", client=client)
    try:
        described.to_arrow()
        said = json.dumps(described.report.to_dict())
    except ScenarioError as error:
        said = "".join(traceback.format_exception(error))
    assert SECRET_TEXT[:8] not in said + caplog.text


@pytest.mark.parametrize("body", [b"no JSON, " + SECRET_TEXT.encode(), b"\xff" + SECRET_TEXT.encode()])
def test_no_error_leads_to_the_body_of_a_response(body: bytes) -> None:
    error = failure((200, {}, body), api_key="key-of-mine", api_secret=SECRET_TEXT, attempts=1)
    while error:
        assert SECRET_TEXT[:8] not in repr(error) + repr(vars(error))
        error = error.__cause__ or error.__context__


def test_a_secret_that_is_no_text_is_in_no_error() -> None:
    with pytest.raises(ConfigError) as caught:
        Client("key", "s3cr3t-of-mine\udcff")
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


def test_a_bearer_callable_that_cannot_connect_is_retried() -> None:
    fails = [True, True, False]

    def token() -> str:
        if fails.pop(0):
            raise ConnectionError("hush")
        return "fresh"

    client, adapter = answering(page(), bearer_token=token)
    assert len(pages(client)) == 1
    assert len(adapter.requests) == 1


def test_a_short_secret_is_redacted_where_it_is_a_word() -> None:
    assert redact_secrets("start art, art:x or artist", ["art"]) == "start ***, ***:x or artist"


def test_a_short_key_leaves_words_as_they_are() -> None:
    said = str(
        failure((400, {}, {"reason": "a key of a team, a:s3cr3t-of-mine"}), api_key="a", api_secret="s3cr3t-of-mine")
    )
    assert said == "GET https://api.example/v1/collections?pageSize=100 (page 1): 400 : a key of a team, ***"


@given(st.text(), st.text(min_size=3))
def test_text_without_a_secret_is_not_changed(text: str, secret: str) -> None:
    assume(secret not in html.unescape(unquote(text)))
    assume("***" not in text)
    hidden = redact_secrets(text, [secret])
    assert hidden == text or "***" in hidden


def test_a_token_of_an_earlier_request_is_redacted_too() -> None:
    tokens = iter([f"t0k3n-number-{number}" for number in range(9)])
    answers = [page(token="t"), page(token="u"), (400, {}, {"reason": "t0k3n-number-0 has expired, t0k3n-number-1"})]
    said = str(failure(*answers, bearer_token=lambda: next(tokens)))
    assert "*** has expired, ***" in said


def test_a_secret_in_the_variable_for_its_file_is_not_in_the_error(monkeypatch) -> None:
    monkeypatch.setenv("SCENARIO_SDK_API_KEY", "key-of-mine")
    monkeypatch.setenv("SCENARIO_SDK_API_SECRET_FILE", "s3cr3t-of-mine")
    with pytest.raises(ConfigError, match="set the variable to a path, not to the secret itself") as caught:
        Client()
    assert "s3cr3t" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("taken", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_client_cannot_be_pickled_or_copied(taken) -> None:
    with pytest.raises(ConfigError, match="cannot be pickled or copied"):
        taken(Client("k", "s3cr3t"))
