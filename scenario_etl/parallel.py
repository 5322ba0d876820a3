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
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from datetime import datetime
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
from scenario_etl.schedule import Project, Schedule, Task
from scenario_etl.schema import Resource
from scenario_etl.windows import Window, WindowError, newest_date, window_parameters

DEFAULT_WORKERS = 8
MAX_WORKERS = 32
PART_PAGES = 10
MAX_SECONDS_TO_STOP = 1.0

logger = logging.getLogger("scenario_etl")


class _Stopped(Exception):  # noqa: N818 - ends a task, and reaches no caller
    """Another part has failed, or nobody needs the rows anymore."""


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
        project_text: str | None = None,
    ) -> None:
        self._client, self._resource, self._query, self._options = client, resource, query, options
        self._store, self._window, self._field = store, window, field
        self._skip_forbidden = skip_forbidden
        self._project_text = project_text
        self._started = monotonic()
        self._schedule = Schedule(projects, window, field, store.reused)
        self._workers = options.workers or min(DEFAULT_WORKERS, len(projects))
        self._counts = counts
        self._rows = 0
        self._read: list[Part] = []
        self._warned: set[str] = set()
        self._bar: ProjectsBar = ProjectsBar(NoBar(), 1)

    @property
    def skipped_projects(self) -> list[str]:
        """The projects so far that the key may not read; the list grows during the run."""
        return self._schedule.skipped

    def batches(self, _: int = 0) -> Generator[pa.RecordBatch]:
        """Yield the rows, by project, and by window in each project, with a batch for some pages."""
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(self._workers)]
        with progress_bar(self._resource.name, self._options.progress) as bar:
            self._bar = ProjectsBar(bar, len(self._schedule.projects))
            try:
                for thread in threads:
                    thread.start()
                for project in self._schedule.projects:
                    yield from self._rows_of(project)
            finally:
                self._schedule.stop()
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
            "duplicates": sum(part.duplicates for part in self._read),
            "missing_fields": dict(missing),
            "unknown_fields": dict(unknown),
            "tokens_sha256": hashlib.sha256("".join(part.tokens_sha256 for part in self._read).encode()).hexdigest(),
            "partitions": len(self._read),
            "reused_partitions": sum(part.is_reused for part in self._read),
            "skipped_projects": tuple(self._schedule.skipped),
        }
        return ScanReport(**values | overrides)

    def _rows_of(self, project: Project) -> Iterator[pa.RecordBatch]:
        seen = SeenKeys()  # its duplicates are not counted, because windows may overlap
        keys = self._resource.primary_key
        while (part := self._schedule.next_part(project)) is not None:
            for batch in self._store.batches(part):
                columns = [batch[name].to_pylist() for name in keys]
                found = columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))
                rows = seen.drop_duplicates(batch, found)
                self._rows += rows.num_rows
                yield rows
            self._read.append(part)
            self._store.finish(part)
        self._bar.finish_project()

    def _work(self) -> None:
        """Read parts, until there are no more or one has failed."""
        try:
            while task := self._schedule.take(self._newest):
                try:
                    self._read_part(task)
                finally:
                    self._schedule.release(task)
                    if last := self._schedule.last_task:
                        self._bar.show_last(last.project.id)
        except _Stopped:
            pass
        except BaseException as error:  # noqa: BLE001 - it is raised by `batches`
            self._schedule.stop(error)

    def _newest(self, project: Project) -> datetime | None:
        order = {"sortBy": self._field, "sortDirection": "desc", "pageSize": "1"}
        pages = self._client.pages(
            self._resource.path,
            self._resource.records_key,
            {**self._resource.fixed_query, **self._query, **_project_query(project), **order},
            self.wait,
            sleep=self._sleep,
        )
        try:
            return newest_date(pages, self._field)
        finally:
            self._add_counts(pages)

    def _read_part(self, task: Task) -> None:
        """Read a part, and add it to the schedule with the rest of its window."""
        project, cursor = task.project, task.cursor
        start = cursor.position if cursor else None
        part = PartOfRun(cursor, PART_PAGES if cursor else None, self, self._sleep, self._warned)
        query = self._query if cursor else self._query_by_token()
        run = Run(self._client, self._resource, query, self._options, project=project.id, part=part)
        try:
            with self._store.writing(self._resource.schema) as writer:
                for batch in run.batches(BATCH_ROWS):
                    writer.write(batch if cursor else self._inside(batch))
                    if cursor and project.window is None:  # another part has found that windows cannot be used
                        raise _Stopped
                rest = cursor.close() if cursor else None
                finished = writer.finish(self._part(task, start, rest, run.report()))
            self._schedule.add_part(project, finished, rest)
            self._check_pages(project)
        except WindowError as error:
            if self._schedule.read_by_token(project):
                self._log_fallback(project, error)
        except _Stopped:
            if self._schedule.stopped.is_set():
                raise
        except AuthError as error:
            if error.status != 403 or not self._skip_forbidden or project.pages:
                raise
            self._schedule.skip(project, error)
            logger.warning("%s: skipping %s: %s", self._resource.name, project.id, error)
        finally:
            self._add_counts(run.pages)

    def _query_by_token(self) -> dict[str, str]:
        """Return the query of a project that is read by token, with the bounds of a window of creation.

        A list by date of update is read completely, because a record that is updated meanwhile would change its place.
        """
        if self._window is None or self._field == "updatedAt":
            return dict(self._query)
        bounds = window_parameters(self._window, self._field)
        return {**self._query, **bounds, **({"sortBy": self._field} if bounds else {})}

    def _inside(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the rows that are in the window, for a list that is read by token: the API may ignore the bounds."""
        window = self._window
        if window is None or self._field == "updatedAt" or window == Window():
            return batch
        import pyarrow.compute as pc  # noqa: PLC0415 - takes 30 ms, and only this case needs it

        dates = batch["created_at"]
        tests = [(pc.greater_equal, window.start), (pc.less, window.end)]
        for compare, bound in tests:
            if bound is not None:
                inside = pc.fill_null(compare(dates, pa.scalar(bound, dates.type)), False)
                batch, dates = batch.filter(inside), dates.filter(inside)
        return batch

    def _part(self, task: Task, start: datetime | None, rest: Window | None, report: ScanReport) -> Part:
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

    def _check_pages(self, project: Project) -> None:
        if project.pages > self._options.max_pages:
            raise PaginationError(
                f"{self._resource.name}: the list has more than {self._options.max_pages:,} pages; if that is "
                "expected, increase the limit (--max-pages, max_pages=)"
            )

    def _log_fallback(self, project: Project, reason: WindowError) -> None:
        logger.warning(
            "%s: the list%s cannot be read in windows, because %s; reading it in one pass",
            self._resource.name, f" of {project.id}" if project.id else "", reason,
        )  # fmt: skip

    def _sleep(self, seconds: float) -> None:
        """Wait, but not longer than the run."""
        if self._client.sleep is time.sleep:
            self._schedule.stopped.wait(seconds)
        else:
            self._client.sleep(seconds)
        if self._schedule.stopped.is_set():
            raise _Stopped

    def add_page(self, records: int) -> None:
        """Count a page of a part, and let a thread without work look for the rest of its window."""
        with self._schedule.changed:
            self._bar.add_page(records)
            self._schedule.changed.notify_all()
        if self._schedule.stopped.is_set():
            raise _Stopped

    def wait(self, reason: str, seconds: float) -> None:
        """Show the reason and the duration of a wait of a part."""
        with self._schedule.changed:
            self._bar.wait(reason, seconds)

    def _add_counts(self, pages: Any) -> None:
        with self._schedule.changed:
            add_counts(self._counts, pages)


def _project_query(project: Project) -> dict[str, str]:
    return {} if project.id is None else {PROJECT_ID.api_name: project.id}
