"""An API of assets in memory: filtered and sorted by date before it is paged, by tokens that are offsets."""

import io
import json
import operator
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
import urllib3
from requests.adapters import BaseAdapter, HTTPAdapter

from scenario_etl import Client, Scan, scan

START = datetime(2026, 3, 1, tzinfo=UTC)
NOW = START + timedelta(days=30)  # in the header Date
Query = dict[str, str]
BOUNDS = {
    "createdAfter": ("createdAt", operator.gt), "createdBefore": ("createdAt", operator.lt),
    "updatedAfter": ("updatedAt", operator.gt), "updatedBefore": ("updatedAt", operator.lt),
}  # fmt: skip


def text(milliseconds: int) -> str:
    """A date of the API, some milliseconds after the start."""
    moment = START + timedelta(milliseconds=milliseconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def asset(key: object, milliseconds: int, **more: Any) -> dict[str, Any]:
    """An asset that was created some milliseconds after the start."""
    return {"id": str(key), "createdAt": text(milliseconds), "updatedAt": text(milliseconds)} | more


def assets(*milliseconds: int, prefix: str = "a") -> list[dict[str, Any]]:
    """Assets that were created at these times, with ids in this order."""
    return [asset(f"{prefix}{number:05}", each) for number, each in enumerate(milliseconds)]


class DatedAPI(BaseAdapter):
    """Answers the requests of several threads, one at a time.

    Args:
        records: The assets, or those of each project.

    Attributes:
        projects: The assets of each project; those of the default project under None.
        queries: The query of each request for a list, without those for projects and teams.
        answer: A function of a query that is called first; what it returns is sent instead, and an exception raised.
        is_sorted, has_bounds: Whether the list is sorted, and whether it is filtered by date.

    """

    def __init__(self, records: Iterable[dict[str, Any]] | dict[str | None, list[dict[str, Any]]] = ()) -> None:
        super().__init__()
        self.projects = records if isinstance(records, dict) else {None: list(records)}
        self.queries: list[Query] = []
        self.answer: Callable[[Query], Any] = lambda query: None
        self.is_sorted = self.has_bounds = True
        self.lock = Lock()

    @property
    def records(self) -> list[dict[str, Any]]:
        """The assets of the default project."""
        return self.projects[None]

    def client(self, **arguments: Any) -> Client:
        """A client that waits for nobody; it can be used after its end."""
        session = requests.Session()
        session.mount("https://", self)
        given = {"api_key": "k", "api_secret": "s", "base_url": "https://api.example/v1", "session": session}
        return Client(**given | {"requests_per_minute": 0, "sleep": lambda _: None} | arguments)

    def scan(self, client: Client | None = None, **arguments: Any) -> Scan:
        """A scan of the assets."""
        return scan("assets", client=client or self.client(), **arguments)

    def send(self, request: requests.PreparedRequest, *arguments: Any, **settings: Any) -> requests.Response:
        parts = urlsplit(str(request.url))
        query = dict(parse_qsl(parts.query))
        name = parts.path.removeprefix("/v1/")
        if name == "assets":
            answer = self.answer(query)  # without the lock, as it may wait for another request
            with self.lock:
                self.queries.append(query)
                return respond(request, answer or self.page(query))
        if name == "teams":
            return respond(request, {"teams": []})
        return respond(request, {"projects": [{"id": each, "name": each} for each in self.projects]})

    def page(self, query: Query) -> Any:
        """The page that a query requests, or the status of a refusal."""
        if query.get("projectId") not in self.projects:
            return 403, {"reason": "not a member"}
        rows = self.projects[query.get("projectId")]
        if self.has_bounds:
            for name, (field, compare) in BOUNDS.items():
                if name in query:
                    rows = [row for row in rows if row[field] and compare(row[field], query[name])]
        if self.is_sorted and query.get("sortBy"):
            is_descending = query.get("sortDirection", "desc") == "desc"
            rows = sorted(rows, key=lambda row: row[query["sortBy"]] or "", reverse=is_descending)
        start, size = int(query.get("paginationToken", 0)), int(query["pageSize"])
        token = {"nextPaginationToken": str(start + size)} if len(rows) > start + size else {}
        return {"assets": rows[start : start + size]} | token

    def close(self) -> None:
        pass


def respond(request: requests.PreparedRequest, answer: Any) -> requests.Response:
    """The response to a request: a body, or a status and a body."""
    status, body = answer if isinstance(answer, tuple) else (200, answer)
    headers = {"Content-Type": "application/json", "Date": NOW.strftime("%a, %d %b %Y %H:%M:%S GMT")}
    raw = urllib3.HTTPResponse(io.BytesIO(json.dumps(body).encode()), headers, status, preload_content=False)
    return HTTPAdapter().build_response(request, raw)


def ids(scan_or_table: Any) -> list[str]:
    """The ids of a table, or of a scan that is read."""
    table = scan_or_table.to_arrow() if isinstance(scan_or_table, Scan) else scan_or_table
    return table["id"].to_pylist()


def repeated(values: Iterable[Any]) -> list[Any]:
    """The values that occur more than once."""
    return [value for value, count in Counter(values).items() if count > 1]
