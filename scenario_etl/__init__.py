"""Scenario's collections as a pandas DataFrame, an Arrow stream or Parquet: complete, typed, or a clear error.

HTTP bytes -> Page(records, next_token)        client.py: credentials, retries, the walk from token to token
           -> RecordBatch, declared schema     schema.py: every value checked, every column typed
           -> Scan -> DataFrame, Parquet, ...  extract.py: the hub that every output hangs on
           -> dated snapshots and changes      snapshots.py: what a scheduler calls
"""

from scenario_etl.client import Client
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
from scenario_etl.extract import Scan, ScanReport, export_collections, extract_collections, scan
from scenario_etl.signed_urls import signed_url_expiry
from scenario_etl.snapshots import SnapshotReport, changes, read_snapshot, snapshot

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
    "read_snapshot",
    "scan",
    "signed_url_expiry",
    "snapshot",
]
