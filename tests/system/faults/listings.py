"""The lists that are served and judged: their records as the API gives them, and the columns that are due.

Everything here is written by hand and nothing comes from the package, so that a wrong declaration in it is found.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

RECORDS_A_PAGE = 4
PAGES = 3


@dataclass(frozen=True, eq=False)
class Listing:
    """A list of the API.

    Attributes:
        name: its name, the last part of its path, and the key of the records in a page.
        key: the fields that identify a record.
        fields: the dotted path of each field that has a column, and what its values are: a text, a number, a date, a
            list of texts, or JSON.
        record: returns a right record by its number.

    """

    name: str
    key: tuple[str, ...]
    fields: dict[str, str]
    record: Callable[[int], dict[str, Any]]

    def page(self, numbers: Iterable[int], **more: Any) -> dict[str, Any]:
        """Return the body of a page with these records."""
        return {self.name: [self.record(number) for number in numbers], **more}

    def right_pages(self) -> list[dict[str, Any]]:
        """Return the bodies of the pages of a team with nothing wrong."""
        tokens = [{"nextPaginationToken": f"page-{page + 2}"} for page in range(PAGES - 1)]
        return [
            self.page(range(RECORDS_A_PAGE * page, RECORDS_A_PAGE * (page + 1)), **more)
            for page, more in enumerate([*tokens, {}])
        ]

    def right_rows(self) -> list[dict[str, Any]]:
        """Return the records of all right pages."""
        return [record for page in self.right_pages() for record in page[self.name]]


def signed_url(number: int) -> str:
    return f"https://cdn.example/assets-transform/asset_{number}?p=100&Policy=P0L1CY&Signature=S1GNATURE"


def dates(number: int) -> dict[str, str]:
    return {
        "createdAt": f"2026-04-22T08:57:{number:02d}.106Z",
        "updatedAt": f"2026-05-22T08:57:{number:02d}.106Z",
    }


def collection(number: int) -> dict[str, Any]:
    record: dict[str, Any] = {
        "id": f"collection_{number}",
        "name": f"Collection {number}",
        "ownerId": "proj_1",
        "assetCount": number,
        "modelCount": 1,
        "itemCount": number + 1,
        **dates(number),
    }
    if number % 4:
        record["thumbnail"] = {"assetId": f"asset_{number}", "url": signed_url(number)}
    return record


def job(number: int) -> dict[str, Any]:
    """Return a job; every fourth lacks what is optional."""
    record: dict[str, Any] = {
        "jobId": f"job_{number}",
        "jobType": "custom",
        "status": "success",
        "progress": 1,
        "metadata": {
            "input": {"prompt": f"Prompt {number}", "guidance": 3.5, "numOutputs": 2},
            "output": {"thumbnail": {"assetId": f"asset_{number}", "url": signed_url(number)}},
        },
        "statusHistory": [{"date": "2026-04-22T08:57:00.106Z", "status": "queued"}],
        **dates(number),
    }
    if number % 4 != 3:
        record |= {"ownerId": "proj_1", "authorId": "user_1"}
        record["billing"] = {"cuCost": number + 0.25, "cuDiscount": 0, "cuCostDetails": {"quality-gate": 0.5}}
        record["metadata"] |= {"assetIds": [f"asset_{number}", "asset_x"], "workflowId": f"workflow_{number}"}
        record["metadata"]["input"]["modelId"] = f"model_{number}"
    return record


def tag(number: int) -> dict[str, Any]:
    return {"ownerId": "proj_1", "tagName": f"tag {number}", "itemCount": number, **dates(number)}


COLLECTIONS = Listing(
    "collections",
    ("id",),
    {
        "id": "text",
        "name": "text",
        "ownerId": "text",
        "assetCount": "number",
        "modelCount": "number",
        "itemCount": "number",
        "thumbnail.assetId": "text",
        "thumbnail.url": "text",
        "createdAt": "date",
        "updatedAt": "date",
    },
    collection,
)
JOBS = Listing(
    "jobs",
    ("jobId",),
    {
        "jobId": "text",
        "jobType": "text",
        "status": "text",
        "progress": "number",
        "ownerId": "text",
        "authorId": "text",
        "metadata.input.modelId": "text",
        "metadata.input.prompt": "any",
        "metadata.assetIds": "texts",
        "metadata.error": "text",
        "metadata.workflowId": "text",
        "metadata": "json",
        "billing.cuCost": "number",
        "billing.cuDiscount": "number",
        "billing": "json",
        "statusHistory": "json",
        "createdAt": "date",
        "updatedAt": "date",
    },
    job,
)
TAGS = Listing(
    "tags",
    ("ownerId", "tagName"),
    {"ownerId": "text", "tagName": "text", "itemCount": "number", "createdAt": "date", "updatedAt": "date"},
    tag,
)
LISTINGS = {listing.name: listing for listing in (COLLECTIONS, JOBS, TAGS)}
