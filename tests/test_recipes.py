"""The README's recipes for schedulers: run, or held against the schemas of those who read them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from scenario_etl import Emulator
from scenario_etl.cli import METRICS
from scenario_etl.emulator import Fault
from scenario_etl.resources import RESOURCES
from tests.helpers import environment
from tests.test_errors import CODES

README = Path(__file__).parents[1] / "README.md"


def recipe(kind: str) -> str:
    (found,) = re.findall(rf"^```{kind}\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    return found


def test_the_crontab_line_makes_a_snapshot(tmp_path: Path) -> None:
    minute, hour, *days, command = recipe("crontab").strip().split(" ", 5)
    assert (int(minute) < 60, int(hour) < 24, days) == (True, True, ["*", "*", "*"])
    assert "%" not in command  # cron takes it for a line's end
    for written, real in {
        "/opt/scenario-etl/.venv/bin": str(Path(sys.executable).parent),
        "/etc/scenario-etl.env": str(tmp_path / "env"),
        "/data/lake": str(tmp_path / "lake"),
        "/var/log/scenario-etl.log": str(tmp_path / "log"),
    }.items():
        assert written in command
        command = command.replace(written, real)
    with Emulator(9) as api:
        names = ("SCENARIO_BASE_URL", "SCENARIO_SDK_API_KEY", "SCENARIO_SDK_API_SECRET")
        given = environment(api)
        (tmp_path / "env").write_text("".join(f"{name}={given[name]}\n" for name in names))
        subprocess.run(["/bin/sh", "-c", command], env={"PATH": "/usr/bin:/bin"}, check=True)
    assert "9 added" in (tmp_path / "log").read_text()


def test_the_kubernetes_cron_job_is_valid_and_knows_the_exit_codes() -> None:
    job = yaml.safe_load(recipe("yaml kubernetes"))
    kubernetes_validate.validate(job, "1.34", strict=True)
    rules = job["spec"]["jobTemplate"]["spec"]["podFailurePolicy"]["rules"]
    (final,) = [rule["onExitCodes"]["values"] for rule in rules if "onExitCodes" in rule]
    assert set(final) == (set(CODES.values()) - {75}) | {2, 70}


def test_the_systemd_service_knows_the_exit_codes() -> None:
    (codes,) = re.findall(r"^RestartPreventExitStatus=(.*)$", README.read_text(), re.MULTILINE)
    assert {int(code) for code in codes.split()} == (set(CODES.values()) - {75}) | {2, 70}


def test_the_github_workflow_is_valid(tmp_path: Path) -> None:
    workflow = tmp_path / "snapshot.yml"
    workflow.write_text(recipe("yaml github"))
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(workflow)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("faults", "code", "runs"), [([], 0, 1), ([503, 503], 0, 3), ([503] * 9, 75, 4), ([404], 69, 1)]
)
def test_the_github_workflow_tries_again_after_75_only(tmp_path: Path, faults, code: int, runs: int) -> None:
    steps = yaml.safe_load(recipe("yaml github"))["jobs"]["snapshot"]["steps"]
    script = steps[-1]["run"].replace("s3://bucket/lake", f"{tmp_path}/lake --attempts 1").replace("sleep 600", "true")
    with Emulator(9, faults=[Fault(status=status) for status in faults]) as api:
        done = subprocess.run(["bash", "-e", "-c", script], env=environment(api), check=False, capture_output=True)
        listings = [path for _, path in api.requests if path.startswith("/v1/collections")]
        assert (done.returncode, len(listings)) == (code, runs)


def test_the_alert_rules_use_metrics_and_resources_that_there_are() -> None:
    rules = recipe("yaml prometheus")
    assert set(re.findall(r"scenario_etl_(\w+)", rules)) == {"last_success_timestamp_seconds", "last_exit_code"}
    assert {"last_success_timestamp_seconds", "last_exit_code"} <= METRICS.keys()
    assert set(re.findall(r'resource="(\w+)"', rules)) <= RESOURCES.keys()


ALERTS = {
    "ScenarioNoSuccess": "No run for collections has succeeded for 1d 2h 1m 0s.",
    "ScenarioRunFailed": "The last run for collections failed with exit code 69.",
    "ScenarioMetricsAbsent": "No run for collections has ever succeeded, or its metrics are not collected.",
}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool, which comes with Prometheus")
@pytest.mark.parametrize(
    ("statuses", "minutes", "alerts"),
    [
        ([200], 26 * 60, []),
        ([200], 26 * 60 + 1, ["ScenarioNoSuccess"]),
        ([200, 404], 1, ["ScenarioRunFailed"]),
        ([200, 404, 200], 1, []),
        ([200, 503], 26 * 60, []),
        ([200, 503], 26 * 60 + 1, ["ScenarioNoSuccess"]),
        ([404], 60, ["ScenarioRunFailed", "ScenarioMetricsAbsent"]),
        ([503], 59, []),
        ([503], 60, ["ScenarioMetricsAbsent"]),
        ([], 60, ["ScenarioMetricsAbsent"]),
    ],
)
def test_prometheus_raises_the_alerts_after_runs_that_ended_so(run, tmp_path: Path, statuses, minutes, alerts) -> None:
    metrics = tmp_path / "scenario.prom"
    metrics.touch()
    with Emulator(9, faults=[None if status == 200 else Fault(status=status) for status in statuses]) as api:
        for _ in statuses:
            run("export", "collections", "c.parquet", "--metrics-file", metrics, "--attempts", "1", api=api)
    promtool(tmp_path, "check", "metrics", given=metrics.read_text())
    series = {line.split()[0]: line.split()[1] for line in metrics.read_text().splitlines() if line[0] != "#"}
    assert len(series) == metrics.read_text().count("# TYPE")
    series |= {name: "0" for name in series if "timestamp" in name}  # where the time of promtool's tests begins
    expected = {"exp_labels": {"resource": "collections"}}
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": f"{value}x{minutes}"} for name, value in series.items()],
        "alert_rule_test": [
            {
                "eval_time": f"{minutes}m",
                "alertname": name,
                "exp_alerts": [expected | {"exp_annotations": {"summary": summary}}] * (name in alerts),
            }
            for name, summary in ALERTS.items()
        ],
    }
    (tmp_path / "rules.yml").write_text(recipe("yaml prometheus"))
    (tmp_path / "test.yml").write_text(yaml.safe_dump({"rule_files": ["rules.yml"], "tests": [test]}))
    promtool(tmp_path, "check", "rules", "rules.yml")
    promtool(tmp_path, "test", "rules", "test.yml")


def promtool(folder: Path, *arguments: str, given: str = "") -> None:
    done = subprocess.run(
        ["promtool", *arguments], cwd=folder, input=given, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_airflow_dag_and_the_systemd_units_are_checked_by_ci() -> None:
    ci = (README.parent / ".ci" / "run").read_text()
    assert "dags test scenario_collections" in ci
    assert "systemd-analyze verify" in ci
    assert recipe("python airflow")
