"""Rows of the fictional team: reading, creating, updating and deleting them."""

import contextlib
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from scenario_etl.emulator import history, images, links
from scenario_etl.emulator.index import Index
from scenario_etl.emulator.lists import COLLECTIONS, PROJECTS, Listing
from scenario_etl.emulator.messages import HTTPError
from scenario_etl.emulator.queries import Queries
from scenario_etl.emulator.studio import Studio
from scenario_etl.emulator.tables import Table
from scenario_etl.emulator.team import PROJECTS as PROJECT_NAMES


class Account:
    """The rows of the lists. Generated records are stored as integers and created when they are read.

    Reads do not lock, and use a list as it is at one moment. Changes are serialized.

    Args:
        seed: Seed of the generated records.
        collections: Rows of the list of collections.
        origin: Origin of the URLs of images.
        clock: Function that returns the time at which URLs are signed and records change.
        accepted: Accepted Authorization headers.
        assets: Minimum number of assets; they are generated when they are first read.

    """

    def __init__(
        self,
        seed: str,
        collections: list[Any],
        origin: str,
        clock: Callable[[], datetime],
        accepted: Collection[str],
        *,
        assets: int | None = None,
    ) -> None:
        self.seed = seed
        self.accepted = accepted
        projects: list[Any] = [PROJECTS.make(seed, number) for number in range(len(PROJECT_NAMES))]
        self.rows = {COLLECTIONS.name: collections, PROJECTS.name: projects}
        self.origin, self.clock = origin, clock
        self._indexes: dict[tuple[str, str], Index] = {}
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
                rows = self.rows[COLLECTIONS.name] if self._first_rows is None else self._first_rows
                counts = links.collection_counts(list(rows), partial(COLLECTIONS.make, self.seed))
                self._studio = history.generate(self.seed, counts, self._assets)
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
                rows = list(self.rows[COLLECTIONS.name])
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
        """Generate the assets that were added to collections by changes of their records in place."""
        counts = links.collection_counts(list(self.rows[COLLECTIONS.name]), partial(COLLECTIONS.make, self.seed))
        self.change_studio(lambda studio: history.update_assets(studio, counts))

    def sign(self, asset: str) -> str:
        """Return the URL of an asset's image."""
        return images.signed_url(self.origin, asset, self.seed, self.clock())

    def record(self, listing: Listing, row: Any, *, signed: bool = True) -> Any:
        """Return the record of a row as the API returns it; `signed` adds the URL of a thumbnail that has none."""
        record = listing.make(self.seed, row) if isinstance(row, int) else row
        thumbnail = record.get("thumbnail") if isinstance(record, dict) else None
        if signed and isinstance(thumbnail, dict) and thumbnail.keys() == {"assetId"}:
            return {**record, "thumbnail": {**thumbnail, "url": self.sign(thumbnail["assetId"])}}
        return record

    def select(self, listing: Listing, query: Mapping[str, str]) -> Iterable[Any]:
        """Return the rows of a list that pass the filters in a query."""
        rows: Iterable[Any] = self.rows[listing.name]
        filters = [(field, query[parameter]) for parameter, field in listing.filters.items() if parameter in query]
        if filters:
            rows = list(rows)  # a copy, because another thread may delete rows during the iteration
        for field, value in filters:
            rows = self._index(listing, field).select(rows, value)
        return rows

    def find(self, listing: Listing, identifier: str) -> tuple[int, Any]:
        """Return the position and the row of the record with an id, or raise HTTPError 404."""
        for position, row in enumerate(list(self.rows[listing.name])):
            if identifier == (listing.make_id(self.seed, row) if isinstance(row, int) else _id(row)):
                return position, row
        raise HTTPError(404, f"{listing.noun.capitalize()} not found")

    def create(self, listing: Listing, make: Callable[[int], dict[str, Any]]) -> dict[str, Any]:
        """Append the record that `make` returns for a new number, and return it."""
        self.keep_collections()
        with self._lock:
            self._created += 1
            record = make(self._created)
            self.rows[listing.name].append(record)
        return record

    def update(
        self, listing: Listing, identifier: str, change: Callable[[dict[str, Any]], dict[str, Any]]
    ) -> dict[str, Any]:
        """Apply `change` to a copy of the record with an id, store the result, and return it."""
        self.keep_collections()
        with self._lock:
            position, row = self.find(listing, identifier)
            record = change(dict(self.record(listing, row, signed=False)))
            self.rows[listing.name][position] = record
        return record

    def delete(self, listing: Listing, identifier: str) -> None:
        """Delete the record with an id."""
        self.keep_collections()
        with self._lock:
            position, _ = self.find(listing, identifier)
            del self.rows[listing.name][position]

    def _index(self, listing: Listing, field: str) -> Index:
        return self._indexes.setdefault((listing.name, field), Index(partial(listing.make, self.seed), field))


def _id(record: Any) -> Any:
    return record.get("id") if isinstance(record, dict) else None
