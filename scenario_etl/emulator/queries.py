"""Rows of the lists that can be filtered and sorted."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from scenario_etl.emulator import tag
from scenario_etl.emulator.filters import holds
from scenario_etl.emulator.messages import HTTPError
from scenario_etl.emulator.studio import Studio
from scenario_etl.emulator.tables import TAGS, Table

RECENT = timedelta(days=30)
MAX_KEPT = 32  # results, which the pages of a scan share


class Queries:
    """Finds the rows for queries, and keeps the results until a record changes."""

    def __init__(self) -> None:
        self._kept: dict[object, list[Any]] = {}

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
        tests = table.tests(query, dates=False)
        date_tests = table.tests(query)
        paging = {"pageSize", "paginationToken"}
        parameters = tuple(sorted((name, value) for name, value in query.items() if name not in paging))
        key = (studio, studio.version, table.name, parameters, dates)
        is_recent = any(holds(query, each) for each in table.recent)
        rows = None if is_recent else self._kept.get(key)
        if rows is None:
            in_scope = table.scope(query, now - RECENT)
            rows = [row for row in self.rows(studio, table) if in_scope(row)]
            for field, test in tests + (date_tests if dates else []):
                rows = [row for row in rows if test(getattr(row, field))]
            order = table.order(query)
            if order.field:
                rows.sort(key=lambda row: getattr(row, order.field), reverse=order.descending)
            if len(self._kept) >= MAX_KEPT:
                self._kept.clear()
            self._kept[key] = rows
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
