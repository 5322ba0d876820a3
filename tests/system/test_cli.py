import json
import os
import re
import subprocess
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from scenario_etl import Client, Emulator
from scenario_etl.cli import cli
from scenario_etl.emulator import Fault
from tests.helpers import OLD, environment, record, said


def test_export_writes_the_file_and_says_so_in_one_line(run, api, tmp_path: Path) -> None:
    done = run("export", "collections", "collections.parquet", api=api)
    assert (done.returncode, done.stdout) == (0, "")
    (line,) = said(done.stderr)
    assert line.startswith("collections.parquet: 250 collections, ")
    assert pq.read_table(tmp_path / "collections.parquet").num_rows == 250


def test_the_demo_needs_no_account(run, tmp_path: Path) -> None:
    assert run("export", "collections", "collections.parquet", "--demo").returncode == 0
    assert pq.read_table(tmp_path / "collections.parquet").num_rows == 250


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (
            ("export", "castles", "c.parquet"),
            78,
            "error: 'castles' is not a resource; use one of: collections, assets, ",
        ),
        (("export", "collections", "c.parquet", "--colour", "red"), 2, "No such option"),
        (("export", "collections"), 2, "Missing argument"),
        (("export", "collections", "c.parquet", "--page-size", "0"), 78, "between 1 and 100, got 0"),
        (
            ("export", "collections", "c.parquet", "--page-size", "101"),
            78,
            "--page-size must be between 1 and 100, got 101",
        ),
        (("export", "collections", "c.parquet", "--page-size", "x"), 78, "error: invalid value for '--page-size': 'x'"),
        (("export", "collections", "c.parquet", "--attempts", "0"), 78, "error: invalid value for '--attempts': 0 is"),
        (("export", "collections", "c.parquet", "--attempts"), 2, "requires an argument"),
        (("export", "collections", "c.parquet", "--base-url", "http://api.example"), 78, "use https"),
        (
            ("export", "collections", "c.parquet", "--demo", "--base-url", "x"),
            2,
            "--demo and --base-url cannot be used together",
        ),
        (("export", "collections", "missing/c.parquet"), 74, "missing does not exist; create it first"),
        (("export", "collections", "."), 74, "it is a folder"),
        (("export", "collections", "/proc/c.parquet"), 74, "cannot write /proc/c.parquet"),
        (("head", "collections", "--rows", "-1"), 78, "-1 is not in the range"),
        (("changes", "collections", "lake", "--since", "2026-11-31"), 78, "error: '2026-11-31' is not a date"),
        (
            ("head", "assets", "--created-after", "2026-11-02", "--created-before", "2026-11-01"),
            78,
            "--created-after must be earlier than --created-before",
        ),
    ],
)
def test_what_is_wrong_is_known_before_any_request(run, api, arguments, code: int, words: str) -> None:
    done = run(*arguments, api=api)
    assert (done.returncode, api.requests, done.stdout) == (code, [], "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1 or code == 2  # click shows the usage


def test_a_wrong_key_is_one_request_exit_77_and_one_line_that_says_what_to_fix(run, api) -> None:
    done = run("export", "collections", "c.parquet", api=api, SCENARIO_SDK_API_SECRET="wr0ng")
    assert (done.returncode, len(api.requests), done.stderr.count("\n")) == (77, 1, 1)
    assert "401 Unauthorized; check SCENARIO_SDK_API_KEY and SCENARIO_SDK_API_SECRET" in done.stderr


def test_the_demo_names_its_projects_where_another_is_requested(run) -> None:
    done = run("head", "collections", "--demo", "--project-id", "proj_x")
    assert (done.returncode, len(said(done.stderr))) == (77, 1)
    assert re.search(
        "the demo team has no project 'proj_x'; set --project-id to one of: proj_[^,]+, proj_", done.stderr
    )
    assert "SCENARIO_SDK" not in done.stderr


def test_no_key_is_exit_78_and_names_the_variables(run) -> None:
    done = run("export", "collections", "c.parquet")
    assert (done.returncode, done.stderr.count("\n")) == (78, 1)
    assert "SCENARIO_SDK_API_KEY and SCENARIO_SDK_API_SECRET" in done.stderr


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"id": ...}, "id of record number 2 must be a string, got null"),
        ({"assetCount": 3.5}, "assetCount of record c2 must be a 64-bit integer, got 3.5"),
        ({"updatedAt": "yesterday"}, "updatedAt of record c2 must be an ISO 8601 timestamp"),
    ],
)
def test_a_wrong_record_is_exit_65_names_it_and_leaves_the_old_file(run, old: Path, changes, words: str) -> None:
    with Emulator([record(), record(**({"id": "c2"} | changes))]) as api:
        done = run("export", "collections", old, api=api)
    assert (done.returncode, done.stderr.count("\n"), old.read_bytes()) == (65, 1, OLD)
    assert words in done.stderr
    assert os.listdir(old.parent) == ["collections.parquet"]


def test_a_secret_that_is_passed_as_a_project_is_not_shown(run, api) -> None:
    secret = "s3cr3t-of-mine"
    done = run("check", "--project-id", secret, api=api, SCENARIO_SDK_API_SECRET=secret)
    assert done.returncode == 77
    assert "(project ***, page 1)" in done.stderr
    assert secret not in done.stdout + done.stderr


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


def test_head_shows_a_table_that_fits_the_terminal_without_signatures(run, api) -> None:
    done = run("head", "collections", "--rows", "3", api=api, COLUMNS="80")
    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= 80
    header, row, *_, hidden, _ = done.stdout.splitlines()
    assert header.split() == ["name", "item_count", "updated_at", "asset_count"]
    assert re.search(r" 20\d\d-\d\d-\d\d \d\d:\d\dZ +\d+$", row)
    assert hidden.startswith("(6 more columns: id, owner_id, model_count, ")
    assert "Signature" not in done.stdout
    assert api.requests == [("GET", "/v1/collections?pageSize=3")]


def test_check_says_what_is_used_and_that_it_works_with_one_request(run, api) -> None:
    done = run("check", api=api)
    assert done.returncode == 0
    assert done.stdout.startswith(
        f"base URL     {api.url}\ncredentials  API key\nstatus       authenticated, response after "
    )
    assert api.requests == [("GET", "/v1/collections?pageSize=1")]


def test_a_misspelt_resource_gets_a_suggestion_in_every_command(run) -> None:
    for command in (("resources",), ("head",), ("changes", "lake")):
        done = run(command[0], "asets", *command[1:])
        assert (done.returncode, done.stdout) == (78, "")
        assert "'asets' is not a resource; did you mean 'assets'?" in done.stderr


def test_check_accepts_a_project(run, api) -> None:
    assert run("check", "--project-id", api.project_ids[1], api=api).returncode == 0
    assert api.requests == [("GET", f"/v1/collections?projectId={api.project_ids[1]}&pageSize=1")]
    assert "the demo team has no project 'x'" in run("check", "--demo", "--project-id", "x").stderr
    assert "check accepts one --project-id" in run("check", "--project-id", "x", "--project-id", "y", api=api).stderr


def test_check_tries_once_and_gives_the_exit_code_of_what_is_wrong(run, api) -> None:
    assert run("check", api=api, SCENARIO_SDK_API_KEY="wrong").returncode == 77
    api.faults.append(Fault(status=503))
    assert run("check", api=api).returncode == 75
    assert len(api.requests) == 2


@pytest.fixture
def invoke(clock, tmp_path: Path, monkeypatch):
    """Return a function that runs a command in this process, in an empty folder, with waits that take no time."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("scenario_etl.cli_connect.Client", partial(Client, sleep=clock.sleep, clock=clock))
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
    assert max(map(len, done.stdout.splitlines())) <= 80


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
    assert "cannot read the file that SCENARIO_SDK_API_SECRET_FILE names" in lost.stderr


def test_an_export_can_make_urls_permanent(run, api, tmp_path: Path) -> None:
    assert run("export", "collections", "c.parquet", "--signed-urls", "public", api=api).returncode == 0
    urls = pq.read_table(tmp_path / "c.parquet")["thumbnail_url"].drop_null().to_pylist()
    assert urls
    assert all("/thumbnails/asset_" in url and "?" not in url for url in urls)


def test_a_home_folder_is_expanded_and_a_dash_is_rejected(run, api, tmp_path: Path) -> None:
    done = run("export", "collections", "~/c.parquet", "--report", "-", api=api, HOME=str(tmp_path))
    assert (done.returncode, json.loads(done.stdout)["path"]) == (0, str(tmp_path / "c.parquet"))
    assert (tmp_path / "c.parquet").exists()
    for command in (("export", "collections", "-"), ("snapshot", "collections", "-"), ("report", "lake", "-")):
        refused = run(*command, api=api)
        assert refused.returncode == 78
        assert "'-' (stdout) is not supported here" in refused.stderr


@pytest.mark.parametrize("command", ["export", "snapshot", "head"])
def test_the_options_reach_the_run(run, api, command: str) -> None:
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
    limited = run(command, "collections", *target, "--page-size", "20", "--requests-per-minute", "600", "-v", api=api)
    assert limited.returncode == 0
    api.collections[0] = record(colour="red", ownerId=project)
    assert run(command, "collections", *target, "--strict", api=api).returncode == 65
