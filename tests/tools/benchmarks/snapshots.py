"""`python -m tests.tools.benchmarks.snapshots`: two snapshots of many assets, of which 1% differ."""

import tempfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import requests

from scenario_etl import changes
from tests.tools.benchmarks.__main__ import SCENARIO_ETL, measure, serving
from tests.tools.benchmarks.server import CHANGE_EVERY, CHANGES


def expected(rows: int) -> tuple[Counter[str], Counter[str]]:
    """Return how many changes of each kind there are, and of which columns; see `CHANGES` of the server."""
    each = rows // CHANGE_EVERY // len(CHANGES)
    columns = [str([name]) for change in CHANGES if isinstance(change, dict) for name in change]
    return Counter(updated=3 * each, deleted=2 * each, added=each), Counter(dict.fromkeys(columns, each))


@click.command()
@click.option("--rows", default=100_000, show_default=True)
def main(rows: int) -> None:
    """Write two snapshots with 1% of changes in between, and check and print what was found."""
    options = ("--requests-per-minute", "0", "--max-lookups", str(rows // CHANGE_EVERY))
    command = [SCENARIO_ETL, "snapshot", "assets", "lake", *options]
    today = datetime.now(UTC).date()
    with serving(rows, 0, "assets") as url, tempfile.TemporaryDirectory() as folder:
        for date in (today - timedelta(days=1), today):
            cost = measure([*command, "--date", str(date)], url, folder)
            click.echo(f"{date}: {cost.cpu:.1f} s of CPU, {cost.wall:.1f} s, {cost.memory:.0f} MB")
            requests.put(f"{url}/changes", timeout=60).close()
        found = changes(Path(folder) / "lake", "assets", since=today).to_pylist()
    counts = Counter(row["change"] for row in found)
    columns = Counter(str(row["changed_columns"]) for row in found if row["change"] == "updated")
    click.echo(f"{dict(counts)}; columns of updated rows: {dict(columns)}")
    if (counts, columns) != expected(rows):
        raise click.ClickException(f"expected {expected(rows)}")


if __name__ == "__main__":
    main()
