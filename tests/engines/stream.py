"""`python -m tests.engines.stream FOLDER`: a driver that appends new assets to Parquet files, until it is killed."""

import sys
from pathlib import Path

from pyspark.sql import SparkSession

import scenario_etl
from scenario_etl import Client
from tests.engines.sessions import start


def append(
    spark: SparkSession,
    client: Client,
    folder: Path,
    resource: str = "assets",
    *,
    is_deduplicated: bool = False,
    **options: object,
) -> None:
    """Append what is new to `folder/rows`, with the checkpoint in `folder/checkpoint`."""
    spark.dataSource.register(scenario_etl.spark.source(client))
    rows = spark.readStream.format("scenario").options(resource=resource, **options).load()
    if is_deduplicated:
        rows = rows.withWatermark("updated_at", "11 minutes").dropDuplicatesWithinWatermark(["id", "updated_at"])
    writer = rows.writeStream.option("checkpointLocation", str(folder / "checkpoint")).trigger(availableNow=True)
    writer.start(str(folder / "rows"), format="parquet").awaitTermination()


if __name__ == "__main__":
    at = Path(sys.argv[1])
    append(start(at), Client(requests_per_minute=None), at, allProjects=True, partitions=2, pageSize=20)
