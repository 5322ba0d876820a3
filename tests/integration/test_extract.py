import logging
import pickle
import re
import subprocess
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError
from inspect import Parameter, signature
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scenario_etl import (
    Emulator,
    changes,
    export_collections,
    extract_collections,
    read_snapshot,
    scan,
    snapshot,
)
from scenario_etl.errors import (
    ConfigError,
    DestinationError,
    TransientError,
)
from scenario_etl.parquet import key_values, open_parquet
from scenario_etl.resources import COLLECTIONS
from tests.helpers import answering, page, record, records, split
from tests.versions import DTYPES, from_arrow

TYPES = [DTYPES[column.type] for column in COLLECTIONS.columns]


def test_the_frame_has_real_types_with_and_without_nulls(connect) -> None:
    with Emulator(250) as api:
        frame = extract_collections(client=connect(api))
    assert [str(kind) for kind in frame.dtypes] == TYPES
    assert frame["thumbnail_url"].isna().any()
    nulls = answering(page({"id": "c1"}))[0]
    assert [str(kind) for kind in extract_collections(client=nulls).dtypes] == TYPES


def test_an_empty_team_has_the_same_columns(connect) -> None:
    with Emulator(0) as api:
        frame = extract_collections(client=connect(api))
    assert [str(kind) for kind in frame.dtypes] == TYPES
    assert frame.shape == (0, 10)


@pytest.mark.parametrize(
    ("backend", "kind"), [("pyarrow", "int64[pyarrow]"), ("numpy_nullable", "Int64"), (None, "Int64")]
)
def test_the_dtype_backend_is_as_in_pandas(backend, kind: str) -> None:
    frame = scan("collections", client=answering(page(record()))[0]).to_pandas(dtype_backend=backend)
    assert str(frame["asset_count"].dtype) == kind


def test_the_file_holds_the_table_and_names_its_origin(connect, tmp_path: Path) -> None:
    with Emulator(250) as api:
        client = connect(api)
        described = scan("collections", client=client, project_id=api.project_ids[1])
        report = described.to_parquet(tmp_path / "c.parquet")
        assert pq.read_table(tmp_path / "c.parquet").equals(described.to_arrow())
    metadata = key_values(open_parquet(tmp_path / "c.parquet"))
    assert metadata == {
        "scenario_etl.version": "0.1.0",
        "scenario_etl.resource": "collections",
        "scenario_etl.extracted_at": report.extracted_at.isoformat(),
        "scenario_etl.base_url": api.url,
        "scenario_etl.project_id": api.project_ids[1],
        "scenario_etl.filters": "{}",
        "scenario_etl.rows": str(report.rows),
        "scenario_etl.pages": "1",
        "scenario_etl.requests": "1",
        "scenario_etl.retries": "0",
        "scenario_etl.duplicates": "0",
        "scenario_etl.tokens_sha256": report.tokens_sha256,
        "scenario_etl.complete": "true",
    }
    assert (report.path, report.bytes) == (str(tmp_path / "c.parquet"), (tmp_path / "c.parquet").stat().st_size)


def test_head_takes_as_few_requests_as_it_needs_and_never_passes_for_the_whole(connect) -> None:
    with Emulator(250) as api:
        described = scan("collections", client=connect(api))
        assert described.head(3).shape == (3, 10)
        assert api.requests == [("GET", "/v1/collections?pageSize=3")]
        assert described.head(150).shape == (150, 10)
        assert len(api.requests) == 3
        assert described.head(0).shape == (0, 10)
        assert len(api.requests) == 3
    with Emulator(2) as api:
        small = scan("collections", client=connect(api))
        assert small.head(10).shape == (2, 10)
    assert small.report is described.report is None
    with pytest.raises(ConfigError):
        described.head(-1)


def test_head_goes_on_over_short_and_empty_pages() -> None:
    client, _ = answering(*split(records(9), [1, 0, 2]))
    assert len(scan("collections", client=client).head(5)) == 5


def test_each_use_of_a_scan_is_a_new_run(connect) -> None:
    with Emulator(5) as api:
        described = scan("collections", client=connect(api))
        assert described.report is None
        assert described.to_arrow().equals(described.to_arrow())
        assert len(api.requests) == 2


def test_a_stream_that_fails_raises_and_leaves_no_report() -> None:
    client, _ = answering(page(record(), token="t"), (404, {}, {"reason": "gone"}))
    described = scan("collections", client=client)
    with pytest.raises(pa.ArrowInvalid, match=r"404.*gone"):
        pa.RecordBatchReader.from_stream(described).read_all()
    assert described.report is None


def test_other_libraries_take_a_scan_as_it_is(connect) -> None:
    with Emulator(250) as api:
        described = scan("collections", client=connect(api))
        total = described.to_arrow()["item_count"].to_numpy().sum()
        assert duckdb.sql("SELECT sum(item_count) FROM described").fetchall() == [(total,)]
        assert pl.DataFrame(described)["item_count"].sum() == total
        assert pa.table(described)["item_count"].to_numpy().sum() == total
        assert from_arrow(described)["item_count"].sum() == total


def test_to_batches_gives_one_batch_a_page_as_they_arrive() -> None:
    client, adapter = answering(*split(records(6), [2, 0]))
    batches = scan("collections", client=client).to_batches()
    assert (next(batches).num_rows, len(adapter.requests)) == (2, 1)
    assert [batch.num_rows for batch in batches] == [0, 4]


@pytest.mark.parametrize(
    ("resource", "arguments", "words"),
    [
        ("asset", {}, "'asset' is not a resource; did you mean 'assets'\\? The resources are: collections"),
        ("collections", {"colour": "red"}, "unknown argument 'colour'; the filters of collections are: project_id"),
        ("collections", {"project_id": ""}, "project_id must be a string of 1 to 1,000 printable characters, got ''"),
        ("collections", {"project_id": 7}, "project_id must be a string of 1 to 1,000 printable characters, got 7"),
        ("collections", {"page_size": 0}, "page_size must be between 1 and 100, got 0"),
        ("collections", {"page_size": 101}, "page_size must be between 1 and 100, got 101"),
        ("collections", {"page_size": "10"}, "page_size must be an integer, got '10'"),
        ("collections", {"page_size": True}, "page_size must be an integer, got True"),
    ],
)
def test_a_wrong_argument_is_rejected_when_the_scan_is_described(resource, arguments, words) -> None:
    with pytest.raises(ConfigError, match=words):
        scan(resource, **arguments)


def test_the_functions_for_collections_name_their_arguments(connect) -> None:
    with Emulator(3) as api:
        frame = extract_collections(client=connect(api), dtype_backend="pyarrow", project_id=api.project_ids[0])
    assert "pyarrow" in str(frame["asset_count"].dtype)
    for function in (extract_collections, export_collections):
        parameters = signature(function).parameters.values()
        assert "project_id" in signature(function).parameters
        assert not [each for each in parameters if each.kind is Parameter.VAR_KEYWORD]


@pytest.mark.parametrize("name", ["c.csv", "c.CSV", "c.json", "deep/c.xlsx", "s3://bucket/c.tsv", Path("c.ndjson")])
def test_the_name_of_another_kind_of_file_is_rejected_before_any_request(name) -> None:
    client, adapter = answering(page())
    with pytest.raises(ConfigError, match=r"only Parquet is supported, got .*c\..*; export to .*c\.parquet, and conv"):
        export_collections(name, client=client)
    assert adapter.requests == []


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".json", ".jsonl"])
def test_the_advice_of_how_to_convert_works(tmp_path: Path, monkeypatch, suffix: str) -> None:
    monkeypatch.chdir(tmp_path)
    client, _ = answering(page(record()))
    with pytest.raises(ConfigError) as caught:
        export_collections(f"c{suffix}", client=client)
    export_collections("c.parquet", client=client)
    command = re.search(r"convert that file: (python -c .*)", str(caught.value))[1]
    subprocess.run(command.replace("python", sys.executable, 1), shell=True, check=True)
    assert "Key Art" in Path(f"c{suffix}").read_text()


def test_a_wrong_dtype_backend_is_rejected_before_any_request() -> None:
    client, adapter = answering(page())
    with pytest.raises(ConfigError, match="numpy_nullable"):
        scan("collections", client=client).to_pandas(dtype_backend="numpy")
    assert adapter.requests == []


def test_config_comes_before_destination_and_both_before_any_request(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no credentials"):
        export_collections(tmp_path / "missing" / "c.parquet")
    client, adapter = answering(page())
    with pytest.raises(DestinationError):
        export_collections(tmp_path / "missing" / "c.parquet", client=client)
    assert adapter.requests == []


def test_without_a_client_one_is_made_from_the_environment(monkeypatch) -> None:
    with Emulator(3) as api:
        monkeypatch.setenv("SCENARIO_BASE_URL", api.url)
        monkeypatch.setenv("SCENARIO_SDK_API_KEY", "demo")
        monkeypatch.setenv("SCENARIO_SDK_API_SECRET", "demo")
        assert len(extract_collections()) == 3


def test_a_failure_logs_and_shows_no_secret(caplog) -> None:
    caplog.set_level(logging.DEBUG)
    client, _ = answering((500, {}, {"reason": "secret-of-mine a2V5LW9mLW1pbmU6c2VjcmV0LW9mLW1pbmU="}))
    described = scan("collections", client=client)
    with pytest.raises(TransientError) as caught:
        described.to_arrow()
    text = caplog.text + repr(described) + repr(client) + "".join(traceback.format_exception(caught.value))
    assert "secret-of-mine" not in text
    assert "a2V5LW9mLW1pbmU6" not in text


@pytest.mark.parametrize("rows", [[], [{}], [{"assetCount": None, "name": None, "thumbnail": None, "createdAt": None}]])
@pytest.mark.parametrize("times", [1, 2])
def test_the_dtypes_are_the_same_by_every_route_with_and_without_nulls(tmp_path: Path, rows, times: int) -> None:
    records = [record(id=f"c{number}", **row) for number, row in enumerate(rows * times)] + [record(id="x")] * len(rows)
    described = scan("collections", client=answering(page(*records))[0])
    described.to_parquet(tmp_path / "c.parquet")
    lake = tmp_path / "lake"
    client, _ = answering(page(*records))
    snapshot("collections", lake, client=client, date="2026-11-01", signed_urls="keep")
    frames = [
        described.to_pandas(),
        described.to_arrow().to_pandas(),
        pd.read_parquet(tmp_path / "c.parquet"),
        pq.read_table(tmp_path / "c.parquet").to_pandas(),
        read_snapshot(lake, "collections").to_pandas(),
        pd.read_parquet(lake / "collections").drop(columns="snapshot_date"),
        changes(lake, "collections").to_pandas().drop(columns=["snapshot_date", "change", "changed_columns"]),
    ]
    for frame in frames:
        assert [str(dtype) for dtype in frame.dtypes] == TYPES
        pd.testing.assert_frame_equal(frame, frames[0])
    counts = pd.read_parquet(tmp_path / "c.parquet", columns=["asset_count"])
    assert [str(dtype) for dtype in counts.dtypes] == ["Int64"]


def test_a_scan_is_frozen_and_can_be_pickled_without_its_client_and_its_report(api, client, monkeypatch) -> None:
    described = scan("collections", project_id=api.project_ids[0], page_size=50)
    with pytest.raises(FrozenInstanceError):
        described.client = client
    with pytest.raises(TypeError):
        described.source.query["projectId"] = "another"
    copy = pickle.loads(pickle.dumps(described))
    assert copy == described
    assert hash(copy) == hash(described)
    assert copy.schema == described.schema
    for name in ("API_KEY", "API_SECRET"):
        monkeypatch.setenv(f"SCENARIO_SDK_{name}", "demo")
    monkeypatch.setenv("SCENARIO_BASE_URL", api.url)
    assert described.to_arrow().equals(copy.to_arrow())
    assert described.report is not None
    assert pickle.loads(pickle.dumps(described)).report is None


def test_a_scan_with_a_client_cannot_be_pickled(client) -> None:
    with pytest.raises(ConfigError, match="pickle a Scan without a client, and where it is read, call with_client"):
        pickle.dumps(scan("collections", client=client))


def test_runs_of_one_scan_in_several_threads_do_not_mix(client) -> None:
    described = scan("collections", client=client, page_size=10)
    with ThreadPoolExecutor(8) as pool:
        tables = list(pool.map(lambda _: described.to_arrow(), range(8)))
    assert all(table.equals(tables[0]) for table in tables)
    assert (described.report.rows, described.report.pages, described.report.duplicates) == (250, 25, 0)


@pytest.mark.parametrize("suffix", [".gz", ".zip", ".GZ"])
def test_the_error_for_a_second_compression_suffix_names_the_right_file(suffix: str) -> None:
    with pytest.raises(
        ConfigError, match=f"a Parquet file is already compressed, got c.parquet{suffix}; export to c.parquet$"
    ):
        export_collections(f"c.parquet{suffix}")


def test_the_repr_of_a_scan_names_its_filters_as_they_were_passed() -> None:
    assert repr(scan("collections", project_id="p")) == "<scenario_etl.Scan of collections {'project_id': 'p'}>"
    assert repr(scan("collections")) == "<scenario_etl.Scan of collections>"


def test_the_arrow_schema_needs_no_request() -> None:
    described = scan("assets", project_id=["p", "q"])
    assert pa.schema(described).equals(described.schema, check_metadata=True)
