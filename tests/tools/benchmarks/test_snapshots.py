"""The benchmark of snapshots finds what its server has changed."""

from click.testing import CliRunner

from tests.tools.benchmarks.snapshots import main


def test_every_change_of_texts_lists_json_and_rows_is_found_and_nothing_else() -> None:
    result = CliRunner().invoke(main, ["--rows", "2000"])
    assert result.exit_code == 0, result.output
    assert "'updated': 12, 'added': 4, 'deleted': 8" in result.output
