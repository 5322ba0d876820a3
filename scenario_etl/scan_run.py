"""How a scan is read: by a single run, or by a run of several parts, some of which an earlier run has read."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from pyarrow import fs

from scenario_etl.client import Client
from scenario_etl.filters import PROJECT_ID
from scenario_etl.parallel import ParallelRun
from scenario_etl.partitions import split_query
from scenario_etl.parts import PartStore
from scenario_etl.projects import Projects
from scenario_etl.run import Run, RunOptions
from scenario_etl.schema import Resource
from scenario_etl.stores import filesystem
from scenario_etl.windows import Window


@dataclass(frozen=True, slots=True)
class Source:
    """What a scan reads.

    Attributes:
        resource: The resource; with the column `project_id` if there are several projects.
        query: The filters, with their names in the API.
        options: The options of the scan.
        projects: The projects of a scan of several, None for one project.
        window: The window of dates of a partition, None for all dates.
        field: The name of the date of a window in the API, "createdAt" or "updatedAt".

    """

    resource: Resource
    query: Mapping[str, str]
    options: RunOptions
    projects: Projects | None = None
    window: Window | None = None
    field: str = "createdAt"

    @property
    def has_parts(self) -> bool:
        """Whether the scan is read in several parts."""
        return self._is_windowed or self.projects is not None

    @property
    def _is_windowed(self) -> bool:
        if self.field != "createdAt":
            return self.window is not None
        wants_windows = self.window is not None or self.options.workers is not None
        return wants_windows and split_query(self.resource, self.query)[1] is not None

    def scope(self, client: Client) -> dict[str, str]:
        """Return the scope of a run, as in the footer of a file: base_url, project_id and filters (JSON)."""
        filters = {name: value for name, value in self.query.items() if name != PROJECT_ID.api_name}
        return {
            "base_url": client.api_name,
            "project_id": self.projects.text if self.projects else self.query.get(PROJECT_ID.api_name, ""),
            "filters": json.dumps(filters, sort_keys=True),
        }

    def run(self, client: Client, store: PartStore) -> Run | ParallelRun:
        """Return a new run, whose parts are in a store."""
        if not self.has_parts:
            return Run(client, self.resource, self.query, self.options)
        query, window = self.query, None
        if self._is_windowed and self.field == "createdAt":
            query, window = split_query(self.resource, self.query)
        counts: Counter[str] = Counter()
        projects = [None] if self.projects is None else self.projects.resolve(client, counts)
        return ParallelRun(
            client,
            self.resource,
            query,
            self.options,
            projects=projects,
            window=self.window or window,
            field=self.field,
            counts=counts,
            store=store,
            skip_forbidden=self.projects is not None and self.projects.skip_forbidden,
            may_skip_all=self.projects is not None and self.projects.is_partition,
            project_text=self.projects.text if self.projects else query.get(PROJECT_ID.api_name),
        )

    def description(self, client: Client, *more: str) -> str:
        """Return a digest of everything that the rows depend on, so that a run only resumes one of the same scan."""
        facts = [
            version("scenario-etl"), self.resource.name, self.resource.path, str(self.resource.schema),
            self.scope(client), client.account, self.options.page_size, self.options.strict, self.options.signed_urls,
            self._is_windowed, str(self.window), *more,
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def parts_folder(self, destination: str | os.PathLike[str]) -> Path | None:
        """Return the folder of the parts of a run that writes to a destination, None for a run without parts.

        It is beside a local destination, under a name that no glob matches, or for an object store in the folder of the
        user for state (XDG Base Directory Specification).
        """
        if not self.has_parts:
            return None
        store, path = filesystem(destination)
        if isinstance(store, fs.LocalFileSystem):
            final = Path(path)
            return final.parent / f".{final.name}.parts"
        state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
        folder = Path(state) / "scenario-etl"
        with suppress(OSError):  # without it, no parts are kept
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder / hashlib.sha256(f"{store.type_name}:{path}".encode()).hexdigest()[:32]
