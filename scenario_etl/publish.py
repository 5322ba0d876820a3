"""Atomic writes: a temporary file, fsync, then a rename or an upload."""

import errno
import hashlib
import logging
import math
import os
import re
import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from mimetypes import guess_type
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import fs

from scenario_etl.errors import DestinationError, ScenarioError, TransientError
from scenario_etl.redact import redact
from scenario_etl.retry import Retry, RetryableError
from scenario_etl.stores import CALL_TIMEOUT, build_error, call, ends_with_slash, filesystem, is_transient, redact_uri

ABANDONED_AFTER = 24 * 3600  # seconds; older temporary files of other machines are removed
UPLOAD_BYTES = 8 * 2**20  # per read
UPLOAD_DEADLINE = 300.0  # seconds
MIN_SPEED = 100_000  # bytes per second; a slower upload is aborted
CLEANUP_TIMEOUT = 5.0  # time limit for removing a temporary object
MAX_NAME_LENGTH = 255  # bytes, on the filesystems of Linux, macOS and Windows

_TEMPORARY = re.compile(r"\..*\.(\d+)-[0-9a-f]{8}@(.*)\.partial")

_own: set[str] = set()

logger = logging.getLogger("scenario_etl")


def atomic_write(
    destination: str | os.PathLike[str],
    *,
    staging: str | os.PathLike[str] | None = None,
    deadline: float = UPLOAD_DEADLINE,
) -> AbstractContextManager[Path]:
    """Yield the path of a temporary local file; publish it at `destination` if the block ends without an error.

    In a local folder, the temporary file is next to the destination, and no `*.parquet` glob matches its name. It is
    flushed to disk and renamed, and the folder is flushed. For an object store, the file is finished locally, uploaded
    under a temporary key and copied to its final key; these steps are repeated after a transient failure of the store.
    After an error, the temporary file is removed, and an existing file at `destination` is unchanged. If a run is
    killed, a later run removes its temporary file: when the process has ended, or after a day.

    Args:
        destination: Path, or URI of an object store.
        staging: Folder of the temporary file, on the same filesystem; missing folders below it are created.
        deadline: Time limit in seconds for retries of an upload, counted from the start of its first attempt.

    Raises:
        ConfigError: The destination is not a valid path or URI.
        TransientError: The object store is unavailable, before the block or until the deadline.
        DestinationError: The file cannot be written; in most cases, this is raised before the block.

    """
    store, path = filesystem(destination)
    if ends_with_slash(destination):
        problem = "it ends with a slash, so it is a folder; specify a file in it"
        raise DestinationError(f"cannot write {redact_uri(destination)}: {problem}")
    folder = filesystem(staging)[1] if staging is not None else os.path.dirname(path)
    if isinstance(store, fs.LocalFileSystem):
        return _write_errors(destination, _publish_by_rename(Path(path), Path(folder)))
    return _write_errors(destination, _publish_by_upload(store, path, folder, deadline, redact_uri(destination)))


@contextmanager
def _write_errors(destination: str | os.PathLike[str], publication: AbstractContextManager[Path]) -> Iterator[Path]:
    try:
        with publication as path:
            yield path
    except (OSError, pa.ArrowException) as error:
        raise _write_error(destination, error) from error


def _write_error(destination: str | os.PathLike[str], error: BaseException) -> ScenarioError:
    number = getattr(error, "errno", None)
    reason = getattr(error, "strerror", None) or redact(str(error), 300)
    advice = f"; {_ADVICE[number]}" if number in _ADVICE else ""
    return build_error(destination, f"cannot write {redact_uri(destination)}: {reason}", error, advice)


@contextmanager
def _publish_by_rename(final: Path, folder: Path) -> Iterator[Path]:
    with suppress(FileNotFoundError, NotADirectoryError):
        # raises errors that is_dir() and exists() hide from Python 3.14 on, such as a name that is too long
        final.stat()
    if final.is_dir():
        raise IsADirectoryError(None, "it is a folder; specify a file")
    if final.exists() and not final.is_file():
        raise OSError(None, "it is a device or a pipe, which cannot be replaced; specify a file")
    if not folder.is_dir():
        name = redact(str(folder), 500)
        problem = f"{name} is not a folder" if folder.exists() else f"the folder {name} does not exist; create it first"
        raise NotADirectoryError(None, problem)
    with _temporary(folder, final.name, 0o666) as temporary:
        if final.exists():
            temporary.chmod(final.stat().st_mode)
        yield temporary
        _flush(temporary)
        for missing in reversed([parent for parent in final.parents if not parent.exists()]):
            missing.mkdir(exist_ok=True)
            _flush(missing.parent)
        os.replace(temporary, final)
        with suppress(OSError):  # the file is complete; some network filesystems cannot flush a folder
            _flush(final.parent)


@contextmanager
def _publish_by_upload(store: fs.FileSystem, key: str, folder: str, deadline: float, place: str) -> Iterator[Path]:
    with _temporary(Path(tempfile.gettempdir()), os.path.basename(key), 0o600) as temporary:
        upload = f"{folder}/{temporary.name}"
        call(_put, store, upload)  # fails before any work if the bucket does not exist or is not writable
        try:
            _remove_old_uploads(store, folder)
            yield temporary
            retry = Retry(math.inf, deadline, on_retry=lambda failed, wait: _log_retry(place, failed.reason, wait))
            seconds = CALL_TIMEOUT + temporary.stat().st_size / MIN_SPEED
            retry(lambda: call_in_time(seconds, _attempt, store, key, upload, temporary, place))
        finally:
            _remove_upload(store, upload)


def call_in_time(seconds: float, attempt: Callable[..., None], *arguments: Any) -> None:
    """Call `attempt`, whose last argument is the destination of the write.

    Raises:
        RetryableError: The call takes longer than `seconds`.

    """
    try:
        call(attempt, *arguments, seconds=seconds)
    except TimeoutError as error:
        reason = str(error) or f"not complete after {seconds:,.0f} s"
        raise RetryableError(TransientError(f"cannot write {arguments[-1]}: {reason}"), reason) from error


def _attempt(store: fs.FileSystem, key: str, upload: str, source: Path, place: str) -> None:
    """Upload a file and copy it to its key; raise RetryableError if another attempt may succeed.

    The response of the store is not trusted: the object is always checked.
    """
    try:
        before = store.get_file_info(key)
        kind = guess_type(key)[0] or "application/octet-stream"  # so that a browser can display it
        _put(store, upload, source, kind)
        if store.get_file_info(upload).size != source.stat().st_size:
            raise TimeoutError("the store confirmed the upload, but the object does not exist or has a different size")
        store.copy_file(upload, key)
        after = store.get_file_info(key)
        if (after.size, after.mtime) == (before.size, before.mtime) or after.size != source.stat().st_size:
            raise TimeoutError("the store confirmed the copy, but the object does not exist or has a different size")
    except OSError as error:
        if not is_transient(error):
            raise
        if not _is_uploaded(store, key, source):
            reason = redact(str(error), 300)
            raise RetryableError(TransientError(f"cannot write {place}: {reason}"), reason) from error


def _put(store: fs.FileSystem, key: str, source: Path | None = None, kind: str = "application/octet-stream") -> None:
    """Write the content of a file, or an empty object, under a key."""
    with store.open_output_stream(key, metadata={"Content-Type": kind}) as sink:
        if source:
            with source.open("rb") as content:
                shutil.copyfileobj(content, sink, UPLOAD_BYTES)


def _is_uploaded(store: fs.FileSystem, key: str, source: Path) -> bool:
    """Return whether the object of a key has the same content as a file."""
    try:
        if store.get_file_info(key).size != source.stat().st_size:
            return False
        with store.open_input_stream(key) as found, source.open("rb") as wanted:
            return _digest(found) == _digest(wanted)
    except OSError:
        return False


def _digest(stream: Any) -> bytes:
    digest = hashlib.sha256()
    while chunk := stream.read(UPLOAD_BYTES):
        digest.update(chunk)
    return digest.digest()


def _log_retry(place: str, reason: str, seconds: float) -> None:
    logger.warning("%s: %s; uploading again in %.1f s", place, reason, seconds)


def _remove_upload(store: fs.FileSystem, key: str) -> None:
    try:
        call(store.delete_file, key, seconds=CLEANUP_TIMEOUT)
    except FileNotFoundError:
        pass
    except (OSError, pa.ArrowException) as error:  # a TimeoutError is an OSError
        reason = redact(str(error), 300) or f"no response within {CLEANUP_TIMEOUT:g} s"
        logger.warning(
            "cannot remove the temporary object %s: %s; a later run removes it after one day",
            redact(key, 300), reason,
        )  # fmt: skip


@contextmanager
def _temporary(folder: Path, name: str, mode: int) -> Iterator[Path]:
    """Create an empty file with the process id in its name; remove those of processes that have ended."""
    _remove_abandoned_files(folder)
    suffix = f".{os.getpid()}-{secrets.token_hex(4)}@{_host()}.partial"
    start = name.encode()[: MAX_NAME_LENGTH - 1 - len(suffix)].decode(errors="ignore")
    temporary = folder / f".{start}{suffix}"
    _own.add(temporary.name)
    try:
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
        yield temporary
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        _own.discard(temporary.name)


def _flush(path: Path) -> None:
    """Flush a file or a folder to disk."""
    if path.is_dir() and os.name == "nt":
        return  # Windows cannot open folders, and does not need this
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove_abandoned_files(folder: Path) -> None:
    """Remove temporary files of processes that have ended, and old ones of other machines."""
    for path in folder.iterdir():
        match = _TEMPORARY.fullmatch(path.name)
        if match and path.name not in _own:
            with suppress(OSError):  # another run may have removed it
                if _has_ended(int(match[1]), match[2]) or time.time() - path.stat().st_mtime > ABANDONED_AFTER:
                    path.unlink()


def _remove_old_uploads(store: fs.FileSystem, folder: str) -> None:
    for found in call(store.get_file_info, fs.FileSelector(folder)):
        if _TEMPORARY.fullmatch(found.base_name) and time.time() - found.mtime.timestamp() > ABANDONED_AFTER:
            _remove_upload(store, found.path)


def _has_ended(process: int, host: str) -> bool:
    if host != _host() or os.name == "nt":  # on Windows, signal 0 would end the process
        return False
    if process == os.getpid():
        return True  # not in _own, so an earlier process had this number
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    return False


def _host() -> str:
    """Return a name for the scope of process ids: the machine and, on Linux, its boot and the process namespace."""
    start = ""
    with suppress(OSError):
        start = os.readlink("/proc/self/ns/pid") + Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
    return re.sub(r"[^A-Za-z0-9]+", "-", socket.gethostname() + start)


_ADVICE: dict[int | None, str] = {
    errno.EACCES: "check the permissions of the folder",
    errno.EDQUOT: "free space, or raise the quota",
    errno.ENOSPC: "free space on the disk",
    errno.EROFS: "check its mount options",
}
