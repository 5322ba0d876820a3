"""An emulator of the Scenario API on loopback. It imports nothing else from the package.

emulator.py contains the public class. server.py serves HTTP and injects faults, which service.py chooses. routes.py
declares the routes, tables.py the lists, filters.py their comparisons and rules, and paging.py their pages; queries.py
finds rows. account.py stores the rows, changes.py changes them, and uploads.py creates assets. team.py names the
projects, and collection.py generates collections. From their counts, links.py derives the assets and models,
history.py and studio.py generate them, and days.py simulates days of work. asset.py, model.py, job.py, tag.py,
workflow.py and project.py return records, images.py draws and signs images, and checks.py checks arguments.
"""

from scenario_etl.emulator.emulator import Emulator
from scenario_etl.emulator.messages import Response
from scenario_etl.emulator.server import SIGN_IN_PAGE, Fault

__all__ = ["SIGN_IN_PAGE", "Emulator", "Fault", "Response"]
