"""A list that is sorted and filtered by a date, and the checks that it is."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from threading import Event
from typing import Any
from urllib.parse import quote

from scenario_etl.pages import Page, Pages
from scenario_etl.windows import MILLISECOND, Window, floor

Key = tuple[str, ...]


class WindowError(Exception):
    """The list is not sorted by date, or not filtered exactly before it is paginated, so it must be read by token."""


@dataclass
class DatedList:
    """A list that is sorted in ascending order by a date, and filtered by it before it is paginated.

    Attributes:
        pages: The pages of the list, whose URL requests that order.
        date_field: The name of the date in the API, "createdAt" or "updatedAt".
        keys: The names of the fields that identify a record.
        page_size: The number of records of a full page.
        exact_bounds: Whether the API is known to apply bounds to the millisecond; several lists may share it.
        is_sorted: Whether the list is known to be sorted in ascending order.

    """

    pages: Pages
    date_field: str
    keys: Sequence[str]
    page_size: int
    exact_bounds: Event
    is_sorted: bool = False

    def follow(self, window: Window) -> Iterator[Page]:
        """Yield the pages of a window, by token."""
        return self.pages.follow(self._url(window))

    def key(self, record: Any) -> Key:
        """Return what identifies a record."""
        return tuple(str(record.get(name)) for name in self.keys)

    def check_page(self, page: Page, position: datetime | None) -> list[datetime]:
        """Return the dates of the records of a page.

        Raises:
            WindowError: The dates are not valid, not sorted or before the position, or a page that is not the last has
                fewer records than the page size.

        """
        moments = self._moments(page)
        if any(later < earlier for earlier, later in pairwise(moments)):
            raise WindowError("it is not sorted by date")
        if page.next_token is not None and len(page.records) < self.page_size:
            raise WindowError("the API filters it after pagination")
        if moments and position and moments[0] < position - MILLISECOND:
            raise WindowError("it has records before the requested date")
        self.is_sorted |= bool(moments) and moments[0] < moments[-1]
        return moments

    def check_bounds(self, window: Window, page: Page) -> None:
        """Raise WindowError if the API rounds the bounds of a window, for example to seconds, so that rows are missing.

        Two records of a page are requested by their dates. If one is missing there, but not in the page that is
        requested again, it has not been deleted or updated meanwhile. Rounding may spare one date, but not both.
        """
        is_whole_list = window == Window() and page.next_token is None
        if self.exact_bounds.is_set() or not page.records or is_whole_list:
            return
        missing = [record for record in self._two_records(page) if not self._is_found(record)]
        if not missing:
            self.exact_bounds.set()
            return
        again = self._page_of(window)
        if any(self._has(again, record) for record in missing):
            raise WindowError("the API rounds the bounds of dates")

    def _two_records(self, page: Page) -> list[Any]:
        """Return the last record of a page, and one whose milliseconds have another last digit, or at least differ."""
        milliseconds = [moment.microsecond // 1000 for moment in self._moments(page)]
        last = milliseconds[-1]
        others = [number for number, each in enumerate(milliseconds) if each % 10 != last % 10]
        others = others or [number for number, each in enumerate(milliseconds) if each != last]
        return [page.records[number] for number in (*others[:1], -1)]

    def _is_found(self, record: Any) -> bool:
        start = floor(_moment(record, self.date_field))
        return self._has(self._page_of(Window(start, start + MILLISECOND)), record)

    def check_order(self, start: datetime | None, position: datetime | None) -> None:
        """Raise WindowError if there are records before a page of which all have the same date.

        The order of such a page is unknown: it may be the newest one of a list in descending order.

        Args:
            start: The start of the window.
            position: The date of the last record so far.

        """
        if self.is_sorted or position is None:
            return
        for end in (position, None):  # the second shows whether the first is ordered, or has a record that is new
            page = self._page_of(Window(start, end))
            is_before = [moment < position for moment in self._moments(page) if start is None or start <= moment]
            if end and not any(is_before):
                break
            if end is None and not is_before[:1] == [True]:
                raise WindowError("it is not sorted by date in ascending order")
        self.is_sorted = True

    def _page_of(self, window: Window) -> Page:
        """Return the first page of a window, which is only used for a check."""
        return self.pages.page_at(self._url(window))

    def _url(self, window: Window) -> str:
        parameters = window.parameters(self.date_field).items()
        return self.pages.url + "".join(f"&{name}={quote(text)}" for name, text in parameters)

    def _moments(self, page: Page) -> list[datetime]:
        return [_moment(record, self.date_field) for record in page.records]

    def _has(self, page: Page, record: Any) -> bool:
        date, key = record[self.date_field], self.key(record)
        records = [each for each in page.records if isinstance(each, dict)]
        return any(each.get(self.date_field) == date and self.key(each) == key for each in records)


def newest_date(pages: Iterable[Page], date_field: str) -> datetime | None:
    """Return the date of the first record of a list in descending order, None without a record or a valid date."""
    page = next(iter(pages))
    try:
        return floor(_moment(page.records[0], date_field)) if page.records else None
    except WindowError:
        return None


def _moment(record: Any, date_field: str) -> datetime:
    try:
        moment = datetime.fromisoformat(record[date_field])
        if moment.utcoffset() is not None:
            return moment.astimezone(UTC)
    except (TypeError, KeyError, ValueError, OverflowError):
        pass
    raise WindowError("it has a record without a valid date")
