"""Workflows, with the two large fields that full=false omits."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scenario_etl.emulator import team, words

LARGE_FIELDS = ("flow", "editorInfo")


@dataclass(slots=True)
class Workflow:
    """Fields of a workflow that link it to other records, or that lists filter."""

    id: str
    name: str
    owner_id: str
    author_id: str
    created: datetime
    updated: datetime
    model_ids: tuple[str, ...]
    status: str = "ready"
    privacy: str = "private"
    tags: tuple[str, ...] = ()
    before_id: str | None = None
    after_id: str | None = None


def record(workflow: Workflow, sign: Callable[[str], str]) -> dict[str, Any]:
    """Return a workflow as the API returns it, with `flow` and `editorInfo` unless it is public."""
    rng = random.Random(workflow.id)  # noqa: S311 - test data, not a secret
    made: dict[str, Any] = {
        "id": workflow.id,
        "name": workflow.name,
        "description": f"{workflow.name} from one reference image, with {rng.choice(words.STYLES)}.",
        "shortDescription": workflow.name,
        "status": workflow.status,
        "privacy": workflow.privacy,
        "authorId": workflow.author_id,
        "ownerId": workflow.owner_id,
        "createdAt": team.iso(workflow.created),
        "updatedAt": team.iso(workflow.updated),
        "hasFlow": bool(workflow.model_ids),
        "tagSet": list(workflow.tags),
        "inputs": [{"name": "image", "type": "file", "kind": "image", "required": {"always": True}}],
        "isLocked": rng.random() < 0.2,
        "outputAssetKinds": ["image"],
    }
    for name, identifier in (("before", workflow.before_id), ("after", workflow.after_id)):
        if identifier:
            made[name] = {"assetId": identifier, "url": sign(identifier)}
    if workflow.after_id:
        made["thumbnail"] = {"__brand": "AssetId"} | made["after"]
    return made if workflow.privacy == "public" else made | _large_fields(workflow, rng)


def without_large_fields(made: dict[str, Any]) -> dict[str, Any]:
    """Return a record without the fields that full=false leaves out."""
    return {name: value for name, value in made.items() if name not in LARGE_FIELDS}


def _large_fields(workflow: Workflow, rng: random.Random) -> dict[str, Any]:
    def prompt() -> str:
        return f"{rng.choice(words.SUBJECTS)}, {rng.choice(words.STYLES)}"

    steps = range(rng.randrange(8, 32) if workflow.model_ids else 0)
    flow = [
        {
            "id": f"node-{number}",
            "type": "model",
            "modelId": workflow.model_ids[number % len(workflow.model_ids)],
            "dependsOn": [f"node-{number - 1}"] if number else [],
            "inputs": [
                {
                    "name": "prompt",
                    "type": "string",
                    "value": f"{rng.choice(words.SUBJECTS)}, {rng.choice(words.STYLES)}",
                },
                {"name": "numOutputs", "type": "number", "value": rng.randrange(1, 5), "min": 1, "max": 8},
            ],
        }
        for number in steps
    ]
    nodes = [
        {
            "id": f"node-{number}",
            "position": {"x": rng.randrange(4000), "y": rng.randrange(2000)},
            "measured": {"width": 320, "height": 180},
            "data": {"label": rng.choice(words.DETAILS), "collapsed": False, "color": "#7f5af0"},
        }
        for number in steps
    ]
    return {"flow": flow, "editorInfo": {"nodes": nodes, "viewport": {"x": 0, "y": 0, "zoom": 0.75}}}
