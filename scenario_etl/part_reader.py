"""Reads the parts of a parallel run: one window, or one project by token, at a time in each thread."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa

from scenario_etl.client import Client
from scenario_etl.dated_list import WindowError, newest_date
from scenario_etl.errors import AuthError
from scenario_etl.filters import project_query
from scenario_etl.pages import too_many_pages
from scenario_etl.parts import Part, PartStore
from scenario_etl.progress import NoBar, ProjectsBar
from scenario_etl.projects import add_counts, is_skipped
from scenario_etl.run import BATCH_ROWS, PartOfRun, Run, RunOptions, ScanReport
from scenario_etl.schedule import ProjectState, Schedule, Task
from scenario_etl.schema import Resource
from scenario_etl.windows import Window

PART_PAGES = 10  # then the rest of the window becomes a new task

logger = logging.getLogger("scenario_etl")


class StoppedError(Exception):
    """The rows of a part are not needed: the run has stopped, or the project is read by token instead."""


@dataclass
class PartReader:
    """Reads the parts of a run; several threads can use it at once.

    Attributes:
        client: The client.
        resource: The resource; with the column `project_id` if there are several projects.
        query: The filters, with their names in the API.
        options: The options of the scan.
        window: The window to read of each project, None to read by token.
        date_field: The name of the date of the window in the API.
        schedule: The schedule to which parts are added.
        store: The store of the parts.
        counts: The requests, retries and seconds waited so far.
        skip_forbidden: Whether projects that the key may not read are skipped.
        bar: The progress bar.

    """

    client: Client
    resource: Resource
    query: Mapping[str, str]
    options: RunOptions
    window: Window | None
    date_field: str
    schedule: Schedule
    store: PartStore
    counts: "Counter[str]"
    skip_forbidden: bool
    bar: ProjectsBar = field(default_factory=lambda: ProjectsBar(NoBar(), 1))
    _warned: set[str] = field(default_factory=set)
    _exact_bounds: threading.Event = field(default_factory=threading.Event)
    _converting: threading.Lock = field(default_factory=threading.Lock)

    def newest(self, project: ProjectState) -> datetime | None:
        """Request the date of the newest record of a project, None if it is unknown."""
        order = {"sortBy": self.date_field, "sortDirection": "desc", "pageSize": "1"}
        pages = self.client.pages(
            self.resource.path,
            self.resource.records_key,
            {**self.resource.fixed_query, **self.query, **project_query(project.id), **order},
            self.wait,
            sleep=self._sleep,
        )
        try:
            return newest_date(pages, self.date_field)
        except AuthError as error:
            if not is_skipped(error, self.skip_forbidden):
                raise
            return None
        finally:
            self._add_counts(pages)

    def read(self, task: Task) -> None:
        """Read a part, and add it to the schedule with the rest of its window."""
        project, cursor = task.project, task.cursor
        part = PartOfRun(
            cursor,
            max_pages=PART_PAGES if cursor else None,
            progress=self,
            sleep=self._sleep,
            on_end=lambda: self.schedule.release(task, cursor.close() if cursor else None),
            exact_bounds=self._exact_bounds,
            converting=self._converting,
            warned=self._warned,
        )
        query = self.query if cursor else _query_by_token(self.query, self.window, self.date_field)
        run = Run(self.client, self.resource, query, self.options, project=project.id, part=part)
        try:
            with self.store.writing(self.resource.schema) as writer:
                for batch in run.batches(BATCH_ROWS):
                    writer.write(batch if cursor else _inside(batch, self.window, self.date_field))
                    if cursor and project.window is None:  # another part has found that windows cannot be used
                        raise StoppedError
                finished = writer.finish(self._part(task, run.report()))
            self.schedule.add_part(project, finished)
            self._check_pages(project)
        except WindowError as error:
            if self.schedule.read_by_token(project):
                _log_fallback(self.resource, project, error)
        except StoppedError:
            if self.schedule.stopped.is_set():
                raise
        except AuthError as error:
            if not is_skipped(error, self.skip_forbidden):
                raise
            self.schedule.skip(project, error)
            logger.warning("%s: skipping %s: %s", self.resource.name, project.id, error)
        finally:
            self._add_counts(run.pages)

    def _part(self, task: Task, report: ScanReport) -> Part:
        """Return the part that a run has read, without its file.

        The last window ends at its last record, from which a run that is resumed reads on.
        """
        cursor, window, is_last = task.cursor, None, True
        if cursor:
            rest = cursor.close()
            window = Window(cursor.start, rest.start if rest else cursor.end or cursor.position)
            is_last = rest is None and cursor.end == (self.window or Window()).end
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

    def _check_pages(self, project: ProjectState) -> None:
        if project.pages > self.options.max_pages:
            raise too_many_pages(self.resource.name, self.options.max_pages)

    def _sleep(self, seconds: float) -> None:
        """Wait, but not longer than the run."""
        if self.client.sleep is time.sleep:
            self.schedule.stopped.wait(seconds)
        else:
            self.client.sleep(seconds)
        if self.schedule.stopped.is_set():
            raise StoppedError

    def add_page(self, records: int) -> None:
        """Count a page of a part, and let a thread without work look for the rest of its window."""
        with self.schedule.changed:
            self.bar.add_page(records)
            self.schedule.changed.notify_all()
        if self.schedule.stopped.is_set():
            raise StoppedError

    def show_projects(self) -> None:
        """Show how many projects have been read, and the last one, for which the run waits."""
        with self.schedule.changed:
            last = self.schedule.only_task
            self.bar.count_projects(self.schedule.projects_read, last.project.id if last else None)

    def wait(self, reason: str, seconds: float) -> None:
        """Show the reason and the duration of a wait of a part."""
        with self.schedule.changed:
            self.bar.wait(reason, seconds)

    def _add_counts(self, pages: Any) -> None:
        with self.schedule.changed:
            add_counts(self.counts, pages)


def _query_by_token(query: Mapping[str, str], window: Window | None, date_field: str) -> dict[str, str]:
    """Return the query of a project that is read by token, with the bounds of a window of creation.

    A list by date of update is read completely, because a record that is updated meanwhile would change its place.
    """
    if window is None or date_field == "updatedAt":
        return dict(query)
    bounds = window.parameters(date_field)
    return {**query, **bounds, **({"sortBy": date_field} if bounds else {})}


def _inside(batch: pa.RecordBatch, window: Window | None, date_field: str) -> pa.RecordBatch:
    """Return the rows that are in the window, for a list that is read by token: the API may ignore the bounds."""
    if window is None or date_field == "updatedAt":
        return batch
    return rows_inside(batch, window, "created_at", keep_null=False)


def rows_inside(batch: pa.RecordBatch, window: Window, column: str, *, keep_null: bool) -> pa.RecordBatch:
    """Return the rows with a date in a window, and those without a date if `keep_null` is set."""
    import pyarrow.compute as pc  # noqa: PLC0415 - takes 30 ms, and only a window by token and Spark need it

    for compare, bound in ((pc.greater_equal, window.start), (pc.less, window.end)):
        if bound is not None:
            dates = batch[column]
            batch = batch.filter(pc.fill_null(compare(dates, pa.scalar(bound, dates.type)), keep_null))
    return batch


def _log_fallback(resource: Resource, project: ProjectState, reason: WindowError) -> None:
    logger.warning(
        "%s: the list%s cannot be read in windows, because %s; reading it in one pass",
        resource.name, f" of {project.id}" if project.id else "", reason,
    )  # fmt: skip
