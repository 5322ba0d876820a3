"""A Scenario API on loopback. It imports nothing from the rest of the package, so that it cannot share a bug.

emulator.py is what users create; server.py speaks HTTP, with faults; routes.py has the routes as data, lists.py and
tables.py the lists, filters.py their comparisons and rules, and paging.py their pages; account.py holds the rows, and
changes.py changes them. collection.py makes up collections one at a time. From their counts, links.py decides which
assets and models there are, making.py and studio.py make them up, and days.py lets them work; asset.py, model.py,
job.py, tag.py, workflow.py and project.py make the records, images.py draws and signs their images, and
checks.py checks arguments.
"""

from scenario_etl.emulator.emulator import Emulator
from scenario_etl.emulator.messages import Response
from scenario_etl.emulator.server import HTML, Fault

__all__ = ["HTML", "Emulator", "Fault", "Response"]
