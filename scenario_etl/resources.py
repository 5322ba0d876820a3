"""The resources (lists of the API) with their columns and filters, as data. Add new ones here.

The library, the command line and the documentation use this module. Sources: the API reference of the vendor, and the
types of its official client, scenario-sdk 2.4.0.
"""

from scenario_etl.errors import ConfigError
from scenario_etl.filters import PROJECT_ID
from scenario_etl.redact import redact
from scenario_etl.schema import INTEGER, STRING, TIMESTAMP, Column, Resource

COLLECTIONS = Resource(
    name="collections",
    path="/collections",
    records_key="collections",
    record_key="collection",
    primary_key=("id",),
    page_sizes=(1, 100),
    columns=(
        Column("id", "id", STRING, nullable=False),
        Column("name", "name", STRING),
        Column("owner_id", "ownerId", STRING, is_categorical=True),
        Column("asset_count", "assetCount", INTEGER),
        Column("model_count", "modelCount", INTEGER),
        Column("item_count", "itemCount", INTEGER),
        Column("thumbnail_asset_id", "thumbnail.assetId", STRING),
        Column("thumbnail_url", "thumbnail.url", STRING, signed_url=True),
        Column("created_at", "createdAt", TIMESTAMP),
        Column("updated_at", "updatedAt", TIMESTAMP),
    ),
    filters=(PROJECT_ID,),
)

RESOURCES = {resource.name: resource for resource in (COLLECTIONS,)}


def resource_of(name: object) -> Resource:
    """Return the resource with this name; raise ConfigError if there is none."""
    if not isinstance(name, str) or name not in RESOURCES:
        raise ConfigError(f"{redact(name)!r} is not a resource; use one of: {', '.join(RESOURCES)}")
    return RESOURCES[name]
