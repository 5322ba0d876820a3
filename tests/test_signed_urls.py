import pytest

from scenario_etl.signed_urls import shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("two\nlines\x00", "two lines"),
        ("see https://cdn.example/a?Policy=p&Signature=s now", "see https://cdn.example/a?... now"),
        ({"url": "HTTPS://cdn.example/a?Signature=s", "n": None}, '{"url": "HTTPS://cdn.example/a?...", "n": null}'),
        ("x" * 61, "x" * 57 + "..."),
        (True, "true"),
        (float("nan"), "NaN"),
        ("\ud800", "\\ud800"),
    ],
)
def test_text_is_shown_in_one_short_line_without_queries(value, text) -> None:
    assert shown(value) == text


def test_a_long_signed_url_shows_nothing_of_its_signature() -> None:
    url = "https://cdn.example/assets-transform/a?Signature=" + "s3cr3t" * 10_000
    assert "s3cr3t" not in shown(url)
    assert "s3cr3t" not in shown([url], limit=500)


def test_a_deeply_nested_value_is_named_not_shown() -> None:
    nested: list = []
    for _ in range(100_000):
        nested = [nested]
    assert shown(nested) == "a deeply nested list"
    while nested:  # taken apart by hand: the interpreter would do it recursively
        nested = nested.pop()
