"""The resources (lists of the API) with their columns and filters, as data. Add new ones here.

The library, the command line and the documentation use this module. Sources: the API reference of the vendor, and the
types of its official client, scenario-sdk 2.4.0.
"""

import re
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from scenario_etl.column_types import ANY, BOOLEAN, FLOAT, FLOATS, INTEGER, JSON, STRING, STRINGS, TIMESTAMP, ColumnType
from scenario_etl.errors import ConfigError
from scenario_etl.filters import DATE, END_DATE, FLAG, PROJECT_ID, TEXT, TEXTS, Filter, choice_of
from scenario_etl.redact import redact
from scenario_etl.schema import Column, Resource


def _column(field: str, kind: ColumnType, **more: Any) -> Column:
    """Return the column of a field, named after its path in snake_case."""
    return Column(re.sub(r"\.|(?<=[a-z])(?=[A-Z])", "_", field).lower(), field, kind, **more)


def _key(field: str) -> Column:
    return _column(field, STRING, nullable=False)


def _optional(field: str, kind: ColumnType, **more: Any) -> Column:
    return _column(field, kind, optional=True, **more)


def _category(field: str) -> Column:
    return _column(field, STRING, is_categorical=True)


def _image(field: str) -> tuple[Column, Column]:
    """Return the two columns of an object {assetId, url}, which the API may omit."""
    signed = "thumbnail" if field == "thumbnail" else "content"
    return _column(f"{field}.assetId", STRING), _column(f"{field}.url", STRING, signed_url=signed)


BOUNDS = {"after": DATE, "before": END_DATE}
DATES = (_column("createdAt", TIMESTAMP), _column("updatedAt", TIMESTAMP))

PUBLIC = ("privacy=public",)
DIRECTION = Filter("sort_direction", "sortDirection", choice_of("asc", "desc"), "Sort direction.")
SORT_BY = Filter("sort_by", "sortBy", choice_of("createdAt", "updatedAt"), "Date to sort by.")
TYPE = Filter("type", "type", TEXT, "Limit to one type.", excludes=("types",))
TYPES = Filter("types", "types", TEXTS, "Limit to these types.")
TAG_FILTER = Filter("tags", "tags", TEXTS, "Limit to records with any of these tags.")
PRIVACY = Filter("privacy", "privacy", choice_of("private", "public", "unlisted"), "Limit to one privacy level.")
AUTHOR_ID = Filter("author_id", "authorId", TEXT, "Limit to records created by one user or API key.")
COLLECTION_ID = Filter("collection_id", "collectionId", TEXT, "Limit to one collection.", excludes=PUBLIC)


def _date(name: str, needs: tuple[str, ...] = ()) -> Filter:
    """Return a filter by date, for which the API requires sorting by that date."""
    field, bound = name.split("_")
    kind, description = BOUNDS[bound], f"Limit to records {field} {bound} this date or time in UTC."
    return Filter(name, f"{field}{bound.title()}", kind, description, adds={"sortBy": f"{field}At"}, needs=needs)


COLLECTIONS = Resource(
    name="collections",
    path="/collections",
    records_key="collections",
    record_key="collection",
    primary_key=("id",),
    page_sizes=(1, 100),
    columns=(
        _key("id"),
        _column("name", STRING),
        _category("ownerId"),
        _column("assetCount", INTEGER),
        _column("modelCount", INTEGER),
        _column("itemCount", INTEGER),
        *_image("thumbnail"),
        *DATES,
    ),
    filters=(PROJECT_ID,),
)

ASSETS = Resource(
    name="assets",
    path="/assets",
    records_key="assets",
    record_key="asset",
    primary_key=("id",),
    page_sizes=(1, 100),
    columns=(
        _key("id"),
        _category("ownerId"),
        _category("authorId"),
        _category("kind"),
        _category("source"),
        _category("status"),
        _category("privacy"),
        _category("mimeType"),
        _column("collectionIds", STRINGS),
        _column("tags", STRINGS),
        _column("editCapabilities", STRINGS),
        _optional("nsfw", STRINGS),
        _optional("description", STRING),
        _optional("automaticCaptioning", STRING),
        _optional("isHidden", BOOLEAN),
        _optional("outputIndex", INTEGER),
        _column("metadata.kind", STRING, is_categorical=True),
        _column("metadata.type", STRING, is_categorical=True),
        _optional("metadata.name", STRING),
        _optional("metadata.modelId", STRING, is_categorical=True),
        _optional("metadata.prompt", STRING),
        _optional("metadata.parentId", STRING),
        _optional("metadata.rootParentId", STRING),
        _optional("metadata.inferenceId", STRING),
        _column("metadata", JSON),
        _column("properties.size", INTEGER),
        _optional("properties.width", INTEGER),
        _optional("properties.height", INTEGER),
        _optional("properties.duration", FLOAT),
        _column("properties", JSON),
        _optional("qualityGate.verdict", STRING, is_categorical=True),
        _optional("qualityGate.overallScore", FLOAT),
        _optional("qualityGate", JSON),
        _column("url", STRING, signed_url="content"),
        _optional("originalFileUrl", STRING, signed_url="content"),
        _optional("originalMimeType", STRING, is_categorical=True),
        *_image("thumbnail"),
        *_image("firstFrame"),
        *_image("lastFrame"),
        *_image("preview"),
        *DATES,
        _optional("deletedAt", TIMESTAMP),
        _optional("embedding", FLOATS, included_by="include_embedding"),
    ),
    filters=(
        PROJECT_ID,
        AUTHOR_ID,
        COLLECTION_ID,
        Filter("inference_id", "inferenceId", TEXT, "Limit to the results of one inference."),
        Filter("model_id", "modelId", TEXT, "Limit to the results of one model."),
        Filter("parent_asset_id", "parentAssetId", TEXT, "Limit to the children of one asset."),
        Filter("root_asset_id", "rootAssetId", TEXT, "Limit to the descendants of one asset."),
        TYPE,
        TYPES,
        replace(TAG_FILTER, needs=PUBLIC),
        replace(PRIVACY, needs_for={"public": ("allow_public=true",)}),
        Filter("allow_public", "", FLAG, "Allow privacy=public, which returns the public assets of all organizations."),
        Filter("original_assets", "originalAssets", FLAG, "Whether URLs point to the original files."),
        Filter(
            "deleted", "deleted", FLAG, "Whether to list the assets deleted in the last 30 days instead.",
            only_with=("project_id", "original_assets"),
        ),
        SORT_BY,
        DIRECTION,
        *map(_date, ("created_after", "created_before", "updated_after", "updated_before")),
    ),
)  # fmt: skip

MODELS = Resource(
    name="models",
    path="/models",
    records_key="models",
    record_key=None,  # lookups also find models that are no longer private, which the list omits by default
    primary_key=("id",),
    page_sizes=(1, 500),
    columns=(
        _key("id"),
        _optional("name", STRING),
        _optional("ownerId", STRING, is_categorical=True),
        _optional("authorId", STRING, is_categorical=True),
        _category("type"),
        _category("status"),
        _category("privacy"),
        _category("source"),
        _column("custom", BOOLEAN),
        _column("capabilities", STRINGS),
        _column("tags", STRINGS),
        _column("collectionIds", STRINGS),
        _column("exampleAssetIds", STRINGS),
        _column("trainingImagesNumber", INTEGER),
        _optional("parentModelId", STRING),
        _optional("jobId", STRING),
        _optional("shortDescription", STRING),
        _optional("accessRestrictions", INTEGER),
        _optional("class", JSON),
        _optional("parameters", JSON),
        _optional("trainingProgress", JSON),
        _optional("trainingStats", JSON),
        _optional("performanceStats", JSON),
        _optional("concepts", JSON),
        _optional("inputs", JSON),
        _optional("trainingImages", JSON),
        _optional("epochs", JSON),
        *_image("thumbnail"),
        *DATES,
        _optional("deletedAt", TIMESTAMP),
    ),
    ignored_fields=(
        "compliantModelIds", "disableRefund", "epoch", "modelKeyword", "negativePromptEmbedding", "promptEmbedding",
        "softDeletionOn", "trainingImagePairs", "uiConfig", "userId",
    ),
    filters=(
        PROJECT_ID,
        PRIVACY,
        Filter(
            "status", "status", choice_of("new", "training", "trained", "failed", "deleted"), "Limit to one status.",
            excludes=PUBLIC,
        ),
        COLLECTION_ID,
        Filter("collection_ids", "collectionIds", TEXTS, "Limit to these collections.", needs=PUBLIC),
        replace(TAG_FILTER, needs=PUBLIC),
        replace(TYPE, needs=PUBLIC),
        replace(TYPES, needs=PUBLIC),
        replace(SORT_BY, needs_for={"updatedAt": PUBLIC}),
        replace(
            DIRECTION,
            needs=("sort_by", "created_after", "created_before", "updated_after", "updated_before"),
        ),
        _date("created_after"),
        _date("created_before"),
        _date("updated_after", needs=PUBLIC),
        _date("updated_before", needs=PUBLIC),
    ),
)  # fmt: skip

JOBS = Resource(
    name="jobs",
    path="/jobs",
    records_key="jobs",
    record_key="job",
    finished_statuses=("success", "failure", "canceled"),
    primary_key=("job_id",),
    page_sizes=(1, 100),
    columns=(
        _key("jobId"),
        _category("jobType"),
        _category("status"),
        _column("progress", FLOAT),
        _optional("ownerId", STRING, is_categorical=True),
        _optional("authorId", STRING, is_categorical=True),
        _optional("metadata.input.modelId", STRING, is_categorical=True),
        _optional("metadata.input.prompt", ANY),
        _optional("metadata.assetIds", STRINGS),
        _optional("metadata.error", STRING),
        _optional("metadata.workflowId", STRING),
        _column("metadata", JSON),
        _column("billing.cuCost", FLOAT),
        _column("billing.cuDiscount", FLOAT),
        _optional("billing", JSON),
        _column("statusHistory", JSON),
        *DATES,
    ),
    filters=(
        PROJECT_ID,
        replace(AUTHOR_ID, needs=("created_after", "updated_after")),
        Filter(
            "hide_results", "hideResults", FLAG,
            "Whether to include jobs that were submitted with hideResults; false omits them.",
            needs_for={"false": ("created_after", "updated_after")},
        ),
        Filter(
            "status", "status",
            choice_of(
                "pending", "queued", "warming-up", "in-progress", "success", "failure", "canceled", "finalizing"
            ),
            "Limit to one status.",
        ),
        TYPE,
        TYPES,
        Filter("workflow_id", "workflowId", TEXT, "Limit to the jobs of one workflow."),
        replace(
            _date("created_after"), adds={},
            excludes=("status", "type", "types", "workflow_id", "updated_after"),
        ),
        replace(_date("updated_after"), adds={}, needs=("status", "type", "types", "workflow_id")),
    ),
)  # fmt: skip

TAGS = Resource(
    name="tags",
    path="/tags",
    records_key="tags",
    record_key=None,
    primary_key=("owner_id", "tag_name"),
    page_sizes=(1, 100),
    columns=(_key("ownerId"), _key("tagName"), _column("itemCount", INTEGER), *DATES),
    filters=(PROJECT_ID,),
)

WORKFLOWS = Resource(
    name="workflows",
    path="/workflows",
    records_key="workflows",
    record_key=None,  # as for models
    primary_key=("id",),
    page_sizes=(1, 100),
    columns=(
        _key("id"),
        _column("name", STRING),
        _column("description", STRING),
        _column("shortDescription", STRING),
        _category("status"),
        _category("privacy"),
        _category("authorId"),
        _category("ownerId"),
        _column("hasFlow", BOOLEAN),
        _column("tagSet", STRINGS),
        _column("inputs", JSON),
        _optional("isLocked", BOOLEAN),
        *_image("before"),
        *_image("after"),
        *_image("thumbnail"),
        *DATES,
    ),
    ignored_fields=(
        "editorInfo", "embedding", "flow", "lastIndexedAt", "lastIndexingType", "lastReadyFlowUpdatedAt",
        "lockedStateChangedAt", "lockedStateChangedBy", "outputAssetKinds", "thumbnail.__brand", "uiConfig",
    ),
    filters=(
        PROJECT_ID,
        PRIVACY,
        Filter("status", "status", choice_of("draft", "ready"), "Limit to one status.", excludes=PUBLIC),
        TAG_FILTER,
        replace(DIRECTION, needs=("status", *PUBLIC)),
    ),
    fixed_query={"full": "false"},
)  # fmt: skip

PROJECTS = Resource(
    name="projects",
    path="/projects",
    records_key="projects",
    record_key=None,
    primary_key=("id",),
    page_sizes=(1, 100),
    columns=(
        _key("id"),
        _column("name", STRING),
        _category("teamId"),
        _column("privacyMode", BOOLEAN),
        _optional("description", STRING),
        _optional("consumption", FLOAT),
        _optional("maxConsumption", FLOAT),
        _optional("avatar.assetId", STRING),
        _optional("avatar.url", STRING, signed_url="content"),
        _column("users", JSON, included_by="include_personal"),
        *DATES,
    ),
    ignored_fields=("descriptionDate", "disableIpDetection", "keys", "qualityGateAutoDetect", "settings", "users"),
    filters=(Filter("team_id", "teamId", TEXT, "Limit to one team."),),
)

TEAMS = Resource(
    name="teams",
    path="/teams",
    records_key="teams",
    record_key=None,
    primary_key=("id",),
    page_sizes=None,
    columns=(
        _key("id"),
        _column("name", STRING),
        _category("plan"),
        _category("type"),
        _category("context.userRole"),
        _column("context.usersCount", INTEGER),
        _column("context.keysCount", INTEGER),
        _column("context.invitationsCount", INTEGER),
        _column("projects", JSON),
        *DATES,
    ),
    ignored_fields=("avatar", "byok", "defaultUserMaxConsumption", "ipDetectionEnforcement", "qualityGateAutoDetect"),
    required_objects=("context",),
)


def _links(resource: Resource, id_name: str) -> Resource:
    """Return the resource of pairs of a collection and a record, from the field `collectionIds` of another."""
    return Resource(
        name=f"collection_{resource.name}",
        path=resource.path,
        records_key=resource.records_key,
        record_key=None,
        primary_key=("collection_id", id_name),
        page_sizes=resource.page_sizes,
        columns=(
            Column("collection_id", "collectionIds", STRINGS, nullable=False),
            Column(id_name, "id", STRING, nullable=False),
        ),
        exploded="collection_id",
        filters=(PROJECT_ID,),
    )


RESOURCES = {
    resource.name: resource
    for resource in (
        COLLECTIONS, ASSETS, MODELS, JOBS, TAGS, WORKFLOWS, PROJECTS, TEAMS,
        _links(ASSETS, "asset_id"), _links(MODELS, "model_id"),
    )
}  # fmt: skip


# the arguments of `scan` that add columns
INCLUDE_ARGUMENTS = tuple(
    sorted({column.included_by for resource in RESOURCES.values() for column in resource.columns} - {""})
)


def resource_of(name: object, included: Collection[str] = ()) -> Resource:
    """Return the resource with this name, without columns that must be requested.

    Args:
        name: Name of the resource, such as "collections".
        included: Arguments of `scan` that add columns, such as "include_personal".

    Raises:
        ConfigError: There is no such resource, or an argument adds no column to it.

    """
    if not isinstance(name, str) or name not in RESOURCES:
        from difflib import get_close_matches  # noqa: PLC0415 - only an error needs it

        close = get_close_matches(str(name), RESOURCES, 1)
        hint = f"did you mean {close[0]!r}? The resources are" if close else "use one of"
        raise ConfigError(f"{redact(name)!r} is not a resource; {hint}: {', '.join(RESOURCES)}")
    return RESOURCES[name].with_columns_of(included)
