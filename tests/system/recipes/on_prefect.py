"""How Prefect runs the recipe: with the server that it starts for a flow."""

import os
from pathlib import Path
from typing import Any


def prepare(folder: Path) -> None:
    os.environ |= {
        "PREFECT_HOME": str(folder),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
    }


def run(recipe: Any) -> tuple[bool, int]:
    """Run the flow; return whether it succeeded, and the number of attempts of its task."""
    from prefect.client.orchestration import get_client  # noqa: PLC0415 - reads the environment
    from prefect.client.schemas.filters import FlowRunFilter  # noqa: PLC0415

    state = recipe.scenario_collections(return_state=True)
    with get_client(sync_client=True) as client:
        runs = client.read_task_runs(flow_run_filter=FlowRunFilter(id={"any_": [state.state_details.flow_run_id]}))
    (task_run,) = runs
    return state.is_completed(), task_run.run_count


def inspect(recipe: Any) -> None:
    """The schedule of the deployment is valid."""
    deployment = recipe.scenario_collections.to_deployment(name="nightly", cron="17 3 * * *")
    assert [schedule.schedule.cron for schedule in deployment.schedules] == ["17 3 * * *"]
