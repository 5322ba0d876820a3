import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenario_etl.errors import APIError, TransientError
from scenario_etl.response import DuplicateKeyError, decode_json
from tests.helpers import answering, failure, page, pages


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"collections": [', b"\xff\xfe\xfa", b"text\n"])
def test_a_200_that_is_not_json_is_retried_then_exit_75(body: bytes) -> None:
    client, adapter = answering((200, {}, body))
    with pytest.raises(TransientError, match="status 200, but the body is not valid JSON") as caught:
        pages(client)
    assert (caught.value.exit_code, caught.value.status, len(adapter.requests)) == (75, 200, 8)


@pytest.mark.parametrize(
    "body", [None, [], [{"id": "x"}], 3, {}, {"collections": None}, {"collections": {}}, {"reason": "quota"}]
)
def test_json_without_the_list_is_retried_then_exit_69(body) -> None:
    client, adapter = answering((200, {}, body))
    with pytest.raises(APIError, match="status 200, but the body has no list 'collections'") as caught:
        pages(client)
    assert (caught.value.exit_code, len(adapter.requests)) == (69, 8)


@pytest.mark.parametrize("value", [b"[" * 100_000, b"9" * 5000], ids=["nested", "integer"])
def test_json_that_python_cannot_read_is_retried_then_exit_69(value: bytes) -> None:
    client, adapter = answering((200, {}, b'{"collections": [{"id": "c1", "assetCount": ' + value + b"}]}"))
    with pytest.raises(APIError, match="nested too deeply, or has an integer with too many digits") as caught:
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


def test_a_compressed_response_is_bounded_while_it_is_decompressed() -> None:
    bomb = gzip.compress(b" " * (40 * 2**20))
    client, adapter = answering((200, {"Content-Encoding": "gzip"}, bomb))
    with pytest.raises(APIError, match="larger than 32 MiB; use a smaller page size"):
        pages(client)
    assert len(adapter.requests) == 1


def test_a_compressed_page_is_decompressed_and_a_corrupt_one_retried() -> None:
    good = gzip.compress(json.dumps(page(1)).encode())
    header = {"Content-Encoding": "gzip"}
    client, adapter = answering((200, header, good[:20] + b"garbage"), (200, header, good[:-12]), (200, header, good))
    assert pages(client)[0].records == [1]
    assert len(adapter.requests) == 3


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
def test_invalid_json_is_rejected_as_the_standard_library_does(value, data) -> None:
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
