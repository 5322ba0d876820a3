from collections.abc import Iterator
from pathlib import Path

import pytest


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
