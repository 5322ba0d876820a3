"""The command line in a process that is forked from one with its modules: a new one takes ten times as long.

The process that forks is the server of multiprocessing, which has no other threads, as a fork needs.
"""

import multiprocessing
import os
import sys
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from threading import Lock

_LOCK = Lock()  # two threads must not ask for exit codes at once, and a start asks for those of all that run
PRELOADED = ["pytest", "scenario_etl.cli_exit", "scenario_etl.extract", "pyarrow.parquet", "pyarrow.compute"]


class Fork(ForkServerProcess):
    """A command of scenario-etl that runs in a folder; what it prints goes to a file."""

    def __init__(self, command: list[str], environment: dict[str, str], folder: Path, output: Path) -> None:
        multiprocessing.set_forkserver_preload(PRELOADED)
        super().__init__(target=_run, args=(command, environment, folder, output))
        with _LOCK:
            self.start()

    def poll(self) -> int | None:
        """Return the exit code, None while the command runs."""
        with _LOCK:
            return self.exitcode


def _run(command: list[str], environment: dict[str, str], folder: Path, output: Path) -> None:
    from scenario_etl.__main__ import main  # noqa: PLC0415 - only the fork needs it

    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    printed = os.open(output, os.O_WRONLY | os.O_CREAT)
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    sys.argv = command
    main()
