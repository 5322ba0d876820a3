import re
from pathlib import Path

import pytest

from scenario_etl import errors

CODES = {
    "ConfigError": 78,
    "APIError": 69,
    "TransientError": 75,
    "AuthError": 77,
    "PaginationError": 65,
    "SchemaError": 65,
    "GuardError": 65,
    "DestinationError": 74,
}


@pytest.mark.parametrize(("name", "code"), CODES.items())
def test_each_error_names_its_exit_code_in_class_docstring_and_documentation(name: str, code: int) -> None:
    assert getattr(errors, name).exit_code == code
    assert re.search(rf"{name}\s.*\s{code}$", errors.__doc__ or "", re.MULTILINE)
    assert re.search(rf"^\| {code} \|.*`{name}`", Path("docs/operations.md").read_text(), re.MULTILINE)


def test_a_transient_error_is_caught_as_an_api_error_and_both_as_a_scenario_error() -> None:
    assert issubclass(errors.TransientError, errors.APIError)
    assert issubclass(errors.AuthError, errors.APIError)
    assert all(issubclass(getattr(errors, name), errors.ScenarioError) for name in CODES)


def test_only_a_transient_error_is_worth_another_run() -> None:
    transient = {name: getattr(errors, name).transient for name in ("ScenarioError", *CODES)}
    assert transient == {name: name == "TransientError" for name in transient}
    assert errors.TransientError("503").transient is True
