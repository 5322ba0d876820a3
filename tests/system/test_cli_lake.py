import shutil
from pathlib import Path

import pytest

from scenario_etl import ConfigError, Emulator, history, read_snapshot
from tests.helpers import said


@pytest.fixture
def api():
    with Emulator(250) as running:
        yield running


def test_days_makes_a_history_with_snapshots_that_the_guard_rejected(run, tmp_path: Path) -> None:
    done = run("snapshot", "collections", "lake", "--demo", "--days", "30", "--date", "2026-11-23")
    assert done.returncode == 0, done.stderr
    runs = history(tmp_path / "lake", "collections").to_pylist()
    assert [str(run["date"]) for run in runs] == [f"2026-10-{day}" for day in range(25, 32)] + [
        f"2026-11-{day:02d}" for day in range(1, 24)
    ]
    assert [str(run["date"]) for run in runs if run["rejected"]] == ["2026-11-04", "2026-11-17"]
    assert sum(run["deleted"] or 0 for run in runs) > 0
    assert "2026-11-04: rejected by the guard: the list is empty, but the last snapshot has 257 rows\n" in done.stderr
    assert (
        'lake: added 28 snapshots; the guard rejected 2; run "scenario-etl changes collections lake" or' in done.stderr
    )
    again = run("snapshot", "collections", "lake", "--demo", "--days", "30")
    assert (again.returncode, again.stderr.count("\n")) == (78, 1)
    assert "lake already contains snapshots of collections; --days requires a new lake" in again.stderr
    shutil.rmtree(tmp_path / "lake/collections")
    again = run("snapshot", "collections", "lake", "--demo", "--days", "30")  # its changes are left
    assert again.returncode == 78
    short = run("snapshot", "collections", "short", "--demo", "--days", "2")
    assert said(short.stderr)[-2].startswith('short: added 2 snapshots; run "scenario-etl ')
    other = run("snapshot", "collections", "lake", "--demo")
    assert other.returncode == 78  # the demo without a history is another scope
    assert "--days requires --demo" in run("snapshot", "collections", "x", "--days", "9").stderr


def test_changes_say_which_snapshot_was_rejected_which_had_none_and_which_no_snapshot(run) -> None:
    assert run("snapshot", "collections", "lake", "--demo", "--days", "30", "--date", "2026-11-23").returncode == 0

    def changes(*arguments: str) -> str:
        return run("changes", "collections", "lake", *arguments, COLUMNS="80").stdout

    assert "2026-11-04   rejected by the guard\n" in changes()
    assert changes("--date", "2026-11-04") == "2026-11-04: rejected by the guard\n"
    assert changes("--date", "2026-11-23") == "2026-11-23: no changes\n"
    assert changes("--since", "2027-01-01") == "no snapshot since 2027-01-01; the newest one is from 2026-11-23\n"
    assert changes("--date", "2026-11-21").splitlines()[0].split() == ["change", "name", "changed_columns"]


def test_the_error_for_a_date_without_a_snapshot_names_the_closest_dates(run, api, tmp_path: Path) -> None:
    closest = {
        "2026-11-19": "date is 2026-11-19; use it",
        "2026-11-22": "dates are 2026-11-19 and 2026-11-22; use one of them",
        "2026-11-23": "dates are 2026-11-19 and 2026-11-22; use one of them",
    }
    for date, words in closest.items():
        assert run("snapshot", "collections", "lake", "--date", date, api=api).returncode == 0
        with pytest.raises(ConfigError) as caught:
            read_snapshot(tmp_path / "lake", "collections", "2026-11-20")
        message = f"has no snapshot of collections for 2026-11-20; the closest {words}"
        assert str(caught.value) == f"{tmp_path}/lake {message}, or omit the date for the newest snapshot"
        done = run("changes", "collections", "lake", "--date", "2026-11-20")
        assert done.returncode == 78
        assert said(done.stderr) == [f"error: lake {message}, or omit --date for the counts of all dates"]


def test_a_date_and_the_first_of_several_exclude_each_other(run, lake: Path) -> None:
    done = run("changes", "collections", lake, "--date", "2026-11-02", "--since", "2026-11-01")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--date and --since cannot be used together" in done.stderr


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


@pytest.mark.parametrize("resource", ["jobs", "tags", "teams", "collection_models"])
def test_the_demo_of_a_resource_without_thumbnails_stores_none(run, resource: str) -> None:
    done = run("snapshot", resource, "lake", "--demo")
    assert done.returncode == 0, done.stderr


def test_the_demo_stores_thumbnails_unless_pillow_is_missing_or_the_option_says_otherwise(run, tmp_path: Path) -> None:
    assert run("snapshot", "collections", "with", "--demo").returncode == 0
    assert len(list((tmp_path / "with/.thumbnails").iterdir())) > 100
    assert run("snapshot", "collections", "without", "--demo", "--no-thumbnails").returncode == 0
    assert not (tmp_path / "without/.thumbnails").exists()
    (tmp_path / "PIL.py").write_text("raise ModuleNotFoundError('no', name='PIL')")
    done = run("snapshot", "collections", "plain", "--demo", PYTHONPATH=str(tmp_path))
    assert done.returncode == 0
    assert "no thumbnails are stored: thumbnails require Pillow; install it: pip install " in done.stderr
    wanted = run("snapshot", "collections", "plain", "--demo", "--thumbnails", PYTHONPATH=str(tmp_path))
    assert (wanted.returncode, wanted.stderr.count("\n")) == (78, 1)


def test_changes_can_begin_with_a_date_and_a_date_without_any_says_so(run, api) -> None:
    for day in ("2026-11-21", "2026-11-22"):
        assert run("snapshot", "collections", "lake", "--date", day, api=api).returncode == 0
    counted = run("changes", "collections", "lake", "--since", "2026-11-22").stdout
    assert ("2026-11-21" in counted, "2026-11-22" in counted) == (False, True)
    assert run("changes", "collections", "lake", "--date", "2026-11-22").stdout == "2026-11-22: no changes\n"
