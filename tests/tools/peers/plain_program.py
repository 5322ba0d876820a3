"""Export collections with the fastest libraries, and no checks."""

import sys

import pyarrow as pa
import pyarrow.compute as pc
from plain import export

RECORD = pa.struct(
    [
        *((name, pa.string()) for name in ("id", "name", "ownerId")),
        *((name, pa.int64()) for name in ("assetCount", "modelCount", "itemCount")),
        *((name, pa.string()) for name in ("createdAt", "updatedAt")),
        ("thumbnail", pa.struct([("assetId", pa.string()), ("url", pa.string())])),
    ]
)
INSTANT = pa.timestamp("us", "UTC")


def columns(records):
    array = pa.array(records, RECORD)
    table = {name: array.field(name) for name in RECORD.names[:6]}
    thumbnail = array.field("thumbnail")
    table |= {"thumbnail_asset_id": pc.struct_field(thumbnail, 0), "thumbnail_url": pc.struct_field(thumbnail, 1)}
    table |= {name: array.field(name).cast(INSTANT) for name in ("createdAt", "updatedAt")}
    return pa.RecordBatch.from_pydict(table)


export("collections", columns, sys.argv[1])
