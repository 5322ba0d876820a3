"""The recipes of docs/operations.md, and a fault, for the scripts beside this file."""

import re
from pathlib import Path

from scenario_etl.emulator import Fault

CHECKOUT = Path(__file__).parents[3]
DOWN = Fault(status=503, headers={"Retry-After": "9999"})  # beyond the deadline: TransientError at once


def block(kind: str, start: str = "") -> str:
    """Return the only code block of a kind, such as `python airflow`, that starts with `start`."""
    text = (CHECKOUT / "docs/operations.md").read_text()
    blocks = re.findall(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (only,) = [each for each in blocks if each.startswith(start)]
    return only


def unit(name: str) -> str:
    """Return a systemd unit."""
    return block("ini", f"# /etc/systemd/system/{name}\n")
