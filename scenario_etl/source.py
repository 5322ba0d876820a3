"""What a scan reads, and how: by a single run, or by a run of several parts."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
from pyarrow import fs

from scenario_etl import parquet
from scenario_etl.client import Client
from scenario_etl.errors import AuthError, ConfigError
from scenario_etl.filters import PROJECT_ID, is_filtered
from scenario_etl.parallel import DEFAULT_WORKERS, ParallelRun
from scenario_etl.part_reader import PartReader
from scenario_etl.partitions import plan_partitions, split_query
from scenario_etl.parts import PartStore, open_parts, temporary_parts
from scenario_etl.projects import Projects, is_skipped
from scenario_etl.run import BATCH_ROWS, Run, RunOptions, ScanReport, footer_of
from scenario_etl.schedule import Schedule
from scenario_etl.schema import Resource
from scenario_etl.stores import filesystem
from scenario_etl.windows import Window

ORDER_OF_WINDOWS = {"sortBy": "createdAt", "sortDirection": "asc"}


@dataclass(frozen=True, slots=True)
class Source:
    """What a scan reads.

    Attributes:
        resource: The resource; with the column `project_id` if there are several projects.
        query: The filters, with their names in the API.
        options: The options of the scan.
        projects: The projects of a scan of several, None for one project.
        window: The window of dates of a partition, None for all dates.
        date_field: The name of the date of a window in the API, "createdAt" or "updatedAt".

    """

    resource: Resource
    query: Mapping[str, str] = field(hash=False)
    options: RunOptions
    projects: Projects | None = None
    window: Window | None = None
    date_field: str = "createdAt"

    def __post_init__(self) -> None:
        object.__setattr__(self, "query", MappingProxyType(dict(self.query)))  # frozen, as the source is

    def __str__(self) -> str:
        names = {each.api_name: each.name for each in self.resource.filters}
        filters = {names.get(name, name): value for name, value in self.query.items()}
        projects = f"of {self.projects.label}" if self.projects else ""
        bounds = str(self.window or "")
        return " ".join(filter(None, [self.resource.name, projects, bounds, str(filters or "")]))

    def __reduce__(self) -> tuple[Any, ...]:
        values = (self.resource, dict(self.query), self.options, self.projects, self.window, self.date_field)
        return Source, values

    @property
    def skip_forbidden(self) -> bool:
        """Whether projects that the key may not read are skipped."""
        return self.projects is not None and self.projects.skip_forbidden

    def project_ids(self, client: Client, counts: "Counter[str] | None" = None) -> Sequence[str | None]:
        """Return the ids of the projects, [None] for a list without a column for them; see `Projects.resolve`."""
        return [None] if self.projects is None else self.projects.resolve(client, counts)

    @property
    def has_parts(self) -> bool:
        """Whether the scan is read in several parts."""
        return self.is_windowed or self.projects is not None

    @property
    def is_windowed(self) -> bool:
        """Whether the list is read in windows of dates."""
        if self.date_field != "createdAt":
            return self.window is not None
        wants_windows = self.window is not None or self.options.workers is not None
        return wants_windows and split_query(self.resource, self.query)[1] is not None

    def partitions(self, client: Client, count: int) -> list["Source"]:
        """Return at most `count` independent sources, which together have the rows of this one."""
        if self.window is not None:
            raise ConfigError(
                "a partition by date cannot be partitioned again; call partitions of the original Scan with a higher "
                "count"
            )
        ids = self.project_ids(client)
        query = split_query(self.resource, self.query)[0]
        options = replace(self.options, progress=False)
        sources = []
        skips = self.skip_forbidden
        for group, window in plan_partitions(
            client, self.resource, self.query, self.options.page_size, projects=ids, count=count, skip_forbidden=skips
        ):
            ids_of_group = tuple(each for each in group if each)
            projects = self.projects and replace(self.projects, ids=ids_of_group, is_partition=True)
            used = self.query if window is None else query
            sources.append(replace(self, query=used, options=options, projects=projects, window=window))
        return sources

    def scope(self, client: Client) -> dict[str, str]:
        """Return the scope of a run, as in the footer of a file: base_url, project_id and filters (JSON)."""
        filters = {name: value for name, value in self.query.items() if name != PROJECT_ID.api_name}
        filters |= self.window.parameters(self.date_field) if self.window else {}
        return {
            "base_url": client.api_name,
            "project_id": self.projects.scope if self.projects else self.query.get(PROJECT_ID.api_name, ""),
            "filters": json.dumps(filters, sort_keys=True),
        }

    def run(self, client: Client, store: PartStore) -> Run | ParallelRun:
        """Return a new run, whose parts are in a store."""
        if not self.has_parts:
            return Run(client, self.resource, self.query, self.options)
        query, window = self.query, None
        if self.is_windowed and self.date_field == "createdAt":
            query, window = split_query(self.resource, self.query)
        counts: Counter[str] = Counter()
        projects = self.project_ids(client, counts)
        window = self.window or window
        workers = self.options.workers or min(DEFAULT_WORKERS, len(projects))
        schedule = Schedule(projects, window, self.date_field, store.reused, workers)
        schedule.may_be_empty = self.projects is not None and self.projects.is_partition
        reader = PartReader(
            client=client,
            resource=self.resource,
            query=query,
            options=self.options,
            window=window,
            date_field=self.date_field,
            schedule=schedule,
            store=store,
            counts=counts,
            skip_forbidden=self.skip_forbidden,
        )
        return ParallelRun(reader, self.projects.scope if self.projects else query.get(PROJECT_ID.api_name))

    def fingerprint(self, client: Client, *more: str) -> str:
        """Return a digest of everything that the rows depend on, so that a run only resumes one of the same scan."""
        values = [
            version("scenario-etl"), self.resource.name, self.resource.path, str(self.resource.schema),
            self.scope(client), client.account, self.options.page_size, self.options.strict, self.options.signed_urls,
            self.is_windowed, str(self.window), *more,
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

    @contextmanager
    def parts(
        self, client: Client, destination: str | os.PathLike[str], resume_within: float, *more: str
    ) -> Iterator[PartStore]:
        """Yield the store of the parts of a run that writes to a destination; see `open_parts`.

        Args:
            client: The client.
            destination: The path or URI that the run writes to.
            resume_within: The maximum age of parts in seconds.
            more: Other texts that must be equal to reuse parts.

        """
        # a bearer token does not show whose projects it lists
        is_known = client.account or (self.projects and self.projects.ids) or PROJECT_ID.api_name in self.query
        folder = parts_folder(destination) if self.has_parts and is_known else None
        with open_parts(folder, self.fingerprint(client, *more), resume_within) as store:
            yield store


def parts_folder(destination: str | os.PathLike[str]) -> Path:
    """Return the folder for the parts of runs that write to a destination.

    It is beside a local destination, under a name that no glob matches, or for an object store in the folder of the
    user for state (XDG Base Directory Specification).
    """
    store, path = filesystem(destination)
    if isinstance(store, fs.LocalFileSystem):
        final = Path(path)
        return final.parent / f".{final.name}.parts"
    folder = Path(os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")) / "scenario-etl"
    with suppress(OSError):  # without it, the parts are not kept, and a warning says so
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder / hashlib.sha256(f"{store.type_name}:{path}".encode()).hexdigest()[:32]


def write_parquet(path: Path, source: Source, client: Client, store: PartStore) -> ScanReport:
    """Write all rows to a local file, and return the report."""
    run = source.run(client, store)
    resource = source.resource
    with parquet.Writer(path, resource.schema, resource.dictionary_columns) as writer:
        for batch in run.batches(BATCH_ROWS):
            writer.write(batch)
        report = run.report()
        writer.metadata = footer_of(report, source.scope(client))
    return replace(report, bytes=path.stat().st_size)


def first_batches(source: Source, client: Client, rows: int) -> Iterator[pa.RecordBatch]:
    """Yield the first rows of a run, with as few requests as possible."""
    options, resource = source.options, source.resource
    is_row_per_record = not resource.exploded and not is_filtered(source.query)
    if is_row_per_record and options.page_size is not None and resource.page_sizes:
        options = replace(options, page_size=max(resource.page_sizes[0], min(rows, options.page_size)))
    with closing(_batches_in_order(replace(source, options=options), client)) as batches:
        while rows > 0 and (batch := next(batches, None)) is not None:
            yield batch.slice(0, min(rows, batch.num_rows))
            rows -= batch.num_rows


def _batches_in_order(source: Source, client: Client) -> Generator[pa.RecordBatch]:
    """Yield a batch for each page, one project after another."""
    if source.window is not None:
        with temporary_parts() as store, closing(source.run(client, store).batches()) as batches:
            yield from batches
        return
    query = {**source.query, **(ORDER_OF_WINDOWS if source.is_windowed else {})}
    for project in source.project_ids(client):
        try:
            yield from Run(client, source.resource, query, source.options, project=project).batches()
        except AuthError as error:
            if not is_skipped(error, source.skip_forbidden):
                raise
