"""Split a scan into partitions: groups of projects, or windows of dates with about the same number of records."""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

from scenario_etl.client import Client
from scenario_etl.dated_list import WindowError, newest_date
from scenario_etl.errors import AuthError
from scenario_etl.filters import can_add, project_query
from scenario_etl.pages import Pages
from scenario_etl.projects import add_counts, is_skipped
from scenario_etl.schema import Resource
from scenario_etl.window_pages import WindowPages
from scenario_etl.windows import MILLISECOND, Cursor, Window, floor

logger = logging.getLogger("scenario_etl")

MICROSECOND = timedelta(microseconds=1)
PROBES_PER_PARTITION = 4
WINDOW_FILTERS = ("created_after", "created_before", "sort_direction")


def split_query(resource: Resource, query: Mapping[str, str]) -> tuple[dict[str, str], Window | None]:
    """Return a query without its bounds on the date of creation, and these as a window.

    The window is None if the list cannot be read in windows: it has no filters by date of creation, or the query
    excludes them or requires a different order.
    """
    if not can_add(resource.filters, query, WINDOW_FILTERS) or query.get("sortDirection", "asc") != "asc":
        return dict(query), None
    rest = dict(query)
    after, before = (_date(rest.pop(name, None)) for name in ("createdAfter", "createdBefore"))
    return rest, Window(after and after + MICROSECOND, before)  # the bounds are exclusive


@dataclass
class _Density:
    """The estimated number of pages of a project over time.

    Attributes:
        start: The start of the first window, None for no limit.
        starts: The start of each interval, ascending.
        pages: The estimated number of pages of each interval.
        end: The end of the last interval.

    """

    start: datetime | None
    end: datetime
    starts: list[datetime] = field(default_factory=list)
    pages: list[float] = field(default_factory=list)

    def windows(self, count: int) -> list[Window]:
        """Return consecutive windows with about the same number of pages."""
        cuts: list[datetime] = []
        total, so_far = sum(self.pages), 0.0
        for (start, end), pages in zip(pairwise([*self.starts, self.end]), self.pages, strict=True):
            while len(cuts) < count - 1 and so_far + pages >= (wanted := total * (len(cuts) + 1) / count):
                share = (wanted - so_far) / pages if pages else 0.0
                cuts.append(floor(start + (end - start) * share))
            so_far += pages
        inner = sorted(cut for cut in set(cuts) if self.starts[0] < cut < self.end)
        return [Window(start, end) for start, end in pairwise([self.start, *inner, self.end])]


def plan_partitions(
    client: Client,
    resource: Resource,
    query: Mapping[str, str],
    page_size: int | None,
    *,
    projects: Sequence[str | None],
    count: int,
    skip_forbidden: bool = False,
) -> list[tuple[tuple[str | None, ...], Window | None]]:
    """Return at most `count` partitions, each a group of projects, or a window of one project.

    The last window ends at `created_before` or, at the latest, at the time of the server, so that a partition has the
    same rows when it is read again.

    Raises:
        APIError: A request failed, or the responses have no date; TransientError and AuthError are subclasses.

    """
    rest, whole = split_query(resource, query)
    if whole is None or page_size is None or count <= len(projects):
        if skip_forbidden:
            read_first_page(client, resource, query, projects, skip_forbidden=True, counts=Counter())
        return [(group, None) for group in _groups(projects, count)]
    densities: dict[str | None, _Density] = {}
    for project in projects:
        parameters = rest | project_query(project)
        try:
            probe = Probe(client, resource, parameters, page_size)
            densities[project] = _estimate(probe, whole, PROBES_PER_PARTITION * count // len(projects))
        except WindowError:
            return [(group, None) for group in _groups(projects, count)]
        except AuthError as error:
            if not is_skipped(error, skip_forbidden) or (project == projects[-1] and not densities):
                raise
            logger.warning("%s: skipping %s: %s", resource.name, project, error)
    total = sum(sum(each.pages) for each in densities.values()) or 1.0
    spare = count - len(densities)
    return [
        ((project,), window)
        for project, density in densities.items()
        for window in density.windows(1 + int(spare * sum(density.pages) / total))
    ]


def read_first_page(
    client: Client,
    resource: Resource,
    query: Mapping[str, str],
    projects: Sequence[str | None],
    *,
    skip_forbidden: bool,
    counts: "Counter[str]",
) -> Pages:
    """Request one record of the first project that the key may read, and return the pages of its list.

    Raises:
        AuthError: The key may not read a project, or none of them with `skip_forbidden`.
        APIError: The request failed.

    """
    size: dict[str, str | int] = {"pageSize": resource.page_sizes[0]} if resource.page_sizes else {}
    for project in projects:
        parameters = {**resource.fixed_query, **query, **project_query(project), **size}
        pages = client.pages(resource.path, resource.records_key, parameters)
        try:
            next(iter(pages))
            break
        except AuthError as error:
            if not is_skipped(error, skip_forbidden) or project == projects[-1]:
                raise
        finally:
            add_counts(counts, pages)
    return pages


def _groups(projects: Sequence[str | None], count: int) -> Iterator[tuple[str | None, ...]]:
    """Yield at most `count` groups of consecutive projects."""
    groups = min(count, len(projects))
    for number in range(groups):
        yield tuple(projects[number * len(projects) // groups : (number + 1) * len(projects) // groups])


@dataclass(frozen=True, slots=True)
class Probe:
    """Requests single pages of a list, sorted by date of creation."""

    client: Client
    resource: Resource
    parameters: Mapping[str, str]
    page_size: int

    def cursor(self, window: Window) -> Cursor:
        """Return the cursor after the first page of a window."""
        cursor = Cursor(window)
        keys = self.resource.without_projects().key_fields
        next(iter(WindowPages(self.pages("asc"), cursor, keys, self.page_size)))
        return cursor

    def pages(self, direction: str) -> Pages:
        """Return the pages of the list in ascending or descending order."""
        order: dict[str, str | int] = {"sortBy": "createdAt", "sortDirection": direction, "pageSize": self.page_size}
        resource = self.resource
        return self.client.pages(
            resource.path, resource.records_key, {**resource.fixed_query, **self.parameters, **order}
        )  # fmt: skip


def _estimate(probe: Probe, whole: Window, probes: int) -> _Density:
    """Estimate the density of a list: read a page in the middle of the interval with the most pages, repeatedly.

    Raises:
        WindowError: The list cannot be read in windows.

    """
    pages = probe.pages("desc")
    newest = newest_date(pages, "createdAt")
    now = pages.require_date("sets the end of the last partition")
    end = floor(now) + timedelta(seconds=1)  # it has whole seconds
    if newest:  # the clock of the server may be slow
        end = max(end, newest + MILLISECOND)
    end = min(whole.end or end, end)
    density = _Density(whole.start, end)
    first = probe.cursor(Window(whole.start, end))
    oldest = first.position and first.position - (first.page_span or MILLISECOND)
    start = whole.start or oldest or end - MILLISECOND
    last = max(start, min(newest or start, end - MILLISECOND))
    density.starts, density.pages = [start], [_pages(first, start, last)]
    for _ in range(probes):
        number = max(range(len(density.pages)), key=density.pages.__getitem__)
        left = density.starts[number]
        right = density.starts[number + 1] if number + 1 < len(density.starts) else last
        middle = floor(left + (right - left) / 2)
        if density.pages[number] < 1 or not left < middle < right:
            break
        after = _pages(probe.cursor(Window(middle, end)), middle, right)
        density.pages[number : number + 1] = [density.pages[number] / 2, after]
        density.starts.insert(number + 1, middle)
    return density


def _pages(cursor: Cursor, start: datetime, end: datetime) -> float:
    """Return the estimated number of pages between two dates, given the cursor after the page from the first date."""
    if cursor.is_complete or cursor.position is None or cursor.position >= end:
        return 0.5
    covered = cursor.position - start
    return (end - start) / covered if covered else 1.0


def _date(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
