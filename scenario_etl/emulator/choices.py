"""Choices of the dice that made-up records have in common: dates, ids, authors and tags."""

import random
from datetime import datetime, timedelta
from itertools import pairwise

from scenario_etl.emulator import project, team, words

BUSY = ((0.0, 0.0), (0.4, 0.72), (0.9, 0.82), (1.0, 1.0))  # share of the work, share of the time: half in a tenth


def moment(share: float) -> datetime:
    """Return when this share of the team's work was done."""
    time = 0.0
    for (work, since), (next_work, until) in pairwise(BUSY):
        if work <= share <= next_work:
            time = since + (until - since) * (share - work) / (next_work - work)
            break
    return milliseconds(team.SINCE + (team.UNTIL - team.SINCE) * time)


def milliseconds(time: datetime) -> datetime:
    """Return a time as the API can write it."""
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


class Choices:
    """Dice, and what they choose from; the same for the same seed, in the same order.

    Attributes:
        seed: of the team.
        dice: for any other choice.

    """

    def __init__(self, seed: str) -> None:
        self.seed = seed
        self.dice = random.Random(f"{seed} studio")  # noqa: S311 - data, no secret
        self._anybody: list[str] = [each["id"] for each in project.people(seed)]
        self._authors: dict[str, list[str]] = {
            each: [user["id"] for user in project.members(seed, number)] + [project.api_key(seed, number)]
            for number, each in enumerate(team.project_ids(seed))
        }
        self._numbers = {"asset": 0, "job": 0}

    def id(self, noun: str) -> str:
        """Return the id of the next asset or job."""
        self._numbers[noun] += 1
        return f"{noun}_{team.identifier(self.seed, noun, self._numbers[noun])}"

    def author(self, owner: str) -> str:
        """Return a user or an API key of a project; some do more than others."""
        authors = self._authors.get(owner, self._anybody)
        return authors[int(self.dice.random() ** 2 * len(authors))]

    def tags(self) -> tuple[str, ...]:
        """Return no tag, or up to three; some are more frequent than others."""
        dice = self.dice
        count = int(dice.random() ** 2 * 4)
        names = [words.TAGS[int(dice.random() ** 2 * len(words.TAGS))] for _ in range(count)]
        return tuple(dict.fromkeys(names))

    def later(self, created: datetime) -> datetime:
        """Return when a record changed last: mostly soon after it was created."""
        if self.dice.random() < 0.7 or created >= team.UNTIL:
            return created + timedelta(milliseconds=self.dice.randrange(20_000))
        return milliseconds(created + (team.UNTIL - created) * self.dice.random() ** 3)
