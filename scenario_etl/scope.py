"""The scope of a run (base URL, project, filters), compared with that of the last snapshot."""

import datetime as dt
import logging
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import urlsplit

from scenario_etl.errors import ConfigError
from scenario_etl.footers import json_object
from scenario_etl.lake import LakeTable
from scenario_etl.lake_file import LakeFile
from scenario_etl.redact import redact
from scenario_etl.schema import PROJECT

DEFAULT_PORTS = {"https": ":443", "http": ":80"}

logger = logging.getLogger("scenario_etl")


def check_scope(
    snapshots: LakeTable, dates: Sequence[dt.date], scope: Mapping[str, str], *, accept_scope: bool
) -> None:
    """Compare the scope of a run with that of the newest snapshot.

    Args:
        snapshots: The table of snapshots.
        dates: The dates of the table, oldest first.
        scope: The values of base_url, project_id and filters (JSON) of the run, as in the footer of a file.
        accept_scope: Whether a different scope is accepted.

    Raises:
        ConfigError: The newest snapshot has a different scope, and that is not accepted.

    """
    if not dates:
        return
    with snapshots.open(dates[-1]) as newest:
        if not newest.footer:
            logger.warning(
                "%s: another program has removed the metadata, so the scope is unknown; comparing the content",
                newest.uri,
            )
        if newest.has(PROJECT.name) != (PROJECT.name in snapshots.schema.names):
            difference = (
                "has the column project_id, but a single project is read without it"
                if newest.has(PROJECT.name)
                else "has no column project_id, but several projects are read"
            )
            raise ConfigError(f"the last snapshot, {newest.uri}, {difference}; use another lake")
        if not accept_scope and not has_scope(newest, scope):
            last, current = describe_difference(_scope_of(newest, scope), scope)
            advice = _port_advice(newest.footer.get("base_url", ""), scope["base_url"])
            raise ConfigError(
                f"the last snapshot, {newest.uri}, was made with {last}, but this run uses {current}; use another "
                f"lake, or accept the new scope with --accept-scope (accept_scope=True){advice}"
            )


def has_scope(file: LakeFile, scope: Mapping[str, str]) -> bool:
    """Return whether the scope of a snapshot is the same or unknown."""
    return not file.footer or _normalized(_scope_of(file, scope)) == _normalized(scope)


def describe_difference(last: Mapping[str, str], current: Mapping[str, str]) -> tuple[str, str]:
    """Return what differs between two scopes, once with the values of the first and once with those of the second."""
    both = _details(last), _details(current)
    differing = [name for name in {**both[0], **both[1]} if both[0].get(name) != both[1].get(name)]
    first, second = (
        " and ".join(f"{name} {details[name]}" if name in details else f"no {name}" for name in differing)
        for details in both
    )
    return first, second


def _port_advice(*base_urls: str) -> str:
    """Return advice for an emulator that serves on a different port than before."""
    try:
        hosts = {urlsplit(url).hostname for url in base_urls}
    except ValueError:  # another program has changed the footer
        return ""
    is_port = len(hosts) == 1 and hosts <= {"127.0.0.1", "localhost"} and base_urls[0] != base_urls[1]
    return "; or start the emulator with the same --port (port=) as before" if is_port else ""


def _scope_of(file: LakeFile, names: Iterable[str]) -> dict[str, str]:
    return {name: file.footer.get(name, "") for name in names}


def _normalized(scope: Mapping[str, str]) -> dict[str, str]:
    """Return a scope with the base URL in a normal form."""
    try:
        parts = urlsplit(scope["base_url"])
    except ValueError:  # another program has changed the footer
        return dict(scope)
    host = parts.netloc.lower()
    if parts.scheme in DEFAULT_PORTS:
        host = host.removesuffix(DEFAULT_PORTS[parts.scheme])
    return {**scope, "base_url": parts._replace(netloc=host).geturl(), "filters": scope["filters"] or "{}"}


def _details(scope: Mapping[str, str]) -> dict[str, str]:
    """Return what a scope consists of, by the name in a message."""
    details = {"base URL": f"'{redact(_normalized(scope)['base_url'], 300)}'"}
    details |= {name: redact(scope[name]) for name in ("resource", "project_id") if scope.get(name)}
    return details | {name: redact(value) for name, value in json_object(scope, "filters").items()}
