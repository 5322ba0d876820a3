"""Which assets and models each collection has, so that its counts are right.

The counts of a collection are drawn when it is made up, without a look at any other record. So the assets follow from
the counts: a project has as many as its largest collection, and some more. Each collection has a run of them, in the
order of their creation; where these overlap, an asset is in several collections.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

MAX_COUNT = 50_000  # of a collection that a user passed
ALONE = 41  # one in so many assets is in no collection


class Want(NamedTuple):
    """A collection, and what it says it has."""

    id: str
    owner_id: str
    assets: int
    models: int
    cover: str | None
    updated: str


@dataclass
class Pool:
    """The assets or models of one project, by number.

    Attributes:
        size: how many there are.
        members: the collections that have each of them.
        ids: those of the covers of collections; any other can have any id.

    """

    size: int = 0
    members: dict[int, list[str]] = field(default_factory=dict)
    ids: dict[int, str] = field(default_factory=dict)


def wants(rows: Iterable[Any], make: Callable[[int], dict[str, Any]]) -> list[Want]:
    """Return what collections say they have; what is no collection, or has no owner, has nothing."""
    found = []
    for row in rows:
        record = make(row) if isinstance(row, int) else row
        if not isinstance(record, dict):
            continue
        identifier, owner, thumbnail = record.get("id"), record.get("ownerId"), record.get("thumbnail")
        cover = thumbnail.get("assetId") if isinstance(thumbnail, dict) else None
        if isinstance(identifier, str) and isinstance(owner, str):
            assets, models = _count(record.get("assetCount")), _count(record.get("modelCount"))
            cover = cover if isinstance(cover, str) else None
            found.append(Want(identifier, owner, assets, models, cover, str(record.get("updatedAt"))))
    return found


def asset_pool(collections: Sequence[Want], more: int = 0) -> Pool:
    """Return the assets of a project with these collections, and `more` that are in no collection for sure."""
    counts = [(each.id, each.assets) for each in collections if each.assets]
    covers = {each.id: each.cover for each in collections}
    needed = max([len(counts), *(count for _, count in counts)])
    pool = Pool(needed + -(-needed // ALONE) + more)
    seen: set[str] = set()
    for identifier, first in _distribute(pool, counts, needed):
        cover = covers[identifier]
        if cover and cover not in seen:
            pool.ids[first] = cover
            seen.add(cover)
    return pool


def model_pool(collections: Sequence[Want], size: int) -> Pool:
    """Return the models of a project with these collections: `size`, or more where a collection has more."""
    counts = [(each.id, each.models) for each in collections if each.models]
    pool = Pool(max([size, *(count for _, count in counts)]))
    for _ in _distribute(pool, counts, pool.size):
        pass
    return pool


def _distribute(pool: Pool, counts: Sequence[tuple[str, int]], needed: int) -> Iterable[tuple[str, int]]:
    """Give each collection its run of the `needed` numbers that are in collections; yield its first number."""
    for rank, (identifier, count) in enumerate(counts):
        start = rank * needed // len(counts)
        for place in range(start, start + count):
            number = place % needed * pool.size // needed
            pool.members.setdefault(number, []).append(identifier)
        yield identifier, start * pool.size // needed


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_COUNT else 0
