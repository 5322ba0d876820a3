"""The team and its projects, with fictional users."""

import hashlib
from typing import Any

from scenario_etl.emulator import team, words


def people(seed: str) -> list[dict[str, Any]]:
    """Return the users of the team; their ids are the authors of assets."""
    return [
        {
            "id": hashlib.blake2b(f"{seed} {name}".encode(), digest_size=16).hexdigest(),
            "email": f"{name.lower().replace(' ', '.')}@example.com",
            "role": "admin" if number == 0 else "editor",
            "consumption": 120.5 * number,
            "createdAt": team.iso(team.SINCE),
            "updatedAt": team.iso(team.SINCE),
        }
        for number, name in enumerate(words.PEOPLE)
    ]


def members(seed: str, number: int) -> list[dict[str, Any]]:
    """Return the users of a project: the admin, and some of the others."""
    return [each for place, each in enumerate(people(seed)) if place == 0 or place % 4 != number % 4]


def api_key(seed: str, number: int) -> str:
    """Return the public part of a project's API key, which is an author as well."""
    return f"api_{team.identifier(seed, 'key', number)}"


def record(projects: team.Projects, number: int) -> dict[str, Any]:
    """Return a project as the API returns it."""
    seed = projects.seed
    return projects.record(number) | {
        "description": f"Art of {team.NAMES[number]}",
        "consumption": 1250.75 * (number % 4 + 1),
        "maxConsumption": 25_000,
        "avatar": {},
        "keys": [
            {
                "id": f"key_{team.identifier(seed, 'key of', number)}",
                "apiKeyId": api_key(seed, number),
                "apiKeyStatus": "active",
                "name": "pipeline",
                "role": "editor",
                "scope": "project",
                "createdAt": team.iso(team.SINCE),
                "updatedAt": team.iso(team.SINCE),
            }
        ],
        "users": members(seed, number),
    }


def team_record(projects: team.Projects) -> dict[str, Any]:
    """Return the team as the API returns it, with its projects."""
    records = [projects.record(number) for number in range(projects.count)]
    names = ("id", "name", "createdAt", "updatedAt")
    return {
        "id": team.TEAM_ID,
        "name": "Emberfall Studio",
        "plan": "pro",
        "type": "shared",
        "createdAt": team.iso(team.SINCE),
        "updatedAt": team.iso(team.UNTIL),
        "context": {
            "userRole": "key",
            "usersCount": len(people(projects.seed)),
            "keysCount": len(records),
            "invitationsCount": 0,
        },
        "projects": [{name: each[name] for name in names} for each in records],
    }
