import json
import os
import signal
import subprocess
import time
from datetime import datetime
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from scenario_etl import Client, Emulator, history
from scenario_etl.cli import cli
from scenario_etl.emulator import Fault
from tests.helpers import environment, record, said

OLD = b"yesterday's file"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "collections.parquet"
    path.write_bytes(OLD)
    return path


@pytest.fixture
def api():
    with Emulator(250) as running:
        yield running


def test_export_writes_the_file_and_says_so_in_one_line(run, api, tmp_path: Path) -> None:
    done = run("export", "collections", "collections.parquet", api=api)
    assert (done.returncode, done.stdout) == (0, "")
    (line,) = said(done.stderr)
    assert line.startswith("collections.parquet: 250 collections, ")
    assert pq.read_table(tmp_path / "collections.parquet").num_rows == 250


def test_every_line_of_the_log_has_the_time_in_utc(run, api) -> None:
    api.faults.append(Fault(status=503))
    before = int(time.time())
    done = run("export", "collections", "c.parquet", "--attempts", "2", api=api, TZ="Asia/Tokyo")
    after = time.time()
    retried, finished = done.stderr.splitlines()
    assert ["503, retrying in" in said(retried)[0], "250 collections" in said(finished)[0]] == [True, True]
    for line in (retried, finished):
        assert before <= datetime.fromisoformat(line.split()[0]).timestamp() <= after


def test_the_demo_needs_no_account(run, tmp_path: Path) -> None:
    assert run("export", "collections", "collections.parquet", "--demo").returncode == 0
    assert pq.read_table(tmp_path / "collections.parquet").num_rows == 250


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


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("export", "assets", "c.parquet"), 2, "'assets' is not"),
        (("export", "collections", "c.parquet", "--colour", "red"), 2, "No such option"),
        (("export", "collections"), 2, "Missing argument"),
        (("export", "collections", "c.parquet", "--page-size", "0"), 78, "between 1 and 100, got 0"),
        (("export", "collections", "c.parquet", "--page-size", "101"), 78, "between 1 and 100, got 101"),
        (("export", "collections", "c.parquet", "--attempts", "0"), 2, "0 is not in the range"),
        (("export", "collections", "c.parquet", "--base-url", "http://api.example"), 78, "use https"),
        (
            ("export", "collections", "c.parquet", "--demo", "--base-url", "x"),
            2,
            "--demo and --base-url cannot be used together",
        ),
        (("export", "collections", "missing/c.parquet"), 74, "missing does not exist; create it first"),
        (("export", "collections", "."), 74, "it is a folder"),
        (("export", "collections", "/proc/c.parquet"), 74, "cannot write /proc/c.parquet"),
        (("head", "collections", "--rows", "-1"), 2, "-1 is not in the range"),
    ],
)
def test_what_is_wrong_is_known_before_any_request(run, api, arguments, code: int, words: str) -> None:
    done = run(*arguments, api=api)
    assert (done.returncode, api.requests, done.stdout) == (code, [], "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_key_is_one_request_exit_77_and_one_line_that_says_what_to_fix(run, api) -> None:
    done = run("export", "collections", "c.parquet", api=api, SCENARIO_SDK_API_SECRET="wr0ng")
    assert (done.returncode, len(api.requests), done.stderr.count("\n")) == (77, 1, 1)
    assert "401 Unauthorized; check SCENARIO_SDK_API_KEY and SCENARIO_SDK_API_SECRET" in done.stderr


def test_no_key_is_exit_78_and_names_the_variables(run) -> None:
    done = run("export", "collections", "c.parquet")
    assert (done.returncode, done.stderr.count("\n")) == (78, 1)
    assert "SCENARIO_SDK_API_KEY and SCENARIO_SDK_API_SECRET" in done.stderr


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"id": ...}, "id of record number 2 is null"),
        ({"assetCount": 3.5}, "asset_count of record c2 is 3.5, not a whole number"),
        ({"updatedAt": "yesterday"}, 'updated_at of record c2 is "yesterday", not an ISO 8601 date'),
    ],
)
def test_a_wrong_record_is_exit_65_names_it_and_leaves_the_old_file(run, old: Path, changes, words: str) -> None:
    with Emulator([record(), record(**({"id": "c2"} | changes))]) as api:
        done = run("export", "collections", old, api=api)
    assert (done.returncode, done.stderr.count("\n"), old.read_bytes()) == (65, 1, OLD)
    assert words in done.stderr
    assert os.listdir(old.parent) == ["collections.parquet"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_leaves_the_old_file_and_no_debris(api, old: Path, number: int) -> None:
    api.faults.extend([None, Fault(status=503, headers={"Retry-After": "60"})])
    heard = ["env", "--default-signal=INT,TERM,HUP"]  # nohup, and a shell's &, have some of them ignored
    with subprocess.Popen(
        [*heard, "scenario-etl", "export", "collections", str(old)],
        env=environment(api), stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        line = process.stderr.readline()  # it says that it waits
        process.send_signal(number)
        rest = process.stderr.read()
    assert "503, retrying in 60.0 s" in line
    assert process.returncode == 128 + number
    assert "Traceback" not in rest
    assert (old.read_bytes(), os.listdir(old.parent)) == (OLD, ["collections.parquet"])


def test_the_secret_appears_in_no_output_at_any_log_level(run, tmp_path: Path) -> None:
    secret, encoded = "s3cr3t-of-mine", "ZGVtbzpzM2NyM3Qtb2YtbWluZQ=="
    faults = [None, Fault(status=503), Fault(status=400, body={"reason": f"bad {secret} {encoded}"})]
    with Emulator(250, api_secret=secret, faults=faults) as api:
        for form in ("text", "json"):
            api.faults.extend(faults)
            done = run(
                "export", "collections", "c.parquet", "-v", "--log-format", form, "--report", "-",
                api=api, SCENARIO_SDK_API_SECRET=secret,
            )  # fmt: skip
            assert done.returncode == 69
            assert "Traceback" in done.stderr
            assert "bad *** ***" in done.stderr
            api.faults.clear()
            good = run(
                "export", "collections", "c.parquet", "-v", "--report", "-", api=api, SCENARIO_SDK_API_SECRET=secret
            )
            everything = done.stderr + done.stdout + good.stderr + good.stdout
            assert secret not in everything
            assert encoded not in everything
            assert encoded.encode() not in (tmp_path / "c.parquet").read_bytes()
            assert secret.encode() not in (tmp_path / "c.parquet").read_bytes()


def test_json_logs_are_one_object_a_line(run, api) -> None:
    done = run("export", "collections", "c.parquet", "--log-format", "json", "-v", api=api)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert {"time", "level", "event"} <= lines[0].keys()
    assert [line["level"] for line in lines] == ["debug"] * 3 + ["info"]


def test_the_bar_can_be_switched_on_where_stderr_is_no_terminal(run, api) -> None:
    assert "records/s" in run("export", "collections", "c.parquet", "--progress", api=api).stderr
    assert "records/s" not in run("export", "collections", "c.parquet", api=api).stderr


def test_head_shows_a_table_that_fits_the_terminal_without_signatures(run, api) -> None:
    done = run("head", "collections", "--rows", "3", api=api, COLUMNS="100")
    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert all(name in done.stdout for name in ("id", "item_count", "updated_at"))
    assert "Signature" not in done.stdout
    assert api.requests == [("GET", "/v1/collections?pageSize=3")]


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


def test_check_says_what_is_used_and_that_it_works_with_one_request(run, api) -> None:
    done = run("check", api=api)
    assert done.returncode == 0
    assert done.stdout.startswith(
        f"base URL     {api.url}\ncredentials  API key\nstatus       authenticated, response after "
    )
    assert api.requests == [("GET", "/v1/collections?pageSize=1")]


def test_check_tries_once_and_gives_the_exit_code_of_what_is_wrong(run, api) -> None:
    assert run("check", api=api, SCENARIO_SDK_API_KEY="wrong").returncode == 77
    api.faults.append(Fault(status=503))
    assert run("check", api=api).returncode == 75
    assert len(api.requests) == 2


def test_days_makes_a_history_with_nights_that_the_guard_stopped(run, tmp_path: Path) -> None:
    done = run("snapshot", "collections", "lake", "--demo", "--days", "30", "--date", "2026-11-23")
    assert done.returncode == 0, done.stderr
    runs = history(tmp_path / "lake", "collections").to_pylist()
    assert [str(run["date"]) for run in runs] == [f"2026-10-{day}" for day in range(25, 32)] + [
        f"2026-11-{day:02d}" for day in range(1, 24)
    ]
    assert [str(run["date"]) for run in runs if run["rejected"]] == ["2026-11-04", "2026-11-17"]
    assert sum(run["deleted"] or 0 for run in runs) > 0
    assert "2026-11-04: stopped by the guard: the list is empty, but the last snapshot has 257 rows\n" in done.stderr
    assert "lake: 28 snapshots and 2 nights that the guard stopped; to see them: scenario-etl changes" in done.stderr
    again = run("snapshot", "collections", "lake", "--demo", "--days", "30")
    assert (again.returncode, again.stderr.count("\n")) == (78, 1)
    assert "lake has snapshots of collections; --days needs a lake without any" in again.stderr
    other = run("snapshot", "collections", "lake", "--demo")
    assert other.returncode == 78  # the demo without a history is another scope
    assert "--days simulates history; use it with --demo" in run("snapshot", "collections", "x", "--days", "9").stderr


def test_changes_say_which_night_was_stopped_which_had_none_and_which_no_snapshot(run) -> None:
    assert run("snapshot", "collections", "lake", "--demo", "--days", "30", "--date", "2026-11-23").returncode == 0

    def redact_uri(*arguments: str) -> str:
        return run("changes", "collections", "lake", *arguments).stdout

    assert "2026-11-04   stopped by the guard\n" in redact_uri()
    assert redact_uri("--date", "2026-11-04") == "2026-11-04: stopped by the guard\n"
    assert redact_uri("--date", "2026-11-23") == "2026-11-23: no changes\n"
    assert redact_uri("--date", "2025-01-01") == "no snapshot of 2025-01-01\n"
    assert redact_uri("--since", "2027-01-01") == "no snapshot since 2027-01-01\n"
    assert redact_uri("--date", "2026-11-21").splitlines()[0].split()[:2] == ["change", "name"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("--days 20 --date 2099-01-01", 78),
        ("--days 5 --date 0001-01-03", 78),
        ("--days 5 --date 1970-01-03", 78),
        ("--days 9 --date 2026-11-20 --max-shrink 0", 65),
    ],
)
def test_days_that_cannot_end_well_say_so(run, tmp_path: Path, arguments: str, code: int) -> None:
    done = run("snapshot", "collections", "lake", "--demo", *arguments.split())
    assert done.returncode == code, done.stderr
    assert (tmp_path / "lake/collections").exists() == (code == 65)


def test_the_demo_with_signed_urls_left_out_has_no_thumbnails(run) -> None:
    assert run("snapshot", "collections", "lake", "--demo", "--signed-urls", "omit").returncode == 0


def test_metrics_of_another_resource_and_what_is_no_number_are_not_kept(run, api, tmp_path: Path) -> None:
    (tmp_path / "metrics").write_text(
        'scenario_etl_last_failure_timestamp_seconds{resource="collections"} e\n'
        'scenario_etl_last_exit_code{resource="projects"} 99\n'
    )
    assert run("export", "collections", "c.parquet", "--metrics-file", "metrics", api=api).returncode == 0
    text = (tmp_path / "metrics").read_text()
    assert 'scenario_etl_last_exit_code{resource="collections"} 0' in text
    assert "last_failure" not in text


def test_the_demo_stores_thumbnails_unless_pillow_is_missing_or_the_option_says_otherwise(run, tmp_path: Path) -> None:
    assert run("snapshot", "collections", "with", "--demo").returncode == 0
    assert len(list((tmp_path / "with/.thumbnails").iterdir())) > 100
    assert run("snapshot", "collections", "without", "--demo", "--no-thumbnails").returncode == 0
    assert not (tmp_path / "without/.thumbnails").exists()
    (tmp_path / "PIL.py").write_text("raise ModuleNotFoundError('no', name='PIL')")
    done = run("snapshot", "collections", "plain", "--demo", PYTHONPATH=str(tmp_path))
    assert done.returncode == 0
    assert "no thumbnails are stored: thumbnails need Pillow; install it: pip install " in done.stderr
    wanted = run("snapshot", "collections", "plain", "--demo", "--thumbnails", PYTHONPATH=str(tmp_path))
    assert (wanted.returncode, wanted.stderr.count("\n")) == (78, 1)


@pytest.fixture
def invoke(clock, tmp_path: Path, monkeypatch):
    """Return a function that runs a command in this process, in an empty folder, with waits that take no time."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("scenario_etl.cli_options.Client", partial(Client, sleep=clock.sleep, clock=clock))
    for name in ("KEY", "SECRET"):
        monkeypatch.setenv(f"SCENARIO_SDK_API_{name}", "demo")
    return lambda command, base_url: CliRunner().invoke(cli, [*command.split(), "--base-url", base_url])


@pytest.mark.parametrize(
    ("command", "bounds"),
    [
        ("check", (0, 0)),
        ("head collections", (15, 20)),
        ("head collections --deadline 100", (60, 100)),
        ("head collections --attempts 8", (120, 300)),
        ("export collections c.parquet", (120, 300)),
        ("snapshot collections lake", (120, 300)),
    ],
)
def test_a_host_that_cannot_be_reached_is_given_up_soon_where_a_person_waits(
    invoke, refusing: str, clock, command: str, bounds
) -> None:
    error = invoke(command, refusing).exception
    assert error.exit_code == 75
    assert bounds[0] <= clock.now <= bounds[1]
    assert str(error).endswith("; check the base URL and the network, or run again later")


def test_a_person_waits_for_a_rate_limit_as_long_as_it_takes(invoke, api, clock) -> None:
    api.faults.append(Fault(status=429, headers={"Retry-After": "60"}))
    assert invoke("head collections", api.url).exit_code == 0
    assert clock.waits == [60]


def test_the_emulator_prints_its_base_url_first_and_serves_until_terminated(run) -> None:
    with subprocess.Popen(
        ["scenario-etl", "emulator", "--port", "0", "--collections", "7"],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as server:
        url = server.stdout.readline().strip()
        done = run("export", "collections", "c.parquet", "--report", "-", "--base-url", url,
                   SCENARIO_SDK_API_KEY="demo", SCENARIO_SDK_API_SECRET="demo")  # fmt: skip
        port = url.split(":")[2].split("/")[0]
        taken = run("emulator", "--port", port)
        server.terminate()
    assert json.loads(done.stdout)["rows"] == 7
    assert (taken.returncode, server.returncode) == (78, 143)
    assert "cannot serve on port" in taken.stderr


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ((), "scenario-etl export collections collections.parquet --demo"),
        (("export",), "scenario-etl export collections s3://bucket/collections.parquet --report -"),
        (("snapshot",), "LAKE/RESOURCE_changes/snapshot_date=2026-11-23/part-0.parquet"),
        (("changes",), "Show how many rows of RESOURCE were added, updated and deleted with each"),
        (("report",), "scenario-etl report /data/lake report.html"),
        (("head",), "Show the first rows of RESOURCE, with as few requests as possible."),
        (("check",), "Request one collection, and show the base URL, the kind of credentials, and"),
        (("emulator",), "export SCENARIO_SDK_API_KEY=demo SCENARIO_SDK_API_SECRET=demo"),
    ],
)
def test_help_teaches_and_keeps_each_example_on_its_own_line(run, command, line: str) -> None:
    done = run(*command, "--help", COLUMNS="80")
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: scenario-etl")
    assert line in [shown.strip() for shown in done.stdout.splitlines()]
    assert not {"\\", "\b"} & set(done.stdout)


def test_json_logs_have_event_run_id_and_fields(run, api) -> None:
    api.faults.extend([None, Fault(status=429, headers={"Retry-After": "1"})])
    done = run("export", "collections", "c.parquet", "--log-format", "json", api=api)
    waiting, finished = [json.loads(line) for line in done.stderr.splitlines()]
    assert (waiting["event"], waiting["page"], waiting["reason"]) == ("waiting", 2, "429")
    assert (finished["event"], finished["rows"], finished["path"]) == ("finished", 250, "c.parquet")
    assert waiting["run_id"] == finished["run_id"]
    failed = json.loads(run("export", "collections", "c.parquet", "--log-format", "json").stderr)
    assert (failed["event"], failed["level"], failed["exit_code"]) == ("failed", "error", 78)
    assert failed["run_id"] != finished["run_id"]


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
    facts = json.loads(done.stdout)
    assert (facts["succeeded"], facts["exit_code"], facts["resource"]) == (False, code, "collections")
    assert facts["message"] in done.stderr
    assert run("snapshot", "collections", "lake", "--report", "r.json", **base).returncode == code
    assert json.loads((tmp_path / "r.json").read_text())["exit_code"] == code
    assert run("export", "collections", "c.parquet", "--report", "r.json", api=api).returncode == 0
    assert json.loads((tmp_path / "r.json").read_text())["succeeded"] is True


def test_secrets_can_be_mounted_as_files(run, api, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("demo\n")
    (tmp_path / "secret").write_text("demo\n")
    mounted = {
        "SCENARIO_BASE_URL": api.url,
        "SCENARIO_SDK_API_KEY_FILE": "key",
        "SCENARIO_SDK_API_SECRET_FILE": "secret",
    }
    assert run("check", **mounted).returncode == 0
    lost = run("check", **(mounted | {"SCENARIO_SDK_API_SECRET_FILE": "missing"}))
    assert lost.returncode == 78
    assert "the file that SCENARIO_SDK_API_SECRET_FILE names cannot be read" in lost.stderr


def test_an_export_can_make_urls_durable(run, api, tmp_path: Path) -> None:
    assert run("export", "collections", "c.parquet", "--signed-urls", "public", api=api).returncode == 0
    urls = pq.read_table(tmp_path / "c.parquet")["thumbnail_url"].drop_null().to_pylist()
    assert urls
    assert all("/thumbnails/asset_" in url and "?" not in url for url in urls)


@pytest.mark.parametrize("other", ["collections.parquet", "./collections.parquet"])
@pytest.mark.parametrize("option", ["--report", "--metrics-file"])
def test_one_file_is_not_written_twice(run, api, old: Path, option: str, other: str) -> None:
    done = run("export", "collections", "collections.parquet", option, other, api=api)
    assert (done.returncode, api.requests, old.read_bytes()) == (78, [], OLD)
    assert "the outputs must be different files, got " in done.stderr


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
def test_closed_and_full_streams_change_nothing_but_what_cannot_be_said(
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


def test_a_deleted_working_folder_is_said(api, tmp_path: Path) -> None:
    command = "mkdir gone; cd gone; rmdir ../gone; scenario-etl export collections c.parquet --report r.json"
    done = subprocess.run(
        command, shell=True, cwd=tmp_path, env=environment(api), capture_output=True, text=True, check=False
    )
    assert (done.returncode, api.requests) == (74, [])
    assert "the current folder is gone" in done.stderr


def test_a_home_folder_is_expanded_and_a_dash_is_refused(run, api, tmp_path: Path) -> None:
    done = run("export", "collections", "~/c.parquet", "--report", "-", api=api, HOME=str(tmp_path))
    assert (done.returncode, json.loads(done.stdout)["path"]) == (0, str(tmp_path / "c.parquet"))
    assert (tmp_path / "c.parquet").exists()
    for command in (("export", "collections", "-"), ("snapshot", "collections", "-"), ("report", "lake", "-")):
        refused = run(*command, api=api)
        assert refused.returncode == 78
        assert "'-' is not a file" in refused.stderr


def test_counts_have_the_right_number(run) -> None:
    with Emulator(1) as api:
        done = run("export", "collections", "c.parquet", api=api)
    assert "1 page in" in done.stderr


def test_changes_can_begin_with_a_date_and_a_date_without_any_says_so(run, api) -> None:
    for day in ("2026-11-21", "2026-11-22"):
        assert run("snapshot", "collections", "lake", "--date", day, api=api).returncode == 0
    counted = run("changes", "collections", "lake", "--since", "2026-11-22").stdout
    assert ("2026-11-21" in counted, "2026-11-22" in counted) == (False, True)
    assert run("changes", "collections", "lake", "--date", "2026-11-22").stdout == "2026-11-22: no changes\n"


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


@pytest.mark.parametrize("command", ["export", "snapshot", "head"])
def test_the_options_reach_the_walk(run, api, command: str) -> None:
    target = {"export": ["c.parquet"], "snapshot": ["lake"], "head": ["--rows", "50"]}[command]
    project = api.project_ids[0]
    done = run(command, "collections", *target, "--page-size", "20", "--project-id", project, api=api)
    assert done.returncode == 0
    assert api.requests[0] == ("GET", f"/v1/collections?projectId={project}&pageSize=20")
    target += ["--project-id", project]
    api.faults.extend([Fault(status=503)] * 3)
    assert run(command, "collections", *target, "--attempts", "2", "--deadline", "9", api=api).returncode == 75
    api.faults.clear()
    api.faults.append(Fault(latency=3))
    late = run(command, "collections", *target, "--timeout", "0.2", "--attempts", "1", api=api)
    assert (late.returncode, "Timeout" in late.stderr) == (75, True)
    api.faults.append(Fault(status=429, headers={"Retry-After": "30"}))
    assert run(command, "collections", *target, "--deadline", "9", api=api).returncode == 75
    paced = run(command, "collections", *target, "--page-size", "20", "--requests-per-minute", "600", "-v", api=api)
    assert paced.returncode == 0
    api.collections[0] = record(colour="red", ownerId=project)
    assert run(command, "collections", *target, "--strict", api=api).returncode == 65
