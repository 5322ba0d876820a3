"""Simulated days of work, and nights with incomplete lists."""

import random
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from scenario_etl.emulator import collection, team

BAD_NIGHTS = {0.35: 0.0, 0.77: 0.1}  # after this share of the days, the API lists this share of the collections
MIN_DAYS = 5  # with bad nights
SATURDAY = 5  # as `date.weekday` counts


def work(seed: str, records: list[dict[str, Any]], day: date) -> None:
    """Change the collections in place as a day of work does: some are filled, renamed, created and deleted.

    Nothing changes on Saturdays and Sundays.
    """
    if day.weekday() >= SATURDAY:
        return
    dice = random.Random(f"{seed} {day}")  # noqa: S311 - data, no secret

    def now() -> str:
        return team.iso(datetime.combine(day, time(8, tzinfo=UTC)) + timedelta(hours=11) * dice.random())

    for record in dice.sample(records, min(len(records), dice.randint(2, 9))):
        record["assetCount"] = record.get("assetCount", 0) + dice.randint(1, 40)
        record["itemCount"] = record["assetCount"] + record.get("modelCount", 0)
        record["updatedAt"] = now()
    for record in dice.sample(records, min(len(records), dice.randint(0, 1))):
        record["name"] = f"{str(record.get('name')).split(' - ')[0]} - {dice.choice(('approved', 'refs', 'shipped'))}"
        record["updatedAt"] = now()
    created = range(dice.choice((0, 1, 2, 2, 4, 7)))
    records.extend([collection.new(seed, dice, f"{day} {number}", now()) for number in created])
    for record in dice.sample(records, min(len(records), dice.choice((0, 0, 0, 1, 2)))):
        records.remove(record)


def listed(number: int, count: int) -> float:
    """Return the share of the collections that the API lists on one of `count` days, numbered from 0."""
    if count < MIN_DAYS:
        return 1.0
    return {int(at * count): share for at, share in BAD_NIGHTS.items()}.get(number, 1.0)
