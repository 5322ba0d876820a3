import ast
import doctest
import importlib
import inspect
import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import scenario_etl
from scenario_etl import extras
from tests.helpers import environment, said

MODULES = [
    "client",
    "dashboard.page_text",
    "dashboard.text",
    "emulator",
    "errors",
    "extract",
    "lake_thumbnails",
    "parquet",
    "publish",
    "resources",
    "retry",
    "schema",
    "signed_urls",
    "thumbnails",
]


def test_all_is_exactly_the_public_names() -> None:
    stub = ast.parse(Path(scenario_etl.__file__).with_suffix(".pyi").read_text())
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom) and node.module]
    imported = [(node.module, each.name) for node in imports for each in node.names]
    assert sorted(name for _, name in imported) == sorted([*scenario_etl.__all__, "charts"])
    for module, name in imported:
        assert getattr(scenario_etl, name) is getattr(importlib.import_module(f"scenario_etl.{module}"), name)
    assert {*dir(scenario_etl)} - {"spark"} == {*scenario_etl.__all__, "charts"}  # spark only with its extra
    with pytest.raises(AttributeError, match="module 'scenario_etl' has no attribute 'extractor'"):
        scenario_etl.extractor  # noqa: B018


def test_the_package_shows_its_version_its_charts_and_what_to_call() -> None:
    assert scenario_etl.__version__ == version("scenario-etl")
    assert scenario_etl.charts is importlib.import_module("scenario_etl.dashboard.charts")
    assert scenario_etl.charts is importlib.import_module("scenario_etl.charts")
    assert "extract_collections() returns a DataFrame" in scenario_etl.__doc__
    with scenario_etl.Emulator(1) as api:
        assert repr(api) == f"<scenario_etl.Emulator {api.url}>"


@pytest.mark.parametrize("code", ["from scenario_etl import {}", "import scenario_etl.{}"])
@pytest.mark.parametrize(
    ("module", "needs", "extra"), [("charts", "matplotlib", "report"), ("spark", "pyspark", "spark")]
)
def test_a_module_without_its_extra_says_how_to_install_it(
    tmp_path: Path, code: str, module: str, needs: str, extra: str
) -> None:
    (tmp_path / f"{needs}.py").write_text(f"raise ModuleNotFoundError('no', name='{needs}')")
    done = subprocess.run(
        [sys.executable, "-c", code.format(module)],
        env=environment(PYTHONPATH=f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    message = rf"scenario_etl\.{module} needs {needs}; install it: pip install '/.*\[{extra}\]'"
    assert re.search(message, done.stderr)


def test_an_installed_package_names_itself_and_a_folder_its_path(monkeypatch) -> None:
    class Distribution:
        def __init__(self, text: str | None) -> None:
            self.text = text

        def read_text(self, _: str) -> str | None:
            return self.text

    output = {
        None: "scenario-etl",
        '{"url": "https://example.org/x.whl", "archive_info": {}}': "scenario-etl",
        '{"url": "file:///home/a%20b/clone", "dir_info": {}}': "/home/a b/clone",
    }
    for text, source in output.items():
        monkeypatch.setattr("scenario_etl.extras.distribution", lambda _, text=text: Distribution(text))
        assert extras.install_command("report") == f"pip install '{source}[report]'"


def imported(*arguments: str, **variables: str) -> set[str]:
    """The modules that Python imports for a command."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment() | variables,
    )
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}


def test_neither_the_import_nor_help_nor_an_export_imports_what_it_does_not_use(tmp_path: Path) -> None:
    unused = {"pandas", "tqdm", "filelock", "scenario_etl.emulator", "scenario_etl.snapshots"}
    modules = imported("-c", "import scenario_etl")
    assert not ({"numpy", "pyarrow", "requests"} | unused) & modules
    modules = imported("-m", "scenario_etl", "--help")
    assert not ({"pyarrow.compute"} | unused) & modules
    with scenario_etl.Emulator(5) as api:
        modules = imported("-m", "scenario_etl", "export", "collections", str(tmp_path / "x"), **environment(api))
    assert "pyarrow.compute" in modules
    assert not unused & modules


@pytest.mark.skipif(sys.platform != "linux" or os.cpu_count() == 1, reason="counts threads in /proc, more than one")
def test_the_command_line_starts_no_threads_for_linear_algebra_unless_configured() -> None:
    code = """
import atexit, os, sys
from scenario_etl.__main__ import main
atexit.register(lambda: print(len(os.listdir("/proc/self/task"))))
sys.argv[1:] = ["--version"]
main()
"""

    def threads(**variables: str) -> int:
        output = subprocess.check_output([sys.executable, "-c", code], text=True, env=environment() | variables)
        return int(output.split()[-1])

    assert threads(OPENBLAS_NUM_THREADS="2") > threads()


def test_modules_are_found_by_name_once_the_package_is_imported() -> None:
    code = "import scenario_etl; print(scenario_etl.errors.SchemaError.exit_code, scenario_etl.emulator.Fault())"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).startswith("65 ")


def test_without_extras_everything_can_be_imported_and_help_works() -> None:
    code = """
import sys
sys.modules.update(dict.fromkeys(("PIL", "matplotlib", "jinja2")))  # as if they were not installed
from scenario_etl import *
import scenario_etl, pydoc
print(len(pydoc.render_doc(scenario_etl)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 5000


def test_ctrl_c_while_python_imports_is_exit_130_without_a_traceback() -> None:
    code = """
import sys
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "pyarrow":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupting())
from scenario_etl.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, said(done.stderr)) == (130, ["error: interrupted"])


def test_neither_an_export_nor_a_snapshot_imports_pandas_or_pyspark(tmp_path) -> None:
    code = """
import sys
from scenario_etl import Client, Emulator, export_collections, scan, snapshot
with Emulator(250, assets=30) as api, Client("demo", "demo", base_url=api.url) as client:
    export_collections(sys.argv[1] + "/c.parquet", client=client)
    export_collections(sys.argv[1] + "/all.parquet", client=client, all_projects=True)
    scan("assets", client=client, all_projects=True, workers=2).to_parquet(sys.argv[1] + "/assets.parquet")
    snapshot("collections", sys.argv[1], date="2026-11-01", client=client)
    for number in range(0, 20, 3):
        row = api.record(number)
        api.collections[number] = row | {"name": "renamed"}
    del api.collections[100:120]
    print(snapshot("collections", sys.argv[1], date="2026-11-02", client=client))
assert not {"pandas", "pyspark"} & sys.modules.keys()
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
