"""The Emulator class: settings, start and end."""

import base64
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Self

from scenario_etl.emulator import checks, days, images, routes, team
from scenario_etl.emulator.account import Account
from scenario_etl.emulator.lists import COLLECTIONS
from scenario_etl.emulator.messages import Request, Response
from scenario_etl.emulator.server import Fault, Server

MAX_PORT = 65_535


class Emulator:
    """A Scenario API with a fictional team, which serves on loopback inside a `with` block.

    The team is the same for the same arguments: a game studio's collections in four projects, most with a thumbnail,
    and assets, models, jobs, tags and workflows whose numbers agree with them.
    The signed URLs have the form of the real ones and lead to the emulator, which serves a small PNG for each asset.

    Args:
        collections: how many, or the records themselves, as the API would return them.
        assets: how many at least; there are always as many as the counts of the collections need.
        api_key: the key to accept with `api_secret` (Basic).
        api_secret: its secret.
        bearer_token: a token to accept as well (Bearer); None accepts none.
        seed: of the generated data.
        late_filters: whether filters by date apply to each page after it was read, so that pages are short or empty
            though more follow; the real API may do either.
        faults: one for each of the next requests, in order; None for a normal response. More can be added to `faults`.
        latency: seconds before every response.
        now: the time at which URLs are signed and records change; None for the machine's. Can be set later.
        port: to serve on; 0 picks a free one.

    Raises:
        ValueError: an argument is not valid.
        OSError: the port cannot be used.

    Attributes:
        url: the base URL, such as "http://127.0.0.1:40123/v1".
        collections: the list of records that it serves; a number stands for one that is made up when it is needed.
            May be changed while it serves, with records as the API returns them; a thumbnail without a URL gets one.
        requests: method and path with query of every request to the API so far.

    >>> import urllib.request
    >>> with Emulator(collections=1) as api:
    ...     api.url.startswith("http://127.0.0.1:")
    True

    """

    def __init__(
        self,
        collections: int | Iterable[dict[str, Any]] = 250,
        *,
        assets: int | None = None,
        api_key: str = "demo",
        api_secret: str = "demo",  # noqa: S107 - of a made-up team
        bearer_token: str | None = None,
        seed: int = 0,
        late_filters: bool = False,
        faults: Iterable[Fault | None] = (),
        latency: float = 0.0,
        now: datetime | None = None,
        port: int = 0,
    ) -> None:
        self.faults: deque[Fault | None] = deque(checks.instances("faults", faults, Fault))
        self.latency = checks.seconds("latency", latency)
        self.now = None if now is None else checks.time("now", now)
        self.requests: list[tuple[str, str]] = []
        rows = checks.rows("collections", collections)
        basic = f"{checks.text('api_key', api_key)}:{checks.text('api_secret', api_secret)}"
        accepted = {f"Basic {base64.b64encode(basic.encode()).decode()}"}
        if bearer_token is not None:
            accepted.add(f"Bearer {checks.text('bearer_token', bearer_token)}")
        seed = checks.whole_number("seed", seed)
        assets = None if assets is None else checks.whole_number("assets", assets)
        late_filters = checks.flag("late_filters", late_filters)
        self._server = Server(checks.whole_number("port", port, 0, MAX_PORT), self._respond, self._fault)
        self.origin = self._server.origin
        self.url = f"{self.origin}/v1"
        self._account = Account(
            str(seed), rows, self.origin, lambda: self.now or datetime.now(UTC), accepted, assets=assets
        )
        self._account.filters_dates_late = late_filters

    def __repr__(self) -> str:
        return f"<scenario_etl.Emulator {self.url}{'' if self._server.is_started else ', not started'}>"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def collections(self) -> list[Any]:
        """The list of records that it serves."""
        return self._account.rows[COLLECTIONS.name]

    @collections.setter
    def collections(self, rows: list[Any]) -> None:
        self._account.rows[COLLECTIONS.name] = rows

    @property
    def project_ids(self) -> list[str]:
        """The ids of the team's projects; collections have one of them as their owner."""
        return list(team.project_ids(self._account.seed))

    def start(self) -> Self:
        """Serve in a thread of its own, until `close` or the end of the program, and return the emulator."""
        self._server.start()
        return self

    def serve_forever(self) -> None:
        """Serve in this thread until it is interrupted."""
        self._server.server_activate()
        self._server.serve_forever()

    def close(self) -> None:
        """Stop serving, end the connections that are open, and free the port."""
        self._server.close()

    def record(self, row: Any, *, signed: bool = True) -> Any:
        """Return the record of a row of `collections` as the API returns it; without `signed`, as it is stored."""
        return self._account.record(COLLECTIONS, row, signed=signed)

    def days(self, count: int, last: date) -> Iterator[date]:
        """Simulate some days of work: yield each date after setting `collections` and `now` to 03:17 UTC of it.

        From Monday to Friday some collections are filled, renamed, created and deleted. The result is the same for the
        same seed and dates. If `count` is 5 or more, there are two nights on which the API returns an incomplete list
        with status 200: an empty one, and 10% of the collections.

        Args:
            count: how many days.
            last: the date of the last one, in UTC.

        Raises:
            ValueError: an argument is not valid.

        >>> with Emulator(collections=9) as api:
        ...     for day in api.days(2, date(2026, 11, 24)):
        ...         print(day, len(api.collections))
        2026-11-23 9
        2026-11-24 13

        """
        last = checks.day("last", last)
        return self._days(checks.whole_number("count", count, 0, last.toordinal() - 1), last)

    def _days(self, count: int, last: date) -> Iterator[date]:
        self._account.remember()
        self.collections = [dict(self.record(row, signed=False)) for row in self.collections]
        for number in range(count):
            day = last - timedelta(days=count - 1 - number)
            if number:
                days.work(self._account.seed, self.collections, day - timedelta(days=1))
                self._account.follow()
            self.now = datetime(day.year, day.month, day.day, 3, 17, tzinfo=UTC)
            everything, share = self.collections, days.listed(number, count)
            try:
                if share < 1:
                    self.collections = everything[: int(len(everything) * share)]
                yield day
            finally:
                self.collections = everything

    def respond(self, method: str, target: str, authorization: str | None, body: bytes) -> Response:
        """Return the response to a request to the API, faults aside."""
        return routes.respond(self._account, Request(method, target, authorization, body))

    def _respond(self, request: Request) -> Response:
        asset = images.asset_in(request.path)
        if asset:
            return images.respond(request, asset, self._account.clock())
        return self.respond(request.method, request.target, request.authorization, request.body)

    def _fault(self, request: Request) -> Fault:
        """Record a request to the API and return what goes wrong with it; nothing goes wrong with images."""
        if images.asset_in(request.path):
            return Fault()
        self.requests.append((request.method, request.target))
        try:
            fault = self.faults.popleft() or Fault()
        except IndexError:
            fault = Fault()
        return replace(fault, latency=self.latency + fault.latency)
