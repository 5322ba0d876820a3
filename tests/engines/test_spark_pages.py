"""The examples of Spark in the documentation run, in the order of the page."""

import re
from pathlib import Path

from scenario_etl import Emulator, scan
from tests.helpers import environment

PAGE = Path(__file__).parents[2] / "docs/engines.md"


def test_the_examples_of_spark_run_and_the_merged_stream_is_the_list(spark, tmp_path, monkeypatch) -> None:
    page = re.sub(r'"(checkpoint|asset_updates)"', rf'"{tmp_path}/\1"', PAGE.read_text())
    names: dict = {}
    with Emulator(20, assets=400) as api:
        for name, value in environment(api).items():
            monkeypatch.setenv(name, value)
        for block in re.findall(r"^```python spark\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
            exec(compile(block, "page", "exec"), names)
        expected = scan("assets").to_arrow().num_rows
    assert names["current"].count() == expected
