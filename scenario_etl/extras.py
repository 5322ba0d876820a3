"""Optional dependencies: the error if an extra is missing, and the pip command that installs it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, distribution
from urllib.parse import unquote, urlsplit


@contextmanager
def requires_extra(module: str, extra: str) -> Iterator[None]:
    """Add the command that installs an extra to the error of an import in the `with` block.

    Args:
        module: The name of the public module that needs the extra.
        extra: The name of the extra.

    Raises:
        ModuleNotFoundError: A package is not installed.

    """
    try:
        yield
    except ModuleNotFoundError as error:
        advice = f"{module} needs {error.name}; install it: {install_command(extra)}"
        raise ModuleNotFoundError(advice, name=error.name) from None


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
