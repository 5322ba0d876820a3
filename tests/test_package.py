import doctest
import importlib
import inspect
import subprocess
import sys

import pytest

import scenario_etl

MODULES = [
    "client",
    "emulator",
    "errors",
    "extract",
    "parquet",
    "publish",
    "resources",
    "retry",
    "schema",
    "signed_urls",
]


def test_all_is_exactly_the_public_names() -> None:
    public = {
        name for name, value in vars(scenario_etl).items() if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert public == set(scenario_etl.__all__)
    assert sorted(scenario_etl.__all__) == scenario_etl.__all__


@pytest.mark.parametrize(
    "code",
    [
        "import scenario_etl",
        "import sys; sys.argv[1:] = ['--help']; from scenario_etl.cli import cli; cli(standalone_mode=False)",
    ],
)
def test_neither_the_import_nor_help_imports_pandas(code: str) -> None:
    tell = f"{code}\nimport sys; assert not {{'pandas', 'tqdm', 'duckdb', 'polars'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", tell], check=True, capture_output=True, timeout=60)


def test_neither_an_export_nor_a_snapshot_imports_pandas(tmp_path) -> None:
    code = """
import sys
from scenario_etl import Client, Emulator, export_collections, snapshot
with Emulator(250) as api, Client("demo", "demo", base_url=api.url) as client:
    export_collections(sys.argv[1] + "/c.parquet", client=client)
    snapshot("collections", sys.argv[1], date="2026-11-01", client=client)
    for number in range(0, 20, 3):
        row = api._record(number)
        api._rows[number] = row | {"name": "renamed"}
    del api._rows[100:120]
    print(snapshot("collections", sys.argv[1], date="2026-11-02", client=client))
assert "pandas" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code, tmp_path], check=True, capture_output=True, timeout=60)


@pytest.mark.parametrize("name", MODULES)
def test_every_example_in_a_docstring_works(name: str) -> None:
    results = doctest.testmod(importlib.import_module(f"scenario_etl.{name}"))
    assert results.failed == 0


@pytest.mark.parametrize("name", scenario_etl.__all__)
def test_every_public_name_and_method_has_a_docstring(name: str) -> None:
    value = getattr(scenario_etl, name)
    methods = (
        [m for n, m in vars(value).items() if not n.startswith("_") and inspect.isfunction(m)]
        if inspect.isclass(value)
        else []
    )
    for item in [value, *methods]:
        if item.__qualname__.startswith(("Client", "Scan", "extract", "export", "scan")):
            assert item.__doc__, item.__qualname__
