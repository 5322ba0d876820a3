"""Rows of the fictional team: reading, creating, updating and deleting them."""

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from scenario_etl.emulator import images
from scenario_etl.emulator.index import Index
from scenario_etl.emulator.lists import COLLECTIONS, PROJECTS, Listing
from scenario_etl.emulator.messages import HTTPError
from scenario_etl.emulator.team import PROJECTS as PROJECT_NAMES


class Account:
    """The rows of the lists. Generated records are stored as integers and created when they are read.

    Reads take no lock: they see a list as it is at one moment. Changes wait for each other.

    Args:
        seed: Seed of the generated records.
        collections: Rows of the list of collections.
        origin: Origin of the URLs of images.
        clock: Function that returns the time at which URLs are signed and records change.
        accepted: Accepted Authorization headers.

    """

    def __init__(
        self, seed: str, collections: list[Any], origin: str, clock: Callable[[], datetime], accepted: Collection[str]
    ) -> None:
        self.seed = seed
        self.accepted = accepted
        self.rows = {COLLECTIONS.name: collections, PROJECTS.name: list(range(len(PROJECT_NAMES)))}
        self.origin = origin
        self.clock = clock
        self._indexes: dict[tuple[str, str], Index] = {}
        self._created = 0
        self._lock = threading.Lock()

    def record(self, listing: Listing, row: Any, *, signed: bool = True) -> Any:
        """Return the record of a row as the API has it; `signed` adds the URL of a thumbnail that has none."""
        record = listing.make(self.seed, row) if isinstance(row, int) else row
        thumbnail = record.get("thumbnail") if isinstance(record, dict) else None
        if signed and isinstance(thumbnail, dict) and thumbnail.keys() == {"assetId"}:
            url = images.signed_url(self.origin, thumbnail["assetId"], self.seed, self.clock())
            return {**record, "thumbnail": {**thumbnail, "url": url}}
        return record

    def select(self, listing: Listing, query: Mapping[str, str]) -> Iterable[Any]:
        """Return the rows of a list that pass the filters in a query."""
        rows: Iterable[Any] = self.rows[listing.name]
        filters = [(field, query[parameter]) for parameter, field in listing.filters.items() if parameter in query]
        if filters:
            rows = list(rows)  # a row is neither missed nor repeated where another thread deletes one meanwhile
        for field, value in filters:
            rows = self._index(listing, field).select(rows, value)
        return rows

    def find(self, listing: Listing, identifier: str) -> tuple[int, Any]:
        """Return the position and the row of the record with an id.

        Raises:
            HTTPError: 404, where no record has this id.

        """
        for position, row in enumerate(list(self.rows[listing.name])):
            if identifier == (listing.make_id(self.seed, row) if isinstance(row, int) else _id(row)):
                return position, row
        raise HTTPError(404, f"{listing.noun.capitalize()} not found")

    def create(self, listing: Listing, make: Callable[[int], dict[str, Any]]) -> dict[str, Any]:
        """Append the record that `make` returns for a number that no other created record has, and return it."""
        with self._lock:
            self._created += 1
            record = make(self._created)
            self.rows[listing.name].append(record)
        return record

    def update(
        self, listing: Listing, identifier: str, change: Callable[[dict[str, Any]], dict[str, Any]]
    ) -> dict[str, Any]:
        """Replace the record with an id by what `change` returns for a copy of it, and return that."""
        with self._lock:
            position, row = self.find(listing, identifier)
            record = change(dict(self.record(listing, row, signed=False)))
            self.rows[listing.name][position] = record
        return record

    def delete(self, listing: Listing, identifier: str) -> None:
        """Delete the record with an id."""
        with self._lock:
            position, _ = self.find(listing, identifier)
            del self.rows[listing.name][position]

    def _index(self, listing: Listing, field: str) -> Index:
        return self._indexes.setdefault((listing.name, field), Index(partial(listing.make, self.seed), field))


def _id(record: Any) -> Any:
    return record.get("id") if isinstance(record, dict) else None
