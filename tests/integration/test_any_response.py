import contextlib
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from scenario_etl import (
    Client,
    Emulator,
    export_collections,
    extract_collections,
    scan,
)
from scenario_etl.emulator import SIGN_IN_PAGE, Fault
from scenario_etl.errors import (
    ScenarioError,
)
from scenario_etl.resources import COLLECTIONS
from tests.helpers import FakeClock, answering, page, record, records, split


@given(st.lists(st.integers(0, 5), max_size=9))
def test_any_split_of_records_into_pages_gives_every_record_once_in_order(sizes) -> None:
    frame = extract_collections(client=answering(*split(records(20), sizes))[0])
    assert frame["id"].tolist() == [f"c{number}" for number in range(20)]


transient = st.sampled_from(
    [Fault(status=503), Fault(status=429, headers={"Retry-After": "2"}), Fault(reset=True), Fault(cut=20), SIGN_IN_PAGE]
)


@settings(max_examples=40)
@given(st.lists(st.none() | transient, max_size=7))
def test_any_script_of_transient_faults_gives_the_same_table_as_none(faults) -> None:
    clock = FakeClock()
    with (
        Emulator(30, faults=faults) as api,
        Client("demo", "demo", base_url=api.url, sleep=clock.sleep, clock=clock) as client,
    ):
        described = scan("collections", client=client, page_size=10)
        table = described.to_arrow()
        api.faults.clear()
        assert table.equals(described.to_arrow())


anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


pages = st.fixed_dictionaries(
    {}, optional={"collections": anything | st.lists(st.just(record()) | anything), "nextPaginationToken": anything}
)


@given(anything | pages)
def test_any_json_as_a_page_gives_the_declared_schema_or_a_scenario_error(body) -> None:
    try:
        table = scan("collections", client=answering((200, {}, body), page())[0]).to_arrow()
    except ScenarioError:
        return
    assert table.schema == COLLECTIONS.schema


@given(st.binary() | st.binary().map(lambda noise: json.dumps(page(record())).encode() + noise))
def test_any_bytes_as_a_page_give_a_table_or_a_scenario_error(body) -> None:
    with contextlib.suppress(ScenarioError):
        scan("collections", client=answering((200, {}, body))[0]).to_arrow()


FAILURES = [
    (404, {}, b""),
    (503, {}, b""),
    (200, {}, b"<html>"),
    page(record(assetCount=1.5)),
    page(1),
    page(token="t0"),
]


@given(st.sampled_from(FAILURES), st.integers(0, 4))
def test_a_failure_anywhere_leaves_the_old_file_byte_for_byte(tmp_path_factory, failure, position: int) -> None:
    folder = tmp_path_factory.mktemp("failure")
    old = folder / "collections.parquet"
    old.write_bytes(b"yesterday")
    good = [page(record(id=f"c{i}"), token=f"t{i}") for i in range(position)]
    client, _ = answering(*good, failure)
    try:
        export_collections(old, client=client)
    except ScenarioError:
        assert old.read_bytes() == b"yesterday"
    else:
        assert failure == page(token="t0")
        assert position == 0
    assert [path.name for path in folder.iterdir()] == ["collections.parquet"]
