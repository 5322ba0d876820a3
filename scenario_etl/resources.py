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


def _column(field: str, kind: ColumnType, description: str, **more: Any) -> Column:
    """Return the column of a field, named after its path in snake_case."""
    name = re.sub(r"\.|(?<=[a-z])(?=[A-Z])", "_", field).lower()
    return Column(name, field, kind, description=description, **more)


def _key(field: str, description: str) -> Column:
    return _column(field, STRING, description, nullable=False)


def _optional(field: str, kind: ColumnType, description: str, **more: Any) -> Column:
    return _column(field, kind, description, optional=True, **more)


def _category(field: str, description: str) -> Column:
    return _column(field, STRING, description, is_categorical=True)


def _image(field: str, image: str) -> tuple[Column, Column]:
    """Return the two columns of an object {assetId, url}, which the API may omit."""
    signed = "thumbnail" if field == "thumbnail" else "content"
    return (
        _column(f"{field}.assetId", STRING, f"Asset ID of {image}."),
        _column(f"{field}.url", STRING, f"URL of {image}.", signed_url=signed),
    )


BOUNDS = {"after": DATE, "before": END_DATE}
DATES = (
    _column("createdAt", TIMESTAMP, "Time of the creation, in UTC."),
    _column("updatedAt", TIMESTAMP, "Time of the last update, in UTC."),
)

PUBLIC = ("privacy=public",)
DIRECTION = Filter("sort_direction", "sortDirection", choice_of("asc", "desc"), "Sort direction.")
SORT_BY = Filter("sort_by", "sortBy", choice_of("createdAt", "updatedAt"), "Date to sort by.")
TYPE_OF = "metadata_type of assets, type of models, job_type of jobs"
TYPE = Filter("type", "type", TEXT, f"Limit to one type: {TYPE_OF}.", excludes=("types",))
TYPES = Filter("types", "types", TEXTS, f"Limit to these types: {TYPE_OF}.")
TAG_FILTER = Filter("tags", "tags", TEXTS, "Limit to records with any of these tags.")
PRIVACY = Filter("privacy", "privacy", choice_of("private", "public", "unlisted"), "Limit to one privacy level.")
AUTHOR_ID = Filter("author_id", "authorId", TEXT, "Limit to records created by one user or API key.")
COLLECTION_ID = Filter("collection_id", "collectionId", TEXT, "Limit to one collection.", excludes=PUBLIC)


def _date(name: str, needs: tuple[str, ...] = ()) -> Filter:
    """Return a filter by date, for which the API requires sorting by that date."""
    field, bound = name.split("_")
    kind = BOUNDS[bound]
    description = f"Limit to records {field} {bound} this time (exclusive), in UTC by default; a date is its start."
    return Filter(name, f"{field}{bound.title()}", kind, description, adds={"sortBy": f"{field}At"}, needs=needs)


COLLECTIONS = Resource(
    name="collections",
    path="/collections",
    records_key="collections",
    record_key="collection",
    primary_key=("id",),
    page_sizes=(1, 100),
    columns=(
        _key("id", "ID of the collection."),
        _column("name", STRING, "Name of the collection."),
        _category("ownerId", "ID of the project that owns the collection."),
        _column("assetCount", INTEGER, "Number of assets."),
        _column("modelCount", INTEGER, "Number of models."),
        _column("itemCount", INTEGER, "Number of items; not documented to be the sum of the assets and models."),
        *_image("thumbnail", "the thumbnail"),
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
        _key("id", "ID of the asset."),
        _category("ownerId", "ID of the project that owns the asset; in old teams, of the team."),
        _category("authorId", "ID of the user or API key that created the asset."),
        _category("kind", "Kind of file: 3d, audio, document, image, image-hdr, json, text or video."),
        _category("source", "Operation that created the asset, such as uploaded or txt2img."),
        _category("status", "Status: error, pending or success."),
        _category("privacy", "Privacy level: private, public or unlisted."),
        _category("mimeType", "MIME type of the file, such as image/png."),
        _column("collectionIds", STRINGS, "IDs of the collections that contain the asset."),
        _column("tags", STRINGS, "Tags."),
        _column("editCapabilities", STRINGS, "Edits that the asset supports, such as UPSCALE."),
        _optional("nsfw", STRINGS, "Labels of content that is not safe for work (NSFW)."),
        _optional("description", STRING, "Description that was written, or else a caption."),
        _optional("automaticCaptioning", STRING, "Automatic caption."),
        _optional("isHidden", BOOLEAN, "Whether the asset is hidden."),
        _optional("outputIndex", INTEGER, "Position among the outputs of its job, from 0."),
        _column("metadata.kind", STRING, "Kind of file, with the same values as kind.", is_categorical=True),
        _column("metadata.type", STRING, "Type of the asset, such as inference-txt2img.", is_categorical=True),
        _optional("metadata.name", STRING, "Name of the asset."),
        _optional("metadata.modelId", STRING, "ID of the model that generated the asset.", is_categorical=True),
        _optional("metadata.prompt", STRING, "Prompt of the generation or edit."),
        _optional("metadata.parentId", STRING, "ID of the asset from which it was made, such as by upscaling."),
        _optional("metadata.rootParentId", STRING, "ID of the first asset in its chain of parents."),
        _optional("metadata.inferenceId", STRING, "ID of the inference that generated the asset."),
        _column("metadata", JSON, "All metadata, including the fields above."),
        _column("properties.size", INTEGER, "Size of the file in bytes."),
        _optional("properties.width", INTEGER, "Width in pixels."),
        _optional("properties.height", INTEGER, "Height in pixels."),
        _optional("properties.duration", FLOAT, "Duration in seconds."),
        _column("properties", JSON, "All properties of the file, including the fields above."),
        _optional("qualityGate.verdict", STRING, "Quality Gate verdict: pass, warn or fail.", is_categorical=True),
        _optional("qualityGate.overallScore", FLOAT, "Quality Gate score from 0 to 100."),
        _optional("qualityGate", JSON, "All results of the Quality Gate, including the fields above."),
        _column("url", STRING, "URL of the file.", signed_url="content"),
        _optional("originalFileUrl", STRING, "URL of the file before its conversion.", signed_url="content"),
        _optional("originalMimeType", STRING, "MIME type of the file before its conversion.", is_categorical=True),
        *_image("thumbnail", "the thumbnail"),
        *_image("firstFrame", "the first frame of a video"),
        *_image("lastFrame", "the last frame of a video"),
        *_image("preview", "the preview"),
        *DATES,
        _optional("deletedAt", TIMESTAMP, "Time of the deletion; only for deleted assets."),
        _optional("embedding", FLOATS, "Embedding vector.", included_by="include_embedding"),
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
        _key("id", "ID of the model."),
        _optional("name", STRING, "Name of the model."),
        _optional("ownerId", STRING, "ID of the project or team that owns the model.", is_categorical=True),
        _optional("authorId", STRING, "ID of the user or API key that created the model.", is_categorical=True),
        _category("type", "Type of the model, such as flux.1-lora."),
        _category("status", "Status, such as new, training, trained or failed."),
        _category("privacy", "Privacy level: private, public or unlisted."),
        _category("source", "Source of the model."),
        _column("custom", BOOLEAN, "Whether it is a custom model."),
        _column("capabilities", STRINGS, "Capabilities, such as txt2img."),
        _column("tags", STRINGS, "Tags."),
        _column("collectionIds", STRINGS, "IDs of the collections that contain the model."),
        _column("exampleAssetIds", STRINGS, "IDs of the example assets that its owner chose."),
        _column("trainingImagesNumber", INTEGER, "Number of training images."),
        _optional("parentModelId", STRING, "ID of the parent model."),
        _optional("jobId", STRING, "ID of the job that trained the model; only for its owner."),
        _optional("shortDescription", STRING, "Short description."),
        _optional(
            "accessRestrictions", INTEGER,
            "Lowest plan with access: 0 free, 25 starter, 50 pro, 75 max, 100 enterprise.",
        ),
        _optional("class", JSON, "Class of the model."),
        _optional("parameters", JSON, "Parameters of the model, mostly of its training."),
        _optional("trainingProgress", JSON, "Progress of the training."),
        _optional("trainingStats", JSON, "Statistics of the training."),
        _optional("performanceStats", JSON, "Statistics of its performance."),
        _optional("concepts", JSON, "Models that a composition consists of."),
        _optional("inputs", JSON, "Inputs of a custom model; lists may not contain them."),
        _optional("trainingImages", JSON, "First three training images."),
        _optional("epochs", JSON, "Epochs of the training; only for some types."),
        *_image("thumbnail", "the thumbnail"),
        *DATES,
        _optional("deletedAt", TIMESTAMP, "Time of the deletion; only for deleted models."),
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
        _key("jobId", "ID of the job."),
        _category("jobType", "Type of the job, such as inference."),
        _category("status", "Status, such as queued, in-progress, success, failure or canceled."),
        _column("progress", FLOAT, "Progress from 0 to 1."),
        _optional("ownerId", STRING, "ID of the project or team that owns the job.", is_categorical=True),
        _optional("authorId", STRING, "ID of the user or API key that submitted the job.", is_categorical=True),
        _optional("metadata.input.modelId", STRING, "ID of the model that was run.", is_categorical=True),
        _optional("metadata.input.prompt", ANY, "Prompt."),
        _optional("metadata.assetIds", STRINGS, "IDs of the assets that the job created."),
        _optional("metadata.error", STRING, "Error message of a failed job."),
        _optional("metadata.workflowId", STRING, "ID of the workflow that the job belongs to."),
        _column("metadata", JSON, "All metadata, including the fields above."),
        _column("billing.cuCost", FLOAT, "Cost in compute units (CU), without add-ons."),
        _column("billing.cuDiscount", FLOAT, "Discount in compute units (CU)."),
        _optional("billing", JSON, "All billing data, including the fields above."),
        _column("statusHistory", JSON, "Statuses with the time of each."),
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
    columns=(
        _key("ownerId", "ID of the project that owns the tag."),
        _key("tagName", "Name of the tag."),
        _column("itemCount", INTEGER, "Number of items with the tag."),
        *DATES,
    ),
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
        _key("id", "ID of the workflow."),
        _column("name", STRING, "Name of the workflow."),
        _column("description", STRING, "Description."),
        _column("shortDescription", STRING, "Short description."),
        _category("status", "Status: draft, ready or deleted."),
        _category("privacy", "Privacy level: private, public or unlisted."),
        _category("authorId", "ID of the user that created the workflow."),
        _category("ownerId", "ID of the project that owns the workflow."),
        _column("hasFlow", BOOLEAN, "Whether the workflow has any nodes."),
        _column("tagSet", STRINGS, "Tags."),
        _column("inputs", JSON, "Inputs of the workflow."),
        _optional("isLocked", BOOLEAN, "Whether only its author or an administrator may change it."),
        *_image("before", "the example before the workflow"),
        *_image("after", "the example after the workflow"),
        *_image("thumbnail", "the thumbnail"),
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
        _key("id", "ID of the project."),
        _column("name", STRING, "Name of the project."),
        _category("teamId", "ID of the team that owns the project."),
        _column("privacyMode", BOOLEAN, "Whether users, except administrators, only see assets that they generated."),
        _optional("description", STRING, "Description; lists do not contain it."),
        _optional("consumption", FLOAT, "Consumption of the current billing period in compute units (CU)."),
        _optional("maxConsumption", FLOAT, "Limit of consumption in CU; null if there is none."),
        _optional("avatar.assetId", STRING, "Asset ID of the avatar."),
        _optional("avatar.url", STRING, "URL of the avatar.", signed_url="content"),
        _column("users", JSON, "Users with their e-mail addresses.", included_by="include_personal"),
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
        _key("id", "ID of the team."),
        _column("name", STRING, "Name of the team."),
        _category("plan", "Plan of the subscription."),
        _category("type", "Type of the team."),
        _category("context.userRole", "Role of the API key in the team."),
        _column("context.usersCount", INTEGER, "Number of users."),
        _column("context.keysCount", INTEGER, "Number of API keys."),
        _column("context.invitationsCount", INTEGER, "Number of invitations."),
        _column("projects", JSON, "Projects of the team."),
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
            Column("collection_id", "collectionIds", STRINGS, nullable=False, description="ID of the collection."),
            Column(id_name, "id", STRING, nullable=False, description=f"ID of the {id_name.removesuffix('_id')}."),
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
