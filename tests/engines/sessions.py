"""Spark sessions on this machine, for the tests in this process and for their programs."""

import os
import sys
from pathlib import Path

from pyspark.sql import SparkSession


def start(folder: Path, master: str = "local[2,3]", **settings: str) -> SparkSession:
    """Start a session, which retries a task twice, with its files in a folder."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master(master)
    known = {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.ui.port": "0",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
    }
    for name, value in (known | settings).items():
        builder = builder.config(name, value)
    return builder.getOrCreate()
