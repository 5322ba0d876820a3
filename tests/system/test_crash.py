"""kill -9 at every step of a write: the old file or the new one is there, whole; and the next run cleans up."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from scenario_etl import Emulator
from tests.helpers import environment
from tests.system.faults.server import Exchange, FaultServer

# Forks a child for each step, so that nothing is imported anew; the child ends itself at that step of our code, where a
# step is a call or a return, of Python or C, made from the modules that write. Prints what each death left.
KILLER = """
import importlib.metadata, json, os, pyarrow.compute, shutil, signal, sys
from pathlib import Path
from scenario_etl import export_collections
import scenario_etl.parquet, scenario_etl.publish
from tests.helpers import in_child

old, first, stride = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
WRITERS = {scenario_etl.parquet.__file__, scenario_etl.publish.__file__}

def export(destination, last_step):
    steps = 0
    def count(frame, event, argument):
        nonlocal steps
        if frame.f_code.co_filename in WRITERS:
            steps += 1
            if steps == last_step:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.setprofile(count)
    export_collections(destination)

for step in range(first, 10**6, stride):
    folder = old.parent / f"step-{step}"
    folder.mkdir()
    destination = folder / "collections.parquet"
    shutil.copyfile(old, destination)
    died = in_child(lambda: export(destination, step))
    left = destination.read_bytes()
    shutil.copyfile(destination, folder / "after-death")
    debris = len(os.listdir(folder)) - 2
    code = in_child(lambda: export_collections(destination))
    print(json.dumps({"step": step, "died": died, "is_old": left == old.read_bytes(), "debris": debris, "next": code,
                      "files": sorted(os.listdir(folder)), "folder": str(folder)}), flush=True)
    if died == 0:
        break
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    with Emulator(7) as api:
        path = tmp_path / "old.parquet"
        subprocess.run(["scenario-etl", "export", "collections", path], env=environment(api), check=True)
    return path


def test_kill_9_at_every_step_leaves_the_old_or_the_new_file_and_the_next_run_cleans_up(old: Path) -> None:
    with Emulator(250) as api:
        done = subprocess.run(
            [sys.executable, "-c", KILLER, old, "1", "2"],
            env=environment(api),
            capture_output=True,
            text=True,
            check=True,
        )
    steps = [json.loads(line) for line in done.stdout.splitlines()]
    assert steps[-1]["died"] == 0  # beyond the last step nothing is killed
    deaths = steps[:-1]
    assert len(deaths) > 30
    assert {death["died"] for death in deaths} == {-9}
    assert {death["is_old"] for death in deaths} == {True, False}  # before the rename, and after it
    for death in steps:
        rows = pq.read_table(Path(death["folder"]) / "after-death").num_rows
        assert rows == (7 if death["is_old"] else 250)
        assert death["debris"] <= 1
        assert death["next"] == 0
        assert death["files"] == ["after-death", "collections.parquet"]
        assert pq.read_table(Path(death["folder"]) / "collections.parquet").num_rows == 250


@pytest.mark.parametrize("page", [0, 1, 2])
def test_kill_9_while_a_page_is_awaited_leaves_the_old_file(old: Path, page: int) -> None:
    content = old.read_bytes()
    running: list[subprocess.Popen[bytes]] = []

    def kill(exchange: Exchange) -> None:
        running[0].kill()

    with FaultServer(kill, breaks=page) as server, Emulator(250) as api:
        address = environment(api) | {"SCENARIO_BASE_URL": f"{server.origin}/v1"}
        running.append(subprocess.Popen(["scenario-etl", "export", "collections", old], env=address))
        assert running[0].wait(timeout=60) == -9
        assert old.read_bytes() == content
        assert len(list(old.parent.glob(".*.partial"))) == 1
        subprocess.run(["scenario-etl", "export", "collections", old], env=environment(api), check=True)
    assert [path.name for path in old.parent.iterdir()] == ["old.parquet"]
    assert pq.read_table(old).num_rows == 250
