"""The pip command that installs an extra from the same source as this package."""

import json
from importlib.metadata import PackageNotFoundError, distribution
from urllib.parse import unquote, urlsplit


def install_command(extra: str) -> str:
    """Return a command that installs an extra.

    If the package was installed from a folder, such as a clone, the command names the folder, which is recorded in
    `direct_url.json` (PEP 610).
    """
    return f"pip install '{_source()}[{extra}]'"


def _source() -> str:
    try:
        origin = json.loads(distribution("scenario-etl").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        origin = {}
    parts = urlsplit(origin.get("url", ""))
    return unquote(parts.path) if parts.scheme == "file" and "dir_info" in origin else "scenario-etl"
