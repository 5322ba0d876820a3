"""The requests to an emulator so far, and the faults of the next ones."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace

from scenario_etl.emulator import checks
from scenario_etl.emulator.messages import Request
from scenario_etl.emulator.server import Fault


class Traffic:
    """Base class of the emulator that records requests to the API, and chooses their faults.

    Args:
        faults: Faults of the next requests, in order; None for a normal response.
        latency: Seconds before each response.

    """

    def __init__(self, faults: Iterable[Fault | None], latency: float) -> None:
        self.faults: deque[Fault | None] = deque(checks.instances("faults", faults, Fault))
        self.latency = checks.seconds("latency", latency)
        self.on_request: Callable[[str, str], Fault | None] | None = None
        self.requests: list[tuple[str, str]] = []

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
