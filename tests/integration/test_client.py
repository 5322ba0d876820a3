import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenario_etl import Client
from scenario_etl.errors import (
    APIError,
    AuthError,
    ConfigError,
    PaginationError,
    TransientError,
)
from tests.helpers import answering, failure, page, pages


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
def test_a_wrong_argument_is_rejected_before_any_request_without_showing_secrets(arguments) -> None:
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
def test_an_absent_null_or_empty_token_ends_the_list(end) -> None:
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
    assert f"page {len(tokens)} has the same next-page token 'a' as an earlier page" in str(error)


def test_nine_consecutive_empty_pages_are_skipped_and_ten_are_an_error() -> None:
    nine = [page(token=f"t{i}") for i in range(9)]
    assert len(pages(answering(*nine, page(1, token="x"), *[page(token=f"u{i}") for i in range(9)], page())[0])) == 20
    assert "10 consecutive empty pages" in str(failure(*nine, page(token="t9"), page()))


def test_pages_counts_pages_requests_and_the_chain_of_tokens() -> None:
    client, _ = answering(page(token="a"), (503, {}, b""), page(token="b"), page())
    pages = client.pages("/collections", "collections", {})
    list(pages)
    assert (pages.pages, pages.requests, pages.retries) == (3, 4, 1)
    assert pages.seconds_waited >= 1
    assert pages.tokens_sha256 == hashlib.sha256(b"a\nb\n").hexdigest()


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
    with pytest.raises(APIError, match="the body has no object 'collection'"):
        client.retrieve("/collections/c1", "collection")
