"""One run over several projects, or over windows of dates of one, with several threads.

A list with filters by date can be read in windows of its date of creation or update. A thread reads about ten pages of
a window and puts the rest back; an idle thread takes over half of the largest rest. The windows therefore adapt to the
distribution of the records, and the order of the rows does not depend on the number of threads. While a thread converts
and writes a part, another one reads, so there are three threads for two workers; more would lose more parts if the run
is killed.
"""

import hashlib
import threading
from collections import Counter
from collections.abc import Generator, Iterator
from time import monotonic
from typing import Any

import pyarrow as pa

from scenario_etl.dedupe import SeenKeys
from scenario_etl.part_reader import PartReader, StoppedError
from scenario_etl.parts import Part
from scenario_etl.progress import ProjectsBar, progress_bar
from scenario_etl.run import ScanReport
from scenario_etl.schedule import ProjectState

DEFAULT_WORKERS = 8
MAX_WORKERS = 32
MAX_SECONDS_TO_STOP = 1.0  # then threads that still run are abandoned


class ParallelRun:
    """One run over several parts: iterate over `batches`, then call `report`.

    Args:
        reader: The reader of the parts.
        project_id: The value of `project_id` in the report.

    """

    def __init__(self, reader: PartReader, project_id: str | None) -> None:
        self._reader = reader
        self._schedule = reader.schedule
        self._project_id = project_id
        self._started = monotonic()
        self._rows = 0
        self._read: list[Part] = []

    @property
    def skipped_projects(self) -> list[str]:
        """The projects so far that the key may not read; the list grows during the run."""
        return self._schedule.skipped

    def batches(self, min_rows: int = 0) -> Generator[pa.RecordBatch]:  # noqa: ARG002 - as in Run
        """Yield the rows, by project, and by window in each project, with a batch for some pages."""
        reader = self._reader
        count = self._schedule.workers + (self._schedule.workers + 1) // 2
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(count)]
        with progress_bar(reader.resource.name, reader.options.progress) as bar:
            reader.bar = ProjectsBar(bar, len(self._schedule.projects))
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
            "resource": self._reader.resource.name,
            "base_url": self._reader.client.base_url,
            "project_id": self._project_id,
            "extracted_at": self._reader.store.started,
            "seconds": round(monotonic() - self._started, 3),
            "rows": self._rows,
            "pages": sum(part.pages for part in self._read),
            "requests": self._reader.counts["requests"],
            "retries": self._reader.counts["retries"],
            "seconds_waited": round(self._reader.counts["seconds_waited"], 3),
            "duplicates": sum(part.duplicates for part in self._read),
            "missing_fields": dict(missing),
            "unknown_fields": dict(unknown),
            "tokens_sha256": hashlib.sha256("".join(part.tokens_sha256 for part in self._read).encode()).hexdigest(),
            "parts": len(self._read),
            "reused_parts": sum(part.is_reused for part in self._read),
            "skipped_projects": tuple(str(each.id) for each in self._schedule.projects if each.is_skipped),
        }
        return ScanReport(**values | overrides)

    def _rows_of(self, project: ProjectState) -> Iterator[pa.RecordBatch]:
        seen = SeenKeys()  # its duplicates are not counted, because windows may overlap
        keys = self._reader.resource.primary_key
        while (part := self._schedule.next_part(project)) is not None:
            for batch in self._reader.store.batches(part):
                columns = [batch[name].to_pylist() for name in keys]
                found = columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))
                rows = seen.drop_duplicates(batch, found)
                self._rows += rows.num_rows
                yield rows
            self._read.append(part)
            self._reader.store.discard(part)

    def _work(self) -> None:
        """Read parts, until there are no more or one has failed."""
        try:
            while task := self._schedule.take(self._reader.newest):
                try:
                    self._reader.read(task)
                finally:
                    self._schedule.release(task)
                    self._reader.show_projects()
        except StoppedError:
            pass
        except BaseException as error:  # noqa: BLE001 - it is raised by `batches`
            self._schedule.stop(error)
