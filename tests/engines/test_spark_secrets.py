"""Credentials reach the executors, and nothing that Spark shows or writes."""

import base64
import subprocess
import sys
from pathlib import Path

from scenario_etl import Emulator
from tests.helpers import environment

KEY, SECRET = "key-4f1d7c", "secret-9b2e80"


def test_credentials_are_in_no_plan_event_log_ui_log_checkpoint_or_repr(tmp_path: Path) -> None:
    with Emulator(20, assets=200, projects=4, api_key=KEY, api_secret=SECRET) as api:
        variables = {"SCENARIO_BASE_URL": api.url, "SCENARIO_SDK_API_KEY": KEY, "SCENARIO_SDK_API_SECRET": SECRET}
        done = subprocess.run(
            [sys.executable, "-m", "tests.engines.leaks", tmp_path],
            env=environment(**variables), capture_output=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    texts = {"stdout": done.stdout, "logs": done.stderr}
    texts |= {str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for what in (
        "SparkListenerSQLExecutionStart",
        "RelationV2",
        "BatchScan scenario",
        "403",
    ):  # there is what to search
        assert any(what.encode() in text for text in texts.values()), what
    secrets = [SECRET, KEY, base64.b64encode(f"{KEY}:{SECRET}".encode()).decode(), SECRET.encode().hex()]
    assert [(name, secret) for name, text in texts.items() for secret in secrets if secret.encode() in text] == []
