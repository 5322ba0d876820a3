"""What the threads of a parallel run read next, and in which order its parts are used."""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from scenario_etl.errors import ConfigError
from scenario_etl.parts import Part
from scenario_etl.windows import Cursor, Window

MIN_PAGES_TO_SPLIT = 3  # estimated number of pages of a rest that is worth a second thread


@dataclass(eq=False)
class ProjectState:
    """The state of one project of a run.

    Attributes:
        id: The id, None if the table has no column for it.
        window: The whole window, None to read by token.
        next_start: The start of the next part to use.
        parts: The finished parts that have not been used, by the start of their window.
        newest: The date of the newest record, None if it is unknown.
        is_probed: Whether that date has been requested.
        by_token: The part that was read by token instead of windows, when it is finished.
        is_skipped: Whether the key may not read the project.
        is_done: Whether all parts have been used.
        pages: The number of pages so far.
        is_used: Whether a part has been used.

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
    is_used: bool = False


@dataclass(frozen=True, eq=False)
class Task:
    """A part to read: a window, or a whole project by token if there is no cursor."""

    project: ProjectState
    cursor: Cursor | None


class Schedule:
    """The tasks of a run. Several threads take tasks, and one uses the finished parts in order.

    Args:
        projects: The ids of the projects, [None] for one without a column.
        window: The window to read of each, None to read by token.
        date_field: The name of the date of the window in the API.
        reused: The parts that an earlier run has read.
        workers: The maximum number of tasks that are read at the same time.

    Attributes:
        projects: The projects, in the order of the rows.
        skipped: The ids of the projects that the key may not read.
        workers: The maximum number of tasks that are read at the same time.
        may_be_empty: Whether all projects may be skipped, as in a partition.
        stopped: Set if no more parts are needed, because one has failed or nobody needs the rows anymore.
        changed: The condition that guards all attributes.

    """

    def __init__(
        self,
        projects: Sequence[str | None],
        window: Window | None,
        date_field: str,
        reused: Sequence[Part],
        workers: int,
    ) -> None:
        self.projects = [ProjectState(each, window, next_start=window.start if window else None) for each in projects]
        self.skipped: list[str] = []
        self.may_be_empty = False
        self.workers = workers
        self.stopped = threading.Event()
        self.changed = threading.Condition()
        self._process = os.getpid()
        self._date_field = date_field
        self._error: BaseException | None = None
        self._active: list[Task] = []
        self._probing = 0
        self._pending = deque(task for project in self.projects for task in _first_tasks(project, reused, date_field))

    @property
    def only_task(self) -> Task | None:
        """The only task that is not finished, None if there are several or none."""
        return self._active[0] if len(self._active) == 1 and not self._pending else None

    @property
    def projects_read(self) -> int:
        """The number of projects of which no part is left to read."""
        left = {id(task.project) for task in (*self._active, *self._pending)}
        return sum(id(project) not in left for project in self.projects)

    def take(self, probe: Callable[[ProjectState], datetime | None]) -> Task | None:
        """Wait for a task and return it; None if there will be no more.

        Args:
            probe: A function that requests the date of the newest record of a project.

        """
        while True:
            with self.changed:
                while True:
                    if self.stopped.is_set() or not (self._pending or self._active):
                        return None
                    if len(self._active) + self._probing < self.workers:
                        if unprobed := self._to_probe():
                            break
                        if task := self._next_task():
                            self._active.append(task)
                            return task
                    self.changed.wait()
                unprobed.is_probed = True
                self._probing += 1
            newest = probe(unprobed)
            with self.changed:
                unprobed.newest = newest
                self._probing -= 1

    def release(self, task: Task, rest: Window | None = None) -> None:
        """Remove a task from the active ones, so that another can start, and add a task for the rest of its window."""
        with self.changed:
            if task in self._active:
                self._active.remove(task)
                if rest and task.project.window is not None:
                    self._pending.appendleft(Task(task.project, Cursor(rest, self._date_field)))
                self.changed.notify_all()

    def add_part(self, project: ProjectState, part: Part) -> None:
        """Add a finished part."""
        with self.changed:
            project.pages += part.pages
            if part.window is None:
                project.by_token = part
            elif project.window is not None:
                project.parts[part.window.start] = part
            self.changed.notify_all()

    def read_by_token(self, project: ProjectState) -> bool:
        """Read a project by token instead of in windows; parts that were used before stay in the result.

        Returns:
            False if it is already read by token.

        """
        with self.changed:
            if project.window is None:
                return False
            project.window = None
            self._pending = deque(each for each in self._pending if each.project is not project)
            self._pending.append(Task(project, None))
            project.parts.clear()
            self.changed.notify_all()
            return True

    def skip(self, project: ProjectState, error: Exception) -> None:
        """Skip a project; raise the error if some of its rows have been used, or if all projects are skipped."""
        with self.changed:
            if project.is_skipped:  # another window of it
                return
            if project.is_used:
                raise error
            project.is_skipped = True
            self.skipped.append(str(project.id))
            if len(self.skipped) == len(self.projects) and not self.may_be_empty:
                raise error
            self.changed.notify_all()

    def stop(self, error: BaseException | None = None) -> None:
        """Stop all threads; `next_part` raises the first error."""
        with self.changed:
            self._error = self._error or error
            self.stopped.set()
            self.changed.notify_all()

    def next_part(self, project: ProjectState) -> Part | None:
        """Wait for the next part of a project, and return it; None after the last."""
        with self.changed:
            while True:
                if self._error:
                    raise self._error
                if project.is_skipped or project.is_done:
                    return None
                if project.by_token:
                    project.is_done = project.is_used = True
                    return project.by_token
                if part := project.parts.pop(project.next_start, None):
                    project.next_start = part.window.end if part.window else None
                    project.is_done, project.is_used = part.is_last, True
                    return part
                if os.getpid() != self._process:  # its threads do not exist here
                    raise ConfigError("a run cannot continue in a forked process; start a new one there")
                self.changed.wait()

    def _next_task(self) -> Task | None:
        """Return a pending task, or half of the largest rest of a window; None if no rest is large enough."""
        return self._pending.popleft() if self._pending else _split(self._active)

    def _to_probe(self) -> ProjectState | None:
        """Return a project whose newest date is needed to split its last window, if there is nothing else to do."""
        if self._pending:
            return None
        return next((task.project for task in self._active if _needs_newest(task)), None)


def _split(tasks: Iterable[Task]) -> Task | None:
    rests = [(each.cursor.pages_left(each.project.newest), each) for each in tasks if each.cursor]
    for pages, task in sorted(rests, key=lambda each: each[0], reverse=True):
        if pages < MIN_PAGES_TO_SPLIT or not task.cursor:
            return None
        if window := task.cursor.split(task.project.newest):
            return Task(task.project, Cursor(window, task.cursor.date_field))
    return None


def _needs_newest(task: Task) -> bool:
    cursor = task.cursor
    return bool(
        cursor and cursor.end is None and cursor.page_span and not cursor.is_closed and not task.project.is_probed
    )  # fmt: skip


def _first_tasks(project: ProjectState, parts: Iterable[Part], date_field: str) -> Iterator[Task]:
    """Yield the tasks of a project: all of it, or each gap between the windows that an earlier run has read."""
    reused = [part for part in parts if part.project == project.id]
    if whole := next((part for part in reused if part.window is None), None):
        project.by_token = whole
    elif project.window is None:
        yield Task(project, None)
    else:
        for gap in _reuse(project, project.window, reused):
            yield Task(project, Cursor(gap, date_field))


def _reuse(project: ProjectState, whole: Window, parts: Iterable[Part]) -> Iterator[Window]:
    """Add the parts of an earlier run to a project, and yield the windows between them.

    The last window has no end, so reading continues from its last record, to include records created since.
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
