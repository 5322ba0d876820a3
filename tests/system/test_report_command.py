import re
import shutil
from pathlib import Path

from tests.helpers import said


def test_the_command_writes_the_page_or_an_error(run, tmp_path: Path, lake: Path) -> None:
    done = run("report", lake, "page.html")
    assert done.returncode == 0
    started, missing, finished = said(done.stderr)
    assert started.endswith(": writing the HTML report; this may take a few seconds")
    assert missing.endswith(
        "no response (45); run `scenario-etl snapshot` with --thumbnails, which stores them in the lake"
    )
    assert finished == "wrote page.html with the history of 3 days; open it in a browser"
    assert (tmp_path / "page.html").stat().st_size > 10_000
    empty = run("report", tmp_path / "nothing", "page.html")
    assert empty.returncode == 78
    assert "has no snapshot of collections; check the path, or add one with `scenario-etl snapshot`" in empty.stderr
    assert run("report", lake, "missing/page.html").returncode == 74
    assert (tmp_path / "page.html").stat().st_size > 10_000


def test_a_lake_of_other_resources_is_an_error_that_names_them(run) -> None:
    for resource in ("models", "tags"):
        assert run("snapshot", resource, "lake", "--demo").returncode == 0
    done = run("report", "lake", "page.html")
    assert done.returncode == 78
    assert (
        "lake has snapshots of models, tags, but the HTML report requires snapshots of collections; add" in done.stderr
    )


def test_the_page_of_a_demo_without_thumbnails_advises_a_new_lake(run) -> None:
    assert run("snapshot", "collections", "lake", "--demo", "--days", "2", "--no-thumbnails").returncode == 0
    done = run("report", "lake", "page.html")
    assert done.returncode == 0
    assert re.search(
        r"thumbnails could not be read: no response \(\d+\); create a new lake with --demo$", said(done.stderr)[1]
    )


def test_a_file_of_a_date_in_the_future_is_an_error_that_names_the_date(run, tmp_path: Path, lake: Path) -> None:
    copy = shutil.copytree(lake, tmp_path / "lake")
    (copy / ".collections.snapshot_date=9999-12-31.rejected").touch()
    done = run("report", copy, "page.html")
    assert done.returncode == 65
    assert "has a file for 9999-12-31, which is in the future; remove it" in done.stderr


def test_another_file_suffix_is_a_config_error(run, tmp_path: Path, lake: Path) -> None:
    done = run("report", lake, "page.pdf")
    assert (done.returncode, list(tmp_path.glob("page*"))) == (78, [])
    assert "DESTINATION must end in .html or .htm, got page.pdf" in done.stderr


def test_without_the_extra_the_error_has_the_install_command(tmp_path: Path, lake: Path, run) -> None:
    (tmp_path / "matplotlib.py").write_text("raise ModuleNotFoundError('no', name='matplotlib')")
    done = run("report", lake, "page.html", PYTHONPATH=str(tmp_path))
    assert done.returncode == 78
    assert re.search(r"the HTML report requires matplotlib; install it: pip install '/.*\[report\]'", done.stderr)
