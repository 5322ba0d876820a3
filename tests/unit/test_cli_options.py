from dataclasses import dataclass, replace
from typing import Any

import click
import pytest
from click.testing import CliRunner

from scenario_etl import cli_options, cli_resources
from scenario_etl.cli_options import filter_options, option_group, with_option_names
from scenario_etl.errors import ConfigError
from scenario_etl.filters import DATE, FLAG, TEXT, TEXTS, Filter, query_for
from scenario_etl.resources import INCLUDE_ARGUMENTS, RESOURCES

FILTERS = (
    Filter("owner_id", "ownerId", TEXT, "Limit to one owner."),
    Filter("tags", "tags", TEXTS, "Limit to these tags."),
    Filter("created_after", "createdAfter", DATE, "Limit to newer records."),
    Filter("is_public", "isPublic", FLAG, "Limit to public records, or to others."),
)


@dataclass(frozen=True)
class Size:
    width: int
    height: int


width, height = click.option("--width", type=int, default=1), click.option("--height", type=int, default=2)


def size_command(*options: Any) -> tuple[click.Command, list[Size]]:
    """Return a command that takes options as one Size, and the list that it appends it to."""
    sizes: list[Size] = []

    @click.command()
    @option_group(Size, "size", *options)
    def command(size: Size) -> None:
        sizes.append(size)

    return command, sizes


def run(command: click.Command, *arguments: str) -> None:
    CliRunner().invoke(command, arguments, standalone_mode=False, catch_exceptions=False)


def test_a_command_receives_its_options_as_one_typed_group() -> None:
    command, sizes = size_command(width, height)
    run(command, "--height", "5")
    assert sizes == [Size(1, 5)]


def test_a_field_without_an_option_is_an_error() -> None:
    with pytest.raises(KeyError, match="height"):
        run(size_command(width)[0])


def test_an_option_without_a_field_is_an_error() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'depth'"):
        run(size_command(width, height, click.option("--depth"))[0])


def test_options_are_listed_in_the_order_of_their_declaration() -> None:
    assert [option.name for option in size_command(width, height)[0].params] == ["width", "height"]


@pytest.fixture
def filter_command(monkeypatch: pytest.MonkeyPatch) -> tuple[click.Command, list[dict[str, Any]]]:
    """A command with the options of FILTERS, and the list that it appends its filters to."""
    monkeypatch.setattr(cli_options, "FILTERS", {each.name: each for each in FILTERS})
    monkeypatch.setattr(cli_resources, "RESOURCES", {"tags": replace(RESOURCES["tags"], filters=FILTERS)})
    received: list[dict[str, Any]] = []

    @click.command()
    @filter_options(*(each.name for each in FILTERS))
    def command(filters: dict[str, Any]) -> None:
        received.append(filters)

    return command, received


@pytest.mark.parametrize(
    ("arguments", "query"),
    [
        ("", {}),
        ("--owner-id proj_1", {"ownerId": "proj_1"}),
        ("--tags red --tags blue", {"tags": "blue,red"}),
        ("--created-after 2026-11-23", {"createdAfter": "2026-11-23T00:00:00.000Z"}),
        ("--is-public true", {"isPublic": "true"}),
        ("--is-public false", {"isPublic": "false"}),
    ],
)
def test_each_type_of_filter_can_be_set_by_its_option(filter_command, arguments: str, query: dict[str, str]) -> None:
    command, received = filter_command
    run(command, *arguments.split())
    assert query_for("things", FILTERS, received[0]) == query


def test_the_option_of_a_filter_has_its_description_and_its_resources_as_help(filter_command) -> None:
    assert {option.name: option.help for option in filter_command[0].params} == {
        each.name: f"{each.description}{' Repeat the option for several values.' * each.type.is_list} [tags]"
        for each in FILTERS
    }


@pytest.mark.parametrize(
    ("name", "metavar"),
    [
        ("sort_direction", "[asc|desc]"),
        ("status", "VALUE"),
        ("tags", "VALUE"),
        ("project_id", "ID"),
        ("deleted", "[true|false]"),
    ],
)
def test_an_option_shows_its_choices_if_all_resources_have_the_same_ones(name: str, metavar: str) -> None:
    @click.command()
    @filter_options(name)
    def command(filters: dict[str, Any]) -> None:
        pass

    assert [option.metavar for option in command.params] == [metavar]


def test_an_option_adds_columns_that_are_not_read_by_default() -> None:
    received: list[dict[str, Any]] = []

    @click.command()
    @filter_options(*INCLUDE_ARGUMENTS)
    def command(filters: dict[str, Any]) -> None:
        received.append(filters)

    run(command)
    run(command, "--include-personal")
    assert received == [{}, {"include_personal": True}]


def test_each_declared_filter_has_an_option() -> None:
    declared = {each.name for resource in RESOURCES.values() for each in resource.filters}
    assert cli_options.FILTERS.keys() == declared


def test_a_filter_that_the_resource_does_not_declare_is_rejected(filter_command) -> None:
    command, received = filter_command
    run(command, "--owner-id", "proj_1")
    with pytest.raises(ConfigError, match="owner_id"):
        query_for("collections", RESOURCES["collections"].filters, received[0])


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("page_size must be between 1 and 100, got 500", "--page-size must be between 1 and 100, got 500"),
        ("privacy=public requires allow_public=true", "privacy=public requires --allow-public=true"),
        ("accept it with --accept-scope (accept_scope=True)", "accept it with --accept-scope (accept_scope=True)"),
        ("/data/page_size.parquet exists", "/data/page_size.parquet exists"),
        ("got 'page_size'", "got 'page_size'"),
        ("page_size.txt and page_size/x exist", "page_size.txt and page_size/x exist"),
        ("unknown argument 'model_id'", "unknown argument '--model-id'"),
        ("item_count is not an option", "item_count is not an option"),
        ("it has no column project_id", "it has no column project_id"),
    ],
)
def test_an_error_about_an_argument_names_its_option(message: str, shown: str) -> None:
    assert with_option_names(message) == shown
