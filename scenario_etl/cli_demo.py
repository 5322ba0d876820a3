"""Create a lake with simulated history, for `snapshot --demo --days N`."""

import datetime as dt
import logging
from typing import TYPE_CHECKING, Protocol

from tqdm import tqdm

from scenario_etl.cli_output import count_of, logger
from scenario_etl.errors import ConfigError, GuardError
from scenario_etl.lake_reader import has_dates
from scenario_etl.stores import redact_uri

if TYPE_CHECKING:
    from scenario_etl.emulator import Emulator
    from scenario_etl.snapshots import SnapshotReport


class TakeSnapshot(Protocol):
    """A function that adds the snapshot of a date."""

    def __call__(self, *, date: dt.date) -> "SnapshotReport":
        """Add the snapshot, and return its report."""


def make_history(
    take_snapshot: TakeSnapshot, *, lake: str, resource: str, api: "Emulator", days: int, last: dt.date | None,
    progress: bool, verbose: bool,
) -> "SnapshotReport":  # fmt: skip
    """Add a snapshot on each simulated day, and return the report of the last one.

    A snapshot that the guard rejects is logged as a warning, unless it is the last.

    Args:
        take_snapshot: A function that adds one snapshot.
        lake: The path or URI of the lake, which must not contain snapshots of the resource.
        resource: The name of the resource.
        api: The emulator that simulates the days.
        days: The number of days.
        last: The date of the last day; None is today in UTC.
        progress: Whether to show a progress bar.
        verbose: Whether to log each snapshot.

    """
    today = dt.datetime.now(dt.UTC).date()
    last = last or today
    first, tomorrow = dt.date(1970, 1, 1) + dt.timedelta(days=days), today + dt.timedelta(days=1)
    if not first <= last <= tomorrow:
        raise ConfigError(f"--date must be between {first} and {tomorrow} (tomorrow in UTC), got {last}")
    if has_dates(lake, resource):
        raise ConfigError(
            f"{redact_uri(lake)} already contains snapshots of {resource}; --days requires a new lake; use another "
            "folder"
        )
    rejected, level = 0, logger.level
    logger.setLevel(level if verbose else logging.WARNING)
    try:
        for day in tqdm(api.days(days, last), total=days, unit=" days", disable=not progress, leave=False):
            try:
                report = take_snapshot(date=day)
            except GuardError as error:
                if day == last:
                    raise
                rejected += 1
                logger.warning("%s: rejected by the guard: %s", day, str(error).partition(". ")[0])
    finally:
        logger.setLevel(level)
    commands = [f'"scenario-etl changes {resource} {redact_uri(lake)}"']
    if resource == "collections":
        commands.append(f'"scenario-etl report {redact_uri(lake)} report.html"')
    logger.info(
        "%s: added %s%s; run %s to view them",
        redact_uri(lake), count_of(days - rejected, "snapshot", "snapshots"),
        f"; the guard rejected {rejected}" if rejected else "", " or ".join(commands),
    )  # fmt: skip
    return report
