"""The parts of a run: files with the rows of a project or a window, which the run after an interrupted one reuses."""

import hashlib
import json
import logging
import os
import shutil
import stat
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa

from scenario_etl.errors import DestinationError
from scenario_etl.redact import redact
from scenario_etl.windows import Window

RUN_FILE = "run.json"
MAX_RESUME_WITHIN = 7 * 24 * 3600.0  # seconds
RESUME_WITHIN = 2 * 3600.0  # seconds

logger = logging.getLogger("scenario_etl")


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of a project, or of a window of it, and how they were read.

    Attributes:
        project: The id of the project, None for the only one of a run.
        window: The window, None if the project was read by token.
        is_last: Whether no window follows.
        rows, pages, duplicates, missing_fields, unknown_fields, tokens_sha256: As in ScanReport.
        file: The name of the Arrow file.
        digest: A digest of the file.
        written: The time at which it was complete, in seconds since the epoch.
        is_reused: Whether an earlier run has written it.

    """

    project: str | None
    window: Window | None
    is_last: bool
    rows: int = 0
    pages: int = 0
    duplicates: int = 0
    missing_fields: "Counter[str]" = field(default_factory=Counter)
    unknown_fields: "Counter[str]" = field(default_factory=Counter)
    tokens_sha256: str = ""
    file: str = ""
    digest: str = ""
    written: float = 0.0
    is_reused: bool = False


class PartStore:
    """A folder of parts, which only the current user can read.

    Args:
        folder: The folder, which exists.
        started: The start of the first run that wrote parts.
        reused: The parts of an earlier run.
        metadata: Values stored by the first run; None for a temporary store.

    """

    def __init__(
        self, folder: Path, started: datetime, reused: Iterable[Part] = (), metadata: dict[str, str] | None = None
    ) -> None:
        self.started = started
        self._metadata = metadata
        self.reused = list(reused)
        self._process = os.getpid()
        self._folder = folder

    def setdefault(self, name: str, make: Callable[[], str]) -> str:
        """Return a value of the first run that wrote parts; by default the result of `make`, which is stored."""
        metadata = {} if self._metadata is None else self._metadata
        if name not in metadata:
            metadata[name] = make()
            if self._metadata is not None:
                _write(self._folder / RUN_FILE, json.dumps(metadata))
        return metadata[name]

    @contextmanager
    def writing(self, schema: pa.Schema) -> Iterator["PartWriter"]:
        """Yield a writer of a new part; its file is removed if the block fails."""
        path = self._folder / f"{uuid4().hex}.arrow"  # a thread of an earlier run may still remove its own file
        try:
            with PartWriter(path, schema) as writer:
                yield writer
        except OSError as error:
            path.unlink(missing_ok=True)
            advice = "set TMPDIR to another folder"
            if self._metadata is not None:
                advice = "keep no parts (--resume-within 0, resume_within=0)"
            problem = f"cannot write to {redact(str(self._folder), 500)}: {error.strerror or error}"
            raise DestinationError(f"{problem}; free space there, or {advice}") from error
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def batches(self, part: Part) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a part."""
        if part.rows:
            with pa.OSFile(str(self._folder / part.file)) as source, pa.ipc.open_stream(source) as reader:
                yield from reader

    def discard(self, part: Part) -> None:
        """Remove a part that has been used, unless a later run may need it."""
        if self._metadata is None and os.getpid() == self._process:
            (self._folder / part.file).unlink(missing_ok=True)


class PartWriter:
    """Writes the rows of a part to an Arrow file."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path = path
        self._rows = 0
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        self._sink = pa.OSFile(str(path), "wb")
        options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
        self._writer = pa.ipc.new_stream(self._sink, schema, options=options)

    def __enter__(self) -> "PartWriter":
        return self

    def __exit__(self, *exception: object) -> None:
        self._close()

    def write(self, batch: pa.RecordBatch) -> None:
        """Add the rows of a batch."""
        self._writer.write_batch(batch)
        self._rows += batch.num_rows

    def _close(self) -> None:
        if not self._sink.closed:
            self._writer.close()
            self._sink.close()

    def finish(self, part: Part) -> Part:
        """Flush the file to disk, read it back, and return the part with the name of the file."""
        self._close()
        with self._path.open("rb+") as file:
            os.fsync(file.fileno())
        with pa.OSFile(str(self._path)) as source, pa.ipc.open_stream(source) as reader:
            found = sum(batch.num_rows for batch in reader)
        if found != self._rows:
            raise OSError(None, f"wrote {self._rows} rows, but read back {found}")
        finished = replace(
            part, rows=found, file=self._path.name, digest=_hash_file(self._path), written=time.time()
        )  # fmt: skip
        _write(_metadata_path(self._path.parent, self._path.name), _encode_metadata(finished))
        return finished


@contextmanager
def temporary_parts() -> Iterator[PartStore]:
    """Yield a store of parts in a temporary folder, which the end of the block removes."""
    folder, process = tempfile.mkdtemp(), os.getpid()
    try:
        yield PartStore(Path(folder), datetime.now(UTC))
    finally:
        if os.getpid() == process:  # not in a forked one, whose parent still reads
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def open_parts(folder: Path | None, fingerprint: str, resume_within: float) -> Iterator[PartStore]:
    """Yield a store of parts. Its folder is kept for the next run; call `remove_parts` when the result is published.

    Args:
        folder: The folder; None for a temporary one, which the end of the block removes.
        fingerprint: A digest of everything that the rows depend on; parts with another one are removed.
        resume_within: The maximum age of parts in seconds.

    """
    with ExitStack() as stack:
        if folder is None or not resume_within or not _can_use(folder, stack):
            yield stack.enter_context(temporary_parts())
            return
        try:
            yield _open(folder, fingerprint, resume_within)
        finally:
            if not any(path.name != RUN_FILE for path in folder.glob("*.json")):
                shutil.rmtree(folder, ignore_errors=True)


def remove_parts(folder: Path) -> None:
    """Remove the parts of runs that have ended or were interrupted, unless another run uses them."""
    with ExitStack() as stack:
        if folder.is_dir() and not _lock_problem(folder, stack):
            shutil.rmtree(folder, ignore_errors=True)


def _can_use(folder: Path, stack: ExitStack) -> bool:
    """Create and lock a folder until the end of a stack; log a warning and return False if that is not possible."""
    problem = _lock_problem(folder, stack)
    if problem:
        logger.warning("%s: %s; if this run is interrupted, the next one starts from the beginning", folder, problem)
    return not problem


def _lock_problem(folder: Path, stack: ExitStack) -> str:
    """Create and lock a folder until the end of a stack; return the reason why that is not possible, or ""."""
    from filelock import FileLock, Timeout  # noqa: PLC0415 - it imports asyncio, which most uses do not need

    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.is_symlink():
            return "it is a symbolic link"
        if os.name == "posix" and (folder.stat().st_uid != os.geteuid() or stat.S_IMODE(folder.stat().st_mode) & 0o077):
            return "other users may have changed it"
        stack.enter_context(FileLock(folder / ".lock", timeout=0, mode=0o600))
    except Timeout:
        return "another run uses it"
    except (NotImplementedError, OSError) as error:
        return f"it cannot be used ({getattr(error, 'strerror', None) or error})"
    return ""


def _open(folder: Path, fingerprint: str, resume_within: float) -> PartStore:
    """Return the store of a folder with the parts that can be reused; remove all other files."""
    metadata: dict[str, str] = {}
    started = datetime.now(UTC)
    try:
        metadata = json.loads((folder / RUN_FILE).read_text())
        started = datetime.fromisoformat(metadata["started"])
        is_same = metadata["fingerprint"] == fingerprint
    except (OSError, ValueError, KeyError, TypeError):
        is_same = False
    parts = [
        part for part in map(_read, folder.glob("*.arrow")) if part and is_same and _is_recent(part, resume_within)
    ]
    kept = {name for part in parts for name in (part.file, _metadata_path(folder, part.file).name)}
    for path in folder.iterdir():
        if path.name not in {*kept, ".lock"}:
            with suppress(OSError):
                path.unlink()
    if parts:
        count = f"{len(parts):,} finished part{'s' if len(parts) > 1 else ''}"
        logger.info(
            "continuing the run of %s, of which %s will not be read again", f"{started:%Y-%m-%dT%H:%M:%SZ}", count
        )
    else:
        started = datetime.now(UTC)
        metadata = {"fingerprint": fingerprint, "started": started.isoformat()}
    _write(folder / RUN_FILE, json.dumps(metadata))
    return PartStore(folder, started, parts, metadata)


def _write(path: Path, text: str) -> None:
    """Replace a file that only the current user can read, atomically."""
    temporary = path.with_suffix(".tmp")
    with open(temporary, "w", opener=_private) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def _is_recent(part: Part, resume_within: float) -> bool:
    return 0 <= time.time() - part.written <= resume_within


def _read(path: Path) -> Part | None:
    """Return the part of an Arrow file, None if it is not complete or has changed."""
    try:
        digest, _, text = _metadata_path(path.parent, path.name).read_text().partition("\n")
        if digest != _hash_text(text):
            return None
        metadata: dict[str, Any] = json.loads(text)
        window = metadata.pop("window")
        part = Part(**metadata | {"window": window and _window(window), "is_reused": True})
        part = replace(
            part, missing_fields=Counter(part.missing_fields), unknown_fields=Counter(part.unknown_fields)
        )  # fmt: skip
        return part if part.file == path.name and part.digest == _hash_file(path) else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _encode_metadata(part: Part) -> str:
    """Return the attributes of a part as JSON, after a line with a digest of it."""
    metadata = {each.name: getattr(part, each.name) for each in fields(part)}  # asdict() breaks a Counter
    metadata["window"] = part.window and asdict(part.window)
    text = json.dumps(metadata, default=datetime.isoformat)
    return f"{_hash_text(text)}\n{text}"


def _hash_text(text: str) -> str:
    return hashlib.blake2b(text.encode()).hexdigest()


def _window(bounds: dict[str, str | None]) -> Window:
    return Window(**{name: text and datetime.fromisoformat(text) for name, text in bounds.items()})  # type: ignore[arg-type]


def _metadata_path(folder: Path, file: str) -> Path:
    return (folder / file).with_suffix(".json")


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
