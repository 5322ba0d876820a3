"""A file appears whole or not at all: temporary name, fsync, check, rename or upload; and URI -> filesystem."""

import errno
import os
import re
import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from mimetypes import guess_type
from pathlib import Path

import pyarrow as pa
from pyarrow import fs

from scenario_etl.errors import DestinationError
from scenario_etl.redact import redact

ABANDONED_AFTER = 24 * 3600  # seconds; the age at which a temporary file of another machine is debris
UPLOAD_BYTES = 8 * 2**20  # bytes that are read at once

_TEMPORARY = re.compile(r"\..*\.(\d+)-[0-9a-f]{8}@(.*)\.partial")

_own: set[str] = set()


def filesystem(uri: str | os.PathLike[str]) -> tuple[fs.FileSystem, str]:
    """Return the filesystem of a path or URI (`s3://`, `gs://`, `abfss://`, `file://`), and the path in it.

    The credentials of an object store come from its own environment, such as `AWS_*` and `AWS_ENDPOINT_URL`.

    Raises:
        DestinationError: the URI is of no filesystem that pyarrow knows.

    """
    text = os.fspath(uri)
    if not text or not _is_text(text):
        raise DestinationError(f"{text!r} is no place to write to: give a path, in UTF-8")
    if "://" not in text:
        return fs.LocalFileSystem(), os.path.realpath(text)  # a link stays a link: what it leads to is replaced
    try:
        store, path = fs.FileSystem.from_uri(text)
    except (pa.ArrowException, OSError) as error:
        raise DestinationError(f"{redact(text)} is no place to write to: {redact(str(error), 200)}") from error
    return store, path.rstrip("/")


def published(
    destination: str | os.PathLike[str], *, staging: str | os.PathLike[str] | None = None
) -> AbstractContextManager[Path]:
    """Yield the path of a temporary local file to write; publish it at `destination` when the block ends without error.

    In a local folder the temporary file is a neighbour of the destination whose name no `*.parquet` glob matches. On
    success it is flushed to the disk and renamed, and the folder is flushed. For an object store it is finished
    locally, uploaded under a temporary key, and copied to its name there. On any error it is removed, and what stood at
    `destination` is untouched. What a killed run left, the next removes: once its process is gone, or after a day.

    Args:
        destination: a path, or a URI of an object store.
        staging: the folder of the temporary file, on the same filesystem; the folders below it are then made as needed.

    Raises:
        DestinationError: the file cannot be written, in most cases known before the block; the message says why.

    """
    store, path = filesystem(destination)
    if os.fspath(destination).endswith(("/", os.sep)):
        raise DestinationError(f"cannot write {redact(str(destination), 500)}: it is a folder; name a file")
    folder = filesystem(staging)[1] if staging is not None else os.path.dirname(path)
    if isinstance(store, fs.LocalFileSystem):
        return _failing_clearly(destination, _renamed(Path(path), Path(folder)))
    return _failing_clearly(destination, _uploaded(store, path, folder))


@contextmanager
def _failing_clearly(destination: object, publication: AbstractContextManager[Path]) -> Iterator[Path]:
    try:
        with publication as path:
            yield path
    except OSError as error:
        reason = error.strerror or redact(str(error), 300)
        raise DestinationError(f"cannot write {redact(str(destination), 500)}: {reason}{_advice(error)}") from error


@contextmanager
def _renamed(final: Path, folder: Path) -> Iterator[Path]:
    if final.is_dir():
        raise IsADirectoryError(None, "it is a folder; name a file")
    if final.exists() and not final.is_file():
        raise OSError(None, "it is a device or a pipe, which cannot be replaced; name a file")
    if not folder.is_dir():
        raise NotADirectoryError(None, f"there is no folder {folder}; make it first")
    with _temporary(folder, final) as temporary:
        if final.exists():
            temporary.chmod(final.stat().st_mode)
        yield temporary
        _flush(temporary)
        for missing in reversed([parent for parent in final.parents if not parent.exists()]):
            missing.mkdir(exist_ok=True)
            _flush(missing.parent)
        os.replace(temporary, final)
        with suppress(OSError):  # the file is there; some network filesystems cannot flush a folder
            _flush(final.parent)


@contextmanager
def _uploaded(store: fs.FileSystem, key: str, folder: str) -> Iterator[Path]:
    with _temporary(Path(tempfile.gettempdir()), Path(key)) as temporary:
        temporary_key = f"{folder}/{temporary.name}"
        with store.open_output_stream(temporary_key):
            pass  # bucket and rights are known before any work
        try:
            _remove_old_uploads(store, folder)
            yield temporary
            kind = {"Content-Type": guess_type(key)[0] or "application/octet-stream"}  # a browser shows a page
            with temporary.open("rb") as source, store.open_output_stream(temporary_key, metadata=kind) as sink:
                shutil.copyfileobj(source, sink, UPLOAD_BYTES)
            store.copy_file(temporary_key, key)
        finally:
            with suppress(OSError):
                store.delete_file(temporary_key)


@contextmanager
def _temporary(folder: Path, final: Path) -> Iterator[Path]:
    """Make an empty file whose name tells its process, after removing those whose process is gone."""
    _remove_debris(folder)
    temporary = folder / f".{final.name}.{os.getpid()}-{secrets.token_hex(4)}@{_host()}.partial"
    _own.add(temporary.name)
    try:
        with temporary.open("xb"):
            pass
        yield temporary
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        _own.discard(temporary.name)


def _flush(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    if path.is_dir() and os.name == "nt":
        return  # Windows opens no folders, and needs no flush of them
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove_debris(folder: Path) -> None:
    """Remove temporary files whose process is gone; those of other machines by age."""
    for path in folder.iterdir():
        match = _TEMPORARY.fullmatch(path.name)
        if match and path.name not in _own:
            with suppress(OSError):  # another run may have removed it
                if _is_gone(int(match[1]), match[2]) or time.time() - path.stat().st_mtime > ABANDONED_AFTER:
                    path.unlink()


def _remove_old_uploads(store: fs.FileSystem, folder: str) -> None:
    for found in store.get_file_info(fs.FileSelector(folder)):
        if _TEMPORARY.fullmatch(found.base_name) and time.time() - found.mtime.timestamp() > ABANDONED_AFTER:
            with suppress(OSError):
                store.delete_file(found.path)


def _is_gone(process: int, host: str) -> bool:
    if host != _host() or os.name == "nt":  # on Windows signal 0 would end the process
        return False
    if process == os.getpid():
        return True  # not in _own, so of a process that had this number before
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    return False


def _host() -> str:
    """Name where process numbers mean what they mean here: the machine, and on Linux the namespace of processes."""
    namespace = ""
    with suppress(OSError):
        namespace = os.readlink("/proc/self/ns/pid")
    return re.sub(r"[^A-Za-z0-9]+", "-", socket.gethostname() + namespace)


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _advice(error: OSError) -> str:
    return f"; {_ADVICE[error.errno]}" if error.errno in _ADVICE else ""


_ADVICE: dict[int | None, str] = {
    errno.EACCES: "check the rights of the folder",
    errno.EDQUOT: "free space, or raise the quota",
    errno.ENOSPC: "free space on the disk",
    errno.EROFS: "check how it is mounted",
}
