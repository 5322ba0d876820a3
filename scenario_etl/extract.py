"""The public functions that read a resource into a DataFrame, Arrow data or Parquet."""

import inspect
import os
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any

from scenario_etl.arguments import check_bool, check_integer, check_text, check_type
from scenario_etl.client import Client
from scenario_etl.errors import ConfigError
from scenario_etl.filters import PROJECT_ID, query_for
from scenario_etl.pages import MAX_PAGES
from scenario_etl.parallel import MAX_WORKERS
from scenario_etl.projects import Projects
from scenario_etl.redact import redact
from scenario_etl.resources import INCLUDE_ARGUMENTS, resource_of
from scenario_etl.run import RunOptions, ScanReport, page_size_of
from scenario_etl.scans import DtypeBackend, Scan
from scenario_etl.schema import Resource
from scenario_etl.signed_urls import SignedURLs, check_form
from scenario_etl.source import Source

if TYPE_CHECKING:
    import pandas as pd


def scan(
    resource: str,
    *,
    client: Client | None = None,
    page_size: int | None = None,
    max_pages: int = MAX_PAGES,
    strict: bool = False,
    progress: bool = False,
    signed_urls: SignedURLs = "keep",
    all_projects: bool = False,
    skip_forbidden: bool = False,
    workers: int | None = None,
    **filters: object,
) -> Scan:
    """Return a Scan of a resource. This does not send a request.

    Args:
        resource: Name of the resource, such as "collections".
        client: Client to use; None creates one from the environment for each use, and closes it.
        page_size: Number of records per request; by default the maximum.
        max_pages: Maximum number of pages of each project; a longer list raises PaginationError.
        strict: Whether a missing or unknown field raises SchemaError instead of logging a warning.
        progress: Whether to show a progress bar, on stderr or in a notebook.
        signed_urls: Form of signed URLs: "keep" for the URLs from the API, "public" for their permanent unsigned form,
            or null if there is none, and "omit" for null.
        all_projects: Whether to read all projects of the teams of the API key, which are listed at the start of a run.
        skip_forbidden: Whether to skip projects that the key may not read, with a warning, instead of raising
            AuthError; only for several projects.
        workers: Maximum number of requests at the same time, from 1 to 32. By default, one for each project, up to 8.
            If set, assets and models are also read in windows of their date of creation, and sorted by it in ascending
            order.
        **filters: Filters of the resource, such as `project_id`; None for no filter. A list of `project_id` reads
            several projects, and adds a first column `project_id`. `include_personal=True` adds the
            users of projects with their e-mail addresses, `include_embedding=True` the embeddings of assets.

    Raises:
        ConfigError: An argument is not valid.

    """
    declared = resource_of(resource, [name for name in INCLUDE_ARGUMENTS if check_bool(name, filters.pop(name, False))])
    projects, filters = _projects_of(declared, filters, check_bool("all_projects", all_projects), skip_forbidden)
    if client is not None:
        check_type("client", client, Client)
    options = RunOptions(
        page_size=page_size_of(declared, page_size),
        max_pages=check_integer("max_pages", max_pages, 1),
        strict=check_bool("strict", strict),
        progress=check_bool("progress", progress),
        signed_urls=check_form(signed_urls),
        workers=None if workers is None else check_integer("workers", workers, 1, MAX_WORKERS),
    )
    query = query_for(declared.name, declared.filters, filters, ARGUMENTS)
    return Scan(Source(declared.with_projects() if projects else declared, query, options, projects), client)


ARGUMENTS = tuple(inspect.signature(scan).parameters)[:-1]  # without the filters


def _projects_of(
    resource: Resource, filters: dict[str, Any], all_projects: bool, skip_forbidden: object
) -> tuple[Projects | None, dict[str, Any]]:
    """Return the projects of a scan of several, None for one project, and the other filters."""
    value = filters.get(PROJECT_ID.name)
    given = _as_list(value)
    if given is None and not all_projects:
        if check_bool("skip_forbidden", skip_forbidden):
            raise ConfigError("skip_forbidden requires several projects; use all_projects, or more than one project_id")
        return None, filters
    if all_projects and value is not None:
        raise ConfigError("project_id and all_projects cannot be used together; omit one of them")
    ids = None if all_projects else tuple(dict.fromkeys(check_text(PROJECT_ID.name, each) for each in given or []))
    if ids is not None and not ids:
        raise ConfigError(
            f"project_id must be a project id or a non-empty list of project ids, got {redact(repr(value))}"
        )
    rest = {name: each for name, each in filters.items() if name != PROJECT_ID.name}
    if PROJECT_ID not in resource.filters:
        raise ConfigError(f"{resource.name} cannot be limited to projects; omit project_id and all_projects")
    if rest.get("privacy") == "public":
        raise ConfigError("privacy=public cannot be used with several projects, because it ignores the project")
    return Projects(ids, check_bool("skip_forbidden", skip_forbidden)), rest


def _as_list(value: Any) -> list[Any] | None:
    """Return the items of a list of projects, such as a Series; None for other values. Those of a set are sorted."""
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        return None
    try:
        return sorted(map(str, value)) if isinstance(value, Set) else list(value)
    except TypeError:  # a numpy array without dimensions
        return None


def extract_collections(
    *,
    project_id: str | Sequence[str] | None = None,
    all_projects: bool = False,
    skip_forbidden: bool = False,
    workers: int | None = None,
    dtype_backend: DtypeBackend | None = None,
    client: Client | None = None,
    page_size: int | None = None,
    max_pages: int = MAX_PAGES,
    strict: bool = False,
    progress: bool = False,
    signed_urls: SignedURLs = "keep",
) -> "pd.DataFrame":
    """Return all collections as a DataFrame, with one row per collection.

    The same as `scan("collections", ...).to_pandas(dtype_backend)`.

    Args:
        project_id: Project of the collections; by default the project of the API key. A list reads several projects,
            and adds a first column `project_id`.
        all_projects: Whether to read all projects of the teams of the API key.
        skip_forbidden: Whether to skip projects that the key may not read, as in `scan`.
        workers: Maximum number of projects that are read at the same time; by default 8.
        dtype_backend: Backend of the dtypes, None, "pyarrow" or "numpy_nullable", as in `Scan.to_pandas`.
        client: Client to use; None creates one from the environment, and closes it.
        page_size: Number of records per request, from 1 to 100; by default 100.
        max_pages: Maximum number of pages of each project; a longer list raises PaginationError.
        strict: Whether a missing or unknown field raises SchemaError instead of logging a warning.
        progress: Whether to show a progress bar, on stderr or in a notebook.
        signed_urls: Form of signed URLs, "keep", "public" or "omit", as in `scan`.

    Raises:
        ConfigError: An argument is not valid, or there are no credentials.
        APIError: A page could not be read; TransientError and AuthError are subclasses.
        PaginationError: Pagination did not finish.
        SchemaError: A value does not fit its column.
        DestinationError: A temporary file cannot be written; only with several projects.

    >>> from scenario_etl import Client, Emulator, extract_collections
    >>> with Emulator(collections=250) as api, Client("demo", "demo", base_url=api.url) as client:
    ...     extract_collections(client=client).shape
    (250, 10)

    """
    collections = scan(
        "collections", client=client, page_size=page_size, max_pages=max_pages, strict=strict, progress=progress,
        signed_urls=signed_urls, project_id=project_id, all_projects=all_projects, skip_forbidden=skip_forbidden,
        workers=workers,
    )  # fmt: skip
    return collections.to_pandas(dtype_backend)


def export_collections(
    destination: str | os.PathLike[str],
    *,
    project_id: str | Sequence[str] | None = None,
    all_projects: bool = False,
    skip_forbidden: bool = False,
    workers: int | None = None,
    client: Client | None = None,
    page_size: int | None = None,
    max_pages: int = MAX_PAGES,
    strict: bool = False,
    progress: bool = False,
    signed_urls: SignedURLs = "keep",
) -> ScanReport:
    """Write all collections to a Parquet file atomically, and return the report of the run.

    The same as `scan("collections", ...).to_parquet(destination)`. After an error, an existing file is unchanged.

    Args:
        destination: Path of the file, or its URI in an object store.
        project_id: Project of the collections; by default the project of the API key. A list reads several projects,
            and adds a first column `project_id`.
        all_projects: Whether to read all projects of the teams of the API key.
        skip_forbidden: Whether to skip projects that the key may not read, as in `scan`.
        workers: Maximum number of projects that are read at the same time; by default 8.
        client: Client to use; None creates one from the environment, and closes it.
        page_size: Number of records per request, from 1 to 100; by default 100.
        max_pages: Maximum number of pages of each project; a longer list raises PaginationError.
        strict: Whether a missing or unknown field raises SchemaError instead of logging a warning.
        progress: Whether to show a progress bar, on stderr or in a notebook.
        signed_urls: Form of signed URLs, "keep", "public" or "omit", as in `scan`.

    Raises:
        ConfigError: An argument is not valid, or there are no credentials.
        DestinationError: The file cannot be written; in most cases, this is raised before the first request.
        APIError: A page could not be read; TransientError and AuthError are subclasses.
        PaginationError: Pagination did not finish.
        SchemaError: A value does not fit its column.

    """
    collections = scan(
        "collections", client=client, page_size=page_size, max_pages=max_pages, strict=strict, progress=progress,
        signed_urls=signed_urls, project_id=project_id, all_projects=all_projects, skip_forbidden=skip_forbidden,
        workers=workers,
    )  # fmt: skip
    return collections.to_parquet(destination)
