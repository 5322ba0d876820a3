"""Simulated days of work, and nights with incomplete lists."""

import random
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from scenario_etl.emulator import collection, team

BAD_NIGHTS = {0.35: 0.0, 0.77: 0.1}  # after this share of the days, the API lists this share of the collections
MIN_DAYS = 5  # with bad nights
SATURDAY = 5  # as `date.weekday` counts


def simulate_day(projects: team.Projects, records: list[dict[str, Any]], day: date) -> None:
    """Simulate a day of work: fill, rename, create and delete some collections, in place.

    Nothing changes on Saturdays and Sundays.
    """
    if day.weekday() >= SATURDAY:
        return
    rng = random.Random(f"{projects.seed} {day}")  # noqa: S311 - test data, not a secret

    def now() -> str:
        return team.iso(datetime.combine(day, time(8, tzinfo=UTC)) + timedelta(hours=11) * rng.random())

    for record in rng.sample(records, min(len(records), rng.randint(2, 9))):
        record["assetCount"] = record.get("assetCount", 0) + rng.randint(1, 40)
        record["itemCount"] = record["assetCount"] + record.get("modelCount", 0)
        record["updatedAt"] = now()
    for record in rng.sample(records, min(len(records), rng.randint(0, 1))):
        record["name"] = f"{str(record.get('name')).split(' - ')[0]} - {rng.choice(('approved', 'refs', 'shipped'))}"
        record["updatedAt"] = now()
    created = range(rng.choice((0, 1, 2, 2, 4, 7)))
    records.extend([collection.new(projects, rng, f"{day} {number}", now()) for number in created])
    for record in rng.sample(records, min(len(records), rng.choice((0, 0, 0, 1, 2)))):
        records.remove(record)


def listed_share(number: int, count: int) -> float:
    """Return the share of the collections that the API lists on one of `count` days, numbered from 0."""
    if count < MIN_DAYS:
        return 1.0
    return {int(at * count): share for at, share in BAD_NIGHTS.items()}.get(number, 1.0)
