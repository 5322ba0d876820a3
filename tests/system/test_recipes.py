"""The recipes of docs/operations.md: each one is run, or validated against the schema of its scheduler."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from scenario_etl import Emulator
from scenario_etl.cli_reports import METRICS
from scenario_etl.emulator import Fault
from scenario_etl.resources import RESOURCES
from tests.helpers import environment
from tests.system.recipes.operations import CHECKOUT, DOWN, block, unit
from tests.unit.test_errors import CODES

FINAL_CODES = (set(CODES.values()) - {75}) | {2, 70}  # no retry after one of these


def in_place(text: str, places: dict[str, object]) -> str:
    """Return the text with the paths of a machine replaced; each must occur in it."""
    for written, real in places.items():
        assert written in text
        text = text.replace(written, str(real))
    return text


@pytest.fixture
def as_cron(tmp_path: Path) -> Callable[[Emulator], subprocess.CompletedProcess[str]]:
    """Return a function that runs the job as cron does: `sh -c`, a bare environment, and its output is mail."""
    script, waits = tmp_path / "scenario-snapshot", tmp_path / "waits"
    places = {
        "/opt/scenario-etl/.venv/bin": Path(sys.executable).parent,
        "/etc/scenario-etl.env": tmp_path / "env",
        "/data/lake": tmp_path / "lake",
        "/var/log/scenario-etl.log": tmp_path / "log",
    }
    script.write_text(in_place(block("sh cron"), places))
    script.chmod(0o755)
    waits.touch()
    (tmp_path / "sleep").write_text(f'#!/bin/sh\necho "$1" >>{waits}\n')
    (tmp_path / "sleep").chmod(0o755)
    command = block("crontab").splitlines()[-1].split(" ", 6)[-1]

    def run(api: Emulator, **variables: str) -> subprocess.CompletedProcess[str]:
        names = ("SCENARIO_BASE_URL", "SCENARIO_SDK_API_KEY", "SCENARIO_SDK_API_SECRET")
        values = environment(api) | variables
        (tmp_path / "env").write_text("".join(f"{name}={values[name]}\n" for name in names))
        return subprocess.run(
            ["/bin/sh", "-c", in_place(command, {"/usr/local/bin/scenario-snapshot": script})],
            env={"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path), "LOGNAME": "etl", "SHELL": "/bin/sh"},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip

    return run


def test_the_crontab_has_a_daily_line_for_a_user_and_a_recipient() -> None:
    comment, recipient, line = block("crontab").splitlines()
    assert (comment[0], recipient) == ("#", "MAILTO=root")
    minute, hour, *days, user, _ = line.split(" ", 6)
    assert (int(minute) < 60, int(hour) < 24, days, user) == (True, True, ["*", "*", "*"], "scenario-etl")
    assert "%" not in line  # cron reads it as the end of the line


@pytest.mark.parametrize("failures", [0, 2])
def test_a_night_that_succeeds_is_logged_and_sends_no_mail(tmp_path: Path, as_cron, failures: int) -> None:
    with Emulator(9, faults=[DOWN] * failures) as api:
        done = as_cron(api)
    assert (done.returncode, done.stdout) == (0, "")
    log = (tmp_path / "log").read_text()
    assert "9 added" in log
    assert log.count("503") == failures
    assert (tmp_path / "waits").read_text().split() == ["900"] * failures


def test_a_night_of_failures_has_four_attempts_and_one_mail(tmp_path: Path, as_cron) -> None:
    with Emulator(9, faults=[DOWN] * 9) as api:
        done = as_cron(api)
        assert len(api.requests) == 4
    assert (done.returncode, done.stdout.count("503")) == (75, 1)
    assert (tmp_path / "log").read_text().count("503") == 4
    assert (tmp_path / "waits").read_text().split() == ["900"] * 3


def test_a_wrong_key_is_mailed_after_one_attempt_and_logged(tmp_path: Path, as_cron) -> None:
    with Emulator(9) as api:
        done = as_cron(api, SCENARIO_SDK_API_SECRET="wrong")
        assert len(api.requests) == 1
    assert done.returncode == 77
    assert "error: " in done.stdout
    assert "check SCENARIO_SDK_API_KEY" in done.stdout
    assert done.stdout in (tmp_path / "log").read_text()


@pytest.mark.parametrize("missing", ["env", "log"])
def test_a_job_without_its_variables_or_its_log_mails_the_missing_file(tmp_path: Path, as_cron, missing: str) -> None:
    with Emulator(9) as api:
        script = tmp_path / "scenario-snapshot"
        script.write_text(script.read_text().replace(str(tmp_path / missing), "/nowhere/file"))
        done = as_cron(api)
        assert not api.requests
    assert done.returncode != 0
    assert "/nowhere/file" in done.stdout


def test_the_kubernetes_cron_job_is_valid_and_lists_the_exit_codes() -> None:
    job = yaml.safe_load(block("yaml kubernetes"))
    kubernetes_validate.validate(job, "1.34", strict=True)
    rules = job["spec"]["jobTemplate"]["spec"]["podFailurePolicy"]["rules"]
    (final,) = [rule["onExitCodes"]["values"] for rule in rules if "onExitCodes" in rule]
    assert set(final) == FINAL_CODES


def test_the_kubernetes_secrets_are_those_of_the_cron_job() -> None:
    pod = yaml.safe_load(block("yaml kubernetes"))["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    created = dict(re.findall(r"^kubectl create secret generic (\S+) (.*)$", block("sh kubernetes"), re.MULTILINE))
    (mounted,) = [volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume]
    (in_environment,) = [source["secretRef"]["name"] for source in container["envFrom"]]
    assert set(created) == {mounted, in_environment}
    keys = re.findall(r"--from-file=(\w+)=", created[mounted])
    (folder,) = [mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == "secrets"]
    files = {each["value"] for each in container["env"] if each["name"].endswith("_FILE")}
    assert files == {f"{folder}/{key}" for key in keys}


def settings_of(name: str) -> dict[str, list[str]]:
    """The settings of a systemd unit, each with its values in order."""
    settings: dict[str, list[str]] = {}
    for key, value in re.findall(r"^(\w+)=(.*)$", unit(name), re.MULTILINE):
        settings.setdefault(key, []).append(value)
    return settings


def test_the_systemd_service_lists_the_exit_codes_and_mails_a_failure() -> None:
    service = settings_of("scenario-etl.service")
    assert {int(code) for code in service["RestartPreventExitStatus"][0].split()} == FINAL_CODES
    (template,) = (name.replace("%n", "") for name in service["OnFailure"])
    assert settings_of(template)["ExecStart"]


def test_the_systemd_service_makes_a_snapshot_with_the_variables_of_systemd(tmp_path: Path) -> None:
    service = settings_of("scenario-etl.service")
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    for name, _ in (loaded.split(":") for loaded in service["LoadCredential"]):
        (credentials / name).write_text("demo\n")
    variables = dict(pair.split("=", 1) for pair in service["Environment"][0].replace("%d", str(credentials)).split())
    variables["STATE_DIRECTORY"] = str(tmp_path / service["StateDirectory"][0])
    Path(variables["STATE_DIRECTORY"]).mkdir()
    command = in_place(service["ExecStart"][0], {"/opt/scenario-etl/.venv/bin": Path(sys.executable).parent})
    command = in_place(command, {"${STATE_DIRECTORY}": variables["STATE_DIRECTORY"]})
    with Emulator(9) as api:
        subprocess.run(command.split(" "), env=variables | {"SCENARIO_BASE_URL": api.url}, check=True)
    assert list(tmp_path.glob("scenario-etl/lake/collections/*/part-0.parquet"))


def test_the_github_workflow_is_valid(tmp_path: Path) -> None:
    workflow = tmp_path / "snapshot.yml"
    workflow.write_text(block("yaml github"))
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(workflow)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("faults", "code", "runs"), [([], 0, 1), ([503, 503], 0, 3), ([503] * 9, 75, 4), ([404], 69, 1)]
)
def test_the_github_workflow_retries_only_after_75(tmp_path: Path, faults, code: int, runs: int) -> None:
    steps = yaml.safe_load(block("yaml github"))["jobs"]["snapshot"]["steps"]
    script = steps[-1]["run"].replace("s3://bucket/lake", f"{tmp_path}/lake --attempts 1").replace("sleep 600", "true")
    with Emulator(9, faults=[Fault(status=status) for status in faults]) as api:
        done = subprocess.run(["bash", "-e", "-c", script], env=environment(api), check=False, capture_output=True)
        requests = [path for _, path in api.requests if path.startswith("/v1/collections")]
        assert (done.returncode, len(requests)) == (code, runs)


def test_the_alert_rules_use_existing_metrics_and_resources() -> None:
    rules = block("yaml prometheus")
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
def test_prometheus_raises_the_alerts_after_these_responses(run, tmp_path: Path, statuses, minutes, alerts) -> None:
    metrics = tmp_path / "scenario.prom"
    metrics.touch()
    with Emulator(9, faults=[None if status == 200 else Fault(status=status) for status in statuses]) as api:
        for _ in statuses:
            run("export", "collections", "c.parquet", "--metrics-file", metrics, "--attempts", "1", api=api)
    promtool(tmp_path, "check", "metrics", text=metrics.read_text())
    series = {line.split()[0]: line.split()[1] for line in metrics.read_text().splitlines() if line[0] != "#"}
    assert len(series) == metrics.read_text().count("# TYPE")
    series |= {name: "0" for name in series if "timestamp" in name}  # the start of time in the tests of promtool
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
    (tmp_path / "rules.yml").write_text(block("yaml prometheus"))
    (tmp_path / "test.yml").write_text(yaml.safe_dump({"rule_files": ["rules.yml"], "tests": [test]}))
    promtool(tmp_path, "check", "rules", "rules.yml")
    promtool(tmp_path, "test", "rules", "test.yml")


def promtool(folder: Path, *arguments: str, text: str = "") -> None:
    done = subprocess.run(["promtool", *arguments], cwd=folder, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_other_recipes_are_run_by_ci() -> None:
    ci = (CHECKOUT / ".ci" / "run").read_text()
    for name in ("airflow", "dagster", "prefect"):
        assert block(f"python {name}")
        assert re.search(rf"^  '{name} ", ci, re.MULTILINE)
    for check in (
        "systemd-analyze verify",
        "hadolint",
        "tests/system/recipes/image.py",
        "tests/system/recipes/machine.py",
    ):
        assert check in ci
