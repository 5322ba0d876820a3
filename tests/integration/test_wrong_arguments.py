"""Arguments of every wrong kind: a ScenarioError before the work, or a result; never another exception."""

import datetime as dt
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import scenario_etl
from scenario_etl import (
    Client,
    Emulator,
    changes,
    export_collections,
    extract_collections,
    fetch_thumbnails,
    history,
    read_snapshot,
    scan,
    signed_url_expiry,
    snapshot,
)
from scenario_etl.cli import cli
from scenario_etl.cli_exit import exit_code
from scenario_etl.errors import ScenarioError
from tests.helpers import record

VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2, 7, 10**30, -(10**30), 0.5, 1.5, -0.0, math.nan, math.inf, 1e300, 3j, "", "x", "3",
    "2026-11-02", "2026-13-45", "\0", "a\0b", "\udce9", "line\nbreak", "x" * 5000, "s3://bucket", "https://", b"x", b"",
    "file:///tmp/%00", "file:///tmp/%ff", "s3:/KEY:SECRET@bucket/x", np.array(1), [pd.NA],
    dt.datetime.max.replace(tzinfo=dt.timezone(-dt.timedelta(hours=1))),
    [], ["x"], [None], {}, {"x": 1}, (), set(), object(), int, len, Path("nowhere/deep"), Path(), dt.date.max,
    dt.date.min, dt.datetime(2026, 11, 2), dt.timedelta(days=1), pd.NaT, pd.NA, np.int64(3), np.float64("nan"),
    np.array([1, 2]), pd.Series(["x", None, 7]), Ellipsis, NotImplemented, ValueError("x"),
]  # fmt: skip

TEXTS = [
    "", "x", "0", "-1", "1.5", "nan", "inf", "-inf", "1e400", "9" * 30, "2026-11-02", "2026-13-45", "9999-12-31", "é",
    "\udce9", "line\nbreak", "x" * 5000, "s3://bucket", "https://a..b", "https://" + "a" * 70, "/proc/x", "/dev/null",
    ".", "..", "/", "-", "[", "%", "{}", "null",
]  # fmt: skip


@pytest.fixture
def client() -> Iterator[Client]:
    with Emulator([record()]) as api, Client("demo", "demo", base_url=api.url, sleep=lambda _: None) as connected:
        yield connected


@pytest.fixture
def lake(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lake, in a folder that is the current one."""
    monkeypatch.chdir(tmp_path)
    snapshot("collections", "lake", date="2026-11-01", client=client)
    return tmp_path / "lake"


def check(function: Callable[..., Any], right: dict[str, Any], parameters: str) -> None:
    """Call a function with each wrong value in the place of each parameter."""
    for name in parameters.split():
        for value in VALUES:
            try:
                function(**(right | {name: value}))
            except ScenarioError as error:
                assert "\n" not in str(error)
                assert len(str(error)) < 2000
            except Exception as error:  # noqa: BLE001 - that is the point
                pytest.fail(f"{function.__name__}({name}={value!r:.60}): {type(error).__name__}: {error!s:.300}")


def test_a_client_with_any_argument_works_or_raises_a_scenario_error() -> None:
    right = {"api_key": "k", "api_secret": "s"}
    names = (
        "api_key api_secret base_url timeout attempts deadline connect_deadline requests_per_minute session sleep clock"
    )
    check(Client, right, names)
    check(Client, {}, "bearer_token")


def test_a_scan_of_anything_is_right_or_a_scenario_error(client: Client) -> None:
    names = "resource page_size max_pages strict progress signed_urls project_id colour client"
    check(lambda **given: scan(**given).to_arrow(), {"resource": "collections", "client": client}, names)
    check(scan("collections", client=client).head, {}, "rows")
    check(scan("collections", client=client).to_pandas, {}, "dtype_backend")
    check(extract_collections, {"client": client}, "page_size max_pages strict signed_urls project_id dtype_backend")


def test_an_export_to_anything_is_right_or_a_scenario_error(client: Client, lake: Path) -> None:
    check(export_collections, {"destination": "c.parquet", "client": client}, "destination page_size signed_urls")


def test_a_snapshot_of_anything_is_right_or_a_scenario_error(client: Client, lake: Path) -> None:
    right = {"resource": "collections", "lake": "lake", "client": client}
    names = "resource lake date max_shrink accept_shrink accept_scope max_lookups keep lock_timeout page_size max_pages"
    check(snapshot, right, names)


def test_reading_anything_is_right_or_a_scenario_error(lake: Path) -> None:
    right = {"resource": "collections", "lake": "lake"}
    check(read_snapshot, right, "resource lake date columns")
    check(changes, right, "resource lake since until")
    check(history, right, "resource lake")


def test_thumbnails_and_urls_of_anything_are_right_or_a_scenario_error() -> None:
    check(fetch_thumbnails, {"urls": []}, "urls side deadline")
    check(signed_url_expiry, {}, "urls")
    with pytest.raises(ScenarioError):
        signed_url_expiry(pa.array([2**62], pa.timestamp("s")))


def commands() -> Iterator[tuple[str, ...]]:
    """Each command with one of its options or arguments still to be given."""
    needed = {"resource": "collections", "destination": "c.parquet", "lake": "lake"}
    for name, command in cli.commands.items():
        if name == "emulator":  # it serves until it is interrupted
            continue
        given = [needed[p.name] for p in command.params if p.param_type_name == "argument"]
        for position in range(len(given)):
            yield (name, *given[:position], "{}", *given[position + 1 :])
        yield from ((name, *given, p.opts[-1], "{}") for p in command.params if p.nargs == 1 and _takes_text(p))
    yield ("emulator", "--port", "x{}")
    yield ("emulator", "--collections", "x{}")


def _takes_text(parameter: Any) -> bool:
    return parameter.param_type_name == "option" and not parameter.is_flag


@pytest.mark.parametrize("command", [*commands()], ids=" ".join)
def test_no_text_on_the_command_line_is_an_internal_error(command, lake: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("SCENARIO_SDK_API_KEY", "k")
    monkeypatch.setenv("SCENARIO_SDK_API_SECRET", "s")
    monkeypatch.setenv("SCENARIO_BASE_URL", "http://127.0.0.1:1/v1")
    offline = "emulator" in command or "--base-url" in command
    for text in TEXTS:
        given = [part.replace("{}", text) for part in command]
        more = [] if offline or command[0] in {"changes", "report"} else ["--demo"]
        if command[0] in {"export", "snapshot", "head"} and "--attempts" not in command:
            more += ["--attempts", "1"]
        if command[0] in {"export", "snapshot", "head"} and "--max-pages" not in command:
            more += ["--max-pages", "1"]
        monkeypatch.setattr(sys, "argv", ["scenario-etl", *given, *more])
        code = exit_code(verbose=False)
        said = capsys.readouterr().err
        assert code in {0, 2, 65, 69, 74, 75, 77, 78}, (given, said)
        assert "Traceback" not in said


def test_every_public_function_is_tried() -> None:
    tried = "Client changes export_collections extract_collections fetch_thumbnails history read_snapshot scan"
    functions = {name for name in scenario_etl.__all__ if callable(getattr(scenario_etl, name))}
    classes = {name for name in functions if isinstance(getattr(scenario_etl, name), type)}
    assert functions - classes <= {*tried.split(), "project_ids", "signed_url_expiry", "snapshot"}
