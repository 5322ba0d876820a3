"""`python -m tests.engines.leaks FOLDER`: a driver that logs all it can about a DataFrame and a stream.

It writes the event log and the checkpoint to the folder, and to stdout plans, pages of the UI and the source itself.
"""

import sys
from pathlib import Path
from urllib.request import urlopen

import click

import scenario_etl
from scenario_etl import Client
from tests.engines.sessions import start
from tests.engines.stream import append

PAGES = ("SQL/", "SQL/execution/?id=0", "jobs/", "stages/", "environment/", "executors/", "StreamingQuery/")
API = ("sql", "sql/0", "jobs", "stages", "environment", "allexecutors")


def main(folder: Path) -> None:
    events = {"spark.eventLog.enabled": "true", "spark.eventLog.dir": str(folder), "spark.eventLog.compress": "false"}
    spark = start(folder, "local[2]", **events)
    spark.sparkContext.setLogLevel("DEBUG")
    source = scenario_etl.spark.source(Client(requests_per_minute=None))
    spark.dataSource.register(source)
    df = spark.read.format("scenario").options(resource="assets", allProjects=True, partitions=2).load()
    df.createOrReplaceTempView("assets")
    spark.sql("SELECT count(*) FROM assets").show()
    df.explain("extended")
    df.explain("formatted")
    spark.sql("EXPLAIN EXTENDED SELECT id FROM assets WHERE kind = 'image'").show(truncate=False)
    append(spark, Client(requests_per_minute=None), folder)
    ui, app = spark.sparkContext.uiWebUrl, spark.sparkContext.applicationId
    for url in (*(f"{ui}/{page}" for page in PAGES), *(f"{ui}/api/v1/applications/{app}/{path}" for path in API)):
        click.echo(url + urlopen(url, timeout=60).read().decode())
    data_source = source({"resource": "assets"})
    click.echo(f"{source} {source!r} {vars(source)} {data_source} {data_source!r} {vars(data_source)}")
    try:
        spark.read.format("scenario").options(resource="assets", projectId="proj_none").load().count()
    except Exception as error:  # noqa: BLE001 - whatever it is, its text is what matters
        click.echo(error)
    spark.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
