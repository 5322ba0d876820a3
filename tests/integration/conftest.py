from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scenario_etl import Emulator


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """The path of a lake that does not exist yet."""
    return tmp_path / "lake"


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The URL of an S3 endpoint; its address and keys are in the environment."""
    from tests.object_stores import s3_server  # noqa: PLC0415 - imports for a second what few tests need

    with s3_server() as endpoint:
        yield endpoint


@pytest.fixture
def small() -> Iterator[Emulator]:
    """An emulator with a small team, at the time of the tests of its lists."""
    from tests.integration.test_emulator_lists import NOW  # noqa: PLC0415 - a test module, whose asserts pytest rewrites

    with Emulator(12, now=NOW) as running:
        yield running


@pytest.fixture
def official(small: Emulator) -> Iterator[Any]:
    """The official client of the small team."""
    import scenario_sdk  # noqa: PLC0415 - imports for a second what few tests need

    with scenario_sdk.Scenario(api_key="demo", api_secret="demo", base_url=small.url, max_retries=0) as client:
        yield client
