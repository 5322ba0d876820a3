"""What the README promises is run: every Python block and every console block, in order, in one place."""

import doctest
import os
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from scenario_etl import Emulator
from tests.helpers import environment
from tests.system.faults.modes import MODES

README = Path(__file__).parents[2] / "README.md"
BLOCKS = re.findall(r"^```(python|console|sh)\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)

RUN = [(kind, block) for kind, block in BLOCKS if kind != "sh"]  # the others prepare a machine: .ci/run runs them


@pytest.fixture(scope="module")
def team(tmp_path_factory):
    """An account as a reader has it: the emulator in the environment, an empty folder to work in."""
    with Emulator(250) as api, pytest.MonkeyPatch.context() as patch:
        for name, value in environment(api).items():
            patch.setenv(name, value)
        patch.chdir(tmp_path_factory.mktemp("reader"))
        yield api


@pytest.fixture(scope="module")
def names() -> dict:
    """The names that the Python blocks define for each other."""
    return {}


def test_there_is_something_to_run() -> None:
    assert {kind for kind, _ in BLOCKS} == {"python", "console", "sh"}


@pytest.mark.parametrize(("kind", "block"), RUN, ids=lambda text: text.split("\n")[0])
def test_every_block_runs_in_the_order_of_the_page(team, names, kind: str, block: str, monkeypatch) -> None:
    for name, value in environment(team).items():
        monkeypatch.setenv(name, value)
    run_python(block, names) if kind == "python" else run_console(block)


def run_python(block: str, names: dict) -> None:
    exec(compile(block, "README.md", "exec"), names)


def run_console(block: str) -> None:
    """Run each command, and see that it prints what is shown, where anything is."""
    for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
        done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        assert not shown or doctest.OutputChecker().check_output(shown, done.stdout, flags), done.stdout


def test_the_options_are_those_of_the_command_line() -> None:
    table = README.read_text().split("## Options")[1].split("## ")[0]
    documented = set(re.findall(r"--[a-z][a-z-]+", table.split("Credentials")[0]))
    done = subprocess.run(
        ["scenario-etl", "export", "--help"], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    offered = set(re.findall(r"--[a-z][a-z-]+", done.stdout)) - {"--help", "--verbose"}
    assert documented == offered


def test_the_table_of_faults_counts_the_modes_there_are() -> None:
    rows = re.findall(r"^\| (?:\*\*)?([a-z ]+?)(?:\*\*)? \| (\d+) \| ", README.read_text(), re.MULTILINE)
    counts = Counter(mode.family for mode in MODES) | {"all": len(MODES)}
    assert {family: int(count) for family, count in rows} == counts
    assert f"in one of {len(MODES)} ways" in README.read_text()
