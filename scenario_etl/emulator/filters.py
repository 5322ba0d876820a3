"""Predicates of filters, and rules for combinations of parameters."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from scenario_etl.emulator.messages import HTTPError

Predicate = Callable[[Any], bool]
Comparison = Callable[[str], Predicate]  # from the text of a parameter to a test of a field


class Rule(Protocol):
    """A rule for query parameters."""

    def check(self, query: Mapping[str, str]) -> None:
        """Raise HTTPError 400 if the parameters violate the rule."""


def equal(value: str) -> Predicate:
    """Return a test of whether a field is equal to a text."""
    return lambda found: bool(found == value)


def one_of(value: str) -> Predicate:
    """Return a test of whether a field is one of several texts, separated by commas."""
    return frozenset(value.split(",")).__contains__


def contains(value: str) -> Predicate:
    """Return a test of whether a list contains a text."""
    return lambda values: value in values


def contains_any(value: str) -> Predicate:
    """Return a test of whether a list contains one of several texts, separated by commas."""
    texts = frozenset(value.split(","))
    return lambda values: not texts.isdisjoint(values)


def after(value: str) -> Predicate:
    """Return a test of whether a date is after another."""
    bound = _date(value)
    return lambda date: bool(date > bound)


def before(value: str) -> Predicate:
    """Return a test of whether a date is before another."""
    bound = _date(value)
    return lambda date: bool(date < bound)


def unless_false(value: str) -> Predicate:
    """Return a test that rejects a set flag if the parameter is "false", and otherwise accepts all."""
    return (lambda flag: not flag) if value == "false" else lambda _: True


@dataclass(frozen=True)
class Excludes:
    """A parameter that is rejected in combination with any of the others."""

    first: str
    others: tuple[str, ...]

    def check(self, query: Mapping[str, str]) -> None:
        """Raise HTTPError 400 if the parameters violate the rule."""
        for other in self.others:
            if holds(query, self.first) and holds(query, other):
                raise HTTPError(400, f"{self.first} and {other} cannot be used together")


@dataclass(frozen=True)
class Needs:
    """A parameter that is rejected without one of the others."""

    first: str
    others: tuple[str, ...]

    def check(self, query: Mapping[str, str]) -> None:
        """Raise HTTPError 400 if the parameters violate the rule."""
        if holds(query, self.first) and not any(holds(query, other) for other in self.others):
            raise HTTPError(400, f"{self.first} is only allowed with {' or '.join(self.others)}")


@dataclass(frozen=True)
class Only:
    """A parameter that is rejected in combination with any known parameter except the others."""

    first: str
    others: tuple[str, ...]
    known: tuple[str, ...]

    def check(self, query: Mapping[str, str]) -> None:
        """Raise HTTPError 400 if the parameters violate the rule."""
        if holds(query, self.first):
            for name in self.known:
                if name in query and name not in self.others:
                    raise HTTPError(400, f"{self.first} cannot be combined with {name}")


@dataclass(frozen=True)
class OneOf:
    """A parameter for which only these values are accepted."""

    name: str
    values: tuple[str, ...]

    def check(self, query: Mapping[str, str]) -> None:
        """Raise HTTPError 400 if the parameters violate the rule."""
        if self.name in query and query[self.name] not in self.values:
            raise HTTPError(400, f"{self.name} must be one of: {', '.join(self.values)}")


def holds(query: Mapping[str, str], condition: str) -> bool:
    """Return whether a parameter is set, or has the value in "name=value"."""
    name, equals, value = condition.partition("=")
    return query.get(name) == value if equals else name in query


def _date(value: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise HTTPError(400, f"{value} is not an ISO 8601 date") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
