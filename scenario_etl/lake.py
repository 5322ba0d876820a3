"""The layout of a lake: where its files are, which dates it has, what retention removes, and the lock.

A lake holds, for each resource, `RESOURCE/snapshot_date=YYYY-MM-DD/part-0.parquet` and, for what changed since the
snapshot before, `RESOURCE_changes/snapshot_date=YYYY-MM-DD/part-0.parquet`. A snapshot that the guard refused is kept
beside them as `.RESOURCE.snapshot_date=YYYY-MM-DD.rejected`. Everything else in a lake is ignored.
"""

import datetime as dt
import errno
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from scenario_etl import parquet
from scenario_etl.errors import DestinationError, SchemaError, TransientError
from scenario_etl.redact import redact
from scenario_etl.schema import with_pandas_types
from scenario_etl.stores import call, call_again, expanded, failure, filesystem, join_uri, redact_uri

FILE_NAME = "part-0.parquet"
FIRST_YEAR = 1970
_DATE = "([0-9]{4}-[0-9]{2}-[0-9]{2})"

logger = logging.getLogger("scenario_etl")


def _directly(function: Callable[[], Any]) -> Any:
    return function()


class FileGoneError(TransientError):
    """A file that was listed is gone."""


class LakeFile:
    """One Parquet file of a lake, read as columns of a declared schema. Every error names the file.

    Attributes:
        uri: of the file, as it may be shown.
        rows: how many it has.
        footer: the key-value pairs of its footer that this package wrote, without their prefix `scenario_etl.`; empty
            where another program has rewritten the file.

    """

    def __init__(
        self, uri: str, file: pq.ParquetFile, schema: pa.Schema, call: Callable[[Callable[[], Any]], Any] = _directly
    ) -> None:
        self.uri = uri
        self.rows: int = file.metadata.num_rows
        self.footer = {
            name.removeprefix("scenario_etl."): value
            for name, value in parquet.key_values(file).items()
            if name.startswith("scenario_etl.")
        }
        if self.footer.get("rows", str(self.rows)) != str(self.rows):  # rewritten by a program that keeps footers
            self.footer = {}
        self._file = file
        self._schema = schema
        self._call = call

    @property
    def run_id(self) -> str:
        """What the two files of one run have in common, "" where the footer is gone."""
        return self.footer.get("run_id") or self.footer.get("extracted_at", "")

    def has(self, name: str) -> bool:
        """Whether the file has a column."""
        return name in self._file.schema_arrow.names

    def column(self, name: str) -> pa.ChunkedArray:
        """Return a column of the schema in its declared type."""
        with _read_errors(self.uri):
            found = self._call(partial(self._file.read, columns=[name], use_threads=False))
        return self._typed(found, name)

    def total(self, name: str) -> int | None:
        """Return the exact sum of a column of integers, None where it has rows but no value."""
        import pyarrow.compute as pc  # noqa: PLC0415 - 30 ms that only a sum is worth

        values = self.column(name)
        found = pc.sum(values.cast(pa.decimal128(38, 0)), min_count=min(1, self.rows)).as_py()
        return None if found is None else int(found)

    def table(self, names: Iterable[str] | None = None) -> pa.Table:
        """Return all rows, with the columns of the schema or those named; columns that the file lacks are null."""
        with _read_errors(self.uri):
            columns = self._schema.names if names is None else list(names)
            rows = self._call(partial(self._file.read, columns=columns, use_threads=False))
        found = self._in_schema(rows, with_pandas_types(map(self._schema.field, columns)))
        if not self.footer:
            _check_text(self.uri, found)
        return found

    def row_groups(self, mask: Any) -> Iterator[tuple[int, pa.Table]]:
        """Yield the position of its first row, and the rows, of each row group that has a row in the mask.

        `mask` is a numpy array with one boolean for each row of the file.
        """
        start = 0
        for group in range(self._file.num_row_groups):
            rows = self._file.metadata.row_group(group).num_rows
            if mask[start : start + rows].any():
                with _read_errors(self.uri):
                    found = self._call(partial(self._file.read_row_group, group, use_threads=False))
                yield start, self._in_schema(found, self._schema)
            start += rows

    def _in_schema(self, rows: pa.Table, schema: pa.Schema) -> pa.Table:
        columns = [
            self._typed(rows, each.name) if each.name in rows.column_names else pa.nulls(rows.num_rows, each.type)
            for each in schema
        ]
        return pa.table(columns, schema=schema)

    def _typed(self, rows: pa.Table, name: str) -> pa.ChunkedArray:
        """Return a column in its declared type: pandas, for one, writes large_string for string."""
        expected = self._schema.field(name)
        if (count := rows.column_names.count(name)) != 1:
            raise SchemaError(f"{self.uri} has {count or 'no'} columns {name}; restore the file, or remove its folder")
        found = rows[name]
        try:
            typed = found if found.type == expected.type else found.cast(expected.type)
        except pa.ArrowException as error:
            raise SchemaError(
                f"{self.uri}: column {name} is {found.type}, which cannot be read as {expected.type} "
                f"({redact(str(error))}); restore the file, or remove its folder"
            ) from error
        if typed.null_count and not expected.nullable:
            raise SchemaError(f"{self.uri}: column {name} has nulls; restore the file, or remove its folder")
        return typed


def _check_text(uri: str, rows: pa.Table) -> None:
    """Raise SchemaError where another program has written text that is not UTF-8."""
    try:
        rows.validate(full=True)
    except pa.ArrowInvalid as error:
        raise SchemaError(
            f"{uri} cannot be used: {redact(str(error))}; restore the file, or remove its folder"
        ) from error


@dataclass(frozen=True, slots=True)
class LakeTable:
    """One table of a lake, with a file for each date.

    Attributes:
        store: the filesystem of the lake.
        root: the path of the lake in it.
        lake: the lake, as it was given.
        name: of the table.
        schema: of its files.
        deadline: seconds for which reading from a file is tried again, where the failure of its store is transient.

    """

    store: fs.FileSystem
    root: str
    lake: str
    name: str
    schema: pa.Schema
    deadline: float = 0.0

    @classmethod
    def of(cls, lake: str | os.PathLike[str], name: str, schema: pa.Schema, deadline: float = 0.0) -> "LakeTable":
        """Return a table of a lake."""
        return cls(*filesystem(lake), expanded(lake), name, schema, deadline)

    def uri(self, day: dt.date) -> str:
        """Return where the file of a date is."""
        return join_uri(self.lake, f"{self.name}/snapshot_date={day}/{FILE_NAME}")

    def folder_uri(self, day: dt.date) -> str:
        """Return the folder of a date."""
        return join_uri(self.lake, f"{self.name}/snapshot_date={day}")

    def rejected_uri(self, day: dt.date) -> str:
        """Return where a snapshot is kept that the guard refused; no `*.parquet` glob matches it."""
        return join_uri(self.lake, self._rejected_name(day))

    def dates(self) -> list[dt.date]:
        """Return the dates that have a file, oldest first."""
        folder = f"{self.root}/{self.name}"
        found = self._listed(folder, recursive=not self._is_local)
        if self._is_local:  # what else lies in the folders of a disk is not looked at
            with _read_errors(self._shown):
                found = self.store.get_file_info([f"{each.path}/{FILE_NAME}" for each in found])
        pattern = re.compile(rf"{re.escape(folder)}/snapshot_date={_DATE}/{re.escape(FILE_NAME)}")
        return _dates(pattern, (each.path for each in found if each.is_file))

    def rejected_dates(self) -> list[dt.date]:
        """Return the dates for which a snapshot is kept that the guard refused, oldest first."""
        pattern = re.compile(rf"{re.escape(self.root)}/\.{re.escape(self.name)}\.snapshot_date={_DATE}\.rejected")
        return _dates(pattern, (each.path for each in self._listed(self.root, recursive=False)))

    @contextmanager
    def open(self, day: dt.date) -> Iterator[LakeFile]:
        """Yield the file of a date.

        Raises:
            FileGoneError: it is gone; retention may have removed it.
            DestinationError: it cannot be read.

        """
        with ExitStack() as stack:
            with _read_errors(redact_uri(self.uri(day))):
                path = f"{self.root}/{self.name}/snapshot_date={day}/{FILE_NAME}"
                source = stack.enter_context(self._call(self.store.open_input_file, path))
                file = stack.enter_context(self._call(parquet.opened, source))
            read = _directly if self._is_local else partial(call_again, deadline=self.deadline)
            yield LakeFile(redact_uri(self.uri(day)), file, self.schema, read)

    @contextmanager
    def open_if_there(self, day: dt.date) -> Iterator[LakeFile | None]:
        """Yield the file of a date, None where it is gone."""
        with ExitStack() as stack:
            try:
                file = stack.enter_context(self.open(day))
            except FileGoneError:
                file = None
            yield file

    def remove(self, day: dt.date) -> None:
        """Remove the file of a date, and its folder unless somebody else has put something there."""
        folder = f"{self.root}/{self.name}/snapshot_date={day}"
        with suppress(FileNotFoundError):
            self._call(self.store.delete_file, f"{folder}/{FILE_NAME}")
        if not self._listed(folder, recursive=False):
            with suppress(FileNotFoundError):
                self._call(self.store.delete_dir, folder)

    def remove_rejected(self, day: dt.date) -> None:
        """Remove what the guard refused for a date, if anything."""
        with suppress(FileNotFoundError):
            self._call(self.store.delete_file, f"{self.root}/{self._rejected_name(day)}")

    def _rejected_name(self, day: dt.date) -> str:
        return f".{self.name}.snapshot_date={day}.rejected"

    def _listed(self, folder: str, *, recursive: bool) -> list[fs.FileInfo]:
        with _read_errors(self._shown):
            selector = fs.FileSelector(folder, allow_not_found=True, recursive=recursive)
            found: list[fs.FileInfo] = self._call(self.store.get_file_info, selector)
        return found

    @property
    def _shown(self) -> str:
        return redact_uri(join_uri(self.lake, self.name))

    @property
    def _is_local(self) -> bool:
        return isinstance(self.store, fs.LocalFileSystem)

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return function(*arguments) if self._is_local else call(function, *arguments)


@contextmanager
def locked(lake: str | os.PathLike[str], resource: str, seconds: float) -> Iterator[None]:
    """Hold a local lake, which is made if needed, so that two runs do not mix. An object store has no locks.

    Raises:
        DestinationError: the lake or its lock cannot be made.
        TransientError: another run holds it, for longer than `seconds`.

    """
    store, root = filesystem(lake)
    if not isinstance(store, fs.LocalFileSystem):
        yield
        return
    from filelock import FileLock, Timeout  # noqa: PLC0415 - it brings asyncio, which an import need not pay for

    path = f"{root}/.{resource}.lock"
    try:
        Path(root).mkdir(exist_ok=True)
    except OSError as error:
        problem = "it is a file; name a folder" if os.path.isfile(root) else f"{error.strerror}; create its parent"
        raise DestinationError(f"cannot create the lake {redact(root, 300)}: {problem}") from error
    try:
        if not _can_lock(path):
            logger.warning("%s: its filesystem has no locks; two runs at once are not kept apart", redact(root, 300))
            yield
            return
        held = FileLock(path, timeout=seconds).acquire()
    except Timeout as error:
        raise TransientError(
            f"another run has locked {redact(path, 300)}; run again later, or wait with --lock-timeout (lock_timeout=)"
        ) from error
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DestinationError(
            f"cannot lock the lake with {redact(path, 300)}: {reason}; check that this user may write there"
        ) from error
    with held:
        yield


def _can_lock(path: str) -> bool:
    """Whether the file of a lock can be opened, or made, and its filesystem has locks.

    FileLock would say of a file that it cannot open, or on a filesystem without locks, that another run holds it.
    """
    opened = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        import fcntl  # noqa: PLC0415 - Windows has none, and locks everywhere

        fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (ModuleNotFoundError, BlockingIOError):
        return True
    except OSError as error:
        return error.errno not in {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK}
    finally:
        os.close(opened)
    return True


@contextmanager
def _read_errors(uri: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise FileGoneError(f"{uri} is gone; another run may have removed it. Run again later") from error
    except (OSError, pa.ArrowException) as error:
        is_denied = isinstance(error, PermissionError)
        advice = "; check its rights" if is_denied else "; check that it is what it should be, and restore it"
        raise failure(uri, f"cannot read {uri}: {redact(str(error), 200)}", error, advice) from error


def _dates(pattern: re.Pattern[str], paths: Iterable[str]) -> list[dt.date]:
    found = []
    for match in filter(None, map(pattern.fullmatch, paths)):
        with suppress(ValueError):
            found.append(dt.date.fromisoformat(match[1]))
    return sorted(day for day in found if day.year >= FIRST_YEAR)
