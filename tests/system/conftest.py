"""What several system tests share: a file of yesterday, and a lake with its page."""

from pathlib import Path

import pytest

from scenario_etl import Client, Emulator, GuardError, snapshot
from scenario_etl.dashboard.page import write_report
from tests.helpers import OLD

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "{{ 7 * 7 }}",
    "コレクション 🎮 & Söhne",
    "x" * 300,
]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "collections.parquet"
    path.write_bytes(OLD)
    return path


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Path:
    """A lake of three days: a first snapshot, one with changes, and one that the guard rejects; with hostile names."""
    folder = tmp_path_factory.mktemp("lake")
    with Emulator(60) as api, Client("demo", "demo", base_url=api.url) as client:
        api.collections = [api.record(number, signed=False) for number in range(60)]
        for number, name in enumerate(HOSTILE):
            api.collections[number] |= {"name": name, "updatedAt": "2026-11-20T00:00:00.000Z"}
        snapshot("collections", folder, date="2026-11-01", client=client)
        del api.collections[10:13]
        api.collections[3] |= {"assetCount": 5000, "itemCount": 5001}
        snapshot("collections", folder, date="2026-11-02", client=client)
        rest, api.collections = api.collections, []
        with pytest.raises(GuardError):
            snapshot("collections", folder, date="2026-11-03", client=client)
        api.collections = rest
        write_report(folder, folder / "report.html")
    return folder
