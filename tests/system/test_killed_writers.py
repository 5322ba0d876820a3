import subprocess
import sys
from pathlib import Path

from scenario_etl.publish import atomic_write


def killed_run(destination: Path) -> Path:
    """Let another process be killed while it writes, and return the temporary file that it leaves."""
    code = """
import sys
from scenario_etl.publish import atomic_write
with atomic_write(sys.argv[1]):
    print("writing", flush=True)
    sys.stdin.read()
"""
    child = subprocess.Popen([sys.executable, "-c", code, destination], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child.stdout.readline()
    with child:
        child.kill()
    (left,) = destination.parent.glob(".*.partial")
    return left


def test_the_temporary_file_of_a_run_that_was_killed_is_removed_by_the_next(tmp_path: Path) -> None:
    destination = tmp_path / "collections.parquet"
    left = killed_run(destination)
    with atomic_write(destination):
        assert not left.exists()
