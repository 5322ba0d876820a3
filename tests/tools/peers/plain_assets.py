"""Export assets with the fastest libraries, and no checks: the same columns as scenario-etl."""

import json
import sys

import pyarrow as pa
from plain import export

INSTANT = pa.timestamp("us", "UTC")
STRINGS = (
    "id ownerId authorId kind source status privacy mimeType description automaticCaptioning url originalFileUrl "
    "originalMimeType"
)
LISTS = "collectionIds tags editCapabilities nsfw"
TIMES = "createdAt updatedAt deletedAt"
OTHERS = {"isHidden": pa.bool_(), "outputIndex": pa.int64()}
IMAGE = {"assetId": pa.string(), "url": pa.string()}
METADATA = ("kind", "type", "name", "modelId", "prompt", "parentId", "rootParentId", "inferenceId")
NESTED = {
    "metadata": dict.fromkeys(METADATA, pa.string()),
    "properties": {"size": pa.int64(), "width": pa.int64(), "height": pa.int64(), "duration": pa.float64()},
    "qualityGate": {"verdict": pa.string(), "overallScore": pa.float64()},
    "thumbnail": IMAGE,
    "firstFrame": IMAGE,
    "lastFrame": IMAGE,
    "preview": IMAGE,
}
JSON = ("metadata", "properties", "qualityGate")


def text(value):
    return None if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def columns(records):
    table = {name: pa.array([r.get(name) for r in records], pa.string()) for name in STRINGS.split()}
    table |= {name: pa.array([r.get(name) for r in records], pa.list_(pa.string())) for name in LISTS.split()}
    table |= {name: pa.array([r.get(name) for r in records], pa.string()).cast(INSTANT) for name in TIMES.split()}
    table |= {name: pa.array([r.get(name) for r in records], kind) for name, kind in OTHERS.items()}
    for parent, fields in NESTED.items():
        objects = [r.get(parent) or {} for r in records]
        for name, kind in fields.items():
            table[f"{parent}.{name}"] = pa.array([o.get(name) for o in objects], kind)
    table |= {name: pa.array([text(r.get(name)) for r in records]) for name in JSON}
    return pa.RecordBatch.from_pydict(table)


export("assets", columns, sys.argv[1])
