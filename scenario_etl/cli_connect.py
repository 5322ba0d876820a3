"""The client of a command: of the API, or of the emulator with `--demo`."""

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

import scenario_etl
from scenario_etl.cli_options import ConnectionOptions, ReadOptions
from scenario_etl.cli_output import logger
from scenario_etl.client import Client
from scenario_etl.errors import AuthError
from scenario_etl.redact import redact

if TYPE_CHECKING:
    from scenario_etl.emulator import Emulator

CONNECT_DEADLINE = 20.0  # seconds; for interactive commands if the host cannot be reached


def is_default(*names: str) -> bool:
    """Return whether none of these options was set on the command line."""
    source = click.get_current_context().get_parameter_source
    return {source(name) for name in names} == {ParameterSource.DEFAULT}


@contextmanager
def demo_api(connection: ConnectionOptions) -> Generator["Emulator | None"]:
    """Yield a running emulator with `--demo`, None without it."""
    if not connection.demo:
        yield None
        return
    if connection.base_url:
        raise click.UsageError("--demo and --base-url cannot be used together")
    with scenario_etl.Emulator() as api:
        try:
            yield api
        except AuthError as error:  # the key is valid, so the project is wrong
            unknown = [each for each in click.get_current_context().params["project_id"] if each not in api.project_ids]
            project = redact(", ".join(unknown))
            message = (
                f"the demo team has no project '{project}'; set --project-id to one of: {', '.join(api.project_ids)}"
            )
            raise AuthError(message, status=error.status) from error


@contextmanager
def connect(
    connection: ConnectionOptions,
    reading: ReadOptions,
    api: "Emulator | None",
    *,
    api_name: str = "demo",
    connect_deadline: float | None = None,
) -> Generator[Client]:
    """Yield a client of the API, or of the emulator of `--demo`; log lines are written above a progress bar.

    Args:
        connection: The options of the connection.
        reading: The options of reading.
        api: The emulator, None without `--demo`.
        api_name: The name in the scope of a snapshot, because the port in the base URL of the emulator varies.
        connect_deadline: As in Client.

    """
    key = secret = "demo" if api else None
    with (
        _above_progress_bar(reading.shows_progress),
        Client(
            api_key=key, api_secret=secret, base_url=api.url if api else connection.base_url,
            timeout=connection.timeout, attempts=reading.attempts, deadline=reading.deadline,
            connect_deadline=connect_deadline, requests_per_minute=reading.requests_per_minute,
        ) as client,
    ):  # fmt: skip
        if api:
            client.api_name = api_name
        yield client


def _above_progress_bar(shows_progress: bool) -> AbstractContextManager[None]:
    if not shows_progress:
        return nullcontext()
    from tqdm.contrib.logging import logging_redirect_tqdm  # noqa: PLC0415 - imported only if a progress bar is shown

    return logging_redirect_tqdm([logger])
