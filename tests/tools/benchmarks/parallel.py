"""`python -m tests.tools.benchmarks.parallel`: what workers, resumed runs and incremental snapshots save.

Each command compares runs of whole programs in one go, so that only the ratios count. It fails if tables differ or a
ratio is worse than wanted.
"""

import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import duckdb
import pyarrow.parquet as pq
import requests

from scenario_etl import changes
from tests.tools.benchmarks.__main__ import SCENARIO_ETL, Cost, environment, measure, serving

PAGE_SIZE = 100
FREE = ("--requests-per-minute", "0")
TIMEOUT = 7200  # seconds, of a run
FILE = "out.parquet"
KILL_AT = 0.6  # of the requests
CLOCK_SECONDS = 2  # the Date header has whole seconds


@dataclass
class Run:
    """A whole program that was run: what it was, its requests, and its cost unless it was killed."""

    name: str
    requests: int
    cost: Cost | None = None

    def row(self, first: "Run") -> str:
        """Return the row of a table, with ratios to the first run."""
        cells = [f"{self.requests / first.requests:.3f} ({self.requests:,})"]
        for figure, unit, places in (("wall", "s", 1), ("cpu", "s", 1), ("memory", "MB", 0)):
            value, base = (getattr(cost, figure) if cost else 0 for cost in (self.cost, first.cost))
            cells.append(f"{value / base:.2f} ({value:.{places}f} {unit})" if value and base else "")
        return f"| {self.name} | " + " | ".join(cells) + " |"


class Results:
    """Prints tables and checks, and counts the checks that failed."""

    def __init__(self) -> None:
        self.failed = 0

    def table(self, title: str, *runs: Run) -> None:
        """Print runs, with ratios to the first."""
        click.echo(f"\n{title}\n\n| | requests | wall | CPU | memory |\n|---|---|---|---|---|")
        for run in runs:
            click.echo(run.row(runs[0]))
        click.echo()

    def check(self, what: str, is_met: bool) -> None:
        """Print whether a condition is met."""
        self.failed += not is_met
        click.echo(f"{'ok' if is_met else 'FAILED'}: {what}")

    def at_least(self, what: str, value: float, wanted: float) -> None:
        """Check a ratio that should be large."""
        self.check(f"{what}: {value:.2f}, wanted at least {wanted:g}", value >= wanted)

    def less(self, what: str, value: float, wanted: float) -> None:
        """Check a figure that should be small."""
        self.check(f"{what}: {value:.3g}, wanted less than {wanted:g}", value < wanted)


@contextmanager
def results() -> Iterator[Results]:
    """Exit with an error after all checks if one failed."""
    found = Results()
    yield found
    if found.failed:
        raise click.ClickException(f"{found.failed} checks failed")


def count(url: str) -> int:
    """Return how many requests the server has received."""
    return requests.get(f"{url}/requests", timeout=60).json()["total"]


def run(name: str, arguments: list[str], url: str, folder: Path) -> Run:
    """Run `scenario-etl` in a folder."""
    folder.mkdir(exist_ok=True)
    before = count(url)
    cost = measure([SCENARIO_ETL, *arguments, *FREE], url, str(folder), TIMEOUT)
    return Run(name, count(url) - before, cost)


def run_and_kill(name: str, arguments: list[str], url: str, folder: Path, after: int) -> Run:
    """Run `scenario-etl` in a folder, and kill it after so many requests."""
    folder.mkdir(exist_ok=True)
    before = count(url)
    with subprocess.Popen(
        [SCENARIO_ETL, *arguments, *FREE], cwd=folder, env=environment(url), stderr=subprocess.DEVNULL
    ) as program:
        while count(url) - before < after and program.poll() is None:
            time.sleep(0.005)
        program.kill()
    if program.returncode != -signal.SIGKILL:
        raise click.ClickException(f"{' '.join(arguments)} ended before it was killed")
    return Run(name, count(url) - before)


def export(projects: list[str], workers: int) -> list[str]:
    """Return the command that exports the assets of projects."""
    options = [text for project in projects for text in ("--project-id", project)]
    return ["export", "assets", FILE, *options, "--workers", str(workers)]


def project_ids(url: str) -> list[str]:
    """Return the ids of all projects."""
    (team,) = requests.get(f"{url}/teams", timeout=60).json()["teams"]
    return [project["id"] for project in team["projects"]]


def content(files: Path) -> tuple[list[tuple[str, str]], tuple[int, int, int]]:
    """Return the columns of a Parquet file, and figures of its rows that are the same in any order."""
    schema = pq.read_schema(files)
    query = "SELECT count(*), coalesce(bit_xor(hash(t)), 0), coalesce(sum(hash(t)::HUGEINT), 0) FROM read_parquet(?) t"
    figures = duckdb.execute(query, [str(files)]).fetchone()
    return [(field.name, str(field.type)) for field in schema], figures


def compare(found: Results, what: str, first: Path, second: Path, rows: int) -> None:
    """Check that two files have the same table of so many rows, in any order; print whether the order is the same."""
    contents = content(first), content(second)
    found.check(f"{what}: {contents[1][1][0]:,} rows of {rows:,}", all(figures[0] == rows for _, figures in contents))
    found.check(f"{what}: equal tables", contents[0] == contents[1])
    ids = [pq.read_table(file, columns=["id"])["id"].combine_chunks() for file in (first, second)]
    click.echo(f"{what}: {'the same order' if ids[0].equals(ids[1]) else 'another order'}")


def compare_workers(found: Results, url: str, folder: Path, *, many: int, rows: int) -> tuple[Run, Run]:
    """Export all projects with one and with many workers, and compare the files."""
    projects = project_ids(url)
    slow, fast = (
        run(f"--workers {workers}", export(projects, workers), url, folder / str(workers)) for workers in (1, many)
    )
    found.table(f"{len(projects)} projects, {rows:,} rows", slow, fast)
    compare(found, "the files", *(folder / str(workers) / FILE for workers in (1, many)), rows)
    return slow, fast


@click.group()
def main() -> None:
    """Measure parallel, resumed and incremental runs against a server that costs next to nothing."""


@main.command()
@click.option("--projects", "amount", default=16, show_default=True)
@click.option("--pages", default=20, show_default=True, help="Of each project.")
@click.option("--latency", default=200.0, show_default=True, help="Milliseconds before each answer.")
@click.option("--workers", default=8, show_default=True)
def projects(amount: int, pages: int, latency: float, workers: int) -> None:
    """Many projects side by side, compared with one after the other."""
    with results() as found, tempfile.TemporaryDirectory() as folder:
        rows = pages * PAGE_SIZE
        with serving(rows, latency, "assets", amount) as url:
            slow, fast = compare_workers(found, url, Path(folder), many=workers, rows=rows * amount)
        found.at_least(f"faster with {workers} workers", slow.cost.wall / fast.cost.wall, 6.5)


@main.command()
@click.option("--rows", default=1_000_000, show_default=True)
@click.option("--latency", default=20.0, show_default=True, help="Milliseconds before each answer.")
@click.option("--workers", default=8, show_default=True)
def windows(rows: int, latency: float, workers: int) -> None:
    """One project in windows of its dates, compared with one worker."""
    with results() as found, tempfile.TemporaryDirectory() as folder:
        with serving(rows, latency, "assets", 1) as url:
            slow, fast = compare_workers(found, url, Path(folder), many=workers, rows=rows)
        click.echo(f"faster with {workers} workers: {slow.cost.wall / fast.cost.wall:.2f}")
        found.less("peak memory in MB", max(slow.cost.memory, fast.cost.memory), 500)


@main.command()
@click.option("--latency", default=20.0, show_default=True, help="Milliseconds before each answer.")
@click.option("--workers", default=4, show_default=True)
def killed(latency: float, workers: int) -> None:
    """A run that is killed and started again, compared with one that is not."""
    with results() as found:
        for amount, pages in ((40, 10), (1, 400)):
            with tempfile.TemporaryDirectory() as folder:
                _killed(found, Path(folder), amount=amount, pages=pages, latency=latency, workers=workers)


def _killed(found: Results, folder: Path, *, amount: int, pages: int, latency: float, workers: int) -> None:
    whole, parts = folder / "whole", folder / "parts"
    rows = pages * PAGE_SIZE
    with serving(rows, latency, "assets", amount) as url:
        command = export(project_ids(url), workers)
        undisturbed = run("undisturbed", command, url, whole)
        first = run_and_kill("killed", command, url, parts, round(KILL_AT * undisturbed.requests))
        found_beside = beside(parts)
        second = run("started again", command, url, parts)
    found.table(f"{amount} projects of {pages} pages, {workers} workers", undisturbed, first, second)
    click.echo(f"left by the killed run: {', '.join(found_beside) or 'nothing'}")
    found.less("requests of the second run", second.requests / undisturbed.requests, 0.55)
    found.check(f"left beside the destination: {', '.join(beside(parts)) or 'nothing'}", not beside(parts))
    compare(found, "the files", whole / FILE, parts / FILE, rows * amount)


def beside(folder: Path) -> list[str]:
    """Return the names beside the destination."""
    return sorted(path.name for path in folder.iterdir() if path.name != FILE)


@main.command()
@click.option("--rows", default=1_000_000, show_default=True)
@click.option("--changed", default=1000, show_default=True, help="Records that are changed between two snapshots.")
@click.option("--latency", default=0.0, show_default=True, help="Milliseconds before each answer.")
def incremental(rows: int, changed: int, latency: float) -> None:
    """A snapshot of what has changed, compared with a full one."""
    today = datetime.now(UTC).date()
    days = today - timedelta(days=1), today

    def snapshot(name: str, lake: str, date: object, *options: str) -> Run:
        return run(name, ["snapshot", "assets", lake, "--date", str(date), *options], url, Path(folder))

    with results() as found, tempfile.TemporaryDirectory() as folder:
        with serving(rows, latency, "assets", 1) as url:
            full = snapshot("incremental, day 1", "lake", days[0], "--incremental")
            between(url, changed)
            short = snapshot("incremental, day 2", "lake", days[1], "--incremental")
            again = snapshot("full, day 2", "full", days[1])
        found.table(f"{rows:,} rows, of which {changed:,} change", full, short, again)
        found.less("requests of day 2", short.requests / full.requests, 0.03)
        part = f"assets/snapshot_date={today}/part-0.parquet"
        compare(found, "the snapshots of day 2", *(Path(folder) / lake / part for lake in ("lake", "full")), rows)
        counts = Counter(row["change"] for row in changes(Path(folder) / "lake", "assets", since=today).to_pylist())
        found.check(f"changes of day 2: {dict(counts)}", counts == {"updated": changed})


def between(url: str, records: int) -> None:
    """Change records, later than the second of the last response and before that of the next."""
    time.sleep(CLOCK_SECONDS + records / 1000)  # one is changed in each millisecond
    requests.put(f"{url}/changes", params={"records": str(records)}, timeout=60).close()
    time.sleep(CLOCK_SECONDS)


if __name__ == "__main__":
    main()
