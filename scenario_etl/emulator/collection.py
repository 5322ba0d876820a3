"""Generated collections."""

import random
from typing import Any

from scenario_etl.emulator import team

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


def make_id(seed: str, number: object) -> str:
    """Return the id of a generated collection."""
    return f"collection_{team.identifier(seed, 'collection', number)}"


def make(projects: team.Projects, number: int) -> dict[str, Any]:
    """Return a generated collection as in the API, without the URL of its thumbnail."""
    seed = projects.seed
    rng = random.Random(f"{seed} {number}")  # noqa: S311 - test data, not a secret
    created = team.SINCE + (team.UNTIL - team.SINCE) * rng.random()
    updated = created + (team.UNTIL - created) * rng.random() ** 2
    assets = 0 if rng.random() < 0.06 else int(rng.paretovariate(0.9) * 6) % projects.max_assets
    models = rng.choice((0, 0, 0, 1, 1, 2, 3, 5))
    name, chosen = _name(rng), rng.choices(projects.ids, projects.weights)[0]
    owner = projects.ids[number % projects.count] if projects.are_equal else chosen
    record: dict[str, Any] = {
        "id": make_id(seed, number),
        "name": name,
        "ownerId": owner,
        "assetCount": assets,
        "modelCount": models,
        "itemCount": assets + models,
        "createdAt": team.iso(created),
        "updatedAt": team.iso(updated),
    }
    if assets and rng.random() < 0.95:
        record["thumbnail"] = {"assetId": f"asset_{team.identifier(seed, 'thumbnail', number)}"}
    return record


def new(projects: team.Projects, rng: random.Random, number: str, created: str) -> dict[str, Any]:
    """Return a collection that is created on a simulated day, at the time `created`."""
    seed, assets = projects.seed, rng.randint(1, 60)
    return {
        "id": make_id(seed, number),
        "name": _name(rng),
        "ownerId": rng.choices(projects.ids, projects.weights)[0],
        "assetCount": assets,
        "modelCount": 0,
        "itemCount": assets,
        "createdAt": created,
        "updatedAt": created,
        "thumbnail": {"assetId": f"asset_{team.identifier(seed, 'thumbnail', number)}"},
    }


def _name(rng: random.Random) -> str:
    return f"{rng.choice(THEMES)} {rng.choice(SUBJECTS)}{rng.choice(STAGES)}"
