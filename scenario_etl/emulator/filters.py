"""Comparisons of filters, and rules about which parameters go together."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from scenario_etl.emulator.messages import HTTPError

Predicate = Callable[[Any], bool]
Comparison = Callable[[str], Predicate]  # from the text of a parameter to a test of a field


class Rule(Protocol):
    """Which parameters are refused."""

    def check(self, query: Mapping[str, str]) -> None:
        """Raise HTTPError 400 where the parameters break the rule."""


def equal(sent: str) -> Predicate:
    """Test whether a field is this text."""
    return lambda value: bool(value == sent)


def one_of(sent: str) -> Predicate:
    """Test whether a field is one of these, separated by commas."""
    return frozenset(sent.split(",")).__contains__


def contains(sent: str) -> Predicate:
    """Test whether a list has this text."""
    return lambda values: sent in values


def contains_any(sent: str) -> Predicate:
    """Test whether a list has one of these texts, separated by commas."""
    texts = frozenset(sent.split(","))
    return lambda values: not texts.isdisjoint(values)


def after(sent: str) -> Predicate:
    """Test whether a date is after this one."""
    bound = _date(sent)
    return lambda value: bool(value > bound)


def before(sent: str) -> Predicate:
    """Test whether a date is before this one."""
    bound = _date(sent)
    return lambda value: bool(value < bound)


def unless_false(sent: str) -> Predicate:
    """Test that a flag is not set, where the parameter is false."""
    return (lambda value: not value) if sent == "false" else lambda _: True


@dataclass(frozen=True)
class Excludes:
    """The first is refused together with any of the others."""

    first: str
    others: tuple[str, ...]

    def check(self, query: Mapping[str, str]) -> None:
        """Raise HTTPError 400 where the parameters break the rule."""
        for other in self.others:
            if holds(query, self.first) and holds(query, other):
                raise HTTPError(400, f"{self.first} and {other} cannot be used together")


@dataclass(frozen=True)
class Needs:
    """The first is refused without one of the others."""

    first: str
    others: tuple[str, ...]

    def check(self, query: Mapping[str, str]) -> None:
        """Raise HTTPError 400 where the parameters break the rule."""
        if holds(query, self.first) and not any(holds(query, other) for other in self.others):
            raise HTTPError(400, f"{self.first} is only allowed with {' or '.join(self.others)}")


@dataclass(frozen=True)
class Only:
    """The first is refused together with anything but the others."""

    first: str
    others: tuple[str, ...]
    known: tuple[str, ...]

    def check(self, query: Mapping[str, str]) -> None:
        """Raise HTTPError 400 where the parameters break the rule."""
        if holds(query, self.first):
            for name in self.known:
                if name in query and name not in self.others:
                    raise HTTPError(400, f"{self.first} cannot be combined with {name}")


@dataclass(frozen=True)
class OneOf:
    """Any other value of a parameter is refused."""

    name: str
    values: tuple[str, ...]

    def check(self, query: Mapping[str, str]) -> None:
        """Raise HTTPError 400 where the parameters break the rule."""
        if self.name in query and query[self.name] not in self.values:
            raise HTTPError(400, f"{self.name} must be one of: {', '.join(self.values)}")


def holds(query: Mapping[str, str], condition: str) -> bool:
    """Return whether a parameter is there, or has the value in "name=value"."""
    name, equals, value = condition.partition("=")
    return query.get(name) == value if equals else name in query


def _date(sent: str) -> datetime:
    try:
        moment = datetime.fromisoformat(sent)
    except ValueError:
        raise HTTPError(400, f"{sent} is not an ISO 8601 date") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
