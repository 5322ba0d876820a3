"""`python tests/system/recipes/check.py airflow|dagster|prefect`: run a recipe of docs/operations.md.

The recipe runs unchanged, except for the wait between two attempts, against the emulator, once per case.
"""

import importlib
import importlib.util
import os
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import click
from operations import DOWN, block

from scenario_etl import Emulator
from scenario_etl.emulator import Fault

WAITS = {"airflow": "minutes=15", "dagster": "seconds_to_wait=900", "prefect": "retry_delay_seconds=900"}


@dataclass(frozen=True)
class Case:
    """A situation, and how the run must end."""

    name: str
    succeeds: bool
    attempts: int
    faults: list[Fault] = field(default_factory=list)
    variables: dict[str, str | None] = field(default_factory=dict)


CASES = [
    Case("a good night", True, 1),
    Case("two failed responses", True, 3, faults=[DOWN, DOWN]),
    Case("a bad night", False, 5, faults=[DOWN] * 9),
    Case("a wrong key", False, 1, variables={"SCENARIO_SDK_API_SECRET": "wrong"}),
    Case("no lake in the environment", False, 1, variables={"SCENARIO_LAKE": None}),
]


def main(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        recipe = Path(folder, "scenario_recipe.py")
        recipe.write_text(without_waits(name))
        orchestrator = importlib.import_module(f"on_{name}")
        orchestrator.prepare(Path(folder))
        spec = importlib.util.spec_from_file_location(recipe.stem, recipe)
        sys.modules[recipe.stem] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for number, case in enumerate(CASES):
            with Emulator(50, faults=case.faults) as api:
                set_environment(api, Path(folder, f"lake-{number}"), case.variables)
                outcome = orchestrator.run(module)
            assert outcome == (case.succeeds, case.attempts), f"{name}, {case.name}: {outcome}"
            written = list(Path(folder, f"lake-{number}").glob("collections/*/part-0.parquet"))
            assert len(written) == case.succeeds, f"{name}, {case.name}: {written}"
            click.echo(f"{case.name}: {'succeeded' if case.succeeds else 'failed'}, attempts: {case.attempts}")
        with Emulator(50) as api:
            set_environment(api, Path(folder, "lake"), {})
            orchestrator.inspect(module)


def without_waits(name: str) -> str:
    recipe = block(f"python {name}")
    assert recipe.count(WAITS[name]) == 1
    return recipe.replace(WAITS[name], WAITS[name].partition("=")[0] + "=0")


def set_environment(api: Emulator, lake: Path, variables: dict[str, str | None]) -> None:
    values = {
        "SCENARIO_BASE_URL": api.url,
        "SCENARIO_SDK_API_KEY": "demo",
        "SCENARIO_SDK_API_SECRET": "demo",
        "SCENARIO_LAKE": str(lake),
    } | variables
    for variable, value in values.items():
        os.environ.pop(variable, None)
        if value is not None:
            os.environ[variable] = value


if __name__ == "__main__":
    main(*sys.argv[1:])
