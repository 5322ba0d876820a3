"""The programs that are measured: how each is called, and what is seen of it."""

import contextlib
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tests.system.faults import forks
from tests.system.faults.judge import plain
from tests.system.faults.mode import Mode
from tests.system.faults.server import FaultServer

OLD = b"yesterday's file"
SECRET = "s3cr3t-of-the-tests"
PATIENCE = 40  # seconds until a program counts as one that never ends
PEERS = Path(__file__).parents[2] / "tools" / "peers"
PROGRAMS = {
    "scenario-etl": None,
    "scenario-sdk": PEERS / "official_client.py",
    "requests script": PEERS / "requests_script.py",
    "dlt rest_api": PEERS / "dlt_pipeline.py",
}


@dataclass
class Run:
    """What was seen of one program in one mode."""

    code: int
    output: str
    rows: list[dict[str, Any]] | None  # None where no new table is there
    megabytes: float
    arrivals: list[float]
    files: list[str]
    old_is_intact: bool
    requests: int
    requests_elsewhere: int
    credentials_elsewhere: int


def run(program: str, mode: Mode, folder: Path, *, attempts: int = 3, forked: bool = False) -> Run:
    """Run a program against a server that breaks, in a folder with yesterday's file.

    Args:
        program: the name of the program.
        mode: the mode of the server.
        folder: the folder, which is made.
        attempts: how often scenario-etl sends a request at most; the others have their defaults.
        forked: whether scenario-etl is forked instead of started.

    """
    folder.mkdir(parents=True)
    destination = folder / f"{mode.listing.name}.parquet"
    destination.write_bytes(OLD)
    output = folder.with_name("output")
    with mode.server() as server:
        start = forks.Fork if forked else start_new
        code, megabytes = finish(
            start(command(program, destination, mode, attempts), environment(server, folder), folder, output)
        )
        elsewhere = server.elsewhere
        if elsewhere:
            elsewhere.stop()
    old_is_intact = destination.exists() and destination.read_bytes() == OLD
    return Run(
        code=code,
        output=output.read_text("utf-8", "replace"),
        rows=None if old_is_intact or not destination.exists() else table(destination),
        megabytes=megabytes,
        arrivals=server.arrivals,
        files=sorted(path.name for path in folder.iterdir()),
        old_is_intact=old_is_intact,
        requests=server.requests,
        requests_elsewhere=elsewhere.requests if elsewhere else 0,
        credentials_elsewhere=elsewhere.authorized if elsewhere else 0,
    )


def command(program: str, destination: Path, mode: Mode, attempts: int) -> list[str]:
    script = PROGRAMS[program]
    if script:
        return [sys.executable, str(script), destination.name]
    return [
        str(Path(sys.executable).with_name("scenario-etl")),
        *("export", mode.listing.name, destination.name, "--verbose", "--report", "-"),
        *("--attempts", str(attempts), "--deadline", "20", "--timeout", str(mode.timeout)),
    ]


def environment(server: FaultServer, folder: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SCENARIO_")}
    return inherited | {
        "HOME": str(folder.parent),
        "SCENARIO_BASE_URL": f"{server.origin}/v1",
        "SCENARIO_SDK_API_KEY": "key",
        "SCENARIO_SDK_API_SECRET": SECRET,
    }


def start_new(command: list[str], environment: dict[str, str], folder: Path, output: Path) -> subprocess.Popen[bytes]:
    """Start a command in a folder; what it prints goes to a file."""
    with output.open("wb") as printed:
        return subprocess.Popen(command, env=environment, cwd=folder, stdout=printed, stderr=subprocess.STDOUT)


def finish(started: subprocess.Popen[bytes] | forks.Fork) -> tuple[int, float]:
    """Wait for a program's end, PATIENCE seconds at most: its exit code (-9 where it was ended) and peak memory.

    The memory is read while it runs: what the kernel tells at the end includes that of the process that forked.
    """
    megabytes, deadline = 0.0, time.monotonic() + PATIENCE
    while (code := started.poll()) is None:
        megabytes = max(megabytes, peak(started.pid))
        if time.monotonic() > deadline:
            started.kill()
        time.sleep(0.01)
    return code, megabytes


def peak(process: int | None) -> float:
    """Return the most memory that a living process has held, in megabytes."""
    with contextlib.suppress(OSError):
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
        return int(found[1]) / 1024 if found else 0.0
    return 0.0


def table(path: Path) -> list[dict[str, Any]]:
    """Return the rows that a program wrote, under names that do not depend on how it writes them."""
    rows = pq.ParquetFile(path).read().to_pylist()
    return [{plain(name): value for name, value in row.items()} for row in rows]
