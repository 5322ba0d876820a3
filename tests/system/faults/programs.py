"""The programs that are measured: how each is called, and how the table that it wrote is read."""

import contextlib
import math
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tests.system.faults.modes import Mode
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


def run(program: str, mode: Mode, folder: Path) -> Run:
    """Run a program against a server that breaks, in a folder with yesterday's file."""
    folder.mkdir(parents=True)
    destination = folder / "collections.parquet"
    destination.write_bytes(OLD)
    with mode.server() as server:
        started = subprocess.Popen(
            command(program, destination, mode),
            env=environment(server, folder),
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        code, output, megabytes = finish(started)
        elsewhere = server.elsewhere
        if elsewhere:
            elsewhere.stop()
    old_is_intact = destination.exists() and destination.read_bytes() == OLD
    return Run(
        code=code,
        output=output,
        rows=None if old_is_intact or not destination.exists() else table(destination),
        megabytes=megabytes,
        arrivals=server.arrivals,
        files=sorted(path.name for path in folder.iterdir()),
        old_is_intact=old_is_intact,
        requests=server.requests,
        requests_elsewhere=elsewhere.requests if elsewhere else 0,
        credentials_elsewhere=elsewhere.authorized if elsewhere else 0,
    )


def command(program: str, destination: Path, mode: Mode) -> list[str]:
    script = PROGRAMS[program]
    if script:
        return [sys.executable, str(script), destination.name]
    return [
        str(Path(sys.executable).with_name("scenario-etl")),
        *("export", "collections", destination.name, "--verbose", "--report", "-"),
        *("--attempts", "3", "--deadline", "20", "--timeout", str(mode.timeout)),
    ]


def environment(server: FaultServer, folder: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SCENARIO_")}
    return inherited | {
        "HOME": str(folder.parent),
        "SCENARIO_BASE_URL": f"{server.origin}/v1",
        "SCENARIO_SDK_API_KEY": "key",
        "SCENARIO_SDK_API_SECRET": SECRET,
    }


def finish(started: subprocess.Popen[bytes]) -> tuple[int, str, float]:
    """Wait for a program's end, PATIENCE seconds at most: its exit code (-9 where it was ended), output, peak memory.

    The memory is read while it runs: what the kernel tells at the end includes that of the process that forked.
    """
    assert started.stdout
    os.set_blocking(started.stdout.fileno(), False)
    output, megabytes, deadline = b"", 0.0, time.monotonic() + PATIENCE
    while started.poll() is None:
        output += started.stdout.read() or b""
        megabytes = max(megabytes, peak(started.pid))
        if time.monotonic() > deadline:
            started.kill()
        time.sleep(0.01)
    output += started.stdout.read() or b""
    started.stdout.close()
    return started.returncode, output.decode("utf-8", "replace"), megabytes


def peak(process: int) -> float:
    """Return the most memory that a living process has held, in megabytes."""
    with contextlib.suppress(OSError):
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
        return int(found[1]) / 1024 if found else 0.0
    return 0.0


def table(path: Path) -> list[dict[str, Any]]:
    """Return the rows that a program wrote, under names that do not depend on how it writes them."""
    rows = pq.ParquetFile(path).read().to_pylist()
    return [{re.sub("[^a-z]", "", name.lower()): value for name, value in row.items()} for row in rows]


def is_right(rows: list[dict[str, Any]], expected: list[dict[str, Any]]) -> bool:
    """Whether the rows are the expected records: each once, every value what the API said, whatever its type is."""
    if len(rows) != len(expected):
        return False
    if any("id" not in row for row in rows):
        return False
    pairs = zip(sorted(rows, key=lambda row: str(row["id"])), sorted(expected, key=lambda row: row["id"]), strict=True)
    return all(_is_row(row, record) for row, record in pairs)


def _is_row(row: dict[str, Any], record: dict[str, Any]) -> bool:
    thumbnail = record.get("thumbnail") or {}
    return (
        all(_is_text(row.get(name.lower()), record.get(name)) for name in ("id", "name", "ownerId"))
        and all(_is_text(row.get(f"thumbnail{name.lower()}"), thumbnail.get(name)) for name in ("assetId", "url"))
        and all(
            _is_count(row.get(name.lower()), record.get(name)) for name in ("assetCount", "modelCount", "itemCount")
        )
        and all(_is_date(row.get(name.lower()), record[name]) for name in ("createdAt", "updatedAt"))
    )


def _is_text(value: Any, text: str | None) -> bool:
    return value == text if text is not None else _is_null(value)


def _is_count(value: Any, count: float | None) -> bool:
    if count is None:
        return _is_null(value)
    return isinstance(value, int | float) and not isinstance(value, bool) and value == count


def _is_date(value: Any, text: str) -> bool:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return False
    return isinstance(value, datetime) and _utc(value) == _utc(datetime.fromisoformat(text))


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _is_null(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
