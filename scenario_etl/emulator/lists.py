"""The lists whose records are generated one at a time, as data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from scenario_etl.emulator import collection, project
from scenario_etl.emulator.paging import PageSizes


@dataclass(frozen=True)
class Listing:
    """A list of the API.

    Attributes:
        name: End of the path, and key of the records in a page.
        noun: Key of a single record.
        page_sizes: Range of the number of records per page.
        make: Function that returns the generated record for a seed and a number, without the URL of its thumbnail.
        make_id: Function that only returns the id of that record, which is faster.
        filters: Field of each query parameter whose value must be equal.

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
