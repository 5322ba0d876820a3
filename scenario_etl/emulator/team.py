"""A made-up game studio: its projects, its collections, and what a day of work changes in them."""

import base64
import hashlib
import random
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

SINCE, UNTIL = datetime(2023, 2, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)  # the dates of the made-up team
PROJECTS = ("Emberfall", "Skyward Isles", "Neon Harbor", "Live Ops")
PROJECT_WEIGHTS = (8, 5, 3, 2)  # how the collections are distributed over the projects
TEAM_ID = "team_GTrL3mq4SXWyMxkOHRxlpw"
BAD_NIGHTS = {0.35: 0.0, 0.77: 0.1}  # after this share of the days, the API lists this share of the collections
MIN_DAYS = 5  # with bad nights

SUBJECTS = (
    "Armor Sets", "Boss Concepts", "Card Frames", "Character Portraits", "Creature Sheets", "Dungeon Tiles", "Foliage",
    "Idle Animations", "Item Icons", "Key Art", "Loading Screens", "Loot Crates", "Map Markers", "NPC Outfits",
    "Particle Textures", "Potion Icons", "Prop Variants", "Shop Banners", "Skill Icons", "Skyboxes", "Splash Screens",
    "Terrain Materials", "UI Buttons", "Vehicle Skins", "Weapon Turnarounds",
)  # fmt: skip
THEMES = (
    "Ancient Ruins", "Arctic", "Autumn Festival", "Bioluminescent", "Clockwork", "Crystal Caves", "Cyber Alley",
    "Desert Bazaar", "Dragon's Nest", "Frozen Keep", "Goblin Market", "Halloween", "Lunar New Year", "Mangrove Swamp",
    "Pirate Cove", "Pixel Forest", "Season 4", "Steampunk", "Summer Event", "Sunken City", "Undead Legion", "Winter",
)  # fmt: skip
STAGES = ("", "", "", " v2", " v3", " (final)", " WIP", " - refs", " - approved")


def identifier(*parts: object) -> str:
    """Return 22 characters that look random and are the same for the same parts, as the API's ids are."""
    digest = hashlib.blake2b(" ".join(map(str, parts)).encode(), digest_size=16).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode().replace("-", "x").replace("_", "z")


def iso(moment: datetime) -> str:
    """Return a time as the API writes it, with milliseconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def project_ids(seed: str) -> list[str]:
    """Return the ids of the team's projects."""
    return [f"proj_{identifier(seed, 'project', number)}" for number in range(len(PROJECTS))]


def projects(seed: str) -> list[dict[str, Any]]:
    """Return the team's projects as the API has them."""
    return [
        {
            "id": project_id,
            "name": name,
            "teamId": TEAM_ID,
            "createdAt": iso(SINCE),
            "updatedAt": iso(UNTIL),
            "privacyMode": False,
            "keys": [],
            "users": [],
        }
        for project_id, name in zip(project_ids(seed), PROJECTS, strict=True)
    ]


def collection_id(seed: str, number: object) -> str:
    """Return the id of a made-up collection."""
    return f"collection_{identifier(seed, 'collection', number)}"


def collection(seed: str, number: int) -> dict[str, Any]:
    """Return a made-up collection as the API has it, without the URL of its thumbnail."""
    dice = random.Random(f"{seed} {number}")  # noqa: S311 - data, no secret
    created = SINCE + (UNTIL - SINCE) * dice.random()
    updated = created + (UNTIL - created) * dice.random() ** 2
    assets = 0 if dice.random() < 0.06 else int(dice.paretovariate(0.9) * 6) % 5000
    models = dice.choice((0, 0, 0, 1, 1, 2, 3, 5))
    record: dict[str, Any] = {
        "id": collection_id(seed, number),
        "name": _name(dice),
        "ownerId": dice.choices(project_ids(seed), PROJECT_WEIGHTS)[0],
        "assetCount": assets,
        "modelCount": models,
        "itemCount": assets + models,
        "createdAt": iso(created),
        "updatedAt": iso(updated),
    }
    if assets and dice.random() < 0.95:
        record["thumbnail"] = {"assetId": f"asset_{identifier(seed, 'thumbnail', number)}"}
    return record


def work(seed: str, records: list[dict[str, Any]], day: date) -> None:
    """Change the collections in place as a day of work does: some are filled, renamed, created and deleted."""
    dice = random.Random(f"{seed} {day}")  # noqa: S311 - data, no secret

    def now() -> str:
        return iso(datetime.combine(day, time(8, tzinfo=UTC)) + timedelta(hours=11) * dice.random())

    for record in dice.sample(records, min(len(records), dice.randint(2, 9))):
        record["assetCount"] = record.get("assetCount", 0) + dice.randint(1, 40)
        record["itemCount"] = record["assetCount"] + record.get("modelCount", 0)
        record["updatedAt"] = now()
    for record in dice.sample(records, min(len(records), dice.randint(0, 1))):
        record["name"] = f"{str(record.get('name')).split(' - ')[0]} - {dice.choice(('approved', 'refs', 'shipped'))}"
        record["updatedAt"] = now()
    created = range(dice.choice((0, 1, 2, 2, 4, 7)))
    records.extend([_new(seed, dice, f"{day} {number}", now()) for number in created])
    for record in dice.sample(records, min(len(records), dice.choice((0, 0, 0, 1, 2)))):
        records.remove(record)


def _new(seed: str, dice: random.Random, number: str, created: str) -> dict[str, Any]:
    assets = dice.randint(1, 60)
    return {
        "id": collection_id(seed, number),
        "name": _name(dice),
        "ownerId": dice.choices(project_ids(seed), PROJECT_WEIGHTS)[0],
        "assetCount": assets,
        "modelCount": 0,
        "itemCount": assets,
        "createdAt": created,
        "updatedAt": created,
        "thumbnail": {"assetId": f"asset_{identifier(seed, 'thumbnail', number)}"},
    }


def _name(dice: random.Random) -> str:
    return f"{dice.choice(THEMES)} {dice.choice(SUBJECTS)}{dice.choice(STAGES)}"
