"""Handlers of requests that change assets, models and their collections, and update the counts of collections."""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from scenario_etl.emulator import team
from scenario_etl.emulator.account import Account
from scenario_etl.emulator.messages import HTTPError, Request, Response
from scenario_etl.emulator.tables import ASSETS, Table

MAX_LINKED = 49  # assets or models in one request
MAX_READ = 200


def delete(table: Table, account: Account, _: Request, identifier: str) -> Response:
    """Delete an asset or a model; it leaves its collections, and is listed as deleted for 30 days."""
    with account.changing() as studio:
        row = account.find_row(table, identifier)
        getattr(studio, table.name)[identifier] = replace(row, deleted=account.clock())
    for collection in row.collection_ids:
        with contextlib.suppress(HTTPError):  # 404: it was deleted meanwhile
            add_to_count(account, table, collection, -1, is_update=False)
    return Response(200, {})


def delete_assets(account: Account, request: Request) -> Response:
    """Delete several assets."""
    for identifier in _ids(request, "assetIds"):
        delete(ASSETS, account, request, identifier)
    return Response(200, {})


def update_asset(account: Account, request: Request, identifier: str) -> Response:
    """Change the description or the tags of an asset."""
    changes: dict[str, Any] = {}
    document = request.document
    if "description" in document:
        if not isinstance(document["description"], str):
            raise HTTPError(400, "description must be a string")
        changes["description"] = document["description"]
    if "tags" in document:
        changes["tags"] = tuple(dict.fromkeys(texts(document["tags"], "tags")))
    with account.changing() as studio:
        row = replace(account.find_row(ASSETS, identifier), updated=account.clock(), **changes)
        studio.assets[identifier] = row
    return Response(200, {"asset": ASSETS.record(row, account.sign)})


def update_tags(account: Account, request: Request, identifier: str) -> Response:
    """Add and delete tags of an asset, and return those that changed."""
    added, deleted = (texts(request.document.get(name, []), name) for name in ("add", "delete"))
    with account.changing() as studio:
        row = account.find_row(ASSETS, identifier)
        kept = [each for each in row.tags if each not in deleted]
        tags = tuple(dict.fromkeys([*kept, *added]))
        studio.assets[identifier] = replace(row, tags=tags, updated=account.clock())
    changed = {"added": [each for each in added if each not in row.tags], "deleted": sorted({*row.tags} - {*kept})}
    return Response(200, changed)


def read_assets(account: Account, request: Request) -> Response:
    """Return the assets with these ids; those that do not exist are left out."""
    ids = _ids(request, "assetIds")
    if len(ids) > MAX_READ:
        raise HTTPError(400, f"At most {MAX_READ} assets can be read at once")
    rows = account.studio.assets
    found = [rows[each] for each in ids if each in rows and rows[each].deleted is None]
    return Response(200, {"assets": [ASSETS.record(row, account.sign) for row in found]})


def add_to_collection(table: Table, account: Account, request: Request, collection: str) -> Response:
    """Add assets or models to a collection; those that it already has are ignored."""

    def add(ids: tuple[str, ...]) -> tuple[str, ...]:
        return ids if collection in ids else (*ids, collection)

    return _link(table, account, request, collection, add)


def remove_from_collection(table: Table, account: Account, request: Request, collection: str) -> Response:
    """Remove assets or models from a collection; those that it does not have are ignored."""
    return _link(
        table, account, request, collection, lambda ids: tuple(each for each in ids if each != collection)
    )  # fmt: skip


def _link(
    table: Table, account: Account, request: Request, collection: str,
    change: Callable[[tuple[str, ...]], tuple[str, ...]],
) -> Response:  # fmt: skip
    ids, name = _ids(request, f"{table.noun}Ids"), table.name
    if len(ids) > MAX_LINKED:
        raise HTTPError(400, f"At most {MAX_LINKED} {name} can be changed at once")
    with account.changing() as studio:
        account.find_collection(collection)
        rows = [account.find_row(table, each) for each in dict.fromkeys(ids)]
        changed = 0
        for row in rows:
            linked = change(row.collection_ids)
            changed += len(linked) - len(row.collection_ids)
            getattr(studio, name)[row.id] = replace(row, collection_ids=linked)
        record = add_to_count(account, table, collection, changed)
    return Response(200, {"collection": account.record(record)})


def add_to_count(
    account: Account, table: Table, collection: str, difference: int, *, is_update: bool = True
) -> dict[str, Any]:
    """Change how many assets or models a collection has, and return its record."""

    def change(record: dict[str, Any]) -> dict[str, Any]:
        record[f"{table.noun}Count"] = record.get(f"{table.noun}Count", 0) + difference
        record["itemCount"] = record.get("assetCount", 0) + record.get("modelCount", 0)
        return record | ({"updatedAt": team.iso(account.clock())} if is_update else {})

    return account.update_collection(collection, change)


def _ids(request: Request, name: str) -> list[str]:
    return texts(request.document.get(name), name)


def texts(value: object, name: str) -> list[str]:
    """Return a list of strings in the body of a request, or raise HTTPError 400."""
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) and each for each in value):
        raise HTTPError(400, f"{name} must be a list of strings")
    return list(value)
