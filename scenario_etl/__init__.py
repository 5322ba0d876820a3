"""Scenario's collections as a pandas DataFrame, an Arrow stream or Parquet: complete, typed, or a clear error.

extract_collections() returns a DataFrame, export_collections(path) writes Parquet, scan("collections") does either, a
page at a time; snapshot("collections", lake) adds today's rows to a lake, and read_snapshot, changes and history read
it. Client holds credentials and settings; Emulator serves a made-up team without an account.

Without an account:

>>> import scenario_etl
>>> api = scenario_etl.Emulator(collections=250).start()
>>> client = scenario_etl.Client("demo", "demo", base_url=api.url)
>>> df = scenario_etl.extract_collections(client=client)
>>> len(df)
250
"""

from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scenario_etl.client import Client
    from scenario_etl.dashboard import charts as charts
    from scenario_etl.emulator import Emulator
    from scenario_etl.errors import (
        APIError,
        AuthError,
        ConfigError,
        DestinationError,
        GuardError,
        PaginationError,
        ScenarioError,
        SchemaError,
        TransientError,
    )
    from scenario_etl.extract import Scan, export_collections, extract_collections, scan
    from scenario_etl.lake_reader import changes, history, read_snapshot
    from scenario_etl.run import ScanReport
    from scenario_etl.signed_urls import signed_url_expiry
    from scenario_etl.snapshots import SnapshotReport, snapshot
    from scenario_etl.thumbnails import fetch_thumbnails
else:

    def __getattr__(name: str) -> Any:
        """Import a public name where it is first used (PEP 562): an export needs neither emulator nor snapshots."""
        if name == "__version__":
            return version("scenario-etl")
        if name == "charts":
            return _charts()
        if name in _HOMES:
            return import_module(f"{__name__}.{name}")
        for module, names in _HOMES.items():
            if name in names:
                value = globals()[name] = getattr(import_module(f"{__name__}.{module}"), name)
                return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _charts() -> Any:
    """Import the charts, or say how to install what they need."""
    try:
        return import_module(f"{__name__}.dashboard.charts")
    except ModuleNotFoundError as error:
        from scenario_etl.extras import install_command  # noqa: PLC0415 - imported where it is said only

        advice = f"scenario_etl.charts needs {error.name}; install it: {install_command('report')}"
        raise ModuleNotFoundError(advice, name=error.name) from None


__all__ = [
    "APIError",
    "AuthError",
    "Client",
    "ConfigError",
    "DestinationError",
    "Emulator",
    "GuardError",
    "PaginationError",
    "Scan",
    "ScanReport",
    "ScenarioError",
    "SchemaError",
    "SnapshotReport",
    "TransientError",
    "changes",
    "export_collections",
    "extract_collections",
    "fetch_thumbnails",
    "history",
    "read_snapshot",
    "scan",
    "signed_url_expiry",
    "snapshot",
]

_HOMES = {
    "client": ("Client",),
    "emulator": ("Emulator",),
    "errors": (
        "APIError",
        "AuthError",
        "ConfigError",
        "DestinationError",
        "GuardError",
        "PaginationError",
        "ScenarioError",
        "SchemaError",
        "TransientError",
    ),
    "extract": ("Scan", "export_collections", "extract_collections", "scan"),
    "lake_reader": ("changes", "history", "read_snapshot"),
    "run": ("ScanReport",),
    "signed_urls": ("signed_url_expiry",),
    "snapshots": ("SnapshotReport", "snapshot"),
    "thumbnails": ("fetch_thumbnails",),
}


def __dir__() -> list[str]:
    """Return the public names, and the charts where their extra is installed: help() looks at each."""
    return sorted([*__all__, *(["charts"] if all(map(find_spec, ("matplotlib", "PIL"))) else [])])
