"""The guard, which rejects a new snapshot that is not plausible compared with earlier ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile
from typing import NoReturn

from scenario_etl.diff import count_missing
from scenario_etl.errors import GuardError, ScenarioError
from scenario_etl.lake_file import LakeFile
from scenario_etl.publish import atomic_write
from scenario_etl.redact import redact
from scenario_etl.schema import Resource
from scenario_etl.stores import redact_uri


@dataclass(frozen=True, slots=True)
class Baseline:
    """An earlier snapshot with which a new one is compared.

    Attributes:
        name: A description for error messages, such as "the last snapshot".
        file: The snapshot.
        is_same_scope: Whether it has the same scope as the new snapshot.

    """

    name: str
    file: LakeFile
    is_same_scope: bool


@dataclass(frozen=True, slots=True)
class Guard:
    """Limits on the number of rows that a new snapshot may lack.

    Attributes:
        max_shrink: Maximum fraction of the rows of an earlier snapshot that may be missing, from 0 to 1.
        accept_shrink: Whether any fraction is accepted.
        max_lookups: Maximum number of missing rows that are looked up by id; None if that is not possible.

    """

    max_shrink: float
    accept_shrink: bool
    max_lookups: int | None

    def accepts(self, old_rows: int, missing: int, new_rows: int) -> bool:
        """Return whether a snapshot with `new_rows` is plausible if it lacks `missing` of the `old_rows` of another."""
        return self.accept_shrink or not old_rows or (new_rows > 0 and missing / old_rows <= self.max_shrink)

    def find_problem(self, resource: Resource, baselines: Sequence[Baseline], new: LakeFile) -> tuple[str, str] | None:
        """Compare a new snapshot with each earlier one.

        Returns:
            The reason why it is not plausible, and the options to publish it anyway; None if it is plausible.

        """
        if self.accept_shrink:
            return None
        for baseline in baselines:
            missing = count_missing(resource, baseline.file, new)
            if not self.accepts(baseline.file.rows, missing, new.rows):
                return self._reason(baseline, missing, new.rows), self._options(missing)
        return None

    def _reason(self, baseline: Baseline, missing: int, left: int) -> str:
        before = baseline.file.rows
        if not left:
            return f"the list is empty, but {baseline.name} has {before:,} rows"
        return (
            f"{missing:,} of the {before:,} rows of {baseline.name} are missing ({missing / before:.0%}); "
            f"max_shrink allows {self.max_shrink:.0%}"
        )

    def _options(self, missing: int) -> str:
        options = "--accept-shrink (accept_shrink=True)"
        if self.max_lookups is not None and missing > self.max_lookups:
            options += f", and --max-lookups {missing} to verify the missing rows"
        return options


def reject(problem: tuple[str, str], path: Path, rejected_uri: str, deadline: float) -> NoReturn:
    """Save a snapshot that is not plausible at `rejected_uri`, and raise GuardError.

    Args:
        problem: The result of `Guard.find_problem`.
        path: The path of the snapshot, a local file.
        rejected_uri: The path or URI of the copy.
        deadline: Time limit in seconds for retries of an upload, counted from the start of its first attempt.

    """
    reason, options = problem
    try:
        with atomic_write(rejected_uri, deadline=deadline) as copy:
            copyfile(path, copy)
        advice = f"check the new rows in {redact_uri(rejected_uri)} (Parquet)"
    except (ScenarioError, OSError) as error:
        advice = f"the new rows could not be saved: {redact(str(error), 500)}"
    raise GuardError(
        f"{reason}. Nothing was published; {advice}. To publish this snapshot anyway, run again with {options}"
    )
