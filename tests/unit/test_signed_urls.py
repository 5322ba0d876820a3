import time

import pytest

from scenario_etl.records import RecordReader
from scenario_etl.redact import redact, without_credentials
from scenario_etl.resources import COLLECTIONS
from scenario_etl.signed_urls import apply_form, apply_form_to_url, cut_signatures
from tests.helpers import record


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("two\nlines\x00", "two lines"),
        ("see https://cdn.example/a?Policy=p&Signature=s now", "see https://cdn.example/a?... now"),
        ({"url": "HTTPS://cdn.example/a?Signature=s", "n": None}, '{"url": "HTTPS://cdn.example/a?...", "n": null}'),
        (
            '{"url":"https:\\/\\/cdn\\/a?Policy=P&Signature=S"}',
            '{"url":"https:\\/\\/cdn\\/a?Policy=...&Signature=..."}',
        ),
        ("//cdn/a b?Signature=S&p=1", "//cdn/a b?Signature=...&p=1"),
        ("https%3A%2F%2Fcdn%2Fa%3FPolicy%3DP%26Signature%3DS x", "https%3A%2F%2Fcdn%2Fa%3FPolicy%3D... x"),
        ("//cdn/a?sig=S, cdn.x/a?token=T", "//cdn/a?sig=... cdn.x/a?token=..."),
        ("azblob://x/a?sv=1&sig=S", "azblob://x/a?sv=1&sig=..."),
        ("https://cdn/a#sig=S", "https://cdn/a#sig=..."),
        ('{"u":"https:\\/\\/cdn\\/a?Expires=1&sig=S"}', '{"u":"https:\\/\\/cdn\\/a?Expires=1&sig=..."}'),
        ("x?Expires=1\\u0026Signature=S", "x?Expires=1\\u0026Signature=..."),
        ("bearer_token=x, design=y", "bearer_token=x, design=y"),
        ("to https://user:hush@evil.example/", "to https://...@evil.example/"),
        ("x" * 61, "x" * 57 + "..."),
        (True, "true"),
        (float("nan"), "NaN"),
        ("\ud800", "\\ud800"),
    ],
)
def test_text_is_shown_in_one_short_line_without_queries(value, text) -> None:
    assert redact(value) == text


def test_a_long_signed_url_shows_nothing_of_its_signature() -> None:
    url = "https://cdn.example/assets-transform/a?Signature=" + "s3cr3t" * 10_000
    assert "s3cr3t" not in redact(url)
    assert "s3cr3t" not in redact([url], limit=500)


@pytest.mark.parametrize("text", ["//a:", "http://", "//a:b@", "https://x?", "Policy=", "<a ", "?X-Amz-", "%25", "\\"])
def test_text_of_a_hostile_server_is_shown_in_linear_time(text: str) -> None:
    def cost(length: int) -> float:
        started = time.process_time()
        without_credentials(text * (length // len(text)))
        return time.process_time() - started

    cost(1000)
    assert cost(200_000) < 4  # quadratic, it took more than a minute


NAMES = ["X-Goog-Signature", "sig", "signature", "Token", "X-Amz-Signature", "X-Amz-Security-Token", "security-token",
         "access_token", "hdnts"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mark", ["?", "&", "?a=1;", "#", "?u=b%3F", "?u=b%253F", "?a=1\\u0026"])
def test_a_signature_of_another_kind_is_one_too(mark: str, name: str) -> None:
    url = f"https://cdn.example/a{mark}{name}=s3cr3t"
    assert apply_form(url, "omit") is None
    assert "s3cr3t" not in cut_signatures(f"see {url} now")
    assert "s3cr3t" not in redact(url)


def test_a_deeply_nested_value_is_named_not_shown() -> None:
    nested: list = []
    for _ in range(100_000):
        nested = [nested]
    assert redact(nested) == "a deeply nested list"
    while nested:  # taken apart by hand: the interpreter would do it recursively
        nested = nested.pop()


SIGNED = "https://cdn.example/assets-transform/asset_1?p=100&Policy=abc&Key-Pair-Id=K&Signature=def"
PUBLIC = "https://cdn.example/thumbnails/asset_1"
OTHER = "https://cdn.example/elsewhere/asset_1?Policy=abc&Signature=def"
UNSIGNED = ["https://cdn.example/a?p=100", PUBLIC, "https://cdn.example/assets-transform/asset_1", ""]


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("keep", [SIGNED, OTHER, *UNSIGNED, None]),
        ("public", [PUBLIC, None, *UNSIGNED, None]),
        ("omit", [None, None, *UNSIGNED, None]),
    ],
)
def test_signed_urls_take_the_requested_form_and_unsigned_ones_stay(form, expected) -> None:
    assert [apply_form(url, form, "thumbnail") for url in [SIGNED, OTHER, *UNSIGNED, None]] == expected


UNKNOWN = ["https://cdn.example/a?p=100", "https://cdn.example/a#p", "https://me:s3cr3t@cdn.example/a"]


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("keep", [SIGNED, OTHER, *UNKNOWN, PUBLIC, "", None]),
        ("public", [PUBLIC, None, None, None, None, PUBLIC, "", None]),
        ("omit", [None] * 8),
    ],
)
def test_a_column_of_signed_urls_is_null_unless_the_url_is_public(form, expected) -> None:
    urls = [SIGNED, OTHER, *UNKNOWN, PUBLIC, "", None]
    assert [apply_form_to_url(url, form, "thumbnail") for url in urls] == expected
    records = [
        record(id=str(number), thumbnail=None if url is None else {"url": url}) for number, url in enumerate(urls)
    ]
    assert RecordReader(COLLECTIONS, signed_urls=form).read(records)["thumbnail_url"].to_pylist() == expected


def test_the_url_of_content_has_no_permanent_form() -> None:
    assert apply_form(SIGNED, "public") is None
    assert apply_form(PUBLIC, "public") == PUBLIC


@pytest.mark.parametrize("form", ["public", "omit"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cannot fetch https://cdn.x/a.png?Policy=p&Signature=s: 403", "cannot fetch https://cdn.x/a.png: 403"),
        ("a (https://cdn.x/a?p=1&sig=s#f), b https://b.x/?p=1.", "a (https://cdn.x/a), b https://b.x/?p=1."),
        ("see https://cdn.x/a#Policy=p", "see https://cdn.x/a"),
        ("see https://me:s3cr3t@cdn.x/a and git@cdn.x:b", "see https://cdn.x/a and git@cdn.x:b"),
        ("see https://p.x/f?u=https%3A%2F%2Fcdn.x%2Fa%3FPolicy%3Dp", "see https://p.x/f"),
        ("see https://p.x/https%3A%2F%2Fcdn.x%2Fa%3FPolicy%3Dp", "see https://p.x/https%3A%2F%2Fcdn.x%2Fa"),
        ('{"u":"https:\\/\\/cdn.x\\/a?e=1\\u0026sig=s","n":1}', '{"u":"https:\\/\\/cdn.x\\/a","n":1}'),
        ('{\\"u\\":\\"https://cdn.x/a?sig=s\\"}', '{\\"u\\":\\"https://cdn.x/a\\"}'),
        ("azblob://x/a?sig=s", "azblob://x/a"),
    ],
)
def test_a_text_loses_only_the_queries_of_its_signed_urls(text: str, expected: str, form) -> None:
    assert apply_form(text, form) == cut_signatures(text) == expected
    assert apply_form({"error": [text]}, form) == {"error": [expected]}


@pytest.mark.parametrize(
    "text", ["which one?token=gold;sig=none", "Policy=fair", "10:/2?sig=1", "a ratio of 1:\\?sig=1"]
)
def test_a_text_without_a_url_is_unchanged(text: str) -> None:
    assert apply_form({"prompt": text}, "omit") == {"prompt": text}
    assert cut_signatures([text, None]) == [text, None]


def test_the_names_in_a_json_object_lose_signatures() -> None:
    names = [SIGNED, OTHER, PUBLIC, "url"]
    cut = ["https://cdn.example/assets-transform/asset_1", "https://cdn.example/elsewhere/asset_1", PUBLIC, "url"]
    assert apply_form({"a": dict.fromkeys(names, 1)}, "public") == {"a": dict.fromkeys(cut, 1)}


PARTS = ["://", ":\\/\\/", "https://a:", "https://a?sig=", "x%25", "\\", "\\u", "?X-Amz-", "https://a?sig=1 ", "."]


@pytest.mark.parametrize("part", PARTS)
def test_signatures_in_a_long_text_are_cut_in_linear_time(part: str) -> None:
    for text in (part * (1_000_000 // len(part)), "https://" + part * (1_000_000 // len(part))):
        started = time.process_time()
        apply_form(text, "public")
        cut_signatures(text)
        assert time.process_time() - started < 10  # quadratic, it would take hours
