import datetime as dt
from typing import Any

import pytest

from scenario_etl import Emulator
from scenario_etl.emulator import Fault

DAY = dt.date(2026, 11, 23)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"collections": "250"}, "collections must be an integer, 0 or more, or a list of records, got '250'"),
        ({"collections": -1}, "collections must be an integer, 0 or more, .*, got -1"),
        ({"collections": None}, "collections must be an integer, 0 or more, .*, got None"),
        ({"collections": True}, "collections must be an integer, .*, got True"),
        ({"collections": {"id": "c1"}}, "collections must be .* or a list of records"),
        ({"faults": [503]}, "faults must be a list of Fault objects or None, got 503"),
        ({"faults": [None, "503"]}, "faults must be a list of Fault objects or None, got '503'"),
        ({"faults": Fault(status=503)}, "faults must be a list of Fault objects or None, got Fault"),
        ({"latency": "1"}, "latency must be a number of seconds, 0 or more, got '1'"),
        ({"latency": -1}, "latency must be a number of seconds, 0 or more, got -1"),
        ({"latency": float("nan")}, "latency must be a number of seconds, 0 or more, got nan"),
        ({"seed": "1"}, "seed must be an integer of at least 0, got '1'"),
        ({"assets": -1}, "assets must be an integer of at least 0, got -1"),
        ({"assets": "many"}, "assets must be an integer of at least 0, got 'many'"),
        ({"projects": 0}, "projects must be an integer between 1 and 100, got 0"),
        ({"projects": 101}, "projects must be an integer between 1 and 100, got 101"),
        ({"late_filters": "yes"}, "late_filters must be True or False, got 'yes'"),
        ({"port": 65_536}, "port must be an integer between 0 and 65,535, got 65536"),
        ({"port": "8080"}, "port must be an integer between 0 and 65,535, got '8080'"),
        ({"api_key": 1}, "api_key must be a string that is not empty, got 1"),
        ({"api_secret": ""}, "api_secret must be a string that is not empty, got ''"),
        ({"bearer_token": b"jwt"}, "bearer_token must be a string that is not empty, got b'jwt'"),
        ({"now": "2026-11-23"}, "now must be a datetime with a time zone, got '2026-11-23'"),
        ({"now": dt.datetime(2026, 11, 23)}, "now must be a datetime with a time zone, got datetime"),
    ],
)
def test_a_wrong_argument_is_rejected_at_once_and_quoted(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Emulator(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3, "2026-11-23"), "last must be a datetime.date, got '2026-11-23'"),
        ((3, None), "last must be a datetime.date, got None"),
        ((-1, DAY), "count must be an integer between 0 and 739,942, got -1"),
        (("3", DAY), "count must be an integer between 0 and 739,942, got '3'"),
        ((10**6, DAY), "count must be an integer between 0 and 739,942, got 1000000"),
    ],
)
def test_wrong_days_are_rejected_before_the_first_is_used(arguments: tuple[Any, Any], message: str) -> None:
    api = Emulator(1)
    with pytest.raises(ValueError, match=message):
        api.days(*arguments)
    api.close()


def test_a_long_value_is_cut_in_the_message() -> None:
    with pytest.raises(ValueError, match=r"got 'x{50,}\.\.\.$"):
        Emulator("x" * 1000)
