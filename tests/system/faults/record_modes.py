"""The modes of the family `records`: values that do not fit, and unusual values that are right. Data, one row a mode.

All change the second page, most of them its first record.
"""

from typing import Any

from tests.system.faults.faults import appended, repeated, replaced, with_records
from tests.system.faults.listings import COLLECTIONS, JOBS, TAGS, Listing
from tests.system.faults.mode import DATA, Mode

INDEX = 4  # of the first record of the second page, among all
HUNDRED_DEEP: Any = {"at": "the bottom"}
for _ in range(100):
    HUNDRED_DEEP = {"down": HUNDRED_DEEP}


def change(record: Any, path: str, value: Any) -> None:
    """Set the value at a dotted path of a record; `...` takes it out."""
    *parents, name = path.split(".")
    for parent in parents:
        record = record[parent]
    if value is ...:
        record.pop(name, None)
    else:
        record[name] = value


def changed_rows(listing: Listing, path: str, value: Any) -> list[dict[str, Any]]:
    """Return the right rows with another value in the first record of the page that breaks."""
    rows = listing.right_rows()
    change(rows[INDEX], path, value)
    return rows


def right(listing: Listing, name: str, path: str, value: Any) -> Mode:
    """Return a mode with a value that is unusual, but right."""
    fault = with_records(lambda records: change(records[0], path, value))
    return Mode("records", name, fault, rows=changed_rows(listing, path, value))


def wrong(name: str, path: str, value: Any, says: str = "") -> Mode:
    """Return a mode with a value that cannot be right; the failure must name its path, or another."""
    fault = with_records(lambda records: change(records[0], path, value))
    return Mode("records", name, fault, DATA, says=f"{says or path} of record")


def right_with(listing: Listing, name: str, *records: dict[str, Any]) -> Mode:
    """Return a mode with more records, all of which are right."""
    return Mode("records", name, appended(*records), rows=[*listing.right_rows(), *records])


def shared_record_modes(listing: Listing) -> list[Mode]:
    """Return the modes that each list has: what its key may not be, duplicates, and what is no record."""
    return [
        *[
            wrong(f"{field} {name}", field, value)
            for field in listing.key
            for name, value in [("missing", ...), ("null", None), ("a number", 4), ("empty", "")]
        ],
        Mode("records", "identical duplicate", repeated(1)),
        Mode("records", "duplicate within a page", repeated(5)),
        Mode("records", "a record is a string", appended("collection_9"), DATA, says="record number"),
        Mode("records", "a record is null", appended(None), DATA, says="record number"),
    ]


OF_COLLECTIONS = [
    Mode("records", "differing duplicate", appended(COLLECTIONS.record(1) | {"name": "renamed during the run"})),
    right(COLLECTIONS, "count 3.0", "assetCount", 3.0),
    right(COLLECTIONS, "count 2^53+1", "assetCount", 2**53 + 1),
    wrong("count 3.5", "assetCount", 3.5),
    wrong("count 1e20", "assetCount", 1e20),
    wrong("count true", "assetCount", True),
    wrong('count "7"', "assetCount", "7"),
    wrong("count NaN", "assetCount", float("nan")),
    right(COLLECTIONS, "count missing", "assetCount", ...),
    right(COLLECTIONS, "date without fraction", "createdAt", "2026-04-22T08:57:03Z"),
    right(COLLECTIONS, "date with 6 digits", "createdAt", "2026-04-22T08:57:03.123456Z"),
    right(COLLECTIONS, "date with an offset", "createdAt", "2026-04-22T08:57:03.106+02:00"),
    wrong("date unreadable", "createdAt", "yesterday"),
    wrong("date without an offset", "createdAt", "2026-04-22T08:57:03.106"),
    wrong("date a number", "createdAt", 1776848223),
    right(COLLECTIONS, "thumbnail null", "thumbnail", None),
    right(COLLECTIONS, "thumbnail missing", "thumbnail", ...),
    wrong("thumbnail a string", "thumbnail", "asset_4"),
    right(COLLECTIONS, "thumbnail without url", "thumbnail", {"assetId": "asset_4"}),
    right(COLLECTIONS, "unknown field", "colour", "red"),
    right(COLLECTIONS, "name missing", "name", ...),
    wrong("name a number", "name", 7),
    right(COLLECTIONS, "name of 20 kB", "name", "long " * 4000),
    right(COLLECTIONS, "name with NUL", "name", "a\0b"),
    right(COLLECTIONS, "name with emoji", "name", "Dragons \N{DRAGON FACE}\u200d\N{FIRE}"),
]

OF_JOBS = [
    Mode("records", "differing duplicate", appended(JOBS.record(1) | {"status": "failure", "metadata": {}})),
    # objects at each level
    *[
        wrong(f"{path} {name}", path, value)
        for path in ("metadata", "metadata.input", "billing")
        for name, value in [
            ("a string", "see https://cdn.example/x?Signature=S1GNATURE"), ("a list", [{"modelId": "m"}]),
            ("an empty list", []), ("a number", 7), ("false", False),
        ]
    ],
    *[
        right(JOBS, f"{path} {name}", path, value)
        for path in ("metadata", "metadata.input", "billing")
        for name, value in [("null", None), ("missing", ...), ("empty", {})]
    ],
    # the value three levels deep
    *[
        wrong(f"metadata.input.modelId {name}", "metadata.input.modelId", value)
        for name, value in [("a number", 7), ("true", True), ("a list", ["model_4"]), ("an object", {"id": "model_4"})]
    ],
    Mode("records", "metadata.input.modelId half a character", replaced(b"model_4", b"\\ud83d"), DATA,
         says="metadata.input.modelId of record"),
    *[
        right(JOBS, f"metadata.input.modelId {name}", "metadata.input.modelId", value)
        for name, value in [("null", None), ("missing", ...), ("empty", ""), ("with a dot", "metadata.input")]
    ],
    right(JOBS, "metadata.input.prompt with NUL", "metadata.input.prompt", "a\0b"),
    right(JOBS, "metadata.input.prompt with emoji", "metadata.input.prompt", "\N{DRAGON FACE}\u200d\N{FIRE}\u2028\""),
    right(JOBS, "metadata.input.prompt a list", "metadata.input.prompt", ["a", "b"]),
    right(JOBS, "metadata.input.prompt a number", "metadata.input.prompt", 7),
    Mode("records", "a field named metadata.input.modelId",
         with_records(lambda records: records[0].update({"metadata.input.modelId": "another"}))),
    Mode("records", "a field named metadata.input",
         with_records(lambda records: records[0].update({"metadata.input": {"modelId": "another"}}))),
    # lists
    *[
        wrong(f"metadata.assetIds {name}", "metadata.assetIds", value)
        for name, value in [
            ("with a null", ["asset_4", None]), ("with a number", ["asset_4", 7]), ("with true", [True]),
            ("with an object", [{"url": "https://cdn.example/x?Signature=S1GNATURE"}]), ("with a list", [["asset_4"]]),
            ("an object", {"0": "asset_4"}), ("an empty object", {}), ("a string", "asset_4"), ("a number", 4),
        ]
    ],
    *[
        right(JOBS, f"metadata.assetIds {name}", "metadata.assetIds", value)
        for name, value in [
            ("empty", []), ("null", None), ("missing", ...), ("with an empty string", [""]),
            ("with the same twice", ["asset_4", "asset_4"]),
        ]
    ],
    # JSON
    wrong("NaN in metadata", "metadata.input.guidance", float("nan"), says="metadata"),
    wrong("Infinity in metadata", "metadata.input.guidance", float("inf"), says="metadata"),
    Mode("records", "1e400 in metadata", replaced(b"3.5", b"1e400"), DATA, says="metadata of record"),
    Mode("records", "half a character in metadata", replaced(b'"numOutputs": 2', b'"numOutputs": "\\ud83d"'),
         rows=changed_rows(JOBS, "metadata.input.numOutputs", "\ud83d")),
    wrong("statusHistory a string", "statusHistory", "https://cdn.example/x?Signature=S1GNATURE"),
    wrong("statusHistory a number", "statusHistory", 7),
    wrong("statusHistory true", "statusHistory", True),
    wrong("NaN in statusHistory", "statusHistory", [{"date": float("nan")}], says="statusHistory"),
    *[
        right(JOBS, f"statusHistory {name}", "statusHistory", value)
        for name, value in [("null", None), ("missing", ...), ("empty", []), ("with a null", [None]), ("an object", {})]
    ],
    right(JOBS, "unknown field in metadata", "metadata.colour", {"name": "red", "a": [1, 1.0, True, None]}),
    right(JOBS, "unknown field in metadata.input", "metadata.input.colour", "red"),
    right(JOBS, "unknown field in billing", "billing.colour", "red"),
    right(JOBS, "2^64+1 in metadata", "metadata.input.seed", 2**64 + 1),
    right(JOBS, "metadata a hundred levels deep", "metadata.input.tree", HUNDRED_DEEP),
    right(JOBS, "an empty name in metadata", "metadata.input", {"": "", "modelId": "model_4"}),
    # costs
    *[
        wrong(f"billing.cuCost {name}", "billing.cuCost", value)
        for name, value in [
            ("a text", "4.25"), ("true", True), ("NaN", float("nan")), ("Infinity", float("inf")),
            ("2^53+1", 2**53 + 1), ("a list", [4.25]), ("an object", {"value": 4.25}),
        ]
    ],
    Mode("records", "billing.cuCost 1e400", replaced(b"4.25", b"1e400"), DATA, says="billing.cuCost of record"),
    *[
        right(JOBS, f"billing.cuCost {name}", "billing.cuCost", value)
        for name, value in [
            ("an integer", 3), ("negative", -0.5), ("tiny", 5e-324), ("0.1 + 0.2", 0.1 + 0.2), ("null", None),
            ("missing", ...),
        ]
    ],
    wrong('progress "1"', "progress", "1"),
    # fields that may be omitted
    *[
        right(JOBS, f"{path} {name}", path, value)
        for path in ("ownerId", "authorId", "metadata.workflowId", "metadata.error")
        for name, value in [("null", None), ("missing", ...), ("empty", "")]
    ],
    wrong("metadata.error an object", "metadata.error", {"message": "out of memory"}),
    wrong("ownerId a number", "ownerId", 7),
]  # fmt: skip


def another(owner: str, name: str) -> dict[str, Any]:
    return TAGS.record(30) | {"ownerId": owner, "tagName": name}


OF_TAGS = [
    Mode("records", "differing duplicate", appended(TAGS.record(1) | {"itemCount": 99})),
    right_with(TAGS, "the same tag in two projects", another("proj_2", "tag 1")),
    right_with(TAGS, "two tags of one project", another("proj_1", "tag 99")),
    right_with(TAGS, "halves of the key that are swapped", another("tag 1", "proj_1")),
    right_with(TAGS, "halves of the key that are one text together",
               another("proj_1t", "ag 1"), another("proj_", "1tag 1")),
    right_with(TAGS, "halves of the key with commas and quotes",
               another("a', 'b", "c"), another("a", "b', 'c"), another('a", "b', "c"), another("a", 'b", "c')),
    right_with(TAGS, "halves of the key with backslashes",
               another("a\\", "b"), another("a\\\\", "b"), another("a", "\\b")),
    right_with(TAGS, "tags that differ in case", another("proj_1", "Tag 1"), another("proj_1", "TAG 1")),
    right_with(TAGS, "tags that differ in blanks",
               another("proj_1", " tag 1"), another("proj_1", "tag 1 "), another("proj_1", "tag\u00a01"),
               another("proj_1", " ")),
    right_with(TAGS, "tags that look alike", another("proj_1", "caf\u00e9"), another("proj_1", "cafe\u0301")),
    right_with(TAGS, "tags with NUL and emoji", another("proj_1", "\0"), another("proj_1", "\N{DRAGON FACE}")),
    right_with(TAGS, "tags that are names of values",
               *[another("proj_1", each) for each in ("null", "None", "nan", "true", "0", "[]")]),
    Mode("records", "two identical duplicates of different tags", appended(TAGS.record(0), TAGS.record(5))),
    wrong("ownerId a list", "ownerId", ["proj_1"]),
    wrong("tagName an object", "tagName", {"name": "tag 4"}),
    wrong("tagName true", "tagName", True),
    right(TAGS, "itemCount missing", "itemCount", ...),
    right(TAGS, "itemCount null", "itemCount", None),
    wrong("itemCount 3.5", "itemCount", 3.5),
    wrong('itemCount "7"', "itemCount", "7"),
    right(TAGS, "unknown field", "colour", "red"),
    Mode("records", "a field named owner_id",
         with_records(lambda records: records[0].update({"owner_id": "proj_2", "tag_name": "tag 1"}))),
]  # fmt: skip

RECORDS = {"collections": OF_COLLECTIONS, "jobs": OF_JOBS, "tags": OF_TAGS}
