"""Assets: the fields that lists filter and count, and the record that the API returns."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from scenario_etl.emulator import team, words


@dataclass(slots=True)
class Asset:
    """Fields of an asset that link it to other records or are filtered; all others are generated on request."""

    id: str
    owner_id: str
    author_id: str
    work: words.Work
    created: datetime
    updated: datetime
    collection_ids: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    privacy: str = "private"
    model_id: str | None = None
    model_type: str | None = None
    job_id: str | None = None
    output_index: int = 0
    outputs: int = 1
    parent_id: str | None = None
    root_id: str | None = None
    deleted: datetime | None = None
    description: str | None = None
    name: str | None = None
    is_hidden: bool | None = None
    is_foreign: bool = False

    @property
    def type(self) -> str:
        """The type in the metadata, by which lists are filtered."""
        return self.work.type


def record(asset: Asset, sign: Callable[[str], str]) -> dict[str, Any]:
    """Return an asset as the API returns it; `sign` returns the URL of an image."""
    rng = random.Random(asset.id)  # noqa: S311 - test data, not a secret
    kind, created = asset.work.kind, team.iso(asset.created)
    size = rng.choice(words.SIZES)
    prompt = words.prompt_of(asset.job_id or asset.id)
    made: dict[str, Any] = {
        "id": asset.id,
        "ownerId": asset.owner_id,
        "authorId": asset.author_id,
        "kind": kind,
        "source": asset.work.source,
        "status": "success",
        "privacy": asset.privacy,
        "mimeType": words.MIME_TYPES[kind],
        "url": sign(asset.id),
        "createdAt": created,
        "updatedAt": team.iso(asset.updated),
        "collectionIds": list(asset.collection_ids),
        "tags": list(asset.tags),
        "editCapabilities": list(words.EDITS.get(kind, ())),
        "metadata": _metadata(asset, rng, size, prompt, sign),
        "properties": _properties(kind, rng, size),
        "nsfw": [rng.choice(words.NSFW)] if rng.random() < 0.03 else [],
        "outputIndex": asset.output_index,
    }
    return made | _images(asset, sign) | _optional(asset, rng, prompt, sign)


def _metadata(
    asset: Asset, rng: random.Random, size: tuple[int, int, str], prompt: str, sign: Callable[[str], str]
) -> dict[str, Any]:
    made: dict[str, Any] = {"kind": asset.work.kind, "type": asset.work.type}
    if asset.job_id is None:
        made["name"] = asset.name or f"{prompt.partition(',')[0]} {rng.randrange(1000):03d}"
        return made | ({"parentId": asset.parent_id, "rootParentId": asset.root_id} if asset.parent_id else {})
    made |= {
        "inferenceId": asset.job_id,
        "modelId": asset.model_id,
        "modelType": asset.model_type,
        "baseModelId": "flux.1-dev",
        "prompt": prompt,
        "negativePrompt": words.NEGATIVE,
        "negativePromptStrength": 0.4,
        "guidance": rng.randrange(20, 90) / 10,
        "numInferenceSteps": rng.choice((20, 28, 30, 50)),
        "numOutputs": asset.outputs,
        "outputIndex": asset.output_index,
        "scheduler": "EulerAncestralDiscreteScheduler",
        "seed": str(rng.getrandbits(63)),
        "width": size[0],
        "height": size[1],
        "aspectRatio": size[2],
        "styleImages": [],
        "concepts": [{"modelId": asset.model_id, "scale": rng.randrange(5, 20) / 10}],
        "thumbnail": {"assetId": asset.id, "url": sign(asset.id)},
    }
    if asset.parent_id is not None:
        made |= {"parentId": asset.parent_id, "rootParentId": asset.root_id, "image": asset.parent_id, "strength": 0.6}
    return made


def _properties(kind: str, rng: random.Random, size: tuple[int, int, str]) -> dict[str, Any]:
    made: dict[str, Any] = {"size": rng.randrange(180_000, 9_000_000)}
    if kind in {"image", "video"}:
        made |= {"width": size[0], "height": size[1]}
    if kind in {"audio", "video"}:
        made |= {"duration": rng.randrange(200, 1200) / 100, "bitrate": rng.randrange(96_000, 8_000_000)}
    if kind == "video":
        made |= {"frameRate": 24, "nbFrames": int(made["duration"] * 24), "codecName": "h264"}
    if kind == "audio":
        made |= {"channels": 2, "sampleRate": 44_100, "classification": "effect"}
    if kind == "3d":
        made |= {"faceCount": rng.randrange(5_000, 90_000), "hasNormals": True, "hasUVs": True, "hasSkeleton": False}
    return made


def _images(asset: Asset, sign: Callable[[str], str]) -> dict[str, Any]:
    """Return {assetId, url} objects: an image is its own thumbnail; other kinds use the image they were made from."""
    if asset.work.kind == "image":
        return {"thumbnail": {"assetId": asset.id, "url": sign(asset.id)}}
    if asset.parent_id is None:
        return {}
    image = {"assetId": asset.parent_id, "url": sign(asset.parent_id)}
    names = ("thumbnail", "firstFrame", "lastFrame") if asset.work.kind == "video" else ("thumbnail", "preview")
    return dict.fromkeys(names, image)


def _optional(asset: Asset, rng: random.Random, prompt: str, sign: Callable[[str], str]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    kind, subject = asset.work.kind, prompt.partition(",")[0]
    if kind == "image" and rng.random() < 0.7:
        made["automaticCaptioning"] = rng.choice(words.CAPTIONS).format(subject)
        made["description"] = made["automaticCaptioning"]
    if asset.description is not None:
        made["description"] = asset.description
    is_hidden = rng.random() < 0.02
    if is_hidden if asset.is_hidden is None else asset.is_hidden:
        made["isHidden"] = True
    if kind in words.ORIGINAL_MIME_TYPES and rng.random() < 0.5:
        made |= {"originalFileUrl": sign(asset.id), "originalMimeType": words.ORIGINAL_MIME_TYPES[kind]}
    if kind == "image" and asset.job_id and rng.random() < 0.4:
        made["qualityGate"] = _quality(asset, rng)
    if kind == "image" and rng.random() < 0.25:
        made["embedding"] = [rng.randrange(-1000, 1000) / 1000 for _ in range(16)]
    if asset.deleted is not None:
        made["deletedAt"] = team.iso(asset.deleted)
    return made


def _quality(asset: Asset, rng: random.Random) -> dict[str, Any]:
    score = rng.randrange(300, 1000) / 10
    return {
        "computedAt": team.iso(asset.created + timedelta(seconds=rng.randrange(5, 60))),
        "status": "scored",
        "version": "2026-05",
        "aiQualityScore": score,
        "overallScore": score,
        "sensitivity": "medium",
        "verdict": "pass" if score > 60 else "warn" if score > 45 else "fail",
    }
