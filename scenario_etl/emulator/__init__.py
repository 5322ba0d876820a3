"""A Scenario API on loopback. It imports nothing of this package, so that it cannot share a bug.

server.py answers requests, with faults; team.py makes up what it serves, and what a day of work changes.
"""

from scenario_etl.emulator.server import HTML, Emulator, Fault, Response

__all__ = ["HTML", "Emulator", "Fault", "Response"]
