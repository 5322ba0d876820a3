"""A lake that is filled from an emulator, one snapshot at a time."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from scenario_etl import Client, Emulator, changes, snapshot
from scenario_etl.emulator import Fault
from scenario_etl.snapshots import SnapshotReport

DAYS = [f"2026-11-{day:02d}" for day in range(1, 21)]
API = Emulator([]).start()


def connected(**arguments: Any) -> Client:
    """A client of the emulator that does not wait."""
    settings = {"base_url": API.url, "requests_per_minute": 0, "sleep": lambda seconds: None} | arguments
    return Client("demo", "demo", **settings)


def take(lake: Path, day: Any, *records: Any, faults: Iterable[Fault | None] = (), **arguments: Any) -> SnapshotReport:
    """Take a snapshot of these records; `API.requests` then has its requests."""
    API.collections = list(records)
    API.faults.clear()
    API.faults.extend(faults)
    API.requests.clear()
    with connected() as client:
        return snapshot("collections", lake, date=day, **({"client": client} | arguments))


def changes_on(lake: Path, day: str) -> list[tuple]:
    """The changes of a day as (change, id, changed columns)."""
    rows = changes(lake, "collections", since=day, until=day).to_pylist()
    return [(row["change"], row["id"], row["changed_columns"]) for row in rows]


def path_of(lake: Path, day: object, table: str = "collections") -> Path:
    """The path of the file of a date."""
    return lake / table / f"snapshot_date={day}" / "part-0.parquet"


def files(lake: Path) -> list[str]:
    """The paths of all files in a lake, relative to it."""
    return sorted(str(path.relative_to(lake)) for path in lake.rglob("*") if path.is_file())
