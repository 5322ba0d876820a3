"""Assignment of assets and models to collections, consistent with their counts.

The counts of a collection are generated independently of other records, so the assets are derived from them: a project
has as many as its largest collection, and some more. Each collection has a range of them, in the order of their
creation; an asset in overlapping ranges is in several collections.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

MAX_COUNT = 50_000  # of a collection that a user passed
UNASSIGNED_RATIO = 41  # assets in collections for each asset that is in no collection


class CollectionCounts(NamedTuple):
    """The counts of a collection, and the fields on which its assets depend."""

    id: str
    owner_id: str
    assets: int
    models: int
    thumbnail_id: str | None
    updated: str


@dataclass
class Pool:
    """The assets or models of one project, by number.

    Attributes:
        size: Number of assets or models.
        members: Ids of the collections that contain each of them.
        ids: Ids of the thumbnails of collections; the others may have any id.

    """

    size: int = 0
    members: dict[int, list[str]] = field(default_factory=dict)
    ids: dict[int, str] = field(default_factory=dict)


def collection_counts(rows: Iterable[Any], make: Callable[[int], dict[str, Any]]) -> list[CollectionCounts]:
    """Return the counts of collections; rows that are not collections, or have no owner, are skipped."""
    found = []
    for row in rows:
        record = make(row) if isinstance(row, int) else row
        if not isinstance(record, dict):
            continue
        identifier, owner, thumbnail = record.get("id"), record.get("ownerId"), record.get("thumbnail")
        thumbnail_id = thumbnail.get("assetId") if isinstance(thumbnail, dict) else None
        if isinstance(identifier, str) and isinstance(owner, str):
            assets, models = _count(record.get("assetCount")), _count(record.get("modelCount"))
            thumbnail_id = thumbnail_id if isinstance(thumbnail_id, str) else None
            found.append(
                CollectionCounts(identifier, owner, assets, models, thumbnail_id, str(record.get("updatedAt")))
            )
    return found


def asset_pool(collections: Sequence[CollectionCounts], more: int = 0) -> Pool:
    """Return the assets of a project with these collections, and `more` others that are in no collection."""
    counts = [(each.id, each.assets) for each in collections if each.assets]
    thumbnail_ids = {each.id: each.thumbnail_id for each in collections}
    needed = max([len(counts), *(count for _, count in counts)])
    pool = Pool(needed + -(-needed // UNASSIGNED_RATIO) + more)
    seen: set[str] = set()
    for identifier, first in _distribute(pool, counts, needed):
        thumbnail_id = thumbnail_ids[identifier]
        if thumbnail_id and thumbnail_id not in seen:
            pool.ids[first] = thumbnail_id
            seen.add(thumbnail_id)
    return pool


def model_pool(collections: Sequence[CollectionCounts], size: int) -> Pool:
    """Return the models of a project with these collections: `size`, or more if a collection has more."""
    counts = [(each.id, each.models) for each in collections if each.models]
    pool = Pool(max([size, *(count for _, count in counts)]))
    for _ in _distribute(pool, counts, pool.size):
        pass
    return pool


def _distribute(pool: Pool, counts: Sequence[tuple[str, int]], needed: int) -> Iterable[tuple[str, int]]:
    """Assign a range of the `needed` numbers to each collection; yield its id and its first number."""
    for rank, (identifier, count) in enumerate(counts):
        start = rank * needed // len(counts)
        for place in range(start, start + count):
            number = place % needed * pool.size // needed
            pool.members.setdefault(number, []).append(identifier)
        yield identifier, start * pool.size // needed


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_COUNT else 0
