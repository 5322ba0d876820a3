"""The lists that can be filtered and sorted, as data: parameters, fields and rules."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from scenario_etl.emulator import asset, job, model, tag, workflow
from scenario_etl.emulator.filters import (
    Comparison,
    Excludes,
    Needs,
    OneOf,
    Only,
    Predicate,
    Rule,
    after,
    before,
    contains,
    contains_any,
    equal,
    holds,
    one_of,
    unless_false,
)
from scenario_etl.emulator.paging import PageSizes

Query = Mapping[str, str]
DATE_FILTERS = {
    "createdAfter": ("created", after),
    "createdBefore": ("created", before),
    "updatedAfter": ("updated", after),
    "updatedBefore": ("updated", before),
}
SORT_FIELDS = {"createdAt": "created", "updatedAt": "updated"}
FLAGS = ("true", "false")
SORTED_BY_UPDATE = ("status", "type", "types", "workflowId")  # of jobs


class Order(NamedTuple):
    """The field by which a list is sorted; empty to keep the order of the records."""

    field: str = ""
    descending: bool = True


@dataclass(frozen=True)
class Table:
    """A list of the API.

    Attributes:
        name: End of the path, and key of the records in a page.
        noun: Key of a single record.
        page_sizes: Range of the number of records per page.
        record: Function that returns the API representation of a row, given a function that signs URLs.
        scope: Function that returns a test of which rows are listed at all, for a query and the time 30 days ago.
        order: Function that returns the order for a query.
        filters: Field and comparison of each query parameter.
        rules: Rules that reject combinations of parameters or values.
        recent: Conditions under which `scope` depends on the time.
        ignored: Condition under which a query parameter is ignored.

    """

    name: str
    noun: str
    page_sizes: PageSizes
    record: Callable[[Any, Callable[[str], str]], dict[str, Any]]
    scope: Callable[[Query, datetime], Predicate]
    order: Callable[[Query], Order]
    filters: Mapping[str, tuple[str, Comparison]]
    rules: tuple[Rule, ...] = ()
    recent: tuple[str, ...] = ()
    ignored: Mapping[str, str] = field(default_factory=lambda: {"projectId": "privacy=public"})

    def tests(self, query: Query, *, dates: bool = True) -> list[tuple[str, Predicate]]:
        """Return the tests of fields for the parameters of a query.

        Args:
            query: Query parameters; unknown ones are ignored.
            dates: Whether to return the tests of dates, or all others.

        """
        return [
            (name, comparison(query[parameter]))
            for parameter, (name, comparison) in self.filters.items()
            if parameter in query
            and (parameter in DATE_FILTERS) == dates
            and not (parameter in self.ignored and holds(query, self.ignored[parameter]))
        ]


def _assets(query: Query, since: datetime) -> Predicate:
    if query.get("deleted") == "true":
        return lambda row: row.deleted is not None and row.deleted > since and not row.is_foreign
    privacy = query.get("privacy")
    if privacy == "public":
        return lambda row: row.deleted is None and row.privacy == "public"
    return lambda row: row.deleted is None and not row.is_foreign and privacy in {None, row.privacy}


def _asset_order(query: Query) -> Order:
    if query.get("deleted") == "true":
        return Order("deleted")
    return Order(SORT_FIELDS[query.get("sortBy", "createdAt")], query.get("sortDirection") != "asc")


def _models(query: Query, since: datetime) -> Predicate:
    privacy = query.get("privacy", "private")
    if query.get("status") == "deleted":
        return lambda row: row.deleted is not None and row.deleted > since and row.privacy == privacy
    return lambda row: row.deleted is None and row.privacy == privacy


def _model_status(value: str) -> Predicate:
    return equal(value) if value != "deleted" else lambda _: True


def _model_order(query: Query) -> Order:
    if query.get("status") == "deleted":
        return Order("deleted")
    name = SORT_FIELDS.get(query.get("sortBy", ""))
    return Order(name, query.get("sortDirection") != "asc") if name else Order("created")


def _jobs(query: Query, since: datetime) -> Predicate:
    if not any(holds(query, each) for each in JOBS.recent) or {"createdAfter", "updatedAfter"} & set(query):
        return lambda _: True
    name = _job_order(query).field
    return lambda row: bool(getattr(row, name) > since)


def _job_order(query: Query) -> Order:
    return Order("updated" if any(each in query for each in SORTED_BY_UPDATE) else "created")


def _workflows(query: Query, _: datetime) -> Predicate:
    privacy = query.get("privacy", "private")
    return lambda row: row.privacy == privacy and (privacy != "public" or row.status == "ready")


def _workflow_order(query: Query) -> Order:
    honors = query.get("privacy") == "public" or "status" in query
    return Order("updated", not (honors and query.get("sortDirection") == "asc"))


SORT_RULES = (OneOf("sortDirection", ("asc", "desc")),)
DATE_RULES = (
    *(Needs(each, ("sortBy=createdAt",)) for each in ("createdAfter", "createdBefore")),
    *(Needs(each, ("sortBy=updatedAt",)) for each in ("updatedAfter", "updatedBefore")),
)
ASSET_FILTERS: dict[str, tuple[str, Comparison]] = {
    "projectId": ("owner_id", equal),
    "authorId": ("author_id", equal),
    "collectionId": ("collection_ids", contains),
    "inferenceId": ("job_id", equal),
    "modelId": ("model_id", equal),
    "parentAssetId": ("parent_id", equal),
    "rootAssetId": ("root_id", equal),
    "type": ("type", equal),
    "types": ("type", one_of),
    "tags": ("tags", contains_any),
    **DATE_FILTERS,
}

ASSETS = Table(
    name="assets",
    noun="asset",
    page_sizes=PageSizes(50, 1, 100),
    record=asset.record,
    scope=_assets,
    order=_asset_order,
    filters=ASSET_FILTERS,
    rules=(
        Excludes("type", ("types",)),
        Excludes("collectionId", ("privacy=public",)),
        Needs("tags", ("privacy=public",)),
        OneOf("privacy", ("private", "public", "unlisted")),
        OneOf("sortBy", tuple(SORT_FIELDS)),
        OneOf("deleted", FLAGS),
        OneOf("originalAssets", FLAGS),
        *SORT_RULES,
        *DATE_RULES,
        Only("deleted=true", ("projectId",), (*ASSET_FILTERS, "privacy", "sortBy", "sortDirection")),
    ),
    recent=("deleted=true",),
)

MODELS = Table(
    name="models",
    noun="model",
    page_sizes=PageSizes(100, 1, 500),
    record=model.record,
    scope=_models,
    order=_model_order,
    filters={
        "projectId": ("owner_id", equal),
        "status": ("status", _model_status),
        "collectionId": ("collection_ids", contains),
        "collectionIds": ("collection_ids", contains_any),
        "tags": ("tags", contains_any),
        "type": ("type", equal),
        "types": ("type", one_of),
        **DATE_FILTERS,
    },
    rules=(
        OneOf("privacy", ("private", "public", "unlisted")),
        OneOf("status", ("new", "training", "trained", "failed", "deleted")),
        OneOf("sortBy", (*SORT_FIELDS, "score")),
        Excludes("type", ("types",)),
        *(Excludes(each, ("privacy=public",)) for each in ("status", "collectionId")),
        *(Needs(each, ("privacy=public",)) for each in ("collectionIds", "tags", "type", "types")),
        *(Needs(each, ("privacy=public",)) for each in ("updatedAfter", "updatedBefore", "sortBy=updatedAt")),
        Needs("sortBy=score", ("privacy",)),
        Needs("sortBy=score", ("privacy=public", "status")),
        *SORT_RULES,
        *DATE_RULES,
    ),
    recent=("status=deleted",),
)

JOBS = Table(
    name="jobs",
    noun="job",
    page_sizes=PageSizes(50, 1, 100),
    record=job.record,
    scope=_jobs,
    order=_job_order,
    filters={
        "projectId": ("owner_id", equal),
        "authorId": ("author_id", equal),
        "hideResults": ("hides_results", unless_false),
        "status": ("status", equal),
        "type": ("type", equal),
        "types": ("type", one_of),
        "workflowId": ("workflow_id", equal),
        "createdAfter": DATE_FILTERS["createdAfter"],
        "updatedAfter": DATE_FILTERS["updatedAfter"],
    },
    rules=(
        OneOf("status", (*job.UNFINISHED, "success", "failure", "canceled")),
        OneOf("hideResults", FLAGS),
        Excludes("createdAfter", SORTED_BY_UPDATE),
        Needs("updatedAfter", SORTED_BY_UPDATE),
    ),
    recent=("authorId", "hideResults=false"),
    ignored={"type": "types"},
)

TAGS = Table(
    name="tags",
    noun="tag",
    page_sizes=PageSizes(50, 1, 100),
    record=tag.record,
    scope=lambda *_: lambda _: True,
    order=lambda _: Order(),
    filters={"projectId": ("owner_id", equal)},
)

WORKFLOWS = Table(
    name="workflows",
    noun="workflow",
    page_sizes=PageSizes(50, 1, 100),
    record=workflow.record,
    scope=_workflows,
    order=_workflow_order,
    filters={"projectId": ("owner_id", equal), "status": ("status", equal), "tags": ("tags", contains_any)},
    rules=(
        OneOf("privacy", ("private", "public", "unlisted")),
        OneOf("status", ("draft", "ready")),
        OneOf("full", FLAGS),
        Excludes("status", ("privacy=public",)),
        *SORT_RULES,
    ),
)

TABLES = (ASSETS, MODELS, JOBS, TAGS, WORKFLOWS)
