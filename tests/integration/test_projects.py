import threading
from pathlib import Path

import pytest

from scenario_etl import Client, Emulator, project_ids, snapshot
from scenario_etl.emulator import Fault
from scenario_etl.errors import APIError, SchemaError
from scenario_etl.footers import project_names
from scenario_etl.lake_reader import newest_footer
from tests.helpers import page, record
from tests.lakes import API, DAYS, connected, take
from tests.system.faults.server import Exchange, FaultServer


def test_the_names_of_projects_are_in_the_footer(lake: Path) -> None:
    take(lake, DAYS[0], record())
    names = project_names(newest_footer(lake, "collections"))
    assert names == dict(zip(API.project_ids, ["Emberfall", "Skyward Isles", "Neon Harbor", "Live Ops"], strict=True))


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=403), Fault(status=404), Fault(status=503), Fault(reset=True), Fault(body="<html>"),
        Fault(body={"projects": None}), Fault(body={"projects": [None, 7, "x"]}),
        Fault(body={"projects": [{"id": "p" * 201, "name": "a"}, {"id": 1, "name": "b"}, {"id": "p", "name": None}]}),
        Fault(body={"projects": [{"id": "p", "name": ""}], "nextPaginationToken": "more"}),
    ],
)  # fmt: skip
def test_project_names_that_cannot_be_read_cost_neither_the_run_nor_a_wait(lake: Path, fault: Fault) -> None:
    waits: list[float] = []
    report = take(lake, DAYS[0], record(), faults=[None, fault, fault], client=connected(sleep=waits.append))
    assert (report.scan.rows, report.scan.requests, waits) == (1, 2, [])
    assert project_names(newest_footer(lake, "collections")) == {}


def test_a_project_list_that_never_ends_is_aborted_after_seconds(lake: Path, monkeypatch) -> None:
    monkeypatch.setattr("scenario_etl.projects.NAMES_SECONDS", 0.2)
    over = threading.Event()
    headers = 0

    def respond_slowly(exchange: Exchange) -> None:
        nonlocal headers
        if "/projects" not in exchange.target:
            exchange.send(page(record()))
            return
        exchange.connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while not over.wait(0.05):
            try:
                exchange.connection.sendall(b"X-More: headers\r\n")
            except OSError:
                return
            headers += 1

    with FaultServer(respond_slowly, breaks=0) as server:
        client = Client("demo", "demo", base_url=f"{server.origin}/v1")
        report = snapshot("collections", lake, date=DAYS[0], client=client)
        over.set()
    assert (report.scan.rows, report.scan.seconds < 30) == (1, True)
    assert headers < 90  # after 100, Python's http.client would have ended the response


def test_a_name_with_a_lone_surrogate_is_stored_as_text(lake: Path) -> None:
    take(lake, DAYS[0], record(), faults=[None, Fault(body={"projects": [{"id": "p1", "name": "x\ud800y"}]})])
    assert project_names(newest_footer(lake, "collections"))["p1"].encode() == b"x\\ud800y"


def test_of_projects_only_names_are_stored(lake: Path) -> None:
    person = {"id": "p1", "name": "Emberfall" * 99, "users": [{"email": "ada@example.org"}], "keys": [{"secret": "s3"}]}
    take(lake, DAYS[0], record(), faults=[None, Fault(body={"projects": [person]})])
    footer = newest_footer(lake, "collections")
    assert project_names(footer) == {"p1": ("Emberfall" * 99)[:197] + "..."}
    assert "ada@example.org" not in str(footer)


def listed(connect, projects: list | None, teams: list | None) -> list[str]:
    """The ids of projects of an API that has these projects and teams; None for its own."""
    with Emulator(0) as api:
        bodies = {"/v1/projects": {"projects": projects}, "/v1/teams": {"teams": teams}}
        faults = {path: Fault(status=200, body=body) for path, body in bodies.items() if [*body.values()] != [None]}
        api.on_request = lambda _, target: faults.get(target.partition("?")[0])
        return project_ids(connect(api))


def test_projects_are_those_that_the_api_lists_and_those_of_the_teams(connect) -> None:
    assert listed(connect, None, []) == listed(connect, [], None) == sorted(API.project_ids)
    assert listed(connect, [{"id": "p2"}], [{"projects": [{"id": "p1"}, {"id": "p2"}]}, {}]) == ["p1", "p2"]


def test_a_key_without_projects_and_a_project_without_an_id_are_errors(connect) -> None:
    with pytest.raises(APIError, match="the API key has no projects"):
        listed(connect, [], [])
    for project in ({"id": None}, {"id": ""}, {"name": "x"}, "p1"):
        with pytest.raises(SchemaError, match="a project has no id"):
            listed(connect, [project], [])
        with pytest.raises(SchemaError, match="a project has no id"):
            listed(connect, [], [{"projects": [project]}])
