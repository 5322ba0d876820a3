"""The Emulator class: arguments, start and close."""

import base64
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

from scenario_etl.emulator import checks, days, images, routes, team, uploads
from scenario_etl.emulator.account import Account
from scenario_etl.emulator.messages import Request, Response
from scenario_etl.emulator.server import Fault
from scenario_etl.emulator.service import Service


class Emulator(Service):
    """A Scenario API with a fictional team, served on loopback inside a `with` block.

    The team is a game studio with four projects. Its assets, models, jobs, tags and workflows agree with the counts of
    its collections, and are the same for the same arguments. Signed URLs point to a small PNG for each asset.

    With any other number of projects, they have about equally many collections and assets: with `projects=40,
    assets=40_000`, each has 1,000 assets, and its collections have fewer.

    Args:
        collections: Number of collections, or their records as the API would return them.
        assets: Minimum number of assets; more are generated if the counts of the collections require them.
        projects: Number of projects, from 1 to 100.
        api_key: API key to accept.
        api_secret: Secret of the API key.
        bearer_token: Bearer token to accept as well; by default, no bearer token is accepted.
        seed: Seed of the generated data.
        late_filters: Whether date filters are applied after a page has been read, so that pages may be short or empty.
        faults: Faults of the next requests, in order; None for a normal response. More can be added to `faults`.
        latency: Seconds before each response.
        now: Time at which URLs are signed and records change, and of the header `Date`; None for the current time. It
            can be set later.
        port: Port to serve on; 0 chooses a free port.

    Raises:
        ValueError: An argument is not valid.
        OSError: The port cannot be used.

    Attributes:
        url: Base URL, such as "http://127.0.0.1:40123/v1".
        collections: Collections to serve, as records or as integers for generated ones; may be changed at any time.
        requests: Method and path (with query) of every request to the API so far.
        on_request: Function that is called with the method and path of each request to the API, before the response. It
            returns a Fault, which applies unless `faults` has one, or None. It is called by several threads.
        forbidden_projects: Ids of projects that the key must not read: a request with such a `projectId` gets a 403.
            The projects are listed nevertheless. May be changed at any time.

    >>> with Emulator(collections=1) as api:
    ...     api.url.startswith("http://127.0.0.1:")
    True

    """

    def __init__(
        self,
        collections: int | Iterable[dict[str, Any]] = 250,
        *,
        assets: int | None = None,
        projects: int = len(team.PROJECTS),
        api_key: str = "demo",
        api_secret: str = "demo",  # noqa: S107 - of a fictional team
        bearer_token: str | None = None,
        seed: int = 0,
        late_filters: bool = False,
        faults: Iterable[Fault | None] = (),
        latency: float = 0.0,
        now: datetime | None = None,
        port: int = 0,
    ) -> None:
        rows = checks.rows("collections", collections)
        accepted = _authorizations(api_key, api_secret, bearer_token)
        late = checks.flag("late_filters", late_filters)
        assets = None if assets is None else checks.whole_number("assets", assets)
        count = checks.whole_number("projects", projects, 1, team.MAX_PROJECTS)
        of_team = team.projects(str(checks.whole_number("seed", seed)), count, assets)
        super().__init__(faults, latency, now, port)
        self.forbidden_projects: set[str] = set()
        self._account = Account(of_team, rows, self.origin, self._clock, accepted, assets=assets)
        self._account.filters_dates_late = late

    @property
    def collections(self) -> list[Any]:
        """The collections to serve: records, or integers for generated ones."""
        return self._account.collections

    @collections.setter
    def collections(self, rows: list[Any]) -> None:
        self._account.collections = rows

    @property
    def project_ids(self) -> list[str]:
        """The ids of the projects; each collection is owned by one of them."""
        return list(self._account.projects.ids)

    def record(self, row: Any, *, signed: bool = True) -> Any:
        """Return the API representation of an item of `collections`; with `signed=False`, without signed URLs."""
        return self._account.record(row, signed=signed)

    def create_assets(
        self, count: int, *, project_id: str | None = None, created_at: datetime | None = None
    ) -> list[str]:
        """Create uploaded assets, and return their ids.

        Args:
            count: Number of assets.
            project_id: Project that owns them; the first by default.
            created_at: Time of creation and last update of all of them, to the millisecond; by default, the time now.

        Raises:
            ValueError: An argument is not valid.

        """
        count = checks.whole_number("count", count)
        owner = self.project_ids[0] if project_id is None else project_id
        created = self._clock() if created_at is None else team.to_utc(checks.time("created_at", created_at))
        if owner not in self.project_ids:
            raise ValueError(f"project_id must be one of project_ids, got {owner!r}")
        return [each.id for each in uploads.create_assets(self._account, count, owner, created)]

    def days(self, count: int, last: date) -> Iterator[date]:
        """Simulate days of work, and yield each date, with `now` at 03:17 UTC and `collections` as they are then.

        From Monday to Friday, some collections are filled, renamed, created and deleted. The result is always the same
        for the same seed and dates. If `count` is at least 5, the API returns an incomplete list with status 200 on two
        nights: once an empty list, and once 10% of the collections.

        Args:
            count: Number of days.
            last: Date of the last day in UTC.

        Raises:
            ValueError: An argument is not valid.

        >>> with Emulator(collections=9) as api:
        ...     for day in api.days(2, date(2026, 11, 24)):
        ...         print(day, len(api.collections))
        2026-11-23 9
        2026-11-24 13

        """
        last = checks.day("last", last)
        return _simulate(self, self._account, checks.whole_number("count", count, 0, last.toordinal() - 1), last)

    def respond(self, method: str, target: str, authorization: str | None, body: bytes) -> Response:
        """Return the response to a request, ignoring `faults`."""
        request = Request(method, target, authorization, body)
        return routes.respond(self._account, request, self.forbidden_projects)

    def _respond(self, request: Request) -> Response:
        if asset := images.asset_in(request.path):
            return images.respond(request, asset, self._account.clock())
        return self.respond(request.method, request.target, request.authorization, request.body)

    def _fault(self, request: Request) -> Fault:
        return Fault() if images.asset_in(request.path) else super()._fault(request)


def _simulate(emulator: Emulator, account: Account, count: int, last: date) -> Iterator[date]:
    account.keep_collections()
    emulator.collections = [dict(emulator.record(row, signed=False)) for row in emulator.collections]
    for number in range(count):
        day = last - timedelta(days=count - 1 - number)
        if number:
            days.simulate_day(account.projects, emulator.collections, day - timedelta(days=1))
            account.update_assets()
        emulator.now = datetime(day.year, day.month, day.day, 3, 17, tzinfo=UTC)
        everything, share = emulator.collections, days.listed_share(number, count)
        try:
            if share < 1:
                emulator.collections = everything[: int(len(everything) * share)]
            yield day
        finally:
            emulator.collections = everything


def _authorizations(api_key: str, api_secret: str, bearer_token: str | None) -> set[str]:
    """Return the Authorization headers to accept."""
    basic = f"{checks.text('api_key', api_key)}:{checks.text('api_secret', api_secret)}"
    accepted = {f"Basic {base64.b64encode(basic.encode()).decode()}"}
    if bearer_token is not None:
        accepted.add(f"Bearer {checks.text('bearer_token', bearer_token)}")
    return accepted
