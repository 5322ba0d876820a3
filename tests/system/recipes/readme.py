"""The blocks of the README, and a fault, for the scripts beside this file."""

import re
from pathlib import Path

from scenario_etl.emulator import Fault

CHECKOUT = Path(__file__).parents[3]
DOWN = Fault(status=503, headers={"Retry-After": "9999"})  # asks for more than the deadline: TransientError at once


def block(kind: str, start: str = "") -> str:
    """Return the only block of a kind, such as `python airflow`, that begins so."""
    text = (CHECKOUT / "README.md").read_text()
    found = re.findall(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (only,) = [each for each in found if each.startswith(start)]
    return only


def unit(name: str) -> str:
    """Return a systemd unit."""
    return block("ini", f"# /etc/systemd/system/{name}\n")
