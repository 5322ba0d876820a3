"""The projects of a team: their ids, and their names, which are stored in the footer of a snapshot."""

import json
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from scenario_etl.arguments import check_type
from scenario_etl.client import Client
from scenario_etl.errors import APIError, ScenarioError, SchemaError
from scenario_etl.pages import Page, Pages
from scenario_etl.redact import redact

NAMES_SECONDS = 10.0  # time limit of the response
MAX_PROJECTS = 100  # names that are stored
MAX_NAME_LENGTH = 200  # characters of a project's name or id

logger = logging.getLogger("scenario_etl")


@dataclass(frozen=True, slots=True)
class Projects:
    """The projects to read, if there may be several.

    Attributes:
        ids: Their ids, None for all projects that the API lists for the key.
        skip_forbidden: Whether projects that the key may not read are skipped.
        listed: The projects that the API lists for the key, None if they have not been requested.
        is_partition: Whether these are some of the projects, so that all of them may be skipped.

    """

    ids: tuple[str, ...] | None
    skip_forbidden: bool = False
    listed: tuple[str, ...] | None = None
    is_partition: bool = False

    @property
    def label(self) -> str:
        """A description for a message."""
        return "all projects" if self.ids is None else ", ".join(self.ids)

    @property
    def scope(self) -> str:
        """The value of `project_id` in a scope or a report."""
        return "all" if self.ids is None else ",".join(sorted(self.ids))

    def resolve(self, client: Client, counts: "Counter[str] | None" = None) -> tuple[str, ...]:
        """Return the ids, which are requested from the API if they are not given, and add these requests to counts."""
        known = self.listed if self.ids is None else self.ids
        return tuple(_list_projects(client, Counter() if counts is None else counts)) if known is None else known


def is_skipped(error: APIError, skip_forbidden: bool) -> bool:
    """Return whether an error means that a project is skipped: the key may not read it (403), and that is accepted."""
    return skip_forbidden and error.status == 403


def project_ids(client: Client | None = None) -> list[str]:
    """Return the ids of all projects of the teams of the API key, sorted.

    Args:
        client: Client to use; None creates one from the environment, and closes it.

    Raises:
        ConfigError: There are no credentials.
        APIError: The projects cannot be read, or there are none; TransientError and AuthError are subclasses.
        PaginationError: Pagination did not finish.
        SchemaError: A project has no id.

    >>> from scenario_etl import Client, Emulator, project_ids
    >>> with Emulator() as api, Client("demo", "demo", base_url=api.url) as client:
    ...     len(project_ids(client))
    4

    """
    if client is not None:
        check_type("client", client, Client)
    with nullcontext(client) if client else Client() as api:
        return _list_projects(api, Counter())


def _list_projects(client: Client, counts: "Counter[str]") -> list[str]:
    projects = client.pages("/projects", "projects", {"pageSize": MAX_PROJECTS})
    teams = client.pages("/teams", "teams", {})
    try:
        found = set(_ids("projects", projects))
        for team in (team for page in teams for team in page.records):
            listed = team.get("projects") if isinstance(team, dict) else None
            found.update(_ids("teams", [Page(listed if isinstance(listed, list) else [], None, 0)]))
    finally:
        add_counts(counts, projects)
        add_counts(counts, teams)
    if not found:
        raise APIError("the API key has no projects; check its teams")
    return sorted(found)


def _ids(resource: str, pages: Iterable[Page]) -> Iterator[str]:
    for record in (record for page in pages for record in page.records):
        key = record.get("id") if isinstance(record, dict) else None
        if not isinstance(key, str) or not key:
            raise SchemaError(f"{resource}: a project has no id, got {redact(key)}; report it to the vendor")
        yield key


def read_project_names(client: Client, counts: "Counter[str]") -> str:
    """Return the names of the first 100 projects as JSON, keyed by id; an empty object if they cannot be read.

    This sends one request without retries, because names are optional. Its counts are added to `counts`.
    """
    pages = client.pages(
        "/projects", "projects", {"pageSize": MAX_PROJECTS}, attempts=1, response_timeout=NAMES_SECONDS
    )
    names: dict[str, str] = {}
    try:
        names = _names_by_id(next(iter(pages)).records[:MAX_PROJECTS])
    except ScenarioError as error:
        logger.info("cannot read the names of projects: %s", error)
    add_counts(counts, pages)
    return json.dumps(names)


def add_counts(counts: "Counter[str]", pages: Pages) -> None:
    """Add the requests, retries and seconds waited of pages to counts."""
    counts["requests"] += pages.requests
    counts["retries"] += pages.retries
    counts["seconds_waited"] += pages.seconds_waited  # type: ignore[assignment] # a Counter holds any number


def _names_by_id(records: Iterable[Any]) -> dict[str, str]:
    names = {}
    for record in records:
        key, name = (record.get("id"), record.get("name")) if isinstance(record, dict) else (None, None)
        if isinstance(key, str) and len(key) <= MAX_NAME_LENGTH and isinstance(name, str) and name:
            names[key] = redact(name, MAX_NAME_LENGTH)
    return names
