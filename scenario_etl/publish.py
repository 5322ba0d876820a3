"""A file appears whole or not at all: temporary name, fsync, rename."""

import errno
import os
import re
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from scenario_etl.errors import DestinationError

ABANDONED_AFTER = 24 * 3600  # seconds; the age at which a temporary file of another machine is debris

_own: set[str] = set()


@contextmanager
def published(destination: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield the path of a temporary file to write; publish it at `destination` when the block ends without error.

    The temporary file is a neighbour of the destination whose name no `*.parquet` glob matches. It exists from the
    start, so that a folder that cannot be written is known before any work. On success it is flushed to the disk and
    renamed, and the folder is flushed. On any error it is removed, and what stood at `destination` is untouched. What
    a killed run left is removed by the next.

    Raises:
        DestinationError: the file cannot be written; the message says why.

    """
    final = Path(os.path.realpath(destination))  # a link stays a link: what it leads to is replaced
    temporary = final.with_name(f".{final.name}.{os.getpid()}-{secrets.token_hex(4)}@{_host()}.partial")
    try:
        _create(temporary, final)
        yield temporary
        _flush(temporary)
        os.replace(temporary, final)
        _flush(final.parent)
    except OSError as error:
        raise DestinationError(f"cannot write {destination}: {error.strerror or error}{_advice(error)}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        _own.discard(temporary.name)


def _create(temporary: Path, final: Path) -> None:
    if final.is_dir():
        raise IsADirectoryError(None, "it is a folder; name a file")
    if not final.parent.is_dir():
        raise NotADirectoryError(None, f"there is no folder {final.parent}; make it first")
    _own.add(temporary.name)
    with temporary.open("xb"):
        pass
    if final.exists():
        temporary.chmod(final.stat().st_mode)
    _remove_debris(final)


def _flush(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    if path.is_dir() and os.name == "nt":
        return  # Windows opens no folders, and needs no flush of them
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove_debris(final: Path) -> None:
    """Remove temporary files of this destination whose process is gone; those of other machines by age."""
    name = re.compile(re.escape(f".{final.name}.") + r"(\d+)-[0-9a-f]{8}@(.*)\.partial")
    for neighbour in final.parent.iterdir():
        match = name.fullmatch(neighbour.name)
        if match and neighbour.name not in _own:
            with suppress(OSError):  # another run may have removed it
                if _is_gone(int(match[1]), match[2]) or _age(neighbour) > ABANDONED_AFTER:
                    neighbour.unlink()


def _is_gone(process: int, host: str) -> bool:
    if host != _host() or os.name == "nt":  # on Windows signal 0 would end the process
        return False
    if process == os.getpid():
        return True  # not in _own, so of a process that had this number before
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _age(path: Path) -> float:
    return time.time() - path.stat().st_mtime


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())


def _advice(error: OSError) -> str:
    return f"; {_ADVICE[error.errno]}" if error.errno in _ADVICE else ""


_ADVICE: dict[int | None, str] = {
    errno.EACCES: "check the rights of the folder",
    errno.EDQUOT: "free space, or raise the quota",
    errno.ENOSPC: "free space on the disk",
    errno.EROFS: "check how it is mounted",
}
