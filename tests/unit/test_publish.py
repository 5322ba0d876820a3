import os
import time
from pathlib import Path

import pytest

from scenario_etl import publish
from scenario_etl.errors import DestinationError
from scenario_etl.publish import atomic_write


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "collections.parquet"
    path.write_text("yesterday")
    return path


def test_the_new_file_takes_the_place_of_the_old_only_at_the_end(old: Path) -> None:
    with atomic_write(old) as temporary:
        temporary.write_text("today")
        assert old.read_text() == "yesterday"
        assert list(old.parent.glob("*.parquet")) == [old]
    assert (old.read_text(), names(old.parent)) == ("today", ["collections.parquet"])


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_any_failure_leaves_the_old_file_and_no_debris(old: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), atomic_write(old) as temporary:
        temporary.write_text("half")
        raise error
    assert (old.read_text(), names(old.parent)) == ("yesterday", ["collections.parquet"])


def test_a_full_disk_is_a_destination_error_with_advice(old: Path) -> None:
    words = r"collections\.parquet: No space left on device; free space on the disk"
    with pytest.raises(DestinationError, match=words), atomic_write(old), open("/dev/full", "w") as full:
        full.write("x")
    assert old.read_text() == "yesterday"


@pytest.mark.parametrize(
    ("destination", "words"),
    [
        ("missing/x.parquet", "does not exist; create it first"),
        (".", "it is a folder; specify a file"),
        ("file/x.parquet", "file is not a folder"),
        ("/proc/x.parquet", "cannot write /proc/x.parquet"),
        ("n" * 256, "File name too long"),
        ("new/", "it ends with a slash, so it is a folder; specify a file in it"),
        ("/dev/null", "it is a device or a pipe"),
        ("pipe", "it is a device or a pipe"),
    ],
)
def test_a_path_that_cannot_be_written_is_an_error_before_the_block(
    tmp_path: Path, monkeypatch, destination, words
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    os.mkfifo("pipe")
    with pytest.raises(DestinationError, match=words), atomic_write(destination):
        pytest.fail("the block must not run")


def test_a_name_may_be_as_long_as_the_filesystem_allows(tmp_path: Path) -> None:
    for name in ("n" * 255, "é" * 127):
        with atomic_write(tmp_path / name) as temporary:
            temporary.write_text("today")
        assert (tmp_path / name).read_text() == "today"
    assert len(names(tmp_path)) == 2


def test_a_link_stays_a_link_and_its_file_is_replaced(old: Path, tmp_path: Path) -> None:
    link = tmp_path / "latest.parquet"
    link.symlink_to(old)
    with atomic_write(link) as temporary:
        temporary.write_text("today")
    assert link.is_symlink()
    assert old.read_text() == "today"


def test_the_rights_of_the_old_file_are_kept(old: Path) -> None:
    old.chmod(0o640)
    with atomic_write(old) as temporary:
        temporary.write_text("today")
    assert old.stat().st_mode & 0o777 == 0o640


def test_two_at_once_do_not_disturb_each_other(old: Path) -> None:
    with atomic_write(old) as first:
        first.write_text("first")
        with atomic_write(old) as second:
            second.write_text("second")
        assert old.read_text() == "second"
    assert (old.read_text(), names(old.parent)) == ("first", ["collections.parquet"])


def test_temporary_files_of_another_machine_or_a_running_process_stay_until_they_are_old(old: Path) -> None:
    with atomic_write(old) as temporary:
        host = temporary.name.partition("@")[2].removesuffix(".partial")
    others = [
        old.with_name(f".{old.name}.1-00000000@elsewhere.partial"),
        old.with_name(f".{old.name}.{os.getppid()}-00000000@{host}.partial"),
        old.with_name(".other.parquet.1-00000000@elsewhere.partial"),
    ]
    for path in others:
        path.touch()
    with atomic_write(old):
        assert all(path.exists() for path in others)
    ancient = time.time() - 2 * publish.ABANDONED_AFTER
    for path in others:
        os.utime(path, (ancient, ancient))
    with atomic_write(old):
        assert not any(path.exists() for path in others)


def test_a_temporary_file_of_an_earlier_process_with_this_number_is_removed(old: Path) -> None:
    with atomic_write(old) as temporary:
        left = temporary
    left.touch()
    with atomic_write(old):
        assert not left.exists()
