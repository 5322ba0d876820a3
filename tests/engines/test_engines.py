"""Each recipe of docs/engines.md runs as it is printed, and its engine has the rows of the scan."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather
import pytest
import requests

from scenario_etl import Client, Emulator, scan
from tests.engines.arrow_types import type_name
from tests.helpers import environment

PAGE = (Path(__file__).parents[2] / "docs/engines.md").read_text()
TABLE_ROW = re.compile(r"^\| \[(.+?)\]\(#[\w-]+\) \| .*? \| (.*?) \| (.*?) \| (.*?) \|$", re.MULTILINE)
ENGINES = {name: types for name, *types in TABLE_ROW.findall(PAGE)}
COLUMNS = ("id", "tags", "created_at")  # whose types are in the table
RESULTS = {  # what a recipe has read or written, as an Arrow table
    "DuckDB": "connection.sql('FROM assets').to_arrow_table()",
    "Polars": "frame.collect().to_arrow(compat_level=pl.CompatLevel.oldest())",
    "pandas": "pyarrow.Table.from_pandas(df, preserve_index=False)",
    "pyarrow.dataset": "dataset.to_table()",
    "Dask": "pyarrow.Table.from_pandas(frame.compute(), preserve_index=False)",
    "Daft": "frame.to_arrow()",
    "DataFusion": "context.sql('SELECT * FROM assets').to_arrow_table()",
    "PostgreSQL": "query(adbc_driver_postgresql.dbapi.connect('postgresql://'), 'assets')",
    "SQLite": "query(adbc_driver_sqlite.dbapi.connect('scenario.sqlite'), 'collections')",
    "Delta Lake": "pyarrow.table(table.to_pyarrow_table())",
    "Iceberg": "table.scan().to_arrow()",
    "dlt": "query(duckdb.connect('scenario_assets.duckdb'), 'scenario.assets')",
}
SAVE = """
import duckdb, pyarrow.feather

def query(connection, table):
    with connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table}")
        return cursor.to_arrow_table() if hasattr(cursor, "to_arrow_table") else cursor.fetch_arrow_table()

pyarrow.feather.write_feather(%s, "result.arrow")
"""


@pytest.fixture(scope="module")
def postgres() -> Iterator[dict[str, str]]:
    """The environment variables that connect to a new PostgreSQL server, which listens on a socket only."""
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    user: dict[str, Any] = {} if os.geteuid() else {"user": "postgres", "group": "postgres"}  # never root
    with tempfile.TemporaryDirectory() as folder:

        def run(program: str, *arguments: str) -> None:
            command = [programs / program, "-D", f"{folder}/data", *arguments]
            subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL, **user)

        shutil.chown(folder, **user) if user else None
        run("initdb", "--auth=trust", "--username=postgres")
        run("pg_ctl", "-w", "-l", f"{folder}/log", "-o", f"-k {folder} -h ''", "start")
        yield {"PGHOST": folder, "PGUSER": "postgres", "PGDATABASE": "postgres"}
        run("pg_ctl", "-w", "-m", "immediate", "stop")


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_has_the_rows_of_the_scan_before_and_after_a_change(
    engine: str, tmp_path: Path, postgres: dict[str, str]
) -> None:
    recipe = re.search(rf"^## {re.escape(engine)}\n\n```python[ \w]*\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[1]
    resource = re.search(r'scan\("(\w+)"\)', recipe)[1]
    command = [sys.executable, "-c", recipe + SAVE % RESULTS[engine]]
    with Emulator(12) as api, Client("demo", "demo", base_url=api.url) as client:
        env = environment(api, DLT_DATA_DIR=str(tmp_path), TZ="UTC", **postgres)
        for change in (lambda: None, lambda: change_some(api)):
            change()
            done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            found = pyarrow.feather.read_table(tmp_path / "result.arrow")
            expected = scan(resource, client=client).to_arrow().sort_by("id")
            assert found.num_rows == expected.num_rows
            assert as_declared(found, expected.schema).sort_by("id").equals(expected)
    assert ENGINES[engine] == [cell(found, name) for name in COLUMNS]


def as_declared(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return the columns with the types of a scan, of which an engine may have kept the values as text."""
    return pa.table([column_as(table[field.name], field.type) for field in schema], schema=schema)


def column_as(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Return a column with a type; timestamps as text are in UTC, and lists as text are JSON."""
    if pa.types.is_string(column.type) and pa.types.is_list(kind):
        return pa.chunked_array([[value and json.loads(value) for value in column.to_pylist()]], kind)
    if pa.types.is_string(column.type) and pa.types.is_timestamp(kind):
        column = column.cast(pa.timestamp("us"))
    return column.cast(kind)


def change_some(api: Emulator) -> None:
    """Create three assets, change the tags of another, and rename a collection."""
    with Client("demo", "demo", base_url=api.url) as client:
        last, first = (scan(name, client=client).to_arrow()["id"][-1] for name in ("assets", "collections"))
    api.create_assets(3)
    for path, change in ((f"assets/{last}", {"tags": ["new"]}), (f"collections/{first}", {"name": "new"})):
        assert requests.put(f"{api.url}/{path}", json=change, auth=("demo", "demo"), timeout=10).status_code == 200


def cell(table: pa.Table, name: str) -> str:
    """The type of a column as in the table of the page."""
    return f"`{type_name(table.schema.field(name).type)}`" if name in table.column_names else "not supported"


def test_every_engine_of_the_table_has_a_recipe_and_every_recipe_is_in_the_table() -> None:
    recipes = PAGE.split("\n## Overview\n")[1].split("\n## Parquet files\n")[0]
    assert [*ENGINES] == [*RESULTS] == re.findall(r"^## (.+)\n\n```python", recipes, re.MULTILINE)


def test_each_requirement_has_a_lower_bound() -> None:
    lines = (Path(__file__).parent / "requirements.txt").read_text().splitlines()
    assert all(re.fullmatch(r"[\w-]+(\[[\w,-]+\])?>=[\d.]+", line) for line in lines if not line.startswith("#"))
