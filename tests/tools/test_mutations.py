import ast
from pathlib import Path

import pytest

import scenario_etl
from tests.tools import mutations
from tests.tools.mutations import MORE_TESTS, MUTATIONS, SUITES

PACKAGE = Path(scenario_etl.__file__).parent


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.rule)
def test_every_mutation_can_be_made_and_is_still_python(mutation) -> None:
    right = (PACKAGE / f"{mutation.module}.py").read_text()
    assert right.count(mutation.old) == 1
    wrong = ast.parse(right.replace(mutation.old, mutation.new))
    assert ast.dump(wrong) != ast.dump(ast.parse(right))


def test_every_rule_has_its_own_name() -> None:
    assert len({mutation.rule for mutation in MUTATIONS}) == len(MUTATIONS)


def test_every_suite_is_there() -> None:
    assert all((PACKAGE.parent / path).exists() for suite in SUITES for path in suite)


@pytest.mark.parametrize("module", MORE_TESTS)
def test_the_tests_of_every_module_are_there(module: str) -> None:
    assert (PACKAGE / f"{module}.py").exists()
    assert all(map(mutations.tests_of, MORE_TESTS[module]))
