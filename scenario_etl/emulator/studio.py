"""Generation of jobs, and of the assets that they produce."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from scenario_etl.emulator import job, team, words
from scenario_etl.emulator.asset import Asset
from scenario_etl.emulator.choices import Choices
from scenario_etl.emulator.job import Job
from scenario_etl.emulator.model import Model
from scenario_etl.emulator.workflow import Workflow

LAST_IMAGES = 400  # among which a parent is chosen


class Studio:
    """All records except the collections; each is generated from earlier ones.

    Attributes:
        assets, models, jobs, workflows: Records by id, in the order of their creation.
        images: Ids of the images of each project.
        choices: Random choices.
        version: Number of changes since the history was generated.
        uploads: Number of assets that were uploaded since then.

    """

    def __init__(self, projects: team.Projects) -> None:
        self.version = self.uploads = 0
        self.assets: dict[str, Asset] = {}
        self.models: dict[str, Model] = {}
        self.jobs: dict[str, Job] = {}
        self.workflows: dict[str, Workflow] = {}
        self.images: dict[str, list[str]] = {}
        self.choices = Choices(projects)
        self._models: dict[str, list[Model]] = {}
        self._workflows: dict[str, list[Workflow]] = {}

    def add_model(self, model: Model) -> None:
        """Add a model, which the project can use from then on."""
        self.models[model.id] = model
        self._models.setdefault(model.owner_id or "", []).append(model)

    def add_workflow(self, workflow: Workflow) -> None:
        """Add a workflow, which the project can use from then on."""
        self.workflows[workflow.id] = workflow
        self._workflows.setdefault(workflow.owner_id, []).append(workflow)

    def run(
        self, owner: str, work: words.Work, end: datetime, members: Sequence[Sequence[str]], ids: Sequence[str | None]
    ) -> list[Asset]:
        """Add the assets of one job or upload, and return them.

        Args:
            owner: Id of the project.
            work: Kind of work; if an image or workflow that it needs does not exist yet, a prompt is used instead.
            end: Time at which it ends.
            members: Ids of the collections of each asset.
            ids: Id of each asset; None to generate one.

        """
        began = team.milliseconds(end - job.duration(work, self.choices.rng))
        parent = self._parent(owner, began) if work.has_parent else None
        flow = self._workflow(owner, began) if work.job_type == "workflow" else None
        if (work.has_parent and parent is None) or (work.job_type == "workflow" and flow is None):
            return self.run(owner, words.WORKS[0], end, members, ids)
        made = self._job(owner, work, "success", began, end) if work.job_type else None
        assets = [
            self._asset(owner, work, end, collections, identifier)
            for collections, identifier in zip(members, ids, strict=True)
        ]
        for number, asset in enumerate(assets):
            asset.output_index, asset.outputs = number, len(assets)
            if made:
                asset.author_id, asset.job_id, asset.model_id = made.author_id, made.id, made.model_id
                asset.model_type = self.models[made.model_id or ""].type
            if parent:
                asset.parent_id, asset.root_id = parent.id, parent.root_id or parent.id
        if made:
            made.asset_ids = tuple(each.id for each in assets)
            made.parent_id, made.workflow_id = parent.id if parent else None, flow.id if flow else None
        if work.kind == "image":
            self.images.setdefault(owner, []).extend(each.id for each in assets)
        return assets

    def fail(self, owner: str, work: words.Work, end: datetime) -> None:
        """Add a job that failed or was canceled."""
        status = "canceled" if self.choices.rng.random() < 0.2 else "failure"
        self._job(owner, work, status, team.milliseconds(end - job.duration(work, self.choices.rng) / 2), end)

    def start(self, owner: str, status: str) -> None:
        """Add a job that started in the last minutes and has not ended."""
        rng = self.choices.rng
        began = team.milliseconds(team.UNTIL - timedelta(minutes=1 + 14 * rng.random()))
        updated = team.milliseconds(began + timedelta(seconds=30 * rng.random()))
        self._job(owner, words.WORKS[0], status, began, began if status == job.UNFINISHED[0] else updated)

    def remove_collection(self, collection: str) -> None:
        """Remove a deleted collection from all assets and models."""
        for item in self.live():
            item.collection_ids = tuple(each for each in item.collection_ids if each != collection)

    def live(self) -> Iterator[Asset | Model]:
        """Yield the assets and models of the team that are not deleted."""
        items: list[Asset | Model] = [*self.assets.values(), *self.models.values()]
        for item in items:
            if item.deleted is None and not item.is_foreign:
                yield item

    def _job(self, owner: str, work: words.Work, status: str, began: datetime, updated: datetime) -> Job:
        choices = self.choices
        made = Job(choices.id("job"), owner, choices.author(owner), work.job_type, status, began, updated)
        made.model_id, made.hides_results = self._model(owner, began, work).id, choices.rng.random() < 0.04
        self.jobs[made.id] = made
        return made

    def _asset(
        self, owner: str, work: words.Work, end: datetime, collections: Sequence[str], identifier: str | None
    ) -> Asset:
        choices, share = self.choices, self.choices.rng.random()
        asset = Asset(identifier or choices.id("asset"), owner, choices.author(owner), work, end, choices.later(end))
        asset.collection_ids, asset.tags = tuple(collections), choices.tags()
        asset.privacy = "public" if share < 0.02 else "unlisted" if share < 0.03 else "private"
        self.assets[asset.id] = asset
        return asset

    def _parent(self, owner: str, before: datetime) -> Asset | None:
        images = self.images.get(owner, [])
        if not images:
            return None
        found = self.assets[images[-1 - self.choices.rng.randrange(min(LAST_IMAGES, len(images)))]]
        return found if found.created < before and found.deleted is None else None

    def _workflow(self, owner: str, before: datetime) -> Workflow | None:
        found = self._workflows.get(owner)
        chosen = self.choices.rng.choice(found) if found else None
        return chosen if chosen and chosen.created < before and chosen.status == "ready" else None

    def _model(self, owner: str, before: datetime, work: words.Work) -> Model:
        """Return the model for a job: the one that the work needs, one of the project, or one of the platform."""
        rng, own = self.choices.rng, self._models.get(owner)
        if work.model:
            return self.models[f"model_{work.model}"]
        if own and rng.random() < 0.7:
            chosen = own[int(rng.random() ** 2 * len(own))]
            if chosen.updated < before and chosen.status == "trained":
                return chosen
        return self.models[f"model_{rng.choice(words.PLATFORM_MODELS[:8])[0]}"]
