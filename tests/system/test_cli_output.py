import json
import time
from datetime import datetime

import pytest

from scenario_etl import Emulator
from scenario_etl.emulator import Fault
from tests.helpers import said


def test_every_line_of_the_log_has_the_time_in_utc(run, api) -> None:
    api.faults.append(Fault(status=503))
    before = int(time.time())
    done = run("export", "collections", "c.parquet", "--attempts", "2", api=api, TZ="Asia/Tokyo")
    after = time.time()
    retried, finished = done.stderr.splitlines()
    assert ["503, retrying in" in said(retried)[0], "250 collections" in said(finished)[0]] == [True, True]
    for line in (retried, finished):
        assert before <= datetime.fromisoformat(line.split()[0]).timestamp() <= after


def test_json_logs_are_one_object_a_line(run, api) -> None:
    done = run("export", "collections", "c.parquet", "--log-format", "json", "-v", api=api)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert {"time", "level", "event"} <= lines[0].keys()
    assert [line["level"] for line in lines] == ["debug"] * 3 + ["info"]


def test_a_request_is_logged_once_and_a_redirect_with_its_target(run, api) -> None:
    api.faults.append(Fault(status=307, headers={"Location": f"{api.url}/collections?pageSize=1&x=1"}))
    first, second, _ = said(run("check", "-v", api=api).stderr + "2026-11-26T00:00:00Z scenario-etl: \n")
    assert first == f"GET {api.url}/collections?... (page 1)"
    assert second == f"{first}, redirected to {api.url}/collections?..."


def test_the_next_page_is_logged_without_a_redirect(run, api) -> None:
    lines = said(run("export", "collections", "c.parquet", "-v", api=api).stderr)
    assert lines[:3] == [f"GET {api.url}/collections?... (page {number})" for number in (1, 2, 3)]


def test_the_bar_can_be_switched_on_where_stderr_is_no_terminal(run, api) -> None:
    assert "records/s" in run("export", "collections", "c.parquet", "--progress", api=api).stderr
    assert "records/s" not in run("export", "collections", "c.parquet", api=api).stderr


def test_an_empty_list_is_a_warning(run, api) -> None:
    done = run("export", "assets", "a.parquet", "--type", "nothing", api=api)
    assert done.returncode == 0
    assert "assets: the list is empty, or no record matches the filters" in done.stderr


@pytest.mark.parametrize("option", [("--log-format", "json"), ("--log-format=json",)])
def test_a_value_that_is_not_valid_is_logged_in_the_requested_format(run, option: tuple[str, ...]) -> None:
    done = run("export", "collections", "c.parquet", "--page-size", "x", *option)
    assert (json.loads(done.stderr)["exit_code"], done.returncode) == (78, 78)


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


def test_counts_have_the_right_number(run) -> None:
    with Emulator(1) as api:
        done = run("export", "collections", "c.parquet", api=api)
    assert "1 page in" in done.stderr


def test_head_of_a_filter_that_matches_nothing_says_so(run, api) -> None:
    done = run("head", "assets", "--created-after", "2099-01-01", api=api)
    assert (done.returncode, done.stdout) == (0, "no assets found\n")


def test_changed_rows_show_every_column_of_a_composite_primary_key(run, api) -> None:
    assert run("snapshot", "collection_models", "lake", "--date", "2026-11-20", api=api).returncode == 0
    done = run("changes", "collection_models", "lake", "--date", "2026-11-20", COLUMNS="80")
    assert done.stdout.split("\n", 1)[0].split() == ["change", "collection_id", "model_id"]


def test_a_resource_that_is_almost_right_is_suggested(run) -> None:
    done = run("head", "asset", "--demo")
    assert done.returncode == 78
    assert "'asset' is not a resource; did you mean 'assets'? The resources are: collections, " in done.stderr
