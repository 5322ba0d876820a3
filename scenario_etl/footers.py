"""Parse the footers of the files of a lake, and check whether two files belong to the same run.

A value that is missing or not valid, because another program has changed it, is None.
"""

import datetime as dt
import json
import re
from collections.abc import Mapping
from typing import Any

from scenario_etl.dates import parse_date
from scenario_etl.lake_file import LakeFile

COUNTS = ("pages", "requests", "retries", "duplicates")  # of a run
MAX_DIGITS = 18  # of an integer
MAX_TOTAL = 10**38  # of a column


def integer(footer: Mapping[str, str], name: str) -> int | None:
    """Return the integer with a name in a footer, of at most 18 digits."""
    text = footer.get(name, "")
    return int(text) if re.fullmatch(rf"[0-9]{{1,{MAX_DIGITS}}}", text) else None


def date(footer: Mapping[str, str], name: str) -> dt.date | None:
    """Return the date with a name in a footer."""
    return parse_date(footer.get(name, ""))


def moment(footer: Mapping[str, str], name: str) -> dt.datetime | None:
    """Return the time with a name in a footer, in UTC."""
    try:
        value = dt.datetime.fromisoformat(footer.get(name, ""))
    except ValueError:
        return None
    return value.astimezone(dt.UTC) if value.tzinfo else None


def json_object(footer: Mapping[str, str], name: str) -> dict[str, Any]:
    """Return a JSON object, an empty one if the value is missing or not valid."""
    try:
        value = json.loads(footer.get(name, "{}"))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def project_names(footer: Mapping[str, str]) -> dict[str, str]:
    """Return the names of projects by id from the footer of a snapshot."""
    return {key: name for key, name in json_object(footer, "projects").items() if isinstance(name, str)}


def column_totals(footer: Mapping[str, str]) -> dict[str, int]:
    """Return the totals of integer columns, by name, from the footer of changes."""
    totals = json_object(footer, "totals")
    return {name: total for name, total in totals.items() if type(total) is int and abs(total) < MAX_TOTAL}


def is_same_run(snapshot: LakeFile, changes: LakeFile) -> bool:
    """Return whether a snapshot and its changes come from the same run; also True if a run id is missing."""
    return not (snapshot.run_id and changes.run_id) or snapshot.run_id == changes.run_id


def is_next_run(changes: LakeFile, before: dt.date | None) -> bool:
    """Return whether changes follow those of the date `before`; also True without such a date or a footer."""
    return before is None or not changes.footer or date(changes.footer, "previous_date") == before
