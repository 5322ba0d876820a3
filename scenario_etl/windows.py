"""Windows of dates, in which a list is read: their bounds, and the position of a reader."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock

MILLISECOND = timedelta(milliseconds=1)  # the precision of the bounds, which are exclusive


@dataclass(frozen=True, slots=True)
class Window:
    """A period of one of the dates of a record.

    Attributes:
        start: Inclusive start, None for no limit.
        end: Exclusive end, in whole milliseconds; None for no limit.

    """

    start: datetime | None = None
    end: datetime | None = None

    def __str__(self) -> str:
        names = (("from", self.start), ("before", self.end))
        return " ".join(f"{name} {format_bound(bound)}" for name, bound in names if bound)

    def parameters(self, date_field: str) -> dict[str, str]:
        """Return the query parameters that limit a list to the window.

        The API requires that the list is sorted by the same date. Its bounds are exclusive.
        """
        name = date_field.removesuffix("At")
        bounds = {
            f"{name}After": self.start and self.start - MILLISECOND,
            f"{name}Before": self.end,
        }
        return {parameter: format_bound(bound) for parameter, bound in bounds.items() if bound}


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
        lock: Held while attributes are changed.

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


def floor(moment: datetime) -> datetime:
    """Return a moment without the part below a millisecond."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def format_bound(moment: datetime) -> str:
    """Return a moment in UTC as a bound, in ISO 8601 with milliseconds."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
