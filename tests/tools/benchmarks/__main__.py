"""`python -m tests.tools.benchmarks`: all programs in turn, medians and ratios pair by pair."""

import os
import platform
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median

import click

PEERS = Path(__file__).parents[1] / "peers"
OURS = "scenario-etl"
PACKAGES = ("scenario-etl", "scenario-sdk", "requests", "dlt", "pandas", "pyarrow")
SCENARIO_ETL = str(Path(sys.executable).with_name("scenario-etl"))
PROGRAMS = {
    OURS: [SCENARIO_ETL, "export", "collections", "out.parquet", "--requests-per-minute", "0"],
    "minimal program without pandas": [sys.executable, str(PEERS / "floor.py"), "out.parquet"],
    "minimal program": [sys.executable, str(PEERS / "plain_program.py"), "out.parquet"],
    "requests script": [sys.executable, str(PEERS / "requests_script.py"), "out.parquet"],
    "scenario-sdk, 100 per page": [sys.executable, str(PEERS / "official_client.py"), "out.parquet", "100"],
    "scenario-sdk, default page size": [sys.executable, str(PEERS / "official_client.py"), "out.parquet"],
    "dlt rest_api": [sys.executable, str(PEERS / "dlt_pipeline.py"), "out.parquet"],
}  # fmt: skip
OF_ASSETS = {
    OURS: [SCENARIO_ETL, "export", "assets", "out.parquet", "--requests-per-minute", "0"],
    "minimal program": [sys.executable, str(PEERS / "plain_assets.py"), "out.parquet"],
}
MAX_ERROR = 2000  # characters
LAUNCHER = """
import os, subprocess, sys, time
started = time.perf_counter()
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(child.pid, 0)
print(status, usage.ru_utime + usage.ru_stime, time.perf_counter() - started, usage.ru_maxrss / 1024)
"""


@dataclass
class Cost:
    """Of one run: CPU (user and system) and wall time in seconds, peak memory in megabytes."""

    cpu: float
    wall: float
    memory: float


def environment(url: str) -> dict[str, str]:
    """Return the environment of a program that reads from a server."""
    return os.environ | {"SCENARIO_BASE_URL": url, "SCENARIO_SDK_API_KEY": "demo", "SCENARIO_SDK_API_SECRET": "demo"}


def measure(command: list[str], url: str, folder: str, timeout: float = 600) -> Cost:
    """Run a whole program in `folder`, from a small process, so that its peak memory is its own."""
    launcher = [sys.executable, "-S", "-c", LAUNCHER, *command]
    finished = subprocess.run(
        launcher, cwd=folder, env=environment(url), capture_output=True, text=True, check=True, timeout=timeout
    )
    status, cpu, wall, memory = finished.stdout.split()
    if status != "0":
        raise click.ClickException(f"{' '.join(command)} failed:\n{finished.stderr[-MAX_ERROR:]}")
    return Cost(float(cpu), float(wall), float(memory))


@contextmanager
def serving(rows: int, milliseconds: float, resource: str = "collections", projects: int = 0):
    """Yield the base URL of a server in a process of its own; with projects, each has so many rows, all assets."""
    if projects:
        arguments = ["dated_server", str(rows), str(milliseconds), str(projects)]
    else:
        arguments = ["server", resource, str(rows), str(milliseconds)]
    command = [sys.executable, "-m", f"tests.tools.benchmarks.{arguments[0]}", *arguments[1:]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield server.stdout.readline().strip()
        finally:
            server.kill()


def table(found: dict[str, list[Cost]]) -> str:
    """Return medians, and the median of the ratios pair by pair to our own cost in the same round."""
    rows = ["| | CPU | wall | memory |", "|---|---|---|---|"]
    for name, costs in found.items():
        cells = []
        for figure, unit in (("cpu", "s"), ("wall", "s"), ("memory", "MB")):
            values = [getattr(cost, figure) for cost in costs]
            ratio = median(v / getattr(o, figure) for v, o in zip(values, found[OURS], strict=True))
            cells.append(f"{ratio:.2f} ({median(values):.{0 if unit == 'MB' else 2}f} {unit})")
        rows.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


@click.command()
@click.option("--rows", multiple=True, type=int, default=(1000, 50_000), show_default=True)
@click.option("--latency", default=0.0, show_default=True, help="Milliseconds before each answer.")
@click.option("--rounds", default=5, show_default=True)
@click.option("--assets", is_flag=True, help="Export assets instead of collections.")
@click.option("--program", "chosen", multiple=True, type=click.Choice(list(PROGRAMS)), help="Beside our own.")
def main(rows: tuple[int, ...], latency: float, rounds: int, assets: bool, chosen: tuple[str, ...]) -> None:
    """Run each program in turn, round by round, and print ratios to our own cost."""
    programs, resource = (OF_ASSETS, "assets") if assets else (PROGRAMS, "collections")
    programs = {name: line for name, line in programs.items() if not chosen or name in (OURS, *chosen)}
    for count in rows:
        found: dict[str, list[Cost]] = {name: [] for name in programs}
        with serving(count, latency, resource) as url:
            for _ in range(rounds):
                for name, line in programs.items():
                    with tempfile.TemporaryDirectory() as folder:
                        found[name].append(measure(line, url, folder))
        click.echo(f"\n{count:,} {resource}, {latency:g} ms, {rounds} rounds\n\n{table(found)}")
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    click.echo(
        f"\n{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, Python {platform.python_version()}, {versions}."
    )


if __name__ == "__main__":
    main()
