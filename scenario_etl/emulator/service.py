"""An HTTP service on loopback: start and close, its clock, the requests so far, and the faults of the next ones."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Self

from scenario_etl.emulator import checks, team
from scenario_etl.emulator.messages import Request, Response
from scenario_etl.emulator.server import Fault, Server

MAX_PORT = 65_535


class Service(ABC):
    """Base class of the emulator. It binds its port at once, and serves once it is started.

    Args:
        faults: Faults of the next requests, in order; None for a normal response.
        latency: Seconds before each response.
        now: Time of the clock; None for the current time.
        port: Port to serve on; 0 chooses a free port.

    """

    def __init__(self, faults: Iterable[Fault | None], latency: float, now: datetime | None, port: int) -> None:
        self.faults: deque[Fault | None] = deque(checks.instances("faults", faults, Fault))
        self.latency = checks.seconds("latency", latency)
        self.now = None if now is None else checks.time("now", now)
        self.on_request: Callable[[str, str], Fault | None] | None = None
        self.requests: list[tuple[str, str]] = []
        self._server = Server(checks.whole_number("port", port, 0, MAX_PORT), self._respond, self._fault, self._clock)
        self.origin = self._server.origin
        self.url = f"{self.origin}/v1"

    def __repr__(self) -> str:
        return f"<scenario_etl.Emulator {self.url}{'' if self._server.is_started else ', not started'}>"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.close()

    def start(self) -> Self:
        """Serve in a separate thread until `close` or the end of the program, and return the emulator."""
        self._server.start()
        return self

    def serve_forever(self) -> None:
        """Serve in the current thread until it is interrupted."""
        self._server.server_activate()
        self._server.serve_forever()

    def close(self) -> None:
        """Stop serving, close open connections, and free the port."""
        self._server.close()

    @abstractmethod
    def _respond(self, request: Request) -> Response: ...

    def _clock(self) -> datetime:
        """Return the time in UTC and milliseconds, as records have it."""
        return team.to_utc(self.now or datetime.now(UTC))

    def _fault(self, request: Request) -> Fault:
        """Record a request, call `on_request`, and return the fault: the next one in the queue, or the function's."""
        self.requests.append((request.method, request.target))
        called = self._call(request)
        try:
            fault = self.faults.popleft() or called or Fault()
        except IndexError:
            fault = called or Fault()
        return replace(fault, latency=self.latency + fault.latency)

    def _call(self, request: Request) -> Fault | None:
        """Return the result of `on_request`; an error in it becomes the response, so that the client reports it."""
        try:
            return self.on_request(request.method, request.target) if self.on_request else None
        except Exception as error:  # noqa: BLE001 - it is the user's function
            return Fault(status=400, body={"reason": f"on_request raised {error!r}"})
