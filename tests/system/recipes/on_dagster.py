"""How Dagster runs the recipe."""

import os
from pathlib import Path
from typing import Any

import dagster as dg


def prepare(folder: Path) -> None:
    os.environ |= {"DAGSTER_HOME": str(folder), "DAGSTER_DISABLE_TELEMETRY": "1"}


def run(recipe: Any) -> tuple[bool, int]:
    """Materialize the asset; return whether that succeeded, and the number of attempts."""
    result = dg.materialize([recipe.scenario_collections], raise_on_error=False)
    kinds = [event.event_type for event in result.all_events]
    starts = (dg.DagsterEventType.STEP_START, dg.DagsterEventType.STEP_RESTARTED)
    if result.success:
        (materialization,) = result.asset_materializations_for_node("scenario_collections")
        assert materialization.metadata["dagster/row_count"].value == 50
    return result.success, sum(kind in starts for kind in kinds)


def inspect(recipe: Any) -> None:
    """The schedule asks for one run of the job."""
    dg.Definitions.validate_loadable(recipe.defs)
    requests = recipe.nightly.evaluate_tick(dg.build_schedule_context()).run_requests
    assert requests is not None
    assert len(requests) == 1
