import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from scenario_etl.emulator import Fault
from tests.helpers import OLD, environment


def test_the_report_is_one_json_object_on_stdout(run, api) -> None:
    done = run("export", "collections", "c.parquet", "--report", "-", api=api)
    report = json.loads(done.stdout)
    assert (report["rows"], report["pages"], report["path"]) == (250, 3, "c.parquet")


def test_the_report_can_be_a_file(run, api, tmp_path: Path) -> None:
    assert run("export", "collections", "c.parquet", "--report", "report.json", api=api).returncode == 0
    assert json.loads((tmp_path / "report.json").read_text())["rows"] == 250


def test_a_report_that_cannot_be_written_is_known_before_any_request(run, api, old: Path) -> None:
    done = run("export", "collections", old, "--report", "missing/report.json", api=api)
    assert (done.returncode, api.requests, old.read_bytes()) == (74, [], OLD)


def test_metrics_of_another_resource_and_what_is_no_number_are_not_kept(run, api, tmp_path: Path) -> None:
    (tmp_path / "metrics").write_text(
        'scenario_etl_last_failure_timestamp_seconds{resource="collections"} e\n'
        'scenario_etl_last_exit_code{resource="projects"} 99\n'
    )
    assert run("export", "collections", "c.parquet", "--metrics-file", "metrics", api=api).returncode == 0
    text = (tmp_path / "metrics").read_text()
    assert 'scenario_etl_last_exit_code{resource="collections"} 0' in text
    assert "last_failure" not in text


def test_replacing_the_metrics_of_another_resource_is_a_warning(run, api) -> None:
    run("export", "tags", "t.parquet", "--metrics-file", "metrics", api=api)
    done = run("export", "collections", "c.parquet", "--metrics-file", "metrics", api=api)
    assert "metrics: replacing the metrics of tags; use one file per resource" in done.stderr


@pytest.mark.parametrize("outputs", [("bad/r.json", "m.prom"), ("r.json", "bad/m.prom")])
def test_an_output_that_can_be_written_has_the_failure_of_one_that_cannot(run, api, tmp_path: Path, outputs) -> None:
    assert run("export", "collections", "c.parquet", "--report", "r.json", "--metrics-file", "m.prom", api=api)
    report, metrics = outputs
    done = run("export", "collections", "c.parquet", "--report", report, "--metrics-file", metrics, api=api)
    assert done.returncode == 74
    if report == "r.json":
        assert json.loads((tmp_path / "r.json").read_text())["exit_code"] == 74
    else:
        assert 'exit_code{resource="collections"} 74' in (tmp_path / "m.prom").read_text()


def test_a_report_whose_folder_disappears_during_the_run_is_named_and_in_the_metrics(run, api, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    api.on_request = lambda *_: shutil.rmtree(tmp_path / "folder", ignore_errors=True)
    done = run("export", "collections", "c.parquet", "--report", "folder/r.json", "--metrics-file", "m.prom", api=api)
    assert done.returncode == 74
    assert "cannot write folder/r.json: " in done.stderr
    assert 'exit_code{resource="collections"} 74' in (tmp_path / "m.prom").read_text()


@pytest.mark.parametrize(("stdout", "code"), [("> /dev/full", 74), (">&-", 74), ("| true", 141)])
def test_a_report_that_stdout_does_not_take_is_in_the_metrics(api, tmp_path: Path, stdout: str, code: int) -> None:
    command = "scenario-etl export collections c.parquet --report - --metrics-file m.prom"
    line = f"{command} {stdout}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, env=environment(api), check=False)
    assert done.returncode == code
    assert f'exit_code{{resource="collections"}} {code}' in (tmp_path / "m.prom").read_text()


def test_metrics_have_no_place_on_stdout(run, api) -> None:
    done = run("export", "collections", "c.parquet", "--metrics-file", "-", api=api)
    assert (done.returncode, api.requests) == (78, [])
    assert "--metrics-file must be a file; only --report can be - for stdout" in done.stderr


def test_metrics_are_prometheus_text_and_stay_after_a_failure(run, api, tmp_path: Path) -> None:
    before = time.time()
    done = run("snapshot", "collections", "lake", "--metrics-file", "scenario.prom", "--report", "-", api=api)
    text = (tmp_path / "scenario.prom").read_text()
    metrics = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert (
        before <= float(metrics['scenario_etl_last_success_timestamp_seconds{resource="collections"}']) <= time.time()
    )
    assert metrics['scenario_etl_rows{resource="collections"}'] == "250"
    assert float(metrics['scenario_etl_duration_seconds{resource="collections"}']) > 0
    assert text.count("# TYPE") == text.count("# HELP") == len(metrics)
    report = json.loads(done.stdout)
    counts = (
        "rows",
        "pages",
        "requests",
        "retries",
        "seconds_waited",
        "duplicates",
        "added",
        "updated",
        "deleted",
        "bytes",
    )
    assert all(type(report[name]) in (int, float) for name in counts)
    assert {"missing_fields", "unknown_fields", "path"} <= report.keys()
    api.faults.append(Fault(status=404))
    assert run("snapshot", "collections", "lake", "--metrics-file", "scenario.prom", api=api).returncode == 69
    failed = (tmp_path / "scenario.prom").read_text()
    assert {line for line in text.splitlines() if "exit_code{" not in line} <= set(failed.splitlines())
    assert 'scenario_etl_last_exit_code{resource="collections"} 69' in failed
    assert 'scenario_etl_last_failure_timestamp_seconds{resource="collections"} ' in failed
    assert run("snapshot", "collections", "lake", "--metrics-file", "scenario.prom", api=api).returncode == 0
    mended = (tmp_path / "scenario.prom").read_text()
    assert 'scenario_etl_last_exit_code{resource="collections"} 0' in mended
    (failure,) = [line for line in failed.splitlines() if line.startswith("scenario_etl_last_failure")]
    assert failure in mended


@pytest.mark.parametrize(
    ("more", "code"),
    [({}, 78), ({"SCENARIO_SDK_API_KEY": "demo", "SCENARIO_SDK_API_SECRET": "wrong"}, 77), ({"API": "right"}, 69)],
)
def test_the_report_of_a_run_that_failed_says_why(run, api, tmp_path: Path, more, code: int) -> None:
    base = {"SCENARIO_BASE_URL": api.url} | more
    if "API" in more:
        base |= {"SCENARIO_SDK_API_KEY": "demo", "SCENARIO_SDK_API_SECRET": "demo"}
        api.faults.extend([Fault(status=404)] * 2)
    done = run("export", "collections", "c.parquet", "--report", "-", **base)
    assert done.returncode == code
    report = json.loads(done.stdout)
    assert (report["succeeded"], report["exit_code"], report["resource"]) == (False, code, "collections")
    assert report["message"] in done.stderr
    assert run("snapshot", "collections", "lake", "--report", "r.json", **base).returncode == code
    assert json.loads((tmp_path / "r.json").read_text())["exit_code"] == code
    assert run("export", "collections", "c.parquet", "--report", "r.json", api=api).returncode == 0
    assert json.loads((tmp_path / "r.json").read_text())["succeeded"] is True


@pytest.mark.parametrize("other", ["collections.parquet", "./collections.parquet"])
@pytest.mark.parametrize("option", ["--report", "--metrics-file"])
def test_one_file_is_not_written_twice(run, api, old: Path, option: str, other: str) -> None:
    done = run("export", "collections", "collections.parquet", option, other, api=api)
    assert (done.returncode, api.requests, old.read_bytes()) == (78, [], OLD)
    assert "the outputs must be different files, got " in done.stderr


@pytest.mark.parametrize("option", ["--report", "--metrics-file"])
@pytest.mark.parametrize("place", ["collections/snapshot_date=2026-01-01/part-0.parquet", ".collections.lock", "r"])
def test_a_report_does_not_replace_a_file_of_the_lake(run, api, option: str, place: str) -> None:
    done = run("snapshot", "collections", "lake", option, f"lake/{place}", api=api)
    assert (done.returncode, api.requests) == (78, [])
    assert f"lake/{place} is in the lake; write the JSON report and the metrics to another folder" in done.stderr


def test_metrics_at_a_uri_keep_the_last_success_when_a_run_fails(run, api, tmp_path: Path) -> None:
    metrics = f"file://{tmp_path}/m.prom"
    assert run("export", "collections", "c.parquet", "--metrics-file", metrics, api=api).returncode == 0
    assert run("export", "collections", "c.parquet", "--metrics-file", metrics).returncode == 78
    text = (tmp_path / "m.prom").read_text()
    assert re.search(r"scenario_etl_last_success_timestamp_seconds\{.*\} \d+", text)
    assert re.search(r"scenario_etl_last_exit_code\{.*\} 78", text)


def test_metrics_that_are_a_pipe_are_an_error_at_once(run, api, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    done = run("export", "collections", "c.parquet", "--metrics-file", "pipe", api=api)
    assert (done.returncode, api.requests) == (74, [])
    assert "it is a device or a pipe, which cannot be replaced" in done.stderr


def test_metrics_that_cannot_be_read_are_replaced_with_a_warning(run, api, tmp_path: Path) -> None:
    (tmp_path / "m.prom").write_bytes(b"\xff\xfe")
    done = run("export", "collections", "c.parquet", "--metrics-file", "m.prom", api=api)
    assert done.returncode == 0
    assert "m.prom: the metrics of the last run cannot be read: " in done.stderr


def test_a_store_that_cannot_be_opened_is_in_the_report_and_the_metrics(run, tmp_path: Path) -> None:
    outputs = ("--report", "r.json", "--metrics-file", "m.prom")
    done = run("export", "collections", "hdfs://127.0.0.1:9/c.parquet", "--demo", *outputs)
    assert done.returncode in {74, 75}
    assert json.loads((tmp_path / "r.json").read_text())["exit_code"] == done.returncode
    assert f'exit_code{{resource="collections"}} {done.returncode}' in (tmp_path / "m.prom").read_text()


def test_a_report_at_a_file_uri_does_not_replace_the_data_through_a_link(run, api, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    report = (tmp_path / "link/c.parquet").as_uri()
    done = run("export", "collections", "folder/c.parquet", "--report", report, api=api)
    assert done.returncode == 78
    assert "the outputs must be different files" in done.stderr
