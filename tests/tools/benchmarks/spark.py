"""`python -m tests.tools.benchmarks.spark`: several partitions compared with one, and what Spark itself costs.

It needs the extra `spark` and Java. Only the ratios count.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
from pyspark.sql import SparkSession

import scenario_etl
from scenario_etl import Client
from tests.engines.sessions import start
from tests.tools.benchmarks.__main__ import serving
from tests.tools.benchmarks.parallel import PAGE_SIZE


def timed(name: str, work: Callable[[], object]) -> float:
    """Print and return the seconds that some work takes."""
    started = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - started
    click.echo(f"{name}: {seconds:.1f} s" + (f" ({result:,} rows)" if isinstance(result, int) else ""))
    return seconds


def count(spark: SparkSession, **options: object) -> Callable[[], int]:
    """Return a function that counts the rows of a new DataFrame."""
    return lambda: spark.read.format("scenario").options(resource="assets", **options).load().count()


@click.command()
@click.option("--projects", default=16, show_default=True)
@click.option("--pages", default=20, show_default=True, help="Of each project.")
@click.option("--latency", default=50.0, show_default=True, help="Milliseconds before each answer.")
@click.option("--master", default="local[2]", show_default=True)
@click.option("--partitions", default=8, show_default=True)
def main(projects: int, pages: int, latency: float, master: str, partitions: int) -> None:
    """Count the assets of many projects with Spark, against a server that costs next to nothing."""
    with tempfile.TemporaryDirectory() as folder, serving(pages * PAGE_SIZE, latency, "assets", projects) as url:
        sessions: list[SparkSession] = []
        timed("start of Spark", lambda: sessions.append(start(Path(folder), master)))
        (spark,) = sessions
        client = Client("demo", "demo", base_url=url, requests_per_minute=None)
        spark.dataSource.register(scenario_etl.spark.source(client))
        timed("first count of one row", count(spark, limit=1))
        timed("next count of one row", count(spark, limit=1))
        scan = scenario_etl.scan("assets", client=client, all_projects=True)
        timed("a scan without Spark, 8 threads", lambda: scan.to_arrow().num_rows)
        one = timed("1 partition", count(spark, allProjects=True))
        several = timed(f"{partitions} partitions", count(spark, allProjects=True, partitions=partitions))
        click.echo(f"{master}: {partitions} partitions are {one / several:.2f} times as fast as 1")
        spark.stop()


if __name__ == "__main__":
    main()
