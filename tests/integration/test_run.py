import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from scenario_etl import (
    Client,
    Emulator,
    export_collections,
    extract_collections,
    scan,
)
from scenario_etl.emulator import Fault
from scenario_etl.errors import (
    ConfigError,
    PaginationError,
    SchemaError,
)
from scenario_etl.run import BATCH_PAGES
from tests.helpers import FakeAdapter, answering, page, record


def test_a_repeated_record_is_dropped_the_first_kept_and_counted() -> None:
    client, _ = answering(page(record(), record(name="other"), token="t"), page(record(id="c2"), record(name="third")))
    described = scan("collections", client=client)
    assert described.to_pandas()["name"].tolist() == ["Key Art", "Key Art"]
    assert (described.report.rows, described.report.duplicates) == (2, 2)


@pytest.mark.parametrize(
    "ids", [["ab", "\u6261"], ["abcd", "\u6261\u6463"], ["abcd", "\U00016463"], ["\xe4\xe4", "\ue4e4"], ["1", "01"]]
)
def test_two_ids_that_python_hashes_alike_are_two_rows(ids: list[str]) -> None:
    client, _ = answering(page(*(record(id=key) for key in ids), token="t"), page(record(id=ids[0])))
    described = scan("collections", client=client)
    assert described.to_arrow()["id"].to_pylist() == ids
    assert described.report.duplicates == 1


def test_the_report_describes_the_run(connect) -> None:
    with Emulator(250, faults=[None, Fault(status=429, headers={"Retry-After": "12"})]) as api:
        described = scan("collections", client=connect(api))
        described.to_arrow()
    report = described.report
    assert (report.rows, report.pages, report.requests, report.retries) == (250, 3, 4, 1)
    assert report.seconds_waited == 12
    assert abs((datetime.now(UTC) - report.extracted_at).total_seconds()) < 60
    assert json.loads(json.dumps(report.to_dict()))["rows"] == 250


def test_strict_reaches_the_records() -> None:
    client, _ = answering(page(record(colour="red")))
    with pytest.raises(SchemaError, match="strict"):
        extract_collections(client=client, strict=True)


def test_the_bar_shows_pages_records_and_why_it_waits(connect, capsys) -> None:
    with Emulator(250, faults=[None, Fault(status=429, headers={"Retry-After": "12"})]) as api:
        extract_collections(client=connect(api), progress=True)
    shown = capsys.readouterr().err
    assert "1 page; 429, waiting 12 s" in shown
    assert "250 records" in shown
    assert "records/s" in shown
    assert "3 pages" in shown


def endless(grows: bool):
    """Pages with a fresh token each, without end: of the same records, or of new ones."""
    number = 0
    while True:
        number += 1
        yield page(*(record(id=f"c{i + 100 * number * grows}") for i in range(100)), token=f"t{number}")


class Endless(FakeAdapter):
    def __init__(self, pages) -> None:
        super().__init__([])
        self.pages = pages

    def send(self, request, *arguments, **settings):
        self.answers = [(200, {}, next(self.pages))]
        return super().send(request, *arguments, **settings)


def endless_client(grows: bool) -> tuple[Client, Endless]:
    adapter = Endless(endless(grows))
    session = requests.Session()
    session.mount("https://", adapter)
    url = "https://api.example/v1"
    return Client("k", "s", base_url=url, session=session, requests_per_minute=0), adapter


@pytest.mark.parametrize("use", ["to_batches", "to_arrow", "to_parquet"])
def test_an_api_that_ignores_the_token_is_a_pagination_error(tmp_path: Path, use: str) -> None:
    client, adapter = endless_client(grows=False)
    described = scan("collections", client=client)
    with pytest.raises(PaginationError, match=r"the last [0-9]+ pages.* have no new record"):
        list(getattr(described, use)(*([tmp_path / "c.parquet"] if use == "to_parquet" else [])))
    assert 10 < len(adapter.requests) <= 3 * BATCH_PAGES
    assert list(tmp_path.iterdir()) == []


def test_pages_of_repeated_records_are_passed_over_up_to_nine() -> None:
    pages = [page(record(), token=f"t{number}") for number in range(10)]
    client, _ = answering(*pages, page(record(id="c2")))
    assert scan("collections", client=client).to_arrow()["id"].to_pylist() == ["c1", "c2"]
    client, _ = answering(*pages, page(record(), token="t10"), page(record(id="c2")))
    with pytest.raises(PaginationError):
        list(scan("collections", client=client).to_batches())


def test_an_api_that_grows_for_ever_ends_with_max_pages(tmp_path: Path) -> None:
    client, adapter = endless_client(grows=True)
    with pytest.raises(PaginationError, match=r"the list has more than 50 pages.*--max-pages"):
        export_collections(tmp_path / "c.parquet", client=client, max_pages=50)
    assert len(adapter.requests) == 50
    assert len(extract_collections(client=answering(page(record()))[0], max_pages=1)) == 1


@pytest.mark.parametrize("max_pages", [0, -1, 1.5, "10", True, None])
def test_max_pages_is_a_whole_number_from_1(max_pages) -> None:
    with pytest.raises(ConfigError, match=r"max_pages must be (at least 1|an integer), got "):
        scan("collections", client=answering({})[0], max_pages=max_pages)
