import json
import os
import signal
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from scenario_etl import Emulator
from scenario_etl.cli import cli
from scenario_etl.emulator import Fault
from tests.helpers import OLD, environment, record, said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_leaves_the_old_file_and_no_debris_and_is_in_the_report(
    api, old: Path, number: int, tmp_path_factory
) -> None:
    report = tmp_path_factory.mktemp("reports") / "report.json"
    api.faults.extend([None, Fault(status=503, headers={"Retry-After": "60"})])
    heard = ["env", "--default-signal=INT,TERM,HUP"]  # nohup, and a shell's &, have some of them ignored
    with subprocess.Popen(
        [*heard, "scenario-etl", "export", "collections", str(old), "--report", str(report)],
        env=environment(api), stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        line = process.stderr.readline()  # it says that it waits
        process.send_signal(number)
        rest = process.stderr.read()
    assert "503, retrying in 60.0 s" in line
    assert process.returncode == 128 + number
    assert "Traceback" not in rest
    assert (old.read_bytes(), os.listdir(old.parent)) == (OLD, ["collections.parquet"])
    message = "interrupted" if number == signal.SIGINT else "terminated by a signal"
    assert f"error: {message}\n" in rest
    assert json.loads(report.read_text()) == {
        "succeeded": False, "resource": "collections", "exit_code": 128 + number, "message": message,
    }  # fmt: skip


def test_an_internal_error_is_in_the_report_and_the_metrics(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("scenario_etl.scans.Scan.to_parquet", lambda *_, **__: 1 / 0)
    outputs = ["--report", "report.json", "--metrics-file", "metrics"]
    CliRunner().invoke(cli, ["export", "collections", "c.parquet", "--demo", *outputs])
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["succeeded"], report["exit_code"]) == (False, 70)
    assert report["message"].startswith("internal error; please report it with the traceback (run again with -v): ")
    assert 'scenario_etl_last_exit_code{resource="collections"} 70' in (tmp_path / "metrics").read_text()


def test_head_into_a_closed_pipe_is_silent(api) -> None:
    done = subprocess.run(
        "scenario-etl head collections | true",
        shell=True,
        env=environment(api),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("redirection", "code"),
    [
        (">&-", 0),
        ("2>&-", 0),
        ("2>&- --progress", 0),
        ("2> /dev/full --progress", 0),
        ("> /dev/full", 0),
        ("2> /dev/full", 0),
        ("--report - > /dev/full", 74),
        ("--report -", 0),
    ],
)
def test_an_export_is_complete_if_stdout_or_stderr_is_closed_or_full(
    api, tmp_path: Path, redirection: str, code: int
) -> None:
    command = f"scenario-etl export collections c.parquet {redirection}"
    done = subprocess.run(command, shell=True, cwd=tmp_path, env=environment(api), capture_output=True, check=False)
    assert done.returncode == code
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
    assert pq.read_table(tmp_path / "c.parquet").num_rows == 250


def in_shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, shell=True, cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("command", ["--help", "--version", "head collections --demo", "check --demo"])
def test_output_that_cannot_be_written_is_exit_74_and_one_line(tmp_path: Path, command: str) -> None:
    done = in_shell(f"scenario-etl {command} > /dev/full", tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (74, 1), done.stderr
    assert "No space left on device" in done.stderr


def test_the_error_of_a_run_is_not_replaced_by_that_of_its_closed_output(tmp_path: Path) -> None:
    done = in_shell("scenario-etl export collections c.parquet --report - > /dev/full", tmp_path)
    assert (done.returncode, "no credentials" in done.stderr) == (78, True), done.stderr


@pytest.mark.parametrize("command", ["--help", "head collections --demo", "check --demo"])
def test_a_reader_that_has_closed_stdout_is_exit_141_and_silent(command: str) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        ["scenario-etl", *command.split()], env=environment(), stdout=write, stderr=subprocess.PIPE, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize(
    "command", ["head collections --demo", "check --demo", "export collections c.parquet --demo --report -"]
)
def test_a_stdout_that_is_closed_from_the_start_is_exit_74(tmp_path: Path, command: str) -> None:
    done = in_shell(f"scenario-etl {command} >&-", tmp_path)
    assert (done.returncode, said(done.stderr)[-1]) == (74, "error: cannot write to stdout: it is closed")


def test_the_error_for_a_deleted_working_folder_names_the_problem(api, tmp_path: Path) -> None:
    command = "mkdir gone; cd gone; rmdir ../gone; scenario-etl export collections c.parquet --report r.json"
    done = subprocess.run(
        command, shell=True, cwd=tmp_path, env=environment(api), capture_output=True, text=True, check=False
    )
    assert (done.returncode, api.requests) == (74, [])
    assert "the current folder no longer exists" in done.stderr


def test_a_run_under_nohup_outlives_its_terminal(api, tmp_path: Path) -> None:
    api.faults.extend([None, Fault(status=503, headers={"Retry-After": "1"})])
    with subprocess.Popen(
        ["nohup", "scenario-etl", "export", "collections", "c.parquet"],
        env=environment(api), cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        process.stderr.readline()  # it says that it waits
        process.send_signal(signal.SIGHUP)
        process.communicate()
    assert process.returncode == 0
    assert pq.read_table(tmp_path / "c.parquet").num_rows == 250


def test_a_file_that_may_not_be_read_may_be_replaced(old: Path, monkeypatch) -> None:
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.R_OK and access(path, mode))
    done = CliRunner().invoke(cli, ["export", "collections", str(old), "--demo"])
    assert done.exit_code == 0, done.output


def test_a_traceback_shows_no_password_of_a_url(run, api) -> None:
    destination = "s3://KEY:S3CR3T@bucket/c.parquet?no_such_option=https://user:S3CR3T@x.example/?Signature=S3CR3T"
    done = run("export", "collections", destination, "-v", api=api)
    assert done.returncode == 74
    assert "Traceback" in done.stderr
    assert "S3CR3T" not in done.stderr


def test_a_name_that_turns_the_direction_of_writing_does_so_nowhere(run) -> None:
    with Emulator([record(name="\u202egnp.exe\u2066 x\u200f")]) as api:
        done = run("head", "collections", api=api)
    assert "gnp.exe x" in done.stdout
    assert not set("\u202e\u2066\u200f") & set(done.stdout)


def test_a_name_that_the_terminal_cannot_show_is_no_error(run) -> None:
    with Emulator([record(name="\u93a7")]) as api:
        done = run("head", "collections", api=api, PYTHONIOENCODING="latin-1")
    assert (done.returncode, done.stderr) == (0, "")
