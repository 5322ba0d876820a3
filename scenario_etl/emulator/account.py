"""The data of the team: collections, which are created, updated and deleted here, and the studio."""

import contextlib
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from scenario_etl.emulator import collection, history, images, links, team
from scenario_etl.emulator.index import Index
from scenario_etl.emulator.messages import HTTPError
from scenario_etl.emulator.queries import Queries
from scenario_etl.emulator.studio import Studio
from scenario_etl.emulator.tables import Table


class Account:
    """The collections and the studio. Generated collections are stored as integers, and generated when they are read.

    Reads of collections do not lock, and use the list as it is at one moment. Changes are serialized.

    Args:
        projects: The projects of the team, and the seed of all generated records.
        collections: The collections: records, or integers for generated ones.
        origin: Origin of the URLs of images.
        clock: Function that returns the time at which URLs are signed and records change.
        accepted: Accepted Authorization headers.
        assets: Minimum number of assets; they are generated when they are first read.

    """

    def __init__(
        self,
        projects: team.Projects,
        collections: list[Any],
        origin: str,
        clock: Callable[[], datetime],
        accepted: Collection[str],
        *,
        assets: int | None = None,
    ) -> None:
        self.projects = projects
        self.seed = projects.seed
        self.accepted = accepted
        self.collections = collections
        self.origin, self.clock = origin, clock
        self._make = partial(collection.make, projects)
        self._owners = Index(self._make, "ownerId")
        self._created = 0
        self._lock = threading.Lock()
        self._assets = assets
        self._first_rows: list[Any] | None = None
        self._studio: Studio | None = None
        self.filters_dates_late = False
        self._queries = Queries()
        self._pending_changes: list[Callable[[Studio], None]] = []
        self._studio_lock = threading.RLock()

    @property
    def studio(self) -> Studio:
        """The assets and related records, generated on first use, with all pending changes applied."""
        with self._studio_lock:
            if self._studio is None:
                rows = self.collections if self._first_rows is None else self._first_rows
                counts = links.collection_counts(list(rows), self._make)
                self._studio = history.generate(self.projects, counts, self._assets)
            while self._pending_changes:
                self._pending_changes.pop(0)(self._studio)
                self._studio.version += 1
            return self._studio

    def change_studio(self, change: Callable[[Studio], None]) -> None:
        """Change the assets, immediately, or as soon as they are generated.

        Call `keep_collections` before the collections change.
        """
        with self._studio_lock:
            self._pending_changes.append(change)
            if self._studio is not None:
                _ = self.studio

    def keep_collections(self) -> None:
        """Keep the collections from which the assets are generated, before the collections change."""
        with self._studio_lock:
            if self._first_rows is None and self._studio is None:
                rows = list(self.collections)
                self._first_rows = [dict(row) if isinstance(row, dict) else row for row in rows]

    @contextlib.contextmanager
    def changing(self) -> Iterator[Studio]:
        """Yield the studio for changes to its records, by one thread at a time."""
        self.keep_collections()
        with self._studio_lock:
            try:
                yield self.studio
            finally:
                self.studio.version += 1

    def select_rows(self, table: Table, query: Mapping[str, str], *, dates: bool = True) -> list[Any]:
        """Return the rows of a list that pass the filters in a query, in order; see Queries."""
        return self._queries.select(self.studio, table, query, self.clock(), dates=dates)

    def find_row(self, table: Table, identifier: str) -> Any:
        """Return the row with an id, or raise HTTPError 404."""
        return self._queries.find(self.studio, table, identifier)

    def update_assets(self) -> None:
        """Generate the missing assets of collections whose records were changed in place."""
        counts = links.collection_counts(list(self.collections), self._make)
        self.change_studio(lambda studio: history.update_assets(studio, counts))

    def sign(self, asset: str) -> str:
        """Return the URL of an asset's image."""
        return images.signed_url(self.origin, asset, self.seed, self.clock())

    def record(self, row: Any, *, signed: bool = True) -> Any:
        """Return a collection as the API returns it; `signed` adds the URL of a thumbnail that has none."""
        record = self._make(row) if isinstance(row, int) else row
        thumbnail = record.get("thumbnail") if isinstance(record, dict) else None
        if signed and isinstance(thumbnail, dict) and thumbnail.keys() == {"assetId"}:
            return {**record, "thumbnail": {**thumbnail, "url": self.sign(thumbnail["assetId"])}}
        return record

    def select_collections(self, owner: str | None) -> Iterable[Any]:
        """Return the rows of all collections, or of those of one project."""
        if owner is None:
            return self.collections
        return self._owners.select(list(self.collections), owner)  # a copy, as another thread may delete rows meanwhile

    def find_collection(self, identifier: str) -> tuple[int, Any]:
        """Return the position and the row of the collection with an id, or raise HTTPError 404."""
        for position, row in enumerate(list(self.collections)):
            if identifier == (collection.make_id(self.seed, row) if isinstance(row, int) else _id(row)):
                return position, row
        raise HTTPError(404, "Collection not found")

    def create_collection(self, make: Callable[[int], dict[str, Any]]) -> dict[str, Any]:
        """Append the collection that `make` returns for a new number, and return it."""
        self.keep_collections()
        with self._lock:
            self._created += 1
            record = make(self._created)
            self.collections.append(record)
        return record

    def update_collection(self, identifier: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
        """Apply `change` to a copy of the collection with an id, store the result, and return it."""
        self.keep_collections()
        with self._lock:
            position, row = self.find_collection(identifier)
            record = change(dict(self.record(row, signed=False)))
            self.collections[position] = record
        return record

    def delete_collection(self, identifier: str) -> None:
        """Delete the collection with an id."""
        self.keep_collections()
        with self._lock:
            position, _ = self.find_collection(identifier)
            del self.collections[position]


def _id(record: Any) -> Any:
    return record.get("id") if isinstance(record, dict) else None
