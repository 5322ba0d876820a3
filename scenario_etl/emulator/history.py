"""Generate the history of the team: models, workflows, then all assets with the jobs that made them."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from scenario_etl.emulator import job, links, team, words
from scenario_etl.emulator.asset import Asset
from scenario_etl.emulator.choices import moment
from scenario_etl.emulator.job import Job
from scenario_etl.emulator.links import CollectionCounts, Pool
from scenario_etl.emulator.model import Model
from scenario_etl.emulator.studio import Studio
from scenario_etl.emulator.workflow import Workflow

FOREIGN_ASSETS, DELETED_ASSETS, DELETED_MODELS, UNFINISHED_JOBS = 150, 30, 2, 9
MODELS, WORKFLOWS, PER_COLLECTIONS = 60, 30, 250  # models and workflows for 250 collections
MAX_SCALE = 1000  # collections; a larger number does not increase the number of models and workflows
MIN_BULK_ASSETS = 600  # of a project that has one upload larger than a page
UPLOAD = next(each for each in words.WORKS if not each.job_type)


def generate(projects: team.Projects, collections: Sequence[CollectionCounts], assets: int | None) -> Studio:
    """Return a team with these collections and at least `assets` assets; it only depends on the arguments."""
    studio = Studio(projects)
    of: dict[str, list[CollectionCounts]] = {owner: [] for owner in projects.ids}
    for each in collections:
        of.setdefault(each.owner_id, []).append(each)
    _add_foreign(studio)
    scale = min(len(collections), MAX_SCALE) / PER_COLLECTIONS
    for owner, share in zip(of, [*_shares(projects), *[0.0] * len(of)], strict=False):
        _add_models(studio, owner, links.model_pool(of[owner], round(MODELS * scale * share)))
    for number in range(round(WORKFLOWS * scale)):
        _add_workflow(studio, projects, number, number / round(WORKFLOWS * scale))
    _work(studio, _pools(projects, of, assets))
    if collections:
        _add_deleted(studio, projects.ids)
    _choose_images(studio)
    return studio


def _shares(projects: team.Projects) -> list[float]:
    return [weight / sum(projects.weights) for weight in projects.weights]


def _pools(projects: team.Projects, of: dict[str, list[CollectionCounts]], assets: int | None) -> dict[str, Pool]:
    """Return the assets of each project: as many as its collections need, and its share of those that are missing."""
    pools = {owner: links.asset_pool(collections) for owner, collections in of.items()}
    sizes = [pools[owner].size for owner in projects.ids]
    missing = max(0, (assets or 0) - sum(pool.size for pool in pools.values()))
    given = _level(sizes, missing) if projects.are_equal else [int(missing * share) for share in _shares(projects)]
    given[0] += missing - sum(given)
    for owner, more in zip(of, given, strict=False):
        pools[owner] = links.asset_pool(of[owner], more)
    return pools


def _level(sizes: Sequence[int], missing: int) -> list[int]:
    """Return how many of the missing assets each project gets, so that the smallest are as large as possible."""
    given = [0] * len(sizes)
    ranked = sorted(range(len(sizes)), key=sizes.__getitem__)
    for filled in range(len(ranked), 0, -1):  # the number of projects that get some
        level = (missing + sum(sizes[each] for each in ranked[:filled])) // filled
        if level >= sizes[ranked[filled - 1]]:
            for each in ranked[:filled]:
                given[each] = level - sizes[each]
            break
    return given


def _add_foreign(studio: Studio) -> None:
    """Add the models of the platform, and public assets of other organizations."""
    choices = studio.choices
    for name, title, kind in words.PLATFORM_MODELS:
        updated = choices.later(team.SINCE)
        model = Model(f"model_{name}", title, kind, None, None, team.SINCE, updated, privacy="public")
        model.tags = choices.tags()
        studio.add_model(model)
    for number in range(FOREIGN_ASSETS):
        owner = f"proj_{team.identifier('another organization', number % 7)}"
        when = moment((number + 0.9 * choices.rng.random()) / FOREIGN_ASSETS)
        asset = Asset(choices.id("asset"), owner, f"user_{team.identifier(owner)}", UPLOAD, when, when)
        asset.privacy, asset.tags, asset.is_foreign = "public", choices.tags(), True
        studio.assets[asset.id] = asset


def _add_models(studio: Studio, owner: str, pool: Pool) -> None:
    """Add the models of a project, with the jobs that trained them."""
    choices, rng, before = studio.choices, studio.choices.rng, None
    for number in range(pool.size):
        created = moment((number + 0.9 * rng.random()) / pool.size * 0.95)
        updated = team.milliseconds(created + timedelta(minutes=20 + 200 * rng.random()))
        model = Model(
            id=f"model_{team.identifier(studio.choices.seed, 'model', owner, number)}",
            name=f"{rng.choice(words.TAGS).title()} {rng.choice(('Style', 'Pack', 'LoRA'))} {number + 1}",
            type=rng.choice(words.CUSTOM_TYPES),
            owner_id=owner,
            author_id=choices.author(owner),
            created=created,
            updated=updated,
            status="failed" if number % 13 == 12 else "trained",
            collection_ids=tuple(pool.members.get(number, ())),
            tags=choices.tags(),
            job_id=choices.id("job"),
            parent_model_id=before if number % 4 == 3 else None,
        )
        before, status = model.id, "success" if model.status == "trained" else "failure"
        studio.jobs[model.job_id or ""] = Job(
            model.job_id or "", owner, model.author_id or "", "model-training", status, created, updated,
            model_id="model_flux.1-dev", output_model_id=model.id,
        )  # fmt: skip
        studio.add_model(model)


def _add_workflow(studio: Studio, projects: team.Projects, number: int, share: float) -> None:
    choices, rng = studio.choices, studio.choices.rng
    owner = rng.choices(projects.ids, projects.weights)[0]
    models = [f"model_{name}" for name, *_ in words.PLATFORM_MODELS]
    created = moment(share * 0.8)
    studio.add_workflow(
        Workflow(
            id=f"workflow_{team.identifier(choices.seed, 'workflow', number)}",
            name=f"{rng.choice(words.TAGS).title()} variations {number + 1}",
            owner_id=owner,
            author_id=choices.author(owner),
            created=created,
            updated=choices.later(created),
            model_ids=tuple(rng.sample(models, rng.randrange(1, 4))) if number % 6 else (),
            status="ready" if number % 3 else "draft",
            privacy="public" if number % 15 == 14 else "unlisted" if number % 15 == 7 else "private",
            tags=choices.tags(),
        )
    )


def _work(studio: Studio, pools: dict[str, Pool]) -> None:
    """Make all assets of the pools, in the order of their creation, with the jobs that made them."""
    events = _events(studio, {owner: pool.size for owner, pool in pools.items() if pool.size})
    done = dict.fromkeys(pools, 0)
    for number, (owner, work, size) in enumerate(events):
        end = moment((number + 0.9 * studio.choices.rng.random()) / len(events))
        pool, numbers = pools[owner], range(done[owner], done[owner] + size)
        done[owner] += size
        members = [pool.members.get(each, ()) for each in numbers]
        studio.run(owner, work, end, members, [pool.ids.get(each) for each in numbers])
        if work.job_type not in {"", "workflow"} and studio.choices.rng.random() < 0.12:
            studio.fail(owner, work, end)
    for number in range(UNFINISHED_JOBS if events else 0):
        studio.start(events[-1][0], job.UNFINISHED[number % len(job.UNFINISHED)])


def _events(studio: Studio, left: dict[str, int]) -> list[tuple[str, words.Work, int]]:
    """Return the owner, kind of work and number of assets of each job or upload that the projects need."""
    rng, weights, events = studio.choices.rng, [each.weight for each in words.WORKS], []
    size = words.BULK_UPLOAD.sizes[0]
    bulk = [(owner, words.BULK_UPLOAD, size) for owner, count in left.items() if count >= MIN_BULK_ASSETS][:1]
    for owner, _, _ in bulk:
        left[owner] -= size
    while left:
        owner = rng.choices(list(left), list(left.values()))[0]
        work = rng.choices(words.WORKS, weights)[0]
        size = min(rng.choice(work.sizes), left[owner])
        events.append((owner, work, size))
        left[owner] -= size
        if not left[owner]:
            del left[owner]
    middle = len(events) // 2
    return events[:middle] + bulk + events[middle:]


def _add_deleted(studio: Studio, projects: Sequence[str]) -> None:
    """Add assets and models that were deleted in the last month."""
    choices = studio.choices
    for number in range(DELETED_ASSETS):
        owner = projects[number % len(projects)]
        (asset,) = studio.run(owner, UPLOAD, moment(0.5 + number / 100), [()], [None])
        studio.images[owner].pop()
        asset.updated = asset.deleted = team.milliseconds(team.UNTIL - timedelta(days=29) * choices.rng.random())
    for number in range(DELETED_MODELS):
        gone = team.milliseconds(team.UNTIL - timedelta(days=3 + number))
        identifier = f"model_{team.identifier(choices.seed, 'deleted model', number)}"
        studio.models[identifier] = Model(
            identifier, f"Discarded {number + 1}", "flux.1-lora", projects[0], choices.author(projects[0]),
            moment(0.5), gone, deleted=gone,
        )  # fmt: skip


def _choose_images(studio: Studio) -> None:
    """Choose the images of models and workflows among the assets that exist."""
    foreign = [each.id for each in studio.assets.values() if each.is_foreign]
    for number, model in enumerate(studio.models.values()):
        images = foreign if model.is_foreign else studio.images.get(model.owner_id or "", [])
        if images:
            first = number * 37 % len(images)
            model.thumbnail_id, model.example_ids = images[first], tuple(images[first : first + 2])
            model.training_ids = () if model.is_foreign else tuple(images[first : first + 12])
    for number, workflow in enumerate(studio.workflows.values()):
        images = studio.images.get(workflow.owner_id, [])
        if images and number % 5:
            workflow.before_id, workflow.after_id = images[number * 31 % len(images)], images[number * 53 % len(images)]


def update_assets(studio: Studio, collections: Sequence[CollectionCounts]) -> None:
    """Generate the assets that were added to collections, and remove deleted collections from all records."""
    counts = dict.fromkeys((each.id for each in collections), 0)
    for item in studio.live():
        item.collection_ids = tuple(identifier for identifier in item.collection_ids if identifier in counts)
        for identifier in item.collection_ids if isinstance(item, Asset) else ():
            counts[identifier] += 1
    for each in collections:
        missing = each.assets - counts[each.id]
        if missing > 0:
            ids = [each.thumbnail_id if each.thumbnail_id not in studio.assets else None, *[None] * (missing - 1)]
            studio.run(each.owner_id, words.WORKS[0], datetime.fromisoformat(each.updated), [[each.id]] * missing, ids)
