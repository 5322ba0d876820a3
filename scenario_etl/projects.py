"""Names of projects: read from the API once per run, and stored in the footer of its snapshot."""

import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from scenario_etl.client import Client
from scenario_etl.errors import ScenarioError
from scenario_etl.footers import json_object
from scenario_etl.redact import redact

NAMES_SECONDS = 10.0  # time limit of the response
MAX_PROJECTS = 100  # names that are stored
MAX_NAME_LENGTH = 200  # characters of a project's name or id

logger = logging.getLogger("scenario_etl")


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
    counts["requests"] += pages.requests
    counts["retries"] += pages.retries
    counts["seconds_waited"] += pages.seconds_waited  # type: ignore[assignment] # a Counter holds any number
    return json.dumps(names)


def project_names(footer: Mapping[str, str]) -> dict[str, str]:
    """Return the names of projects by id from the footer of a snapshot."""
    return {key: name for key, name in json_object(footer, "projects").items() if isinstance(name, str)}


def _names_by_id(records: Iterable[Any]) -> dict[str, str]:
    names = {}
    for record in records:
        key, name = (record.get("id"), record.get("name")) if isinstance(record, dict) else (None, None)
        if isinstance(key, str) and len(key) <= MAX_NAME_LENGTH and isinstance(name, str) and name:
            names[key] = redact(name, MAX_NAME_LENGTH)
    return names
