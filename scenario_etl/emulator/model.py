"""Models of the team and of the platform."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scenario_etl.emulator import team, words


@dataclass(slots=True)
class Model:
    """Fields of a model that link it to other records, or that lists filter."""

    id: str
    name: str
    type: str
    owner_id: str | None
    author_id: str | None
    created: datetime
    updated: datetime
    status: str = "trained"
    privacy: str = "private"
    collection_ids: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    job_id: str | None = None
    parent_model_id: str | None = None
    thumbnail_id: str | None = None
    example_ids: tuple[str, ...] = ()
    training_ids: tuple[str, ...] = ()
    deleted: datetime | None = None

    @property
    def is_foreign(self) -> bool:
        """Whether it belongs to the platform."""
        return self.owner_id is None


def record(model: Model, sign: Callable[[str], str]) -> dict[str, Any]:
    """Return a model as the API returns it; objects that a model lacks are empty, as in the API."""
    rng = random.Random(model.id)  # noqa: S311 - test data, not a secret
    made: dict[str, Any] = {
        "id": model.id,
        "name": model.name,
        "type": model.type,
        "status": model.status,
        "privacy": model.privacy,
        "source": "scenario",
        "custom": not model.is_foreign,
        "capabilities": ["txt2img", "img2img", "controlnet"][: 1 + rng.randrange(3)],
        "tags": list(model.tags),
        "collectionIds": list(model.collection_ids),
        "exampleAssetIds": list(model.example_ids),
        "trainingImagesNumber": len(model.training_ids),
        "createdAt": team.iso(model.created),
        "updatedAt": team.iso(model.updated),
        "shortDescription": f"{model.name}: {rng.choice(words.STYLES)}",
        "inputs": _inputs(),
        "class": {},
        "parameters": {},
        "trainingProgress": {},
        "trainingStats": {},
        "performanceStats": {},
    }
    optional = {
        "ownerId": model.owner_id,
        "authorId": model.author_id,
        "userId": model.author_id,
        "jobId": model.job_id,
        "parentModelId": model.parent_model_id,
        "deletedAt": model.deleted and team.iso(model.deleted),
        "thumbnail": model.thumbnail_id and {"assetId": model.thumbnail_id, "url": sign(model.thumbnail_id)},
    }
    made |= {name: value for name, value in optional.items() if value is not None}
    return made | (_of_the_platform(rng, model) if model.is_foreign else _training(rng, model, sign))


def _inputs() -> list[dict[str, Any]]:
    return [
        {"name": "prompt", "type": "string", "label": "Prompt", "required": {"always": True}, "promptSpark": True},
        {"name": "numOutputs", "type": "number", "default": 4, "min": 1, "max": 8, "step": 1, "costImpact": True},
        {"name": "guidance", "type": "number", "default": 3.5, "min": 0, "max": 10, "step": 0.1},
    ]


def _of_the_platform(rng: random.Random, model: Model) -> dict[str, Any]:
    variant = {
        "capability": "txt2img",
        "computedAt": team.iso(model.updated),
        "variantKey": "default",
        "costPerAssetP50CU": rng.randrange(10, 120) / 4,
        "inferenceLatencyP50Sec": rng.randrange(20, 400) / 10,
    }
    return {"accessRestrictions": rng.choice((0, 0, 25, 50)), "performanceStats": {"variants": [variant]}}


def _training(rng: random.Random, model: Model, sign: Callable[[str], str]) -> dict[str, Any]:
    steps = rng.randrange(800, 4000, 100)
    made: dict[str, Any] = {
        "parameters": {"maxTrainSteps": steps, "learningRate": 0.0001, "rank": 32, "nbEpochs": 2, "batchSize": 1},
        "trainingImages": [
            {
                "id": identifier,
                "automaticCaptioning": "",
                "createdAt": team.iso(model.created),
                "description": "",
                "downloadUrl": sign(identifier),
                "name": f"training-{number:03d}.png",
            }
            for number, identifier in enumerate(model.training_ids)
        ],
        "concepts": [{"modelId": model.id, "scale": 1}],
        "epochs": [
            {"epoch": f"{number:06d}", "assets": [{"assetId": each, "url": sign(each)} for each in model.example_ids]}
            for number in (1, 2)
        ],
    }
    if model.status == "trained":
        made["trainingStats"] = {
            "startedAt": team.iso(model.created),
            "endedAt": team.iso(model.updated),
            "trainDuration": (model.updated - model.created).total_seconds(),
        }
    return made
