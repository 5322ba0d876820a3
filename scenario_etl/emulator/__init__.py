"""A Scenario API on loopback. It imports nothing from the rest of the package, so that it cannot share a bug.

emulator.py is what users create; server.py speaks HTTP, with faults; routes.py has the routes as data, lists.py the
lists, and paging.py their pages; account.py holds the rows; team.py, collection.py and days.py make them up, and
images.py draws and signs their images; checks.py checks arguments.
"""

from scenario_etl.emulator.emulator import Emulator
from scenario_etl.emulator.messages import Response
from scenario_etl.emulator.server import HTML, Fault

__all__ = ["HTML", "Emulator", "Fault", "Response"]
