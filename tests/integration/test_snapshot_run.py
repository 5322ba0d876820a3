import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from filelock import FileLock

from scenario_etl import history
from scenario_etl.emulator import Fault
from scenario_etl.errors import (
    APIError,
    DestinationError,
    PaginationError,
    SchemaError,
    TransientError,
)
from tests.helpers import environment, page, record
from tests.lakes import DAYS, files, take
from tests.system.faults.server import Exchange, FaultServer


@pytest.mark.parametrize(
    ("faults", "error"),
    [
        ([Fault(status=404)], APIError),
        ([Fault(body=page(record(assetCount=1.5)))], SchemaError),
        ([Fault(status=200, body=json.dumps(page(record(), token="t0")))] * 2, PaginationError),
    ],
)
def test_a_failed_run_changes_nothing_in_the_lake(lake: Path, faults, error) -> None:
    take(lake, DAYS[0], record())
    before = {name: (lake / name).read_bytes() for name in files(lake)}
    with pytest.raises(error, match="collections"):
        take(lake, DAYS[1], record(), faults=faults)
    assert {name: (lake / name).read_bytes() for name in files(lake)} == before


def test_a_lake_below_a_missing_folder_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(DestinationError, match="cannot create the lake"):
        take(tmp_path / "missing" / "lake", DAYS[0], record())


KILLED = """
import json, random, sys, time
from pathlib import Path
import filelock, importlib.metadata, pyarrow.compute, pyarrow.dataset  # here, so that no child imports them again
import pyarrow.parquet as pq
from scenario_etl import snapshot
from tests.helpers import in_child

lake, rng = Path(sys.argv[1]), random.Random(4)

def take(day):
    return lambda: snapshot("collections", lake, date=f"2026-11-{day:02d}")

def read_all():
    for path in lake.rglob("*.parquet"):
        pq.read_table(path, use_threads=False)

in_child(take(1))
started = time.monotonic()
in_child(take(1))
usual = time.monotonic() - started
for number in range(50):
    day = 2 + number // 10
    death = in_child(take(day), killed_after=rng.uniform(0, 1.2) * usual)
    usual *= 1.05 if death else 0.8  # a machine that is now busier or idler than before: aim later, or sooner
    readable = in_child(read_all)
    after = in_child(take(day)) if number % 10 == 9 else 0
    debris = len(list(lake.rglob("*.partial")))
    print(json.dumps({"number": number, "death": death, "readable": readable, "next": after, "debris": debris}))
"""


def test_kill_9_at_fifty_random_moments_leaves_readable_files_and_the_next_run_succeeds(api, lake: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, lake], env=environment(api), capture_output=True, text=True, check=True
    )
    runs = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(runs) == 50
    assert {run["death"] for run in runs} <= {-9, 0}
    assert sum(run["death"] == -9 for run in runs) >= 20
    assert {(run["readable"], run["next"]) for run in runs} == {(0, 0)}
    assert all(run["debris"] == 0 for run in runs if run["number"] % 10 == 9)
    assert [day["date"].day for day in history(lake, "collections").to_pylist()] == [1, 2, 3, 4, 5, 6]
    assert [day["added"] for day in history(lake, "collections").to_pylist()] == [250, 0, 0, 0, 0, 0]


def test_a_damaged_snapshot_is_named_and_stays_as_it_is(run, api, lake: Path) -> None:
    assert run("snapshot", "collections", lake, "--date", DAYS[0], api=api).returncode == 0
    path = lake / f"collections/snapshot_date={DAYS[0]}/part-0.parquet"
    path.write_bytes(b"no Parquet")
    done = run("snapshot", "collections", lake, "--date", DAYS[1], api=api)
    assert (done.returncode, path.read_bytes()) == (74, b"no Parquet")
    assert f"cannot read {path}" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_second_run_leaves_with_75_or_waits(lake: Path) -> None:
    gate = threading.Event()

    def held(exchange: Exchange) -> None:
        gate.wait(60)
        exchange.send()

    command = ["scenario-etl", "snapshot", "collections", lake, "--date", DAYS[0]]
    with FaultServer(held) as server:
        keys = {"SCENARIO_SDK_API_KEY": "demo", "SCENARIO_SDK_API_SECRET": "demo"}
        address = environment(SCENARIO_BASE_URL=f"{server.origin}/v1", **keys)
        with subprocess.Popen(command, env=address, stderr=subprocess.DEVNULL) as first:
            while server.requests < 2:
                assert first.poll() is None
            refused = subprocess.run(command, env=address, capture_output=True, text=True, check=False)
            assert (refused.returncode, server.requests) == (75, 2)
            assert "another run has locked" in refused.stderr
            with subprocess.Popen([*command, "--lock-timeout", "60"], env=address) as waiting:
                gate.set()
    assert (first.returncode, waiting.returncode) == (0, 0)


def test_the_error_of_a_held_lake_is_transient(lake: Path) -> None:
    lake.mkdir()
    with FileLock(lake / ".collections.lock"), pytest.raises(TransientError, match="--lock-timeout"):
        take(lake, DAYS[0], record())
