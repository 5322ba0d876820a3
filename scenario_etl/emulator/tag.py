"""Tags, with the number of assets and models that have each of them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scenario_etl.emulator import team
from scenario_etl.emulator.asset import Asset
from scenario_etl.emulator.model import Model


@dataclass(slots=True)
class Tag:
    """A tag of a project, and how many of its assets and models have it."""

    owner_id: str
    name: str
    created: datetime
    updated: datetime
    items: int = 0


def count(items: Iterable[Asset | Model]) -> list[Tag]:
    """Return the tags of assets and models, in the order of projects and names."""
    tags: dict[tuple[str, str], Tag] = {}
    for item in items:
        for name in item.tags if item.owner_id else ():
            tag = tags.get((item.owner_id or "", name))
            if tag is None:
                tag = tags[item.owner_id or "", name] = Tag(item.owner_id or "", name, item.created, item.updated)
            tag.items += 1
            tag.created, tag.updated = min(tag.created, item.created), max(tag.updated, item.updated)
    return [tags[key] for key in sorted(tags)]


def record(tag: Tag, _: Callable[[str], str]) -> dict[str, Any]:
    """Return a tag as the API returns it."""
    return {
        "ownerId": tag.owner_id,
        "tagName": tag.name,
        "itemCount": tag.items,
        "createdAt": team.iso(tag.created),
        "updatedAt": team.iso(tag.updated),
    }
