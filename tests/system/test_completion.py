"""The lines for completion in docs/operations.md, in the shells themselves."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from tests.helpers import environment

PAGE = Path(__file__).parents[2] / "docs/operations.md"
LINES = {
    shell: line.split("  #")[0]
    for line, shell in re.findall(r"^(.*_SCENARIO_ETL_COMPLETE=(\w+)_source .*)$", PAGE.read_text(), re.MULTILINE)
}
SHELLS = {  # interactive, without the settings of a user; then a command that must come before our line
    "bash": ("bash --norc --noprofile -i", ""),
    "zsh": ("zsh -f -i", "autoload -U compinit && compinit -u -D; "),
}
TYPED = [  # the text before Tab, and the text that Tab adds
    ("scenario-etl exp", "ort "),
    ("scenario-etl snapshot wor", "kflows "),
    ("scenario-etl snapshot collections old-l", "ake/"),
    ("scenario-etl export collections old-c", "ollections.parquet "),
    ("scenario-etl export collections c.parquet --metr", "ics-file "),
    ("scenario-etl snapshot collections lake --report old-r", ".json "),
    ("scenario-etl check --log-format j", "son "),
    ("scenario-etl export models m.parquet --privacy unl", "isted "),
]


def needs(shell: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(shell) is None, reason=f"needs {shell}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "old-lake").mkdir()
    for name in ("old-collections.parquet", "old-r.json"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.fixture
def terminal(request, folder: Path) -> Iterator[pexpect.spawn]:
    """A shell at a terminal, in which the line of the page has run."""
    command, before = SHELLS[request.param]
    with pexpect.spawn(
        command, env=environment(TERM="dumb", PS1="> "), cwd=folder, dimensions=(24, 200), encoding="utf-8", timeout=30
    ) as shell:
        shell.sendline(f"{before}{LINES[request.param]} && echo rea''dy")
        shell.expect_exact("ready")
        yield shell


@pytest.mark.parametrize("terminal", [pytest.param(name, marks=needs(name)) for name in SHELLS], indirect=True)
def test_bash_and_zsh_complete_a_command_line(terminal: pexpect.spawn) -> None:
    for before, added in TYPED:
        terminal.send(f"{before}\t")
        terminal.expect_exact(before + added)
        terminal.sendcontrol("u")


@needs("fish")
@pytest.mark.parametrize(("before", "added"), TYPED)
def test_fish_completes_a_command_line(folder: Path, before: str, added: str) -> None:
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"{LINES['fish']}; complete -C '{before}'"],
        env=environment(HOME=str(folder)), cwd=folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    (completed,) = (line.split("\t")[0] for line in done.stdout.splitlines())  # then a tab and a description
    assert completed == (before + added).rsplit(maxsplit=1)[-1]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell_is_exit_0(shell: str) -> None:
    variables = environment(_SCENARIO_ETL_COMPLETE=f"{shell}_source")
    done = subprocess.run(["scenario-etl"], env=variables, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "_scenario_etl_completion" in done.stdout


def test_a_script_without_a_reader_is_exit_141() -> None:
    read, write = os.pipe()
    os.close(read)
    variables = environment(_SCENARIO_ETL_COMPLETE="bash_source")
    done = subprocess.run(["scenario-etl"], env=variables, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")
