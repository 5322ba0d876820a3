"""Lookup of single records by id."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

import pyarrow as pa

from scenario_etl.client import Client
from scenario_etl.errors import APIError
from scenario_etl.filters import PROJECT_ID, is_filtered, project_query
from scenario_etl.records import RecordReader, with_project
from scenario_etl.redact import redact
from scenario_etl.schema import Resource

OWNER = "owner_id"


def can_look_up(resource: Resource, query: Mapping[str, str], *, has_project: bool = False) -> bool:
    """Return whether a missing row of a list can be looked up by its id.

    The API must return single records of the resource. A lookup does not apply the filters of the list; only the filter
    by project can be checked, by the owner of the record.

    Args:
        resource: The resource, without a column for the project.
        query: The filters, with their names in the API.
        has_project: Whether the list is limited to projects that are not in the query.

    """
    is_project_checked = not (has_project or PROJECT_ID.api_name in query) or OWNER in resource.schema.names
    return (
        bool(resource.record_key) and len(resource.primary_key) == 1 and is_project_checked and not is_filtered(query)
    )


@dataclass
class Lookups:
    """Looks up rows of a resource for which `can_look_up` is true.

    Attributes:
        resource: The resource.
        client: The client.
        parameters: The query parameters of the list, with their names in the API.
        reader: The reader that converts records to rows.
        counts: The requests, retries and seconds waited so far.

    """

    resource: Resource
    client: Client
    parameters: Mapping[str, str]
    reader: RecordReader
    counts: "Counter[str]" = field(default_factory=Counter)

    def row(self, key: str, project: str | None = None) -> pa.RecordBatch | None:
        """Return the row with an id, None if it is deleted or in the trash.

        Args:
            key: The id.
            project: The project of the row, for a resource with the column `project_id`.

        Raises:
            APIError: The request failed, or the API returned a different record; TransientError and AuthError are
                subclasses.
            SchemaError: A value of the record does not fit its column.

        """
        if not key.strip("."):
            raise APIError(f"the id {key!r} cannot be looked up, because a URL cannot contain it")
        path = f"{self.resource.path}/{quote(key, safe='')}"
        record_key = str(self.resource.record_key)
        parameters = {**self.resource.fixed_query, **self.parameters, **project_query(project)}
        record = self.client.retrieve(path, record_key, parameters, counts=self.counts)
        if record is None or record.get("deletedAt"):
            return None
        missing = self.reader.missing_fields.total()
        row = self.reader.read([record])
        if self.reader.missing_fields.total() > missing:
            raise APIError(f"the API returned {redact(key)} without {', '.join(self.reader.missing_fields)}")
        if row[self.resource.primary_key[-1]][0].as_py() != key:
            raise APIError(f"{redact(key)} was requested, but the API returned a different record")
        return row if project is None else with_project(row, project, self.resource)
