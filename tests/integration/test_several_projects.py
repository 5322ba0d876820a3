"""One scan of several projects."""

import threading
from typing import Any

import pandas as pd
import pytest

from scenario_etl import Emulator, extract_collections, project_ids, scan
from scenario_etl.errors import AuthError, ConfigError
from scenario_etl.parquet import key_values, open_parquet
from tests.dated import DatedAPI, assets

PROJECTS: dict[str | None, list[dict]] = {"b": assets(3, 1), "a": assets(2), "c": assets(5)}


@pytest.fixture
def api() -> DatedAPI:
    return DatedAPI({name: list(rows) for name, rows in PROJECTS.items()})


@pytest.mark.parametrize("workers", [None, 1, 5])
def test_rows_are_in_the_order_of_the_projects_that_are_given(api: DatedAPI, workers: int | None) -> None:
    table = api.scan(project_id=["c", "b", "a"], workers=workers).to_arrow()
    assert table.schema.names[:2] == ["project_id", "id"]
    assert table["project_id"].to_pylist() == ["c", "b", "b", "a"]
    assert table["id"].to_pylist()[1:3] == (["a00000", "a00001"] if workers is None else ["a00001", "a00000"])


def test_all_projects_are_sorted(api: DatedAPI, tmp_path) -> None:
    described = api.scan(all_projects=True)
    report = described.to_parquet(tmp_path / "out.parquet")
    assert described.to_pandas()["project_id"].tolist() == ["a", "b", "b", "c"]
    assert (report.project_id, report.parts, report.duplicates) == ("all", 3, 0)
    assert key_values(open_parquet(tmp_path / "out.parquet"))["scenario_etl.project_id"] == "all"
    assert project_ids(api.client()) == ["a", "b", "c"]


def test_the_scope_has_sorted_ids(api: DatedAPI) -> None:
    described = api.scan(project_id=["c", "a"])
    described.to_arrow()
    assert described.report.project_id == "a,c"
    assert described.schema.field("project_id").nullable is False


@pytest.mark.parametrize(
    ("given", "wanted"),
    [(["b"], ["b"]), (("a", "b", "a"), ["a", "b"]), ({"c", "a"}, ["a", "c"]), (pd.Series(["c"]), ["c"])],
)
def test_any_list_of_projects_has_a_column(api: DatedAPI, given: Any, wanted: list[str]) -> None:
    table = api.scan(project_id=given).to_arrow()
    assert list(dict.fromkeys(table["project_id"].to_pylist())) == wanted


def test_one_project_has_no_column(api: DatedAPI) -> None:
    assert "project_id" not in api.scan(project_id="b").to_arrow().schema.names
    assert api.scan(project_id="b").schema == scan("assets").schema


def test_a_forbidden_project_is_an_error_or_is_skipped(api: DatedAPI, caplog) -> None:
    given = ["x", "a", "y", "b"]
    for workers in (None, 1, 4):
        with pytest.raises(AuthError, match="403"):
            api.scan(project_id=given, workers=workers).to_arrow()
        described = api.scan(project_id=given, workers=workers, skip_forbidden=True)
        assert described.to_arrow()["project_id"].to_pylist() == ["a", "b", "b"]
        assert described.report.skipped_projects == ("x", "y")
        assert described.report.to_dict()["skipped_projects"] == ["x", "y"]
        with pytest.raises(AuthError, match="403"):
            api.scan(project_id=["x", "y"], workers=workers, skip_forbidden=True).to_arrow()
    assert any("skipping x" in line for line in caplog.messages)


def test_other_refusals_are_never_skipped(api: DatedAPI) -> None:
    api.answer = lambda query: (401, {}) if query["projectId"] == "a" else None
    with pytest.raises(AuthError, match="401"):
        api.scan(project_id=["b", "a"], skip_forbidden=True).to_arrow()


def test_a_project_that_is_forbidden_after_some_of_its_rows_were_used_is_an_error() -> None:
    api = DatedAPI({"a": assets(*range(90)), "b": assets(1)})
    are_used = threading.Event()

    def forbid(query: dict) -> Any:
        if query["projectId"] == "b" or len(api.queries) < 20:
            return None
        are_used.wait(10)
        return 403, {"reason": "no longer a member"}

    api.answer = forbid
    scanned = api.scan(project_id=["a", "b"], workers=1, page_size=4, skip_forbidden=True).to_batches()
    assert next(scanned).num_rows > 0
    are_used.set()
    with pytest.raises(AuthError, match="no longer a member"):
        list(scanned)


def test_head_has_the_first_rows_of_the_first_projects(api: DatedAPI) -> None:
    frame = api.scan(project_id=["x", "b", "a"], skip_forbidden=True).head(3)
    assert frame["project_id"].tolist() == ["b", "b", "a"]


@pytest.mark.parametrize(
    ("resource", "arguments", "words"),
    [
        ("assets", {"project_id": []}, "non-empty list"),
        ("assets", {"project_id": ["a", ""]}, "project_id must be"),
        ("assets", {"project_id": ["a", 7]}, "project_id must be"),
        ("assets", {"project_id": "a", "all_projects": True}, "cannot be used together"),
        ("assets", {"project_id": ["a"], "all_projects": True}, "cannot be used together"),
        ("assets", {"project_id": ["a"], "privacy": "public", "allow_public": True}, "privacy=public"),
        ("models", {"all_projects": True, "privacy": "public"}, "privacy=public"),
        ("assets", {"project_id": "a", "skip_forbidden": True}, "requires several projects"),
        ("assets", {"all_projects": 1}, "all_projects must be"),
        ("projects", {"all_projects": True}, "project_id"),
        ("teams", {"project_id": ["a"]}, "project_id"),
    ],
)
def test_what_is_wrong_is_known_before_any_request(api: DatedAPI, resource: str, arguments: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        scan(resource, client=api.client(), **arguments)
    assert api.queries == []


def test_the_emulator_has_each_collection_in_its_project(connect) -> None:
    with Emulator(250) as api:
        client = connect(api, requests_per_minute=0)
        frame = extract_collections(client=client, all_projects=True)
        plain = extract_collections(client=client)
    assert (frame["project_id"] == frame["owner_id"]).all()
    assert sorted(frame["id"]) == sorted(plain["id"])
    assert frame["project_id"].drop_duplicates().tolist() == sorted(api.project_ids)
