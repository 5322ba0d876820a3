"""Random choices for generated records: dates, ids, authors and tags."""

import random
from datetime import datetime, timedelta
from itertools import pairwise

from scenario_etl.emulator import project, team, words

# (share of the work, share of the time); half of the work takes a tenth of the time
WORK_OVER_TIME = ((0.0, 0.0), (0.4, 0.72), (0.9, 0.82), (1.0, 1.0))


def moment(share: float) -> datetime:
    """Return the time at which this share of the team's work was done."""
    time = 0.0
    for (work, since), (next_work, until) in pairwise(WORK_OVER_TIME):
        if work <= share <= next_work:
            time = since + (until - since) * (share - work) / (next_work - work)
            break
    return team.milliseconds(team.SINCE + (team.UNTIL - team.SINCE) * time)


class Choices:
    """Random choices, which only depend on the seed and the order of calls.

    Attributes:
        seed: Seed of the team.
        rng: Random generator for all other choices.

    """

    def __init__(self, projects: team.Projects) -> None:
        self.seed = seed = projects.seed
        self.rng = random.Random(f"{seed} studio")  # noqa: S311 - test data, not a secret
        self._anybody: list[str] = [each["id"] for each in project.people(seed)]
        self._authors: dict[str, list[str]] = {
            each: [user["id"] for user in project.members(seed, number)] + [project.api_key(seed, number)]
            for number, each in enumerate(projects.ids)
        }
        self._numbers = {"asset": 0, "job": 0}

    def id(self, noun: str) -> str:
        """Return the id of the next asset or job."""
        self._numbers[noun] += 1
        return f"{noun}_{team.identifier(self.seed, noun, self._numbers[noun])}"

    def author(self, owner: str) -> str:
        """Return a user or an API key of a project; some are more frequent than others."""
        authors = self._authors.get(owner, self._anybody)
        return authors[int(self.rng.random() ** 2 * len(authors))]

    def tags(self) -> tuple[str, ...]:
        """Return no tag, or up to three; some are more frequent than others."""
        rng = self.rng
        count = int(rng.random() ** 2 * 4)
        names = [words.TAGS[int(rng.random() ** 2 * len(words.TAGS))] for _ in range(count)]
        return tuple(dict.fromkeys(names))

    def later(self, created: datetime) -> datetime:
        """Return the time of the last update of a record, in most cases soon after its creation."""
        if self.rng.random() < 0.7 or created >= team.UNTIL:
            return created + timedelta(milliseconds=self.rng.randrange(20_000))
        return team.milliseconds(created + (team.UNTIL - created) * self.rng.random() ** 3)
