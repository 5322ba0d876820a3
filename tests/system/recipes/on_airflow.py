"""How Airflow runs the recipe: `dag.test()`, with a database of its own."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

LOGICAL_DATE = datetime(2026, 11, 22, 3, 17, tzinfo=UTC)


def prepare(folder: Path) -> None:
    os.environ |= {"AIRFLOW_HOME": str(folder), "AIRFLOW__CORE__DAGS_FOLDER": str(folder)}
    os.environ |= {"AIRFLOW__CORE__LOAD_EXAMPLES": "False", "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False"}
    subprocess.run([Path(sys.executable).with_name("airflow"), "db", "migrate"], check=True, capture_output=True)


def run(recipe: Any, logical_date: datetime | None = LOGICAL_DATE) -> tuple[bool, int]:
    """Run the DAG; return whether it succeeded, and the number of attempts of its task."""
    from airflow.models.dagbag import DagBag  # noqa: PLC0415 - reads the environment

    bag = DagBag(os.environ["AIRFLOW_HOME"])
    assert not bag.import_errors, bag.import_errors
    done = bag.dags["scenario_collections"].test(logical_date=logical_date)
    (task,) = done.get_task_instances()
    written = [path.parent.name for path in Path(os.environ.get("SCENARIO_LAKE", "")).glob("collections/*/*.parquet")]
    if done.state == "success" and logical_date:
        assert written == [f"snapshot_date={logical_date:%Y-%m-%d}"]
    return done.state == "success", task.try_number


def inspect(recipe: Any) -> None:
    """A run without a logical date, as the API starts it, succeeds; each success is an event of the asset."""
    from airflow.models.asset import AssetEvent  # noqa: PLC0415 - reads the environment
    from airflow.utils.session import create_session  # noqa: PLC0415

    with create_session() as session:
        before = session.query(AssetEvent).count()
    assert run(recipe, logical_date=None) == (True, 1)
    with create_session() as session:
        events = session.query(AssetEvent).all()
        assert len(events) == before + 1 > 1
        assert {event.asset.name for event in events} == {"scenario_collections"}
