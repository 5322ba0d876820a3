"""Routes of the API: method, path pattern and handler, as data."""

import re
from collections.abc import Callable, Collection
from functools import partial
from typing import Any
from urllib.parse import unquote

from scenario_etl.emulator import changes, project, team, uploads, workflow
from scenario_etl.emulator.account import Account
from scenario_etl.emulator.messages import HTTPError, Request, Response
from scenario_etl.emulator.paging import PageSizes, page
from scenario_etl.emulator.tables import ASSETS, MODELS, TABLES, TAGS, WORKFLOWS, Table

PAGE_SIZES = PageSizes(10, 1, 100)  # of the lists of collections and projects


def respond(account: Account, request: Request, forbidden: Collection[str] = ()) -> Response:
    """Return the response to a request to the API; `forbidden` has the ids of projects that the key must not read."""
    try:
        if request.authorization not in account.accepted:
            raise HTTPError(401, "Unauthorized")
        project = request.query.get("projectId")
        if project is not None and (project not in account.projects.ids or project in forbidden):
            raise HTTPError(403, "You are not a member of this project", name="ForbiddenError", details={})
        for method, pattern, handler in ROUTES:
            match = re.fullmatch(pattern, request.path)
            if match and method == request.method:
                return handler(account, request, *map(unquote, match.groups()))
        raise HTTPError(404, f"Cannot {request.method} {request.path}")
    except HTTPError as error:
        return error.response


def read_collections(account: Account, request: Request) -> Response:
    """Return a page of the list of collections."""
    selected = account.select_collections(request.query.get("projectId"))
    rows, token = page(selected, PAGE_SIZES, request.query, account.seed)
    return _page_response("collections", [account.record(row) for row in rows], token)


def read_collection(account: Account, _: Request, identifier: str) -> Response:
    """Return a collection."""
    _position, row = account.find_collection(identifier)
    return Response(200, {"collection": account.record(row)})


def read_projects(account: Account, request: Request) -> Response:
    """Return a page of the list of projects."""
    team_id = request.query.get("teamId", team.TEAM_ID)
    found = [each for each in _projects(account) if each["teamId"] == team_id]
    return _page_response("projects", *page(found, PAGE_SIZES, request.query, account.seed))


def read_project(account: Account, _: Request, identifier: str) -> Response:
    """Return a project."""
    for each in _projects(account):
        if each["id"] == identifier:
            return Response(200, {"project": each})
    raise HTTPError(404, "Project not found")


def read_table(table: Table, account: Account, request: Request) -> Response:
    """Return a page of a list that can be filtered."""
    query, is_late = request.query, account.filters_dates_late
    found = account.select_rows(table, query, dates=not is_late)
    rows, token = page(found, table.page_sizes, query, account.seed)
    for field, test in table.tests(query) if is_late else ():
        rows = [row for row in rows if test(getattr(row, field))]
    records = [table.record(row, account.sign) for row in rows]
    if table is WORKFLOWS and query.get("full") == "false":
        records = [workflow.without_large_fields(record) for record in records]
    return _page_response(table.name, records, token)


def read_row(table: Table, account: Account, _: Request, identifier: str) -> Response:
    """Return a record of a list that can be filtered."""
    return Response(200, {table.noun: table.record(account.find_row(table, identifier), account.sign)})


def read_teams(account: Account, _: Request) -> Response:
    """Return the only team."""
    return Response(200, {"teams": [project.team_record(account.projects)]})


def create_collection(account: Account, request: Request) -> Response:
    """Create an empty collection."""
    name = request.document.get("name")
    if not isinstance(name, str) or not name:
        raise HTTPError(400, "name is required")
    now = team.iso(account.clock())

    def make(number: int) -> dict[str, Any]:
        return {
            "id": f"collection_{team.identifier(account.seed, 'created', number)}",
            "name": name,
            "ownerId": request.query.get("projectId") or account.projects.ids[0],
            "assetCount": 0,
            "modelCount": 0,
            "itemCount": 0,
            "createdAt": now,
            "updatedAt": now,
        }

    return Response(200, {"collection": account.create_collection(make)})


def update_collection(account: Account, request: Request, identifier: str) -> Response:
    """Change the name or the thumbnail of a collection."""
    changes = request.document

    def change(record: dict[str, Any]) -> dict[str, Any]:
        if "name" in changes:
            if not isinstance(changes["name"], str) or not changes["name"]:
                raise HTTPError(400, "name must be a string that is not empty")
            record["name"] = changes["name"]
        if "thumbnail" in changes:
            record.pop("thumbnail", None)
            if changes["thumbnail"] is not None:
                if not isinstance(changes["thumbnail"], str) or not changes["thumbnail"]:
                    raise HTTPError(400, "thumbnail must be the id of an asset, or null")
                record["thumbnail"] = {"assetId": changes["thumbnail"]}
        return record | {"updatedAt": team.iso(account.clock())}

    record = account.update_collection(identifier, change)
    return Response(200, {"collection": account.record(record)})


def delete_collection(account: Account, _: Request, identifier: str) -> Response:
    """Delete a collection."""
    account.delete_collection(identifier)
    account.change_studio(lambda studio: studio.remove_collection(identifier))
    return Response(200, {})


def _page_response(name: str, records: list[Any], token: str | None) -> Response:
    return Response(200, {name: records} | ({} if token is None else {"nextPaginationToken": token}))


def _projects(account: Account) -> list[dict[str, Any]]:
    return [project.record(account.projects, number) for number in range(account.projects.count)]


_ID = "/([^/]+)"
ROUTES: tuple[tuple[str, str, Callable[..., Response]], ...] = (
    ("GET", "/v1/collections", read_collections),
    ("GET", "/v1/projects", read_projects),
    *(("GET", f"/v1/{table.name}", partial(read_table, table)) for table in TABLES),
    ("GET", "/v1/teams", read_teams),
    ("GET", f"/v1/collections{_ID}", read_collection),
    ("GET", f"/v1/projects{_ID}", read_project),
    *(("GET", f"/v1/{table.name}{_ID}", partial(read_row, table)) for table in TABLES if table is not TAGS),
    ("POST", "/v1/collections", create_collection),
    ("PUT", f"/v1/collections{_ID}", update_collection),
    ("DELETE", f"/v1/collections{_ID}", delete_collection),
    ("POST", "/v1/assets", uploads.upload_asset),
    ("PUT", f"/v1/assets{_ID}", changes.update_asset),
    ("PUT", f"/v1/assets{_ID}/tags", changes.update_tags),
    ("DELETE", "/v1/assets", changes.delete_assets),
    ("POST", "/v1/assets/get-bulk", changes.read_assets),
    *(("DELETE", f"/v1/{table.name}{_ID}", partial(changes.delete, table)) for table in (ASSETS, MODELS)),
    *(
        (method, f"/v1/collections{_ID}/{table.name}", partial(handler, table))
        for table in (ASSETS, MODELS)
        for method, handler in (("PUT", changes.add_to_collection), ("DELETE", changes.remove_from_collection))
    ),
)
