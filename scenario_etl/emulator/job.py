"""Jobs: their status, inputs, cost and results."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from scenario_etl.emulator import team, words

UNFINISHED = ("pending", "queued", "warming-up", "in-progress", "finalizing")


@dataclass(slots=True)
class Job:
    """Fields of a job that link it to other records, or that lists filter."""

    id: str
    owner_id: str
    author_id: str
    type: str
    status: str
    created: datetime
    updated: datetime
    model_id: str | None = None
    asset_ids: tuple[str, ...] = ()
    parent_id: str | None = None
    workflow_id: str | None = None
    output_model_id: str | None = None
    hides_results: bool = False


def record(job: Job, _: Callable[[str], str]) -> dict[str, Any]:
    """Return a job as the API returns it."""
    rng = random.Random(job.id)  # noqa: S311 - test data, not a secret
    made: dict[str, Any] = {
        "jobId": job.id,
        "jobType": job.type,
        "status": job.status,
        "progress": {"success": 1, "in-progress": 0.45, "finalizing": 0.98}.get(job.status, 0),
        "ownerId": job.owner_id,
        "authorId": job.author_id,
        "createdAt": team.iso(job.created),
        "updatedAt": team.iso(job.updated),
        "metadata": _metadata(job, rng),
        "statusHistory": _history(job),
    }
    if rng.random() < 0.95:
        made["billing"] = _billing(job, rng)
    return made


def _metadata(job: Job, rng: random.Random) -> dict[str, Any]:
    inputs: dict[str, Any] = {
        "prompt": words.prompt_of(job.id),
        "numOutputs": max(1, len(job.asset_ids)),
        "guidance": rng.randrange(20, 90) / 10,
    }
    inputs |= {"modelId": job.model_id} if job.model_id else {}
    inputs |= {"image": job.parent_id} if job.parent_id else {}
    inputs |= {"hideResults": True} if job.hides_results else {}
    made: dict[str, Any] = {"input": inputs, "assetIds": list(job.asset_ids)}
    if job.status == "failure":
        made["error"] = rng.choice(words.ERRORS)
    if job.output_model_id:
        made |= {"outputModelId": job.output_model_id, "output": {"modelId": job.output_model_id}}
    if job.workflow_id:
        node = {"id": "node-1", "type": "model", "status": "success", "modelId": job.model_id, "jobId": job.id}
        made |= {"workflowId": job.workflow_id, "workflowJobId": job.id, "flow": [node]}
    return made


def _history(job: Job) -> list[dict[str, str]]:
    """Return the statuses of a job so far, each with its date."""
    steps = [*UNFINISHED[1:4], job.status] if job.status not in UNFINISHED else list(UNFINISHED)
    if job.status in UNFINISHED:
        steps = steps[: steps.index(job.status) + 1]
    span = (job.updated - job.created) / max(1, len(steps) - 1)
    dates = [job.created + span * number for number in range(len(steps))]
    dates[-1] = job.updated
    return [{"date": team.iso(date), "status": step} for date, step in zip(dates, steps, strict=True)]


def _billing(job: Job, rng: random.Random) -> dict[str, Any]:
    """Return the cost of a job; a job that failed or was canceled keeps its charge, but its add-ons read 0."""
    each = rng.randrange(4, 90) / 4
    cost = round(max(1, len(job.asset_ids)) * each, 4)
    made: dict[str, Any] = {"cuCost": cost, "cuDiscount": round(cost * rng.choice((0, 0, 0.1, 0.25)), 4)}
    if rng.random() < 0.2:
        made["cuCostDetails"] = {"quality-gate": 0.25 if job.status == "success" else 0}
    return made


def duration(work: words.Work, rng: random.Random) -> timedelta:
    """Return how long a job runs."""
    return timedelta(milliseconds=int(work.seconds * 1000 * (1 + rng.random() ** 3 * 4)))
