"""`python -m tests.system.faults`: every program in every mode of a list, and the table of docs/reliability.md."""

import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import click

from tests.system.faults.judge import is_right
from tests.system.faults.listings import COLLECTIONS, LISTINGS
from tests.system.faults.mode import Mode
from tests.system.faults.modes import FAMILIES, modes_of
from tests.system.faults.programs import PROGRAMS, Run, run

ENDED = -9  # the exit code of a program that was ended
MANY_REQUESTS = 300  # the longest list of a mode has 202 pages
RIGHT, LOUD, WRONG = "right", "loud", "silently wrong"
PACKAGES = ("scenario-etl", "scenario-sdk", "requests", "urllib3", "pandas", "dlt", "pyarrow")


def outcome(mode: Mode, seen: Run) -> str:
    """Return what a run amounts to: the right rows or a right failure; a failure where rows were due; a wrong table.

    The right rows are right even where we would rather fail, unless credentials went elsewhere for them. A program that
    asks without end tells nobody that anything is wrong; one that was still waiting is taken to fail in the end.
    """
    if seen.credentials_elsewhere:
        return WRONG
    if seen.code == ENDED:
        return WRONG if seen.requests > MANY_REQUESTS else LOUD
    if seen.code != 0:
        return RIGHT if mode.fails else LOUD
    return RIGHT if seen.rows is not None and is_right(seen.rows, mode.right_rows(), mode.listing) else WRONG


def measure(programs: list[str], modes: list[Mode], jobs: int) -> dict[tuple[str, Mode], str]:
    """Run every program in every mode, `jobs` at once."""
    pairs = [(program, mode) for program in programs for mode in modes]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(jobs) as pool:
        places = [Path(folder) / str(number) / "work" for number in range(len(pairs))]
        runs = pool.map(lambda pair, place: run(*pair, place), pairs, places)
        found = {}
        for (program, mode), seen in zip(pairs, runs, strict=True):
            found[program, mode] = outcome(mode, seen)
            click.echo(f"{found[program, mode]:15} {program:16} {mode}", err=True)
    return found


def table(found: dict[tuple[str, Mode], str], programs: list[str], listed: list[Mode]) -> str:
    """Return the table of docs/reliability.md: families by programs, as right / loud / silently wrong."""
    rows = ["| | modes | " + " | ".join(programs) + " |", "|---" * (len(programs) + 2) + "|"]
    for family in [*FAMILIES, "all"]:
        modes = [mode for mode in listed if family in (mode.family, "all")]
        cells = []
        for program in programs:
            counts = Counter(found[program, mode] for mode in modes)
            cells.append(f"{counts[RIGHT]} / {counts[LOUD]} / {counts[WRONG]}")
        bold = "**" if family == "all" else ""
        rows.append(f"| {bold}{family}{bold} | {len(modes)} | " + " | ".join(f"{bold}{c}{bold}" for c in cells) + " |")
    return "\n".join(rows)


@click.command()
@click.option("--program", "programs", multiple=True, type=click.Choice(list(PROGRAMS)), help="Only this one.")
@click.option(
    "--resource",
    default=COLLECTIONS.name,
    show_default=True,
    type=click.Choice(list(LISTINGS)),
    help="The list; programs other than scenario-etl only read collections.",
)
@click.option("--jobs", default=4, show_default=True, help="How many to run at once.")
def main(programs: tuple[str, ...], resource: str, jobs: int) -> None:
    """Run every program in every mode and print the table; it takes about ten minutes with all of them."""
    able = list(PROGRAMS) if resource == COLLECTIONS.name else ["scenario-etl"]
    chosen = list(programs or able)
    if not set(chosen) <= set(able):
        raise click.UsageError(f"only scenario-etl reads {resource}")
    modes = modes_of(LISTINGS[resource])
    found = measure(chosen, modes, jobs)
    click.echo(table(found, chosen, modes))
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    click.echo(f"\nMeasured on {datetime.now(UTC):%Y-%m-%d} with {versions}.")


if __name__ == "__main__":
    main()
