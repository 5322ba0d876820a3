"""One run over several projects, or over windows of dates of one, with several threads.

A list with filters by date is read in windows of `createdAt`. A thread reads a window for about ten pages, and returns
the rest of it; a thread without work takes the second half of the largest rest. So the windows follow the records,
however these are distributed over time, and the rows have the same order whatever the number of threads: by project,
and in a project by date.
"""

import hashlib
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import pyarrow as pa

from scenario_etl.client import Client
from scenario_etl.dedupe import SeenKeys
from scenario_etl.errors import AuthError, PaginationError
from scenario_etl.filters import PROJECT_ID
from scenario_etl.parts import Part, PartStore
from scenario_etl.progress import NoBar, ProjectsBar, progress_bar
from scenario_etl.projects import add_counts
from scenario_etl.run import BATCH_ROWS, PartOfRun, Run, RunOptions, ScanReport
from scenario_etl.schema import Resource
from scenario_etl.windows import Cursor, Window, WindowError, newest_date

DEFAULT_WORKERS = 8
MAX_WORKERS = 32
PART_PAGES = 10
MIN_PAGES_TO_SPLIT = 3  # estimated number of pages of a rest that is worth a second thread
MAX_SECONDS_TO_STOP = 1.0

logger = logging.getLogger("scenario_etl")


class _Stopped(Exception):  # noqa: N818 - ends a thread, and reaches no caller
    """Another part has failed, or nobody needs the rows anymore."""


@dataclass
class _Project:
    """One project of a run.

    Attributes:
        id: The id, None for the only project of a run.
        window: The whole window, None to read by token.
        next_start: The start of the next part to yield.
        parts: The finished parts that have not been yielded, by the start of their window.
        newest: The date of the newest record, None if it is unknown.
        is_probed: Whether that date has been requested.
        by_token: The part that was read by token instead of windows, when it is finished.
        is_skipped: Whether the key may not read the project.

    """

    id: str | None
    window: Window | None
    next_start: datetime | None = None
    parts: dict[datetime | None, Part] = field(default_factory=dict)
    newest: datetime | None = None
    is_probed: bool = False
    by_token: Part | None = None
    is_skipped: bool = False
    is_done: bool = False
    pages: int = 0


@dataclass(frozen=True, eq=False)
class _Task:
    """A part that is read now, or will be."""

    project: _Project
    cursor: Cursor | None


class ParallelRun:
    """One run over several parts: iterate over `batches`, then call `report`.

    Args:
        client: The client.
        resource: The resource; with the column `project_id` if there are several projects.
        query: The filters, with their names in the API.
        options: The options of the scan.
        projects: The ids of the projects, [None] for one without a column.
        window: The window to read, None to read by token.
        store: The store of the parts.
        field: The name of the date of the window in the API.
        counts: The requests, retries and seconds waited before the run.
        skip_forbidden: Whether projects that the key may not read are skipped.
        may_skip_all: Whether it is no error if all are skipped.
        project_text: The value of `project_id` in the report.

    """

    def __init__(
        self,
        client: Client,
        resource: Resource,
        query: Mapping[str, str],
        options: RunOptions,
        *,
        projects: Sequence[str | None],
        window: Window | None,
        store: PartStore,
        field: str = "createdAt",
        counts: "Counter[str]",
        skip_forbidden: bool = False,
        may_skip_all: bool = False,
        project_text: str | None = None,
    ) -> None:
        self._client, self._resource, self._query, self._options = client, resource, dict(query), options
        self._store, self._window, self._field = store, window, field
        self._skip_forbidden, self._may_skip_all = skip_forbidden, may_skip_all
        self._project_text = project_text
        self._started = monotonic()
        self._projects = [
            _Project(each, window, next_start=window.start if window else None) for each in projects
        ]  # fmt: skip
        self._workers = options.workers or min(DEFAULT_WORKERS, len(self._projects))
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._active: list[_Task] = []
        self._probes = 0
        self._counts = counts
        self._rows = self._duplicates = 0
        self._read: list[Part] = []
        self._warned: set[str] = set()
        self._skipped: list[str] = []
        self._bar: ProjectsBar = ProjectsBar(NoBar(), 1)
        self._pending = deque(self._first_tasks())

    @property
    def skipped_projects(self) -> list[str]:
        """The projects so far that the key may not read; the list grows during the run."""
        return self._skipped

    def batches(self, _: int = 0) -> Generator[pa.RecordBatch]:
        """Yield the rows, by project, and by window in each project, with a batch for some pages."""
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(self._workers)]
        with progress_bar(self._resource.name, self._options.progress) as bar:
            self._bar = ProjectsBar(bar, len(self._projects))
            try:
                for thread in threads:
                    thread.start()
                for project in self._projects:
                    yield from self._rows_of(project)
            finally:
                self._stop.set()
                with self._changed:
                    self._changed.notify_all()
                ends = monotonic() + MAX_SECONDS_TO_STOP
                for thread in threads:
                    thread.join(max(0.0, ends - monotonic()))

    def report(self, **overrides: Any) -> ScanReport:
        """Return the report of the run, after the end of `batches`, with overrides as in Run."""
        missing, unknown = Counter[str](), Counter[str]()
        for part in self._read:
            missing.update(part.missing_fields)
            unknown.update(part.unknown_fields)
        values: dict[str, Any] = {
            "resource": self._resource.name,
            "base_url": self._client.base_url,
            "project_id": self._project_text,
            "extracted_at": self._store.started,
            "seconds": round(monotonic() - self._started, 3),
            "rows": self._rows,
            "pages": sum(part.pages for part in self._read),
            "requests": self._counts["requests"],
            "retries": self._counts["retries"],
            "seconds_waited": round(self._counts["seconds_waited"], 3),
            "duplicates": self._duplicates + sum(part.duplicates for part in self._read),
            "missing_fields": dict(missing),
            "unknown_fields": dict(unknown),
            "tokens_sha256": hashlib.sha256("".join(part.tokens_sha256 for part in self._read).encode()).hexdigest(),
            "partitions": len(self._read),
            "reused_partitions": sum(part.is_reused for part in self._read),
            "skipped_projects": tuple(str(each.id) for each in self._projects if each.is_skipped),
        }
        return ScanReport(**values | overrides)

    def _first_tasks(self) -> Iterator[_Task]:
        """Yield a task for each project that has not been read, and for each gap between windows that have been."""
        for project in self._projects:
            reused = [part for part in self._store.reused if part.project == project.id]
            if whole := next((part for part in reused if part.window is None), None):
                project.by_token = whole
            elif project.window is None:
                yield _Task(project, None)
            else:
                yield from (_Task(project, Cursor(gap, self._field)) for gap in _reuse(project, project.window, reused))

    def _rows_of(self, project: _Project) -> Iterator[pa.RecordBatch]:
        seen = SeenKeys()
        keys = self._resource.primary_key
        while (part := self._next_part(project)) is not None:
            for batch in self._store.batches(part):
                columns = [batch[name].to_pylist() for name in keys]
                found = columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))
                rows = seen.drop_duplicates(batch, found)
                self._rows += rows.num_rows
                yield rows
            self._read.append(part)
            self._store.finish(part)
        with self._changed:
            project.is_done = True
            is_clean = not project.by_token and not any(part.is_reused for part in self._read)
        self._duplicates += seen.duplicates if is_clean else 0  # otherwise, rows were read again on purpose
        self._bar.finish_project()

    def _next_part(self, project: _Project) -> Part | None:
        """Wait for the next part in order, and return it; None after the last."""
        with self._changed:
            while True:
                if self._error:
                    raise self._error
                if project.is_skipped or project.is_done:
                    return None
                if project.by_token:
                    project.is_done = True
                    return project.by_token
                if part := project.parts.pop(project.next_start, None):
                    project.next_start = part.window.end if part.window else None
                    project.is_done = part.is_last
                    return part
                self._changed.wait()

    def _work(self) -> None:
        try:
            while task := self._take():
                try:
                    self._run(task)
                finally:
                    with self._changed:
                        self._active.remove(task)
                        self._name_last()
                        self._changed.notify_all()
        except _Stopped:
            pass
        except BaseException as error:  # noqa: BLE001 - it is raised by `batches`
            with self._changed:
                self._error = self._error or error
                self._stop.set()
                self._changed.notify_all()

    def _take(self) -> _Task | None:
        """Wait for a task and return it; None if there will be no more."""
        while True:
            with self._changed:
                while True:
                    if self._stop.is_set() or not (self._pending or self._active):
                        return None
                    if self._pending:
                        task = self._pending.popleft()
                        self._active.append(task)
                        return task
                    if unprobed := self._to_probe():
                        unprobed.is_probed = True
                        break
                    if half := self._split():
                        self._active.append(half)
                        return half
                    self._changed.wait()
            newest = self._newest(unprobed)
            with self._changed:
                unprobed.newest = newest

    def _to_probe(self) -> _Project | None:
        """Return a project whose newest date is needed to split its last window."""
        for task in self._active:
            cursor = task.cursor
            if cursor and cursor.end is None and cursor.pace and not task.project.is_probed and not cursor.is_closed:
                return task.project
        return None

    def _split(self) -> _Task | None:
        """Return a task for half of the largest rest of a window, None if no rest is large enough."""
        rests = [
            (task.cursor.pages_left(task.project.newest), task) for task in self._active if task.cursor
        ]  # fmt: skip
        for pages, task in sorted(rests, key=lambda each: each[0], reverse=True):
            if pages < MIN_PAGES_TO_SPLIT or not task.cursor:
                return None
            if window := task.cursor.split(task.project.newest):
                return _Task(task.project, Cursor(window, self._field))
        return None

    def _newest(self, project: _Project) -> datetime | None:
        pages = self._client.pages(
            self._resource.path,
            self._resource.records_key,
            {
                **self._resource.fixed_query, **self._query_of(project),
                "sortBy": self._field, "sortDirection": "desc", "pageSize": 1,
            },
            self.wait,
            sleep=self._sleep,
        )  # fmt: skip
        try:
            return newest_date(pages, self._field)
        finally:
            self._add_counts(pages)

    def _query_of(self, project: _Project) -> dict[str, str]:
        return {**self._query, **({PROJECT_ID.api_name: project.id} if project.id is not None else {})}

    def _run(self, task: _Task) -> None:
        """Read a part, and publish it with a task for the rest of its window."""
        project, cursor = task.project, task.cursor
        start = cursor.position if cursor else None
        part = PartOfRun(cursor, PART_PAGES if cursor else None, self, self._sleep, self._warned)
        query = self._query if cursor or not self._window else self._query | self._bounds_of(self._window)
        run = Run(self._client, self._resource, query, self._options, project=project.id, part=part)
        try:
            with self._store.writing(self._resource.schema) as writer:
                for batch in run.batches(BATCH_ROWS):
                    writer.write(batch)
                    if cursor and project.window is None:  # another part has found that windows cannot be used
                        raise _Stopped
                rest = cursor.close() if cursor else None
                finished = writer.finish(self._part(task, start, rest, run.report()))
        except WindowError as error:
            self._read_by_token(project, error)
        except _Stopped:
            if self._stop.is_set():
                raise
        except AuthError as error:
            if error.status != 403 or not self._skip_forbidden or project.pages:
                raise
            self._skip(project, error)
        else:
            self._finish(project, finished, rest)
        finally:
            self._add_counts(run.pages)

    def _bounds_of(self, window: Window) -> dict[str, str]:
        """Return the query parameters for a window that is read by token."""
        bounds = window.parameters(self._field)
        return bounds | {"sortBy": self._field} if bounds else {}

    def _name_last(self) -> None:
        """Show the part that the run waits for, if it is the only one."""
        if len(self._active) == 1 and not self._pending:
            self._bar.show_last(self._active[0].project.id)

    def _part(self, task: _Task, start: datetime | None, rest: Window | None, report: ScanReport) -> Part:
        """Return the part that a run has read, without its file.

        The last window ends at its last record, from which a run that is resumed reads on.
        """
        cursor, window, is_last = task.cursor, None, True
        if cursor:
            window = Window(start, rest.start if rest else cursor.end or cursor.position)
            is_last = rest is None and cursor.end == (self._window or Window()).end
        return Part(
            project=task.project.id,
            window=window,
            is_last=is_last,
            pages=report.pages,
            duplicates=report.duplicates,
            missing_fields=Counter(report.missing_fields),
            unknown_fields=Counter(report.unknown_fields),
            tokens_sha256=report.tokens_sha256,
        )

    def _finish(self, project: _Project, part: Part, rest: Window | None) -> None:
        with self._changed:
            project.pages += part.pages
            if project.pages > self._options.max_pages:
                raise PaginationError(
                    f"{self._resource.name}: the list has more than {self._options.max_pages:,} pages; if that is "
                    "expected, increase the limit (--max-pages, max_pages=)"
                )
            if part.window is None:
                project.by_token = part
            elif project.window is not None:
                project.parts[part.window.start] = part
                if rest:
                    self._pending.appendleft(_Task(project, Cursor(rest, self._field)))
            self._changed.notify_all()

    def _read_by_token(self, project: _Project, reason: WindowError) -> None:
        """Read a project in one pass instead of windows; the parts that were yielded before remain."""
        with self._changed:
            if project.window is None:
                return
            logger.warning(
                "%s: the list%s cannot be read in windows, because %s; reading it in one pass", self._resource.name,
                f" of {project.id}" if project.id else "", reason,
            )  # fmt: skip
            project.window = None
            self._pending = deque(each for each in self._pending if each.project is not project)
            self._pending.append(_Task(project, None))
            project.parts.clear()
            self._changed.notify_all()

    def _skip(self, project: _Project, error: AuthError) -> None:
        with self._changed:
            if project.is_skipped:  # another window of it
                return
            project.is_skipped = True
            self._skipped.append(str(project.id))
            if len(self._skipped) == len(self._projects) and not self._may_skip_all:
                raise error
            self._changed.notify_all()
        logger.warning("%s: skipping %s: %s", self._resource.name, project.id, error)

    def _sleep(self, seconds: float) -> None:
        """Wait, but not longer than the run."""
        if self._client.sleep is time.sleep:
            self._stop.wait(seconds)
        else:
            self._client.sleep(seconds)
        if self._stop.is_set():
            raise _Stopped

    def add_page(self, records: int) -> None:
        """Count a page of a part, and let a thread without work look for the rest of its window."""
        with self._changed:
            self._bar.add_page(records)
            self._changed.notify_all()
        if self._stop.is_set():
            raise _Stopped

    def wait(self, reason: str, seconds: float) -> None:
        """Show the reason and the duration of a wait of a part."""
        with self._changed:
            self._bar.wait(reason, seconds)

    def _add_counts(self, pages: Any) -> None:
        with self._changed:
            add_counts(self._counts, pages)


def _reuse(project: _Project, whole: Window, parts: Iterable[Part]) -> Iterator[Window]:
    """Add the parts of an earlier run to a project, and yield the windows between them.

    The last window has no end, so it is read on from its last record, for the records that were created since.
    """
    position = whole.start
    for part in sorted(parts, key=lambda each: _start_of(each).timestamp()):
        window = part.window
        if window is None or window.start == window.end or not (position is None or position <= _start_of(part)):
            continue
        if window.start != position:
            yield Window(position, window.start)
        is_last = part.is_last and whole.end is not None
        project.pages += part.pages
        project.parts[window.start] = replace(part, is_last=is_last)
        if is_last:
            return
        position = window.end
    yield Window(position, whole.end)


def _start_of(part: Part) -> datetime:
    return part.window.start if part.window and part.window.start else datetime.min.replace(tzinfo=UTC)
