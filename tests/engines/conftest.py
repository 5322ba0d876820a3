"""A Spark session for all tests, and an API with a client for each of them."""

from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from scenario_etl import Client, Emulator
from tests.engines.sessions import start


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    session = start(tmp_path_factory.mktemp("spark"))
    yield session
    session.stop()


@pytest.fixture
def api() -> Iterator[Emulator]:
    with Emulator(40, assets=900, projects=8) as emulator:
        yield emulator


@pytest.fixture
def client(api: Emulator) -> Iterator[Client]:
    with Client("demo", "demo", base_url=api.url, requests_per_minute=None, attempts=1) as client:
        yield client
