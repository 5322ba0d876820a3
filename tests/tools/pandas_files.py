"""`python -m tests.tools.pandas_files write|read FOLDER`: files that one version of pandas leaves to another."""

import sys
from pathlib import Path

import pandas as pd

from scenario_etl import Client, Emulator, export_collections, extract_collections, read_snapshot, snapshot
from scenario_etl.resources import COLLECTIONS
from tests.versions import DTYPES

EXPORTED, WRITTEN, LAKE = "exported.parquet", "written_by_pandas.parquet", "lake"


def write(folder: Path) -> None:
    with Emulator(250) as api, Client("demo", "demo", base_url=api.url) as client:
        export_collections(folder / EXPORTED, client=client)
        extract_collections(client=client).to_parquet(folder / WRITTEN)
        snapshot("collections", folder / LAKE, client=client, date="2026-11-01", signed_urls="keep")


def read(folder: Path) -> None:
    expected = pd.read_parquet(folder / EXPORTED)
    for frame in (
        expected,
        pd.read_parquet(folder / WRITTEN),
        pd.read_parquet(folder / LAKE / "collections").drop(columns="snapshot_date"),
        read_snapshot(folder / LAKE, "collections").to_pandas(),
    ):
        assert [str(dtype) for dtype in frame.dtypes] == [DTYPES[column.type] for column in COLLECTIONS.columns]
        assert len(frame) == 250
        pd.testing.assert_frame_equal(frame, expected)


if __name__ == "__main__":
    {"write": write, "read": read}[sys.argv[1]](Path(sys.argv[2]))
