"""Assets that clients upload, and that tests create."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from scenario_etl.emulator import history, project, team
from scenario_etl.emulator.account import Account
from scenario_etl.emulator.asset import Asset
from scenario_etl.emulator.changes import add_to_count, texts
from scenario_etl.emulator.messages import HTTPError, Request, Response
from scenario_etl.emulator.tables import ASSETS


def upload_asset(account: Account, request: Request) -> Response:
    """Create an asset; the image itself is ignored."""
    document = request.document
    name, parent, hide = document.get("name"), document.get("parentId"), document.get("hide", False)
    if not isinstance(name, str) or not name:
        raise HTTPError(400, "name is required")
    if not isinstance(hide, bool):
        raise HTTPError(400, "hide must be true or false")
    collections = tuple(dict.fromkeys(texts(document.get("collectionIds", []), "collectionIds")))
    owner = request.query.get("projectId") or account.projects.ids[0]
    more: dict[str, Any] = {"name": name, "is_hidden": hide, "collection_ids": collections}
    with account.changing():
        for each in collections:
            account.find_collection(each)
        if parent is not None:
            found = account.find_row(ASSETS, parent)
            more |= {"parent_id": parent, "root_id": found.root_id or parent}
        (asset,) = create_assets(account, 1, owner, account.clock(), **more)
        for each in collections:
            add_to_count(account, ASSETS, each, 1)
    return Response(200, {"asset": ASSETS.record(asset, account.sign)})


def create_assets(account: Account, count: int, owner: str, created: datetime, **more: Any) -> Sequence[Asset]:
    """Create assets of a project by its API key, and return them."""
    author = project.api_key(account.seed, account.projects.ids.index(owner))
    with account.changing() as studio:
        first = studio.uploads
        studio.uploads += count
        assets = [
            Asset(_id(account.seed, number), owner, author, history.UPLOAD, created, created, **more)
            for number in range(first, first + count)
        ]
        studio.assets.update((each.id, each) for each in assets)
    return assets


def _id(seed: str, number: int) -> str:
    return f"asset_{team.identifier(seed, 'upload', number)}"
