"""Thumbnails in a lake, used by `report`: `LAKE/.thumbnails/<asset id>.jpg`."""

import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable
from time import monotonic

import pyarrow as pa
from pyarrow import fs

from scenario_etl.publish import atomic_write
from scenario_etl.redact import redact
from scenario_etl.schema import THUMBNAIL_COLUMNS
from scenario_etl.stores import build_error, call, filesystem, join_uri, redact_uri
from scenario_etl.thumbnails import TIMED_OUT, count_reasons, fetch_images

MAX_ROWS = 200  # most recently updated rows per run
TIME_LIMIT = 60.0  # for all thumbnails of a run
FETCH_SECONDS = 40.0  # part of TIME_LIMIT for fetching; the rest is for storing
MIN_FREE = 64 * 2**20  # bytes on a disk, reserved for snapshots
MAX_FILE_BYTES = 2**20  # a stored thumbnail has a few thousand
FOLDER = ".thumbnails"
JPEG_SIGNATURE = b"\xff\xd8\xff"


def store_thumbnails(lake: str | os.PathLike[str], rows: pa.Table) -> tuple[int, str]:
    """Store the thumbnails of the most recently updated rows, unless the lake already contains them.

    Args:
        lake: Path or URI of the lake.
        rows: Rows of a snapshot, with the columns `updated_at`, `thumbnail_asset_id` and `thumbnail_url`.

    Returns:
        The number of stored thumbnails, and a warning about those that could not be stored, "" if there are none.

    """
    try:
        stored, problems = _store(lake, rows, monotonic() + TIME_LIMIT)
    except Exception as error:  # noqa: BLE001 - the snapshot is published: a thumbnail must not fail the run
        return 0, f"thumbnails could not be stored: {redact(str(error), 300)}"
    if not problems:
        return stored, ""
    failed = problems.total()
    return stored, f"{failed} of {stored + failed} new thumbnails could not be stored: {count_reasons(problems)}"


def _store(lake: str | os.PathLike[str], rows: pa.Table, end: float) -> "tuple[int, Counter[str]]":
    """Return the number of stored thumbnails, and the number of failures by reason."""
    newest = rows.select(THUMBNAIL_COLUMNS).sort_by([("updated_at", "descending")]).slice(0, MAX_ROWS).to_pylist()
    asset_ids = {
        row["thumbnail_url"]: row["thumbnail_asset_id"] for row in newest if _is_usable(row["thumbnail_asset_id"])
    }
    store, root = filesystem(lake)
    existing = _stored(store, root, end)
    missing = {url: asset_id for url, asset_id in asset_ids.items() if url and asset_id not in existing}
    stored, problems = 0, Counter[str]()
    for url, image in fetch_images(missing, deadline=FETCH_SECONDS).items():
        reason = image if isinstance(image, str) else _put(store, f"{root}/{_name(missing[url])}", image, end)
        if reason:
            problems[reason] += 1
        else:
            stored += 1
    return stored, problems


def read_thumbnails(lake: str | os.PathLike[str], asset_ids: Iterable[object]) -> dict[str, bytes]:
    """Return the stored thumbnails of these assets as JPEGs by asset id.

    Raises:
        ConfigError: The lake is not a valid path or URI.
        DestinationError: The lake cannot be read.
        TransientError: The object store is unavailable.

    """
    store, root = filesystem(lake)
    images = {}
    end = monotonic() + TIME_LIMIT
    try:
        for asset_id in _stored(store, root, end).intersection(filter(_is_usable, asset_ids)):
            content = call(_read, store, f"{root}/{_name(asset_id)}", seconds=_remaining(end))
            if content.startswith(JPEG_SIGNATURE) and len(content) <= MAX_FILE_BYTES:
                images[asset_id] = content
    except (OSError, pa.ArrowException) as error:
        place = redact_uri(join_uri(lake, FOLDER))
        raise build_error(
            lake, f"cannot read {place}: {redact(str(error), 200)}", error, "; check the permissions"
        ) from error
    return images


def _is_usable(asset_id: object) -> bool:
    """Return whether an asset id is safe as a file name."""
    return isinstance(asset_id, str) and bool(re.fullmatch(r"[A-Za-z0-9_-]{1,200}", asset_id))


def _name(asset_id: str) -> str:
    return f"{FOLDER}/{asset_id}.jpg"


def _stored(store: fs.FileSystem, root: str, end: float) -> set[str]:
    """Return the ids of the assets with a stored thumbnail."""
    selector = fs.FileSelector(f"{root}/{FOLDER}", allow_not_found=True)
    listed = call(store.get_file_info, selector, seconds=_remaining(end))
    return {file.base_name[:-4] for file in listed if file.is_file and file.base_name.endswith(".jpg")}


def _remaining(end: float) -> float:
    return max(1.0, end - monotonic())


def _read(store: fs.FileSystem, path: str) -> bytes:
    with store.open_input_stream(path) as stream:
        content: bytes = stream.read(MAX_FILE_BYTES + 1)
    return content


def _put(store: fs.FileSystem, path: str, content: bytes, end: float) -> str:
    """Write a small file atomically; return the reason if that fails, "" otherwise.

    In an object store, an object only becomes visible when it is complete.
    """
    if monotonic() > end:
        return TIMED_OUT
    if not isinstance(store, fs.LocalFileSystem):
        call(_write, store, path, content, seconds=_remaining(end))
        return ""
    folder = os.path.dirname(path)
    if os.path.islink(folder) or os.path.lexists(path):
        return "the file already exists, or its folder is a symbolic link"
    if shutil.disk_usage(os.path.dirname(folder)).free < MIN_FREE:
        return f"less than {MIN_FREE // 2**20} MiB free on the disk"
    with atomic_write(path, staging=os.path.dirname(folder)) as temporary:
        temporary.write_bytes(content)
    return ""


def _write(store: fs.FileSystem, path: str, content: bytes) -> None:
    with store.open_output_stream(path, metadata={"Content-Type": "image/jpeg"}) as sink:
        sink.write(content)
