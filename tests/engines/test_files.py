"""Other engines read the files of exports, snapshots and changes with the types and values of pyarrow."""

import datetime as dt
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from scenario_etl import Client, Emulator, scan, snapshot
from scenario_etl.column_types import ANY, BOOLEAN, FLOAT, FLOATS, INTEGER, JSON, STRING, STRINGS, TIMESTAMP
from scenario_etl.resources import RESOURCES
from scenario_etl.schema import Resource
from tests.engines.arrow_types import type_name
from tests.helpers import answering

pytestmark = [  # of PySpark, and of pyarrow with pandas 3.1
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Series.values returning an ndarray"),
]

Read = Callable[[Path, SparkSession], pa.Table]
ENGINES: dict[str, Read] = {
    "pandas": lambda path, _: pa.Table.from_pandas(pd.read_parquet(path), pq.read_schema(path), preserve_index=False),
    "DuckDB": lambda path, _: duckdb.sql(f"SET TimeZone = 'UTC'; FROM '{path}'").to_arrow_table(),
    "Polars": lambda path, _: pl.read_parquet(path).to_arrow(compat_level=pl.CompatLevel.oldest()),
    "Spark": lambda path, spark: spark.read.parquet(str(path)).toArrow(),
}
INCLUDED = {"assets": {"include_embedding": True}, "projects": {"include_personal": True}}
VALUES: dict[Any, Any] = {
    STRING: "é\n\0", ANY: [1, "é"], INTEGER: 2**53 - 1, FLOAT: 0.1, BOOLEAN: False,
    TIMESTAMP: "1969-12-31T23:59:59.999999Z", STRINGS: ["", "é"], FLOATS: [0.1, -1.0],
    JSON: {"b": [None, {}], "a": 1e-9},
}  # fmt: skip


def record(resource: Resource, key: str, *, is_sparse: bool) -> dict[str, Any]:
    """A record with a value for each column, or only those that must not be null."""
    found: dict[str, Any] = {}
    for column in sorted(resource.columns, key=lambda column: -column.field.count(".")):  # nested ones come first
        *parents, name = column.field.split(".")
        if column.name in resource.primary_key and column.type == STRING:
            found[name] = key
        elif column.name == resource.exploded:
            found[name] = ["one", "é"]
        elif not is_sparse:
            within = found
            for parent in parents:
                within = within.setdefault(parent, {})
            within.setdefault(name, VALUES[column.type])
    return found


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """The files of each resource, in folders without names of partitions."""
    found = {name: write_exports(name, tmp_path_factory.mktemp(name)) for name in RESOURCES}
    now = dt.datetime(2026, 11, 10, 8, tzinfo=dt.UTC)
    lake = tmp_path_factory.mktemp("lake")
    with (
        Emulator(20, assets=100, now=now) as api,
        Client("demo", "demo", base_url=api.url, requests_per_minute=None) as client,
    ):
        for day in ("2026-11-10", "2026-11-11"):
            for name in RESOURCES:
                snapshot(name, lake, date=day, client=client)
            api.create_assets(3)
    for name, paths in found.items():
        for number, path in enumerate(sorted(lake.glob(f"{name}*/**/*.parquet"))):
            paths.append(Path(shutil.copy(path, paths[0].parent / f"lake{number}.parquet")))
    return found


def write_exports(name: str, folder: Path) -> list[Path]:
    """Exports of two records, one of them without optional fields, of nulls only, and of no record."""
    declared = scan(name, **INCLUDED.get(name, {})).source.resource
    full, sparse = (record(declared, key, is_sparse=key == "sparse") for key in ("full", "sparse"))
    paths = []
    for number, rows in enumerate(([full, sparse], [sparse], [])):
        client, _ = answering({declared.records_key: rows})
        paths.append(folder / f"{number}.parquet")
        export = scan(name, client=client, **INCLUDED.get(name, {}))
        export.to_parquet(paths[-1])
        assert pq.read_table(paths[-1]).equals(export.to_arrow())
    return paths


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", RESOURCES)
def test_an_engine_reads_each_file_with_its_types_and_values(
    engine: str, name: str, files, spark: SparkSession
) -> None:
    for path in files[name]:
        expected = pq.read_table(path)
        found = ENGINES[engine](path, spark)
        assert {field.name: type_name(field.type) for field in found.schema} == {
            field.name: type_name(field.type) for field in expected.schema
        }
        assert found.cast(expected.schema).equals(expected)


@pytest.mark.parametrize("name", RESOURCES)
def test_there_are_files_with_and_without_rows_of_each_kind(name: str, files) -> None:
    counts = [pq.read_metadata(path).num_rows for path in files[name]]
    assert counts[2] == 0
    assert min(counts[:2]) > 0
    assert len(counts) == 7
