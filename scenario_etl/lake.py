"""The layout of a lake: files and folders, dates, removal of old files, and the lock.

For each resource, a lake contains `RESOURCE/snapshot_date=YYYY-MM-DD/part-0.parquet` and, with the changes since the
previous snapshot, `RESOURCE_changes/snapshot_date=YYYY-MM-DD/part-0.parquet`. A snapshot that the guard rejected is
saved as `.RESOURCE.snapshot_date=YYYY-MM-DD.rejected`. All other files in a lake are ignored.
"""

import datetime as dt
import errno
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import fs

from scenario_etl import parquet
from scenario_etl.dates import parse_date
from scenario_etl.errors import DestinationError, SchemaError, TransientError
from scenario_etl.lake_file import LakeFile, LakeFileNotFoundError, call_directly, read_errors
from scenario_etl.redact import redact
from scenario_etl.schema import Resource, with_pandas_types
from scenario_etl.stores import call, call_with_retries, expand_user, filesystem, join_uri, redact_uri

FILE_NAME = "part-0.parquet"
FIRST_YEAR = 1970
_DATE = "([0-9]{4}-[0-9]{2}-[0-9]{2})"

logger = logging.getLogger("scenario_etl")


@dataclass(frozen=True, slots=True)
class LakeTable:
    """One table of a lake, with a file for each date.

    Attributes:
        store: The filesystem of the lake.
        root: The path of the lake in the filesystem.
        lake: The path or URI of the lake.
        name: The name of the table.
        schema: The schema of the files.
        deadline: Seconds for which a read is retried after a transient failure of an object store.

    """

    store: fs.FileSystem
    root: str
    lake: str
    name: str
    schema: pa.Schema
    deadline: float = 0.0

    def uri(self, day: dt.date) -> str:
        """Return the path or URI of the file of a date."""
        return join_uri(self.lake, self._file_name(day))

    def folder_uri(self, day: dt.date) -> str:
        """Return the path or URI of the folder of a date."""
        return join_uri(self.lake, self._folder_name(day))

    def rejected_uri(self, day: dt.date) -> str:
        """Return the path or URI of a rejected snapshot; no `*.parquet` glob matches it."""
        return join_uri(self.lake, self._rejected_name(day))

    def dates(self) -> list[dt.date]:
        """Return the dates with a file, oldest first."""
        folder = f"{self.root}/{self.name}"
        entries = self._list(folder, recursive=not self._is_local)
        if self._is_local:  # on a local disk, the other files in these folders are not listed
            with read_errors(self._redacted_uri):
                entries = self.store.get_file_info([f"{each.path}/{FILE_NAME}" for each in entries])
        pattern = re.compile(rf"{re.escape(folder)}/snapshot_date={_DATE}/{re.escape(FILE_NAME)}")
        return _dates(pattern, (each.path for each in entries if each.is_file))

    def rejected_dates(self) -> list[dt.date]:
        """Return the dates with a rejected snapshot, oldest first."""
        pattern = re.compile(rf"{re.escape(self.root)}/\.{re.escape(self.name)}\.snapshot_date={_DATE}\.rejected")
        return _dates(pattern, (each.path for each in self._list(self.root, recursive=False)))

    @contextmanager
    def open(self, day: dt.date) -> Iterator[LakeFile]:
        """Yield the file of a date.

        Raises:
            LakeFileNotFoundError: The file no longer exists; retention may have removed it.
            DestinationError: The file cannot be read.
            TransientError: The object store is unavailable.

        """
        with ExitStack() as stack:
            with read_errors(redact_uri(self.uri(day))):
                path = f"{self.root}/{self._file_name(day)}"
                source = stack.enter_context(self._call(self.store.open_input_file, path))
                file = stack.enter_context(self._call(parquet.open_parquet, source))
            read = call_directly if self._is_local else partial(call_with_retries, deadline=self.deadline)
            yield LakeFile(redact_uri(self.uri(day)), file, self.schema, read)

    @contextmanager
    def open_if_exists(self, day: dt.date) -> Iterator[LakeFile | None]:
        """Yield the file of a date, None if it no longer exists."""
        with ExitStack() as stack:
            try:
                file = stack.enter_context(self.open(day))
            except LakeFileNotFoundError:
                file = None
            yield file

    def remove(self, day: dt.date) -> None:
        """Remove the file of a date, and its folder unless it contains other files."""
        folder = f"{self.root}/{self._folder_name(day)}"
        with suppress(FileNotFoundError):
            self._call(self.store.delete_file, f"{self.root}/{self._file_name(day)}")
        if not self._list(folder, recursive=False):
            with suppress(FileNotFoundError):
                self._call(self.store.delete_dir, folder)

    def remove_rejected(self, day: dt.date) -> None:
        """Remove the rejected snapshot of a date, if there is one."""
        with suppress(FileNotFoundError):
            self._call(self.store.delete_file, f"{self.root}/{self._rejected_name(day)}")

    def _folder_name(self, day: dt.date) -> str:
        return f"{self.name}/snapshot_date={day}"

    def _file_name(self, day: dt.date) -> str:
        return f"{self._folder_name(day)}/{FILE_NAME}"

    def _rejected_name(self, day: dt.date) -> str:
        return f".{self.name}.snapshot_date={day}.rejected"

    def _list(self, folder: str, *, recursive: bool) -> list[fs.FileInfo]:
        with read_errors(self._redacted_uri):
            selector = fs.FileSelector(folder, allow_not_found=True, recursive=recursive)
            entries: list[fs.FileInfo] = self._call(self.store.get_file_info, selector)
        return entries

    @property
    def _redacted_uri(self) -> str:
        return redact_uri(join_uri(self.lake, self.name))

    @property
    def _is_local(self) -> bool:
        return isinstance(self.store, fs.LocalFileSystem)

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return function(*arguments) if self._is_local else call(function, *arguments)


@dataclass(frozen=True, slots=True)
class LakeTables:
    """The two tables of a resource in a lake.

    Attributes:
        resource: The resource.
        snapshots: The table with all rows on each date.
        changes: The table with the rows that changed since the previous snapshot.

    """

    resource: Resource
    snapshots: LakeTable
    changes: LakeTable

    @classmethod
    def of(cls, lake: str | os.PathLike[str], resource: Resource, deadline: float = 0.0) -> "LakeTables":
        """Return the tables of a resource, with a deadline as in `LakeTable`.

        Raises:
            ConfigError: The lake is not a valid path or URI.
            DestinationError: The filesystem of the lake cannot be opened.
            TransientError: The object store is unavailable.

        """
        snapshots = LakeTable(*filesystem(lake), expand_user(lake), resource.name, resource.schema, deadline)
        changes = replace(snapshots, name=f"{resource.name}_changes", schema=changes_schema(resource))
        return cls(resource, snapshots, changes)


def check_snapshots(changes: LakeTable, changes_dates: Iterable[dt.date], dates: Sequence[dt.date]) -> None:
    """Raise SchemaError if there are changes of a date after the newest snapshot: its snapshot has been lost."""
    if lost := [later for later in changes_dates if dates and later > dates[-1]]:
        raise SchemaError(
            f"{redact_uri(changes.folder_uri(lost[0]))} has the changes of a snapshot that no longer exists; restore "
            "the snapshot, or remove this folder"
        )


def date_before(day: dt.date, dates: Iterable[dt.date]) -> dt.date | None:
    """Return the latest of the dates before a day, None if there is none."""
    return max((earlier for earlier in dates if earlier < day), default=None)


def changes_schema(resource: Resource) -> pa.Schema:
    """Return the Arrow schema of a file of changes."""
    first = [pa.field("change", pa.string(), nullable=False), pa.field("changed_columns", pa.list_(pa.string()))]
    return with_pandas_types([*first, *resource.schema])


@contextmanager
def lock_lake(lake: str | os.PathLike[str], resource: str, seconds: float) -> Iterator[None]:
    """Lock a local lake against other runs, and create it if needed. An object store has no locks.

    Raises:
        ConfigError: The lake is not a valid path or URI.
        DestinationError: The lake or its lock cannot be created.
        TransientError: Another run has locked the lake for longer than `seconds`.

    """
    store, root = filesystem(lake)
    if not isinstance(store, fs.LocalFileSystem):
        yield
        return
    from filelock import FileLock, Timeout  # noqa: PLC0415 - it imports asyncio, which most uses do not need

    path = f"{root}/.{resource}.lock"
    try:
        Path(root).mkdir(exist_ok=True)
    except OSError as error:
        problem = (
            "it is a file; specify a folder" if os.path.isfile(root) else f"{error.strerror}; create its parent folder"
        )
        raise DestinationError(f"cannot create the lake {redact(root, 300)}: {problem}") from error
    try:
        if not _can_lock(path):
            logger.warning(
                "%s: the filesystem does not support locks; make sure that two runs do not overlap", redact(root, 300)
            )
            yield
            return
        lock = FileLock(path, timeout=seconds).acquire()
    except Timeout as error:
        raise TransientError(
            f"another run has locked {redact(path, 300)}; run again later, or wait with --lock-timeout (lock_timeout=)"
        ) from error
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DestinationError(
            f"cannot create the lock {redact(path, 300)}: {reason}; check the permissions of the folder"
        ) from error
    with lock:
        yield


def _can_lock(path: str) -> bool:
    """Return whether the lock file can be opened or created, and its filesystem supports locks.

    FileLock raises Timeout for a file that it cannot open, and on a filesystem without locks.
    """
    opened = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        import fcntl  # noqa: PLC0415 - Windows has no fcntl, but locks on every filesystem

        fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (ModuleNotFoundError, BlockingIOError):
        return True
    except OSError as error:
        return error.errno not in {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK}
    finally:
        os.close(opened)
    return True


def _dates(pattern: re.Pattern[str], paths: Iterable[str]) -> list[dt.date]:
    matches = filter(None, map(pattern.fullmatch, paths))
    dates = filter(None, (parse_date(match[1]) for match in matches))
    return sorted(day for day in dates if day.year >= FIRST_YEAR)
