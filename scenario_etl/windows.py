"""Read a list by date instead of by token, so that a record that is deleted meanwhile makes it skip no other.

The token of a page is an offset: if a record is deleted before it, all later records move up, and one is skipped. In a
list that is sorted by a date, each request can instead ask for the records from the last date of the page before.
"""

import logging
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from threading import Event, Lock
from typing import Any
from urllib.parse import quote

from scenario_etl.pages import Page, Pages

MILLISECOND = timedelta(milliseconds=1)  # the precision of the bounds, which are exclusive
MAX_READS = 6  # of one millisecond with more than a page of records

logger = logging.getLogger("scenario_etl")


class WindowError(Exception):
    """The list is not sorted by date, or not filtered by date before it is paged, so it must be read by token."""


@dataclass(frozen=True, slots=True)
class Window:
    """A period of one of the dates of a record.

    Attributes:
        start: Inclusive start, None for no limit.
        end: Exclusive end, in whole milliseconds; None for no limit.

    """

    start: datetime | None = None
    end: datetime | None = None

    def parameters(self, date_field: str) -> dict[str, str]:
        """Return the query parameters that limit a list to the window, which the API only has with this order."""
        name = date_field.removesuffix("At")
        bounds = {
            f"{name}After": self.start and self.start - MILLISECOND,
            f"{name}Before": self.end,
        }
        return {parameter: _text(bound) for parameter, bound in bounds.items() if bound}


class Cursor:
    """The position of a reader in a window. Another thread can take over half of the rest.

    Attributes:
        date_field: The name of the date in the API, "createdAt" or "updatedAt".
        start: The start of the window.
        position: All records before it have been read; None before the first page.
        end: The end of the window, which only becomes earlier; None for no limit.
        page_span: The period that the last page covered, None if it is unknown.
        is_complete: Whether the whole window has been read.
        is_closed: Whether `split` is no longer allowed.
        lock: Guards all attributes.

    """

    def __init__(self, window: Window, date_field: str = "createdAt") -> None:
        self.date_field = date_field
        self.start = self.position = window.start
        self.end = window.end
        self.page_span: timedelta | None = None
        self.is_complete = False
        self.is_closed = False
        self.lock = Lock()

    def pages_left(self, newest: datetime | None) -> float:
        """Return the estimated number of pages to read, 0 if it is unknown.

        Args:
            newest: The date of the newest record, for a window without an end.

        """
        end = self.end or newest
        if self.is_closed or end is None or self.position is None or not self.page_span:
            return 0.0
        return (end - self.position) / self.page_span

    def split(self, newest: datetime | None) -> Window | None:
        """Take the second half of the rest of the window, and return it; None if the rest is too short."""
        with self.lock:
            end = self.end or newest
            if self.is_closed or end is None or self.position is None:
                return None
            middle = floor(self.position + (end - self.position) / 2)
            if middle - self.position <= MILLISECOND:
                return None
            taken = Window(middle, self.end)
            self.end = middle
            return taken

    def close(self) -> Window | None:
        """Allow no more splits, and return the rest of the window; None if it has been read completely."""
        with self.lock:
            self.is_closed = True
            return None if self.is_complete else Window(self.position, self.end)


class WindowPages:
    """The pages of a window, sorted by date; an iteration yields each record once.

    The list must be sorted in ascending order by its date, and must be filtered before it is paged.

    Args:
        pages: The pages of the list, whose URL requests that order.
        cursor: The window; its position is the start of the rest when the iteration ends early.
        keys: The names of the fields that identify a record.
        page_size: The number of records of a full page.
        max_pages: The number of pages after which the iteration ends early, None for all pages.
        exact_bounds: Whether the API is known to apply bounds to the millisecond; set when the first page has shown it.

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
        self._date_field = cursor.date_field
        self._keys = keys
        self._page_size = page_size
        self._max_pages = max_pages
        self._exact_bounds = exact_bounds or Event()
        self._seen: dict[tuple[Any, ...], datetime] = {}  # keys of the records that the next page may repeat
        self._can_end = self._has_order = False

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
            page = next(self._pages.follow(self._url(window)))
            if window != Window() or page.next_token is not None:
                self._check_bounds(window, page)
            yield self._advance(page)
            if not self._cursor.is_complete:
                self._check_order()
            if position is not None and self._cursor.position == position and not self._cursor.is_complete:
                yield from self._read_millisecond(position)
            if self._can_end:
                return
            if not self._cursor.is_complete:
                self._pages.check_count()

    def _page_of(self, window: Window) -> Page:
        """Return the first page of a window, which is only used for a check."""
        return self._pages.page_at(self._url(window))

    def _url(self, window: Window) -> str:
        return self._pages.url + "".join(
            f"&{name}={quote(text)}" for name, text in window.parameters(self._date_field).items()
        )

    def _advance(self, page: Page) -> Page:
        """Check a page, move the cursor to its last date, and return its records that are new and in the window."""
        moments = self._moments(page)
        cursor = self._cursor
        with cursor.lock:
            first = 0 if cursor.start is None else bisect_left(moments, cursor.start)  # the rest is in another window
            inside = len(moments) if cursor.end is None else bisect_left(moments, cursor.end)
            cursor.is_complete = page.next_token is None or inside < len(moments)
            if first < inside:
                oldest, newest = floor(moments[first]), floor(moments[inside - 1])
                if self._is_last and oldest < newest and not cursor.is_complete:
                    inside = bisect_left(moments, newest)  # the rest of the window starts with the others
                    self._can_end = True
                cursor.page_span = (newest - oldest) or cursor.page_span
                cursor.position = max(newest, cursor.position or newest)
        return replace(page, records=self._new(page.records[first:inside], moments[first:inside]))

    def _check_bounds(self, window: Window, page: Page) -> None:
        """Raise WindowError if the API rounds the bounds of a window, for example to seconds, so that rows are missing.

        The last record of a page is requested by its date. If it is missing there, but not in the page that is
        requested again, it has not been deleted or updated meanwhile.
        """
        if self._exact_bounds.is_set() or not page.records:
            return
        record = page.records[-1]
        start = floor(_moment(record, self._date_field))
        narrow = self._page_of(Window(start, start + MILLISECOND))
        if self._has(narrow, record) or len(narrow.records) == self._page_size:
            self._exact_bounds.set()
        elif self._has(self._page_of(window), record):
            raise WindowError("the API rounds the bounds of dates")

    def _has(self, page: Page, record: Any) -> bool:
        date, key = record[self._date_field], self._key(record)
        return any(each.get(self._date_field) == date and self._key(each) == key for each in page.records)

    def _check_order(self) -> None:
        """Raise WindowError if there are records before a page of which all have the same date.

        The order of such a page is unknown: it may be the newest one of a list in descending order.
        """
        position = self._cursor.position
        if self._has_order or position is None:
            return
        start = self._cursor.start
        for end in (position, None):  # the second shows whether the first is ordered, or has a record that is new
            page = self._page_of(Window(start, end))
            is_before = [moment < position for moment in self._moments_of(page) if start is None or start <= moment]
            if end and not any(is_before):
                break
            if end is None and not is_before[:1] == [True]:
                raise WindowError("it is not sorted by date in ascending order")
        self._has_order = True

    def _moments_of(self, page: Page) -> list[datetime]:
        return [_moment(record, self._date_field) for record in page.records]

    @property
    def _is_last(self) -> bool:
        return self._max_pages is not None and self._pages.pages >= self._max_pages

    def _moments(self, page: Page) -> list[datetime]:
        """Check a page, and return the dates of its records."""
        moments = self._moments_of(page)
        position = self._cursor.position
        if any(later < earlier for earlier, later in pairwise(moments)):
            raise WindowError("it is not sorted by date")
        if page.next_token is not None and len(page.records) < self._page_size:
            raise WindowError("the API filters it after paging")
        if moments and position and moments[0] < position - MILLISECOND:
            raise WindowError("it has records before the requested date")
        self._has_order |= bool(moments) and moments[0] < moments[-1]
        return moments

    def _new(self, records: list[Any], moments: list[datetime]) -> list[Any]:
        """Return the records that no page before had."""
        keys = [self._key(record) for record in records]
        found = [record for record, key in zip(records, keys, strict=True) if key not in self._seen]
        self._seen.update(zip(keys, moments, strict=True))
        return found

    def _key(self, record: Any) -> tuple[str, ...]:
        return tuple(str(record.get(name)) for name in self._keys)

    def _forget_before(self, position: datetime | None) -> None:
        if position is not None:
            self._seen = {key: moment for key, moment in self._seen.items() if moment > position - MILLISECOND}

    def _read_millisecond(self, position: datetime) -> Iterator[Page]:
        """Read a millisecond with a full page of records by token, and move the cursor to the next one.

        A record that is deleted meanwhile makes the tokens skip one. So the millisecond is read again, until a read has
        all records of the one before: then nothing was deleted during that one.
        """
        end = position + MILLISECOND
        before: set[tuple[str, ...]] | None = None
        for _ in range(MAX_READS):
            keys: set[tuple[str, ...]] = set()
            is_one_page = True
            for page in self._pages.follow(self._url(Window(position, end))):
                moments = self._moments(page)
                first = 0 if self._cursor.start is None else bisect_left(moments, self._cursor.start)
                inside = bisect_left(moments, end)
                yield replace(page, records=self._new(page.records[first:inside], moments[first:inside]))
                keys.update(map(self._key, page.records[first:inside]))
                if page.next_token is None or inside < len(moments):
                    break
                is_one_page = False
            if is_one_page or (before is not None and before <= keys):
                break
            before = keys
        else:
            logger.warning(
                "%s: records of %s were deleted during each of %d reads, so others may be missing",
                self._pages.url, _text(position), MAX_READS,
            )  # fmt: skip
        with self._cursor.lock:
            self._cursor.position = end
            self._cursor.is_complete = self._cursor.end is not None and self._cursor.end <= end
            self._can_end = self._is_last


def newest_date(pages: Iterable[Page], date_field: str) -> datetime | None:
    """Return the date of the first record of a list that is sorted in descending order, None if it has none."""
    page = next(iter(pages))
    try:
        return floor(_moment(page.records[0], date_field)) if page.records else None
    except WindowError:
        return None


def floor(moment: datetime) -> datetime:
    """Return a moment without the part below a millisecond."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _moment(record: Any, date_field: str) -> datetime:
    try:
        moment = datetime.fromisoformat(record[date_field])
        if moment.utcoffset() is not None:
            return moment.astimezone(UTC)
    except (TypeError, KeyError, ValueError, OverflowError):
        pass
    raise WindowError("it has a record without a valid date")


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
