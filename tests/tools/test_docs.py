"""The generated parts of the documentation are those that the package gives now."""

import re

import pyarrow as pa
import pytest

import scenario_etl
from scenario_etl import scan
from scenario_etl.resources import RESOURCES
from scenario_etl.schema import Resource
from tests.helpers import answering
from tests.tools.docs import CHECKOUT, PACKAGE, PARTS, api, generated
from tests.versions import PANDAS_2


@pytest.mark.parametrize("path", PARTS)
def test_a_generated_part_is_up_to_date(path: str) -> None:
    assert (CHECKOUT / path).read_text() == generated(path), "run: python -m tests.tools.docs"


def test_the_module_map_has_every_module_with_its_purpose_and_no_other() -> None:
    rows = dict(re.findall(r"^\| `([\w/]+\.py)` \| (.*) \|$", (CHECKOUT / "CONTRIBUTING.md").read_text(), re.MULTILINE))
    assert set(rows) == {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py")}
    assert all(rows.values())


def test_the_reference_has_every_public_name_and_method() -> None:
    headings = set(re.findall(r"^###+ (.*)$", api(), re.MULTILINE))
    assert headings >= {*scenario_etl.__all__, "Scan.to_parquet", "Client.close", "charts.growth"}


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=RESOURCES)
def test_the_table_of_a_resource_has_its_columns_with_the_dtypes_of_a_dataframe(resource: Resource) -> None:
    section = (CHECKOUT / "docs/tables.md").read_text().split(f"\n## {resource.name}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| `(.+?)`.* \| `(.+)` \| `([^`]+)`.* \|$", section, re.MULTILINE)
    included = dict.fromkeys({column.included_by for column in resource.columns} - {""}, True)
    dtypes = scan(resource.name, client=answering({resource.records_key: []})[0], **included).to_pandas().dtypes
    assert rows == [
        (field.name, str(field.type), "str" if PANDAS_2 and field.type == pa.string() else str(dtype), column.field)
        for field, dtype, column in zip(resource.schema, dtypes, resource.columns, strict=True)
    ]
