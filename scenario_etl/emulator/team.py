"""A fictional game studio: projects, ids and dates."""

import base64
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

SINCE, UNTIL = datetime(2023, 2, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)  # period of the team's history
PROJECTS = ("Emberfall", "Skyward Isles", "Neon Harbor", "Live Ops")
PROJECT_WEIGHTS = (8, 5, 3, 2)  # how the records are distributed over these projects
PLACES = ("Amber", "Coral", "Frost", "Hollow", "Iron", "Lunar", "Moss", "Opal", "Paper", "Storm", "Velvet", "Wild")
SIGHTS = ("Citadel", "Drift", "Gardens", "Harvest", "Legends", "Odyssey", "Rally", "Tactics")
NAMES = (*PROJECTS, *(f"{place} {sight}" for sight in SIGHTS for place in PLACES))
MAX_PROJECTS = len(NAMES)
MIN_MAX_ASSETS, MAX_ASSETS = 100, 5000
TEAM_ID = "team_GTrL3mq4SXWyMxkOHRxlpw"


def identifier(*parts: object) -> str:
    """Return 22 characters that look random and are the same for the same parts, as the API's ids are."""
    digest = hashlib.blake2b(" ".join(map(str, parts)).encode(), digest_size=16).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode().replace("-", "x").replace("_", "z")


def iso(moment: datetime) -> str:
    """Return a time as the API writes it, with milliseconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def milliseconds(time: datetime) -> datetime:
    """Return a time rounded down to milliseconds, as in the API."""
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def to_utc(time: datetime) -> datetime:
    """Return a time in UTC, rounded down to milliseconds."""
    return milliseconds(time.astimezone(UTC))


@dataclass(frozen=True)
class Projects:
    """The projects of the team.

    Attributes:
        seed: Seed of the ids.
        count: Number of projects, at most MAX_PROJECTS.
        max_assets: Number of assets that no generated collection reaches.

    """

    seed: str
    count: int = len(PROJECTS)
    max_assets: int = MAX_ASSETS

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """The ids of the projects."""
        return tuple(f"proj_{identifier(self.seed, 'project', number)}" for number in range(self.count))

    @cached_property
    def weights(self) -> tuple[int, ...]:
        """How the records are distributed over the projects: equally, unless they are the usual ones."""
        return PROJECT_WEIGHTS if self.count == len(PROJECTS) else (1,) * self.count

    @property
    def are_equal(self) -> bool:
        """Whether the projects have equally many records."""
        return len(set(self.weights)) == 1

    def record(self, number: int) -> dict[str, Any]:
        """Return a project as the API returns it."""
        return {
            "id": self.ids[number],
            "name": NAMES[number],
            "teamId": TEAM_ID,
            "createdAt": iso(SINCE),
            "updatedAt": iso(UNTIL),
            "privacyMode": False,
            "keys": [],
            "users": [],
        }


def projects(seed: str, count: int, assets: int | None) -> Projects:
    """Return a number of projects; equal ones have collections so small that none needs more than its share of assets.

    A project has a few more assets than its largest collection: see links.py.
    """
    if assets is None or count == len(PROJECTS):
        return Projects(seed, count)
    return Projects(seed, count, min(MAX_ASSETS, max(MIN_MAX_ASSETS, assets // count * 40 // 42)))
