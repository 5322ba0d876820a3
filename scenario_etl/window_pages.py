"""Read a list by date instead of by token, so that no record is skipped if another one is deleted.

The token of a page is an offset: if a record is deleted before it, all later records move up, and one is skipped. In a
list that is sorted by a date, each request can instead ask for the records from the last date of the page before.
"""

import logging
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from threading import Event
from typing import Any

from scenario_etl.dated_list import DatedList, Key
from scenario_etl.pages import Page, Pages
from scenario_etl.windows import MILLISECOND, Cursor, Window, floor, format_bound

MAX_READS = 6  # of one millisecond with more than a page of records

logger = logging.getLogger("scenario_etl")


class WindowPages:
    """The pages of a window, sorted by date; an iteration yields each record once.

    The list must be sorted in ascending order by its date, and must be filtered before it is paginated.

    Args:
        pages: The pages of the list, whose URL requests that order.
        cursor: The window; its position is the start of the rest when the iteration ends early.
        keys: The names of the fields that identify a record.
        page_size: The number of records of a full page.
        max_pages: The number of pages after which the iteration ends early, None for all pages.
        exact_bounds: As in DatedList.

    """

    def __init__(
        self,
        pages: Pages,
        cursor: Cursor,
        keys: Sequence[str],
        page_size: int,
        *,
        max_pages: int | None = None,
        exact_bounds: Event | None = None,
    ) -> None:
        self._pages = pages
        self._cursor = cursor
        self._list = DatedList(pages, cursor.date_field, keys, page_size, exact_bounds or Event())
        self._max_pages = max_pages
        self._seen: dict[Key, datetime] = {}  # keys of the records that the next page may repeat
        self._has_ended_early = False

    def __iter__(self) -> Iterator[Page]:
        """Yield each page as it arrives, without the records that a page before it had.

        Raises:
            WindowError: The list must be read by token.
            APIError: A request failed; TransientError and AuthError are subclasses.
            PaginationError: There are too many pages.

        """
        while not self._cursor.is_complete:
            position = self._cursor.position
            self._forget_before(position)
            window = Window(position, self._cursor.end)
            page = next(self._list.follow(window))
            self._list.check_bounds(window, page)
            yield self._advance(page)
            if not self._cursor.is_complete:
                self._list.check_order(self._cursor.start, self._cursor.position)
            if position is not None and self._cursor.position == position and not self._cursor.is_complete:
                yield from self._read_millisecond(position)
            if self._has_ended_early:
                return
            if not self._cursor.is_complete:
                self._pages.check_count()

    def _advance(self, page: Page) -> Page:
        """Check a page, move the cursor to its last date, and return its records that are new and in the window."""
        cursor = self._cursor
        moments = self._list.check_page(page, cursor.position)
        with cursor.lock:
            first = 0 if cursor.start is None else bisect_left(moments, cursor.start)  # the rest is in another window
            inside = len(moments) if cursor.end is None else bisect_left(moments, cursor.end)
            cursor.is_complete = page.next_token is None or inside < len(moments)
            if first < inside:
                oldest, newest = floor(moments[first]), floor(moments[inside - 1])
                if self._reached_page_limit and oldest < newest and not cursor.is_complete:
                    inside = bisect_left(moments, newest)  # the rest of the window starts with the others
                    self._has_ended_early = True
                cursor.page_span = (newest - oldest) or cursor.page_span
                cursor.position = max(newest, cursor.position or newest)
        return replace(page, records=self._new(page.records[first:inside], moments[first:inside]))

    @property
    def _reached_page_limit(self) -> bool:
        return self._max_pages is not None and self._pages.pages >= self._max_pages

    def _new(self, records: list[Any], moments: list[datetime]) -> list[Any]:
        """Return the records that no page before had."""
        keys = [self._list.key(record) for record in records]
        found = [record for record, key in zip(records, keys, strict=True) if key not in self._seen]
        self._seen.update(zip(keys, moments, strict=True))
        return found

    def _forget_before(self, position: datetime | None) -> None:
        if position is not None:
            self._seen = {key: moment for key, moment in self._seen.items() if moment > position - MILLISECOND}

    def _read_millisecond(self, position: datetime) -> Iterator[Page]:
        """Read a millisecond with a full page of records by token, and move the cursor to the next one.

        A record that is deleted meanwhile makes the tokens skip one. So the millisecond is read again, until a read has
        all records of the previous read: then none was deleted during that one.
        """
        end = position + MILLISECOND
        before: set[Key] | None = None
        for _ in range(MAX_READS):
            keys: set[Key] = set()
            is_one_page = True
            for page in self._list.follow(Window(position, end)):
                moments = self._list.check_page(page, self._cursor.position)
                first = 0 if self._cursor.start is None else bisect_left(moments, self._cursor.start)
                inside = bisect_left(moments, end)
                yield replace(page, records=self._new(page.records[first:inside], moments[first:inside]))
                keys.update(map(self._list.key, page.records[first:inside]))
                if page.next_token is None or inside < len(moments):
                    break
                is_one_page = False
            if is_one_page or (before is not None and before <= keys):
                break
            before = keys
        else:
            logger.warning(
                "%s: records were deleted in each of %d reads of those dated %s, so others may be missing; run again",
                self._pages.url, MAX_READS, format_bound(position),
            )  # fmt: skip
        with self._cursor.lock:
            self._cursor.position = end
            self._cursor.is_complete = self._cursor.end is not None and self._cursor.end <= end
            self._has_ended_early = self._reached_page_limit
