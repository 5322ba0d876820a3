"""Rows of the lists that can be filtered and sorted."""

import threading
from bisect import bisect_left
from collections.abc import Mapping
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

from scenario_etl.emulator import tag
from scenario_etl.emulator.filters import Predicate, holds
from scenario_etl.emulator.messages import HTTPError
from scenario_etl.emulator.studio import Studio
from scenario_etl.emulator.tables import DATE_FILTERS, TAGS, Table

RECENT = timedelta(days=30)
MAX_KEPT = 256  # lists, which the pages of a scan share
NOT_IN_KEY = {"pageSize", "paginationToken", *DATE_FILTERS}


class Queries:
    """Finds the rows for queries.

    Lists are kept sorted and filtered by everything but dates until a record changes, so that bounds of dates, which
    differ from request to request, are found by bisection.
    """

    def __init__(self) -> None:
        self._kept: dict[object, list[Any]] = {}
        self._state: tuple[Studio | None, int] = (None, 0)
        self._lock = threading.Lock()

    def select(
        self, studio: Studio, table: Table, query: Mapping[str, str], now: datetime, *, dates: bool = True
    ) -> list[Any]:
        """Return the rows of a list that pass the filters in a query, in order.

        Args:
            studio: The studio with the records.
            table: The list.
            query: Query parameters; unknown ones are ignored.
            now: The current time, for lists of recent records.
            dates: Whether to apply the date filters.

        Raises:
            HTTPError: 400 if parameters cannot be combined, or a value is not allowed.

        """
        for rule in table.rules:
            rule.check(query)
        rows, order = self._without_dates(studio, table, query, now), table.order(query)
        for field, test in table.tests(query) if dates else ():
            rows = _sorted_part(rows, field, test) if field == order.field else _filtered(rows, field, test)
        return rows

    def _without_dates(self, studio: Studio, table: Table, query: Mapping[str, str], now: datetime) -> list[Any]:
        """Return the rows that pass all filters except those of dates, in order."""
        if any(holds(query, each) for each in table.recent):
            return self._build(studio, table, query, now)  # depends on the time
        parameters = tuple(sorted((name, value) for name, value in query.items() if name not in NOT_IN_KEY))
        with self._lock:  # so that only one thread builds a list that several need
            if self._state != (studio, studio.version) or len(self._kept) >= MAX_KEPT:
                self._kept, self._state = {}, (studio, studio.version)
            rows = self._kept.get((table.name, parameters))
            if rows is None:
                rows = self._kept[table.name, parameters] = self._build(studio, table, query, now)
            return rows

    def _build(self, studio: Studio, table: Table, query: Mapping[str, str], now: datetime) -> list[Any]:
        in_scope = table.scope(query, now - RECENT)
        rows = [row for row in self.rows(studio, table) if in_scope(row)]
        for field, test in table.tests(query, dates=False):
            rows = _filtered(rows, field, test)
        order = table.order(query)
        if order.field:
            rows.sort(key=attrgetter(order.field), reverse=order.descending)
        return rows

    def find(self, studio: Studio, table: Table, identifier: str) -> Any:
        """Return the row with an id.

        Raises:
            HTTPError: 404 if there is no such row, or it is deleted.

        """
        row = getattr(studio, table.name).get(identifier)
        if row is None or getattr(row, "deleted", None) is not None:
            raise HTTPError(404, f"{table.noun.capitalize()} not found")
        return row

    @staticmethod
    def rows(studio: Studio, table: Table) -> list[Any]:
        """Return all rows of a list."""
        return tag.count(studio.live()) if table is TAGS else list(getattr(studio, table.name).values())


def _filtered(rows: list[Any], field: str, test: Predicate) -> list[Any]:
    """Return the rows whose field passes a test."""
    return [row for row in rows if test(getattr(row, field))]


def _sorted_part(rows: list[Any], field: str, test: Predicate) -> list[Any]:
    """Return what `_filtered` returns, if the rows are sorted by the field, and the test compares it with a bound."""
    if not rows:
        return rows
    passes = test(getattr(rows[-1], field))
    if passes == test(getattr(rows[0], field)):
        return rows if passes else []
    change = bisect_left(rows, True, key=lambda row: test(getattr(row, field)) == passes)
    return rows[change:] if passes else rows[:change]
