"""The lists whose records are made up one at a time, as data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from scenario_etl.emulator import collection, project
from scenario_etl.emulator.paging import PageSizes


@dataclass(frozen=True)
class Listing:
    """A list of the API.

    Attributes:
        name: the end of its path, and the key of the records in a page.
        noun: the key of a single record.
        page_sizes: how many records a page may have.
        make: returns the made-up record for a seed and a number, without the URL of its thumbnail.
        make_id: returns the id of that record, which is quicker.
        filters: the field that each query parameter filters, where the values must be equal.

    """

    name: str
    noun: str
    page_sizes: PageSizes
    make: Callable[[str, int], dict[str, Any]]
    make_id: Callable[[str, int], str]
    filters: Mapping[str, str] = field(default_factory=dict)


COLLECTIONS = Listing(
    name="collections",
    noun="collection",
    page_sizes=PageSizes(10, 1, 100),
    make=collection.make,
    make_id=collection.make_id,
    filters={"projectId": "ownerId"},
)

PROJECTS = Listing(
    name="projects",
    noun="project",
    page_sizes=PageSizes(10, 1, 100),
    make=project.record,
    make_id=project.record_id,
    filters={"teamId": "teamId"},
)

LISTS = (COLLECTIONS, PROJECTS)
