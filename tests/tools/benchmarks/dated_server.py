"""Serve the assets of several projects, by date: `python -m tests.tools.benchmarks.dated_server ROWS MS PROJECTS`.

Each project has ROWS records, which are serialized in advance as in `server`. Half of them were created in a tenth of
the time, and every fiftieth has the time of the one before. Beside the API there are:

- `PUT /changes?records=N`, which changes the description and the updatedAt of N records, spread over all projects,
- `GET /requests`, which returns how many requests there were. Neither of the two is counted, or delayed.
"""

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import numpy as np

from scenario_etl.emulator import project, team
from tests.tools.benchmarks.server import BLOCK, DEFAULT_PAGE_SIZE, listen, records_of, response, split

TEAM = team.Projects("")
EPOCH, MILLISECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)
SINCE = datetime(2023, 1, 1, tzinfo=UTC)
DAYS = 1000
SHARE_OF_RECORDS, SHARE_OF_TIME = (0, 0.25, 0.75, 1), (0, 0.45, 0.55, 1)
SAME_TIME_EVERY = 50
PLACES = ("project", "created", "updated")  # in the text of a record, beside the number in its ids
NEW_DESCRIPTION = "Changed at <updated>."
NAMES = {"createdAt": ("createdAfter", "createdBefore"), "updatedAt": ("updatedAfter", "updatedBefore")}


class InvalidRequestError(Exception):
    """The API returns 400."""


class Assets:
    """The records of all projects. The time of a record is in milliseconds since 1970.

    Attributes:
        rows: Records of each project.
        projects: Ids of the projects.

    """

    def __init__(self, rows: int, projects: int) -> None:
        self.rows = rows
        self.projects = [f"proj_{number:04d}" for number in range(projects)]
        records = records_of("assets")
        self._templates = [template(record) for record in records]
        self._changed = [template(record | {"description": NEW_DESCRIPTION}) for record in records]
        self._created = created(rows)  # is the same in each project
        self._updated = [self._created] * projects
        self._by_updated = [np.arange(rows)] * projects  # numbers of records, in this order
        self._sorted = [self._created] * projects  # the same times as in _updated, ascending
        self._newest = int(self._created[-1])

    def change(self, records: int, now: int) -> None:
        """Change so many records, spread over all projects, as if one was changed in each millisecond until `now`."""
        numbers = np.arange(records) * (self.rows * len(self.projects)) // records
        times = max(now - records, self._newest) + 1 + np.arange(records)
        self._newest = int(times[-1])
        for place in range(len(self.projects)):
            here = numbers // self.rows == place
            updated = self._updated[place].copy()
            updated[numbers[here] % self.rows] = times[here]
            order = np.argsort(updated, kind="stable")
            self._updated[place], self._by_updated[place], self._sorted[place] = updated, order, updated[order]

    def page(self, place: int, query: Mapping[str, str]) -> bytes:
        """Return the page of a project that a query requests."""
        field, descending = query.get("sortBy", ""), query.get("sortDirection", "desc") == "desc"
        start, end = self._range(place, field, query)
        offset, size = int(query.get("paginationToken") or 0), int(query.get("pageSize", DEFAULT_PAGE_SIZE))
        last = min(offset + size, end - start)
        chosen = np.arange(end - last, end - offset)[::-1] if field and descending else np.arange(offset, last) + start
        records = self.records(place, self._by_updated[place][chosen] if field == "updatedAt" else chosen)
        token = b',"nextPaginationToken":"%d"' % last if last < end - start else b""
        return b'{"assets":[' + b",".join(records) + b"]" + token + b"}"

    def _range(self, place: int, field: str, query: Mapping[str, str]) -> tuple[int, int]:
        """Return where the records begin and end that a query requests, in its order but ascending."""
        if any(name in query for sort, names in NAMES.items() for name in names if sort != field):
            raise InvalidRequestError("a date filter requires that the list is sorted by this date")
        if not field:
            return 0, self.rows
        if field not in NAMES:
            raise InvalidRequestError("sortBy must be createdAt or updatedAt")
        times = self._created if field == "createdAt" else self._sorted[place]
        after, before = (query.get(name) for name in NAMES[field])
        start = int(np.searchsorted(times, milliseconds(after), "right")) if after else 0
        end = int(np.searchsorted(times, milliseconds(before), "left")) if before else self.rows
        return start, max(start, end)

    def records(self, place: int, numbers: np.ndarray) -> list[bytes]:
        """Return the texts of some records of a project."""
        created, updated = self._created[numbers], self._updated[place][numbers]
        columns = (numbers.tolist(), (created != updated).tolist(), texts(created), texts(updated))
        name = self.projects[place].encode()
        return [
            (self._changed if is_changed else self._templates)[number % BLOCK]
            % {b"number": place * self.rows + number, b"project": name, b"created": since, b"updated": last}
            for number, is_changed, since, last in zip(*columns, strict=True)
        ]

    def find(self, identifier: str) -> bytes | None:
        """Return the text of the record with this id."""
        digits = identifier.removeprefix("asset_")
        place, number = divmod(int(digits), self.rows) if digits.isdecimal() else (len(self.projects), 0)
        return self.records(place, np.array([number]))[0] if place < len(self.projects) else None


def created(rows: int) -> np.ndarray:
    """Return when each record was created, ascending."""
    numbers = np.arange(rows)
    numbers -= numbers % SAME_TIME_EVERY == SAME_TIME_EVERY - 1
    times = np.interp(numbers / rows, SHARE_OF_RECORDS, SHARE_OF_TIME) * (timedelta(DAYS) // MILLISECOND)
    return (SINCE - EPOCH) // MILLISECOND + times.astype(np.int64)


def milliseconds(text: str) -> int:
    """Return the milliseconds since 1970 of a time in ISO 8601."""
    try:
        return (datetime.fromisoformat(text) - EPOCH) // MILLISECOND
    except (ValueError, TypeError) as error:
        raise InvalidRequestError("a date is not valid") from error


def texts(times: np.ndarray) -> list[bytes]:
    """Return times in ISO 8601, as in the API."""
    return np.datetime_as_string(times.astype("datetime64[ms]"), timezone="UTC").astype("S").tolist()


def template(record: dict) -> bytes:
    """Return the JSON text of a record as a format of its number and its `PLACES`."""
    changed = {"ownerId": "<project>", "createdAt": "<created>", "updatedAt": "<updated>"}
    text = b"%(number)022d".join(part.replace(b"%", b"%%") for part in split(record | changed))
    for name in PLACES:
        text = text.replace(b"<%s>" % name.encode(), b"%%(%s)s" % name.encode())
    return text


class Service:
    """Responds to requests, and counts them."""

    def __init__(self, assets: Assets, seconds: float) -> None:
        self._assets, self._seconds = assets, seconds
        self._places = {name: place for place, name in enumerate(assets.projects)}
        self._counts: Counter[str] = Counter()
        self._total = 0
        self._lock = threading.Lock()

    def respond(self, method: str, target: str) -> bytes:
        """Return the response to a request."""
        path, _, text = target.partition("?")
        query = dict(parse_qsl(text))
        path = path.removeprefix("/v1/")
        if path == "requests":
            with self._lock:
                return as_json({"total": self._total, "by_project": self._counts})
        if (method, path) == ("PUT", "changes"):
            self._assets.change(int(query["records"]), time.time_ns() // 10**6)
            return as_json({})
        name = query.get("projectId", self._assets.projects[0]) if path.startswith("assets") else ""
        with self._lock:
            self._total += 1
            if name:
                self._counts[name] += 1
        time.sleep(self._seconds) if self._seconds else None
        try:
            return self._list(path, name, query)
        except InvalidRequestError as error:
            return as_json({"reason": str(error)}, "400 Bad Request")

    def _list(self, path: str, name: str, query: Mapping[str, str]) -> bytes:
        if path == "assets" and name in self._places:
            return response("200 OK", self._assets.page(self._places[name], query))
        if path == "teams":
            return as_json({"teams": [project.team_record(TEAM) | {"projects": [*map(listed, self._assets.projects)]}]})
        if path == "projects":
            offset, size = int(query.get("paginationToken") or 0), int(query.get("pageSize", DEFAULT_PAGE_SIZE))
            found = self._assets.projects[offset : offset + size]
            page: dict[str, Any] = {"projects": [project.record(TEAM, 0) | listed(each) for each in found]}
            is_last = offset + size >= len(self._assets.projects)
            return as_json(page if is_last else page | {"nextPaginationToken": str(offset + size)})
        record = self._assets.find(path.removeprefix("assets/"))
        if record is None:
            return as_json({"reason": "not found"}, "404 Not Found")
        return response("200 OK", b'{"asset":' + record + b"}")


def listed(name: str) -> dict[str, str]:
    """Return a project as its team lists it."""
    dates = {key: project.record(TEAM, 0)[key] for key in ("createdAt", "updatedAt")}
    return {"id": name, "name": f"Project {name.removeprefix('proj_')}"} | dates


def as_json(document: object, status: str = "200 OK") -> bytes:
    """Return a response with a JSON document."""
    return response(status, json.dumps(document).encode())


if __name__ == "__main__":
    listen(Service(Assets(int(sys.argv[1]), int(sys.argv[3])), float(sys.argv[2]) / 1000).respond)
