"""A mode: one way to fail, and what the right outcome is."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from tests.system.faults.listings import COLLECTIONS, Listing
from tests.system.faults.server import Exchange, Fault, FaultServer

ALWAYS = float("inf")
REPORT, LATER, KEY, DATA = 69, 75, 77, 65  # the exit codes of a right failure


@dataclass(frozen=True, eq=False)
class Mode:
    """One way to fail.

    Attributes:
        family: the row of the table of docs/reliability.md.
        name: says what is wrong.
        fault: answers for the page that breaks.
        fails: the exit code of a right failure; 0 where the right rows must come.
        times: how often the page breaks before it is right.
        breaks: the index of the page.
        pages: all pages, where one broken page is not enough: the token of each, the numbers of its records, and the
            token of the next, `...` for none.
        rows: the records that make the right result; those of the pages by default, each once.
        says: text that a right failure must show.
        min_wait: seconds that the server requires before the next request.
        timeout: of the client, in seconds.
        listing: the list that is read.

    """

    family: str
    name: str
    fault: Fault = Exchange.send
    fails: int = 0
    times: float = ALWAYS
    breaks: int = 1
    pages: tuple[tuple[str | None, list[int], Any], ...] | None = None
    rows: list[dict[str, Any]] | None = None
    says: str = ""
    min_wait: float = 0.0
    timeout: float = 10.0
    listing: Listing = COLLECTIONS

    def __str__(self) -> str:
        return f"{self.listing.name}: {self.family}: {self.name}"

    def server(self) -> FaultServer:
        """Return a server that breaks in this way."""
        return FaultServer(self.fault, self.breaks, self.times, self._bodies(), self.listing)

    def _bodies(self) -> dict[str | None, dict[str, Any]] | None:
        if self.pages is None:
            return None
        return {
            token: self.listing.page(numbers, **({} if following is ... else {"nextPaginationToken": following}))
            for token, numbers, following in self.pages
        }

    def right_rows(self) -> list[dict[str, Any]]:
        """Return the records that the right result has, in order."""
        if self.rows is not None:
            return deepcopy(self.rows)
        if self.pages is None:
            return self.listing.right_rows()
        return [self.listing.record(each) for each in dict.fromkeys(n for _, numbers, _ in self.pages for n in numbers)]
