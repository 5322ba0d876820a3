import json
import os
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from scenario_etl import Emulator
from tests.helpers import environment, page, record, said
from tests.system.faults.server import Exchange, FaultServer


@pytest.fixture(scope="module")
def projects() -> list[str]:
    with Emulator(0) as api:
        return api.project_ids


def test_two_projects_have_a_column_and_one_has_none(run, projects: list[str], tmp_path: Path) -> None:
    first, second = sorted(projects)[:2]
    done = run("export", "collections", "two.parquet", "--demo", "--project-id", second, "--project-id", first)
    assert done.returncode == 0, done.stderr
    column = pq.read_table(tmp_path / "two.parquet")["project_id"].to_pylist()
    assert list(dict.fromkeys(column)) == [second, first]
    assert run("export", "collections", "one.parquet", "--demo", "--project-id", first).returncode == 0
    assert "project_id" not in pq.read_table(tmp_path / "one.parquet").schema.names
    assert sorted(os.listdir(tmp_path)) == ["one.parquet", "two.parquet"]


def test_the_report_of_all_projects_is_json(run, projects: list[str], tmp_path: Path) -> None:
    done = run("export", "assets", "out.parquet", "--demo", "--all-projects", "--workers", "3", "--report", "-")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["rows"] == pq.read_metadata(tmp_path / "out.parquet").num_rows
    assert (report["project_id"], report["skipped_projects"], report["reused_parts"]) == ("all", [], 0)
    assert report["parts"] >= len(projects)
    assert report["duplicates"] == 0


def test_a_forbidden_project_ends_the_run_or_is_named_in_the_log(run, projects: list[str]) -> None:
    arguments = ("export", "collections", "out.parquet", "--demo", "--project-id", "x", "--project-id", projects[0])
    done = run(*arguments)
    assert done.returncode == 77
    assert "has no project" in done.stderr
    done = run(*arguments, "--skip-forbidden", "--report", "-")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["skipped_projects"] == ["x"]
    assert any("skipping x" in line for line in said(done.stderr))


def test_the_error_of_a_forbidden_project_names_it(run) -> None:
    with Emulator(9) as api:
        api.forbidden_projects.add(api.project_ids[1])
        done = run("export", "collections", "out.parquet", "--all-projects", api=api)
    assert done.returncode == 77
    assert f"(project {api.project_ids[1]}, page 1): 403" in done.stderr


def test_a_lake_of_one_project_is_not_mixed_with_one_of_several(run, projects: list[str]) -> None:
    assert run("snapshot", "collections", "lake", "--demo", "--project-id", projects[0]).returncode == 0
    done = run("snapshot", "collections", "lake", "--demo", "--all-projects", "--accept-scope")
    assert done.returncode == 78
    assert "has no column project_id" in done.stderr


@pytest.mark.parametrize(
    ("more", "words"),
    [(("--skip-forbidden",), "several projects"), (("--workers", "0"), "--workers"), (("--workers", "33"), "--workers"),
     (("--all-projects", "--project-id", "x"), "cannot be used together")],
)  # fmt: skip
def test_what_is_wrong_is_a_usage_error(run, more: tuple[str, ...], words: str) -> None:
    done = run("export", "collections", "out.parquet", "--demo", *more)
    assert done.returncode == 78
    assert words in done.stderr


def test_after_kill_9_the_next_run_requests_only_the_missing_projects(run, tmp_path: Path) -> None:
    running: list[subprocess.Popen[bytes]] = []
    requested: list[str] = []

    def answer(exchange: Exchange) -> None:
        project = exchange.target.partition("projectId=")[2].partition("&")[0]
        requested.append(project)
        if project == "p3" and running:
            while len([*tmp_path.glob(".out.parquet.parts/*.json")]) < 3:  # the run and two parts, written meanwhile
                assert running[0].poll() is None
            running.pop().kill()
            exchange.close()
        else:
            exchange.send(page(record(id=project)))

    command = ["export", "collections", str(tmp_path / "out.parquet"), "--workers", "1"]
    command += [word for name in ("p1", "p2", "p3", "p4") for word in ("--project-id", name)]
    with FaultServer(answer, breaks=0) as server, Emulator(0) as api:
        address = {"SCENARIO_BASE_URL": f"{server.origin}/v1"}
        running.append(child := subprocess.Popen(["scenario-etl", *command], env=environment(api) | address))
        assert child.wait(timeout=60) == -9
        assert requested == ["p1", "p2", "p3"]
        assert list(tmp_path.rglob("*.parquet")) == []
        requested.clear()
        done = run(*command, "--report", "-", api=api, **address)
    assert requested == ["p3", "p4"]
    assert json.loads(done.stdout)["reused_parts"] == 2
    assert pq.read_table(tmp_path / "out.parquet")["id"].to_pylist() == ["p1", "p2", "p3", "p4"]
    assert os.listdir(tmp_path) == ["out.parquet"]
