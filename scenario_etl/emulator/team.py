"""A fictional game studio: projects, ids and dates."""

import base64
import hashlib
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

SINCE, UNTIL = datetime(2023, 2, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)  # period of the team's history
PROJECTS = ("Emberfall", "Skyward Isles", "Neon Harbor", "Live Ops")
PROJECT_WEIGHTS = (8, 5, 3, 2)  # how the records are distributed over the projects
TEAM_ID = "team_GTrL3mq4SXWyMxkOHRxlpw"


def identifier(*parts: object) -> str:
    """Return 22 characters that look random and are the same for the same parts, as the API's ids are."""
    digest = hashlib.blake2b(" ".join(map(str, parts)).encode(), digest_size=16).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode().replace("-", "x").replace("_", "z")


def iso(moment: datetime) -> str:
    """Return a time as the API writes it, with milliseconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


@lru_cache(maxsize=32)
def project_ids(seed: str) -> tuple[str, ...]:
    """Return the ids of the team's projects."""
    return tuple(f"proj_{identifier(seed, 'project', number)}" for number in range(len(PROJECTS)))


def project(seed: str, number: int) -> dict[str, Any]:
    """Return a project as the API returns it."""
    return {
        "id": project_ids(seed)[number],
        "name": PROJECTS[number],
        "teamId": TEAM_ID,
        "createdAt": iso(SINCE),
        "updatedAt": iso(UNTIL),
        "privacyMode": False,
        "keys": [],
        "users": [],
    }
