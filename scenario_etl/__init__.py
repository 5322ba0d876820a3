"""Load the collections of a Scenario team into pandas, Arrow or Parquet, with complete and type-checked results.

extract_collections() returns a DataFrame, export_collections(path) writes a Parquet file, and scan("collections") reads
page by page. snapshot("collections", lake) adds the current rows to a lake, which read_snapshot, changes and history
read. Client holds the credentials and settings; Emulator serves the API with a fictional team and needs no account.

Without an account:

>>> import scenario_etl
>>> api = scenario_etl.Emulator(collections=250).start()
>>> client = scenario_etl.Client("demo", "demo", base_url=api.url)
>>> df = scenario_etl.extract_collections(client=client)
>>> len(df)
250
"""

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import lazy_loader

# The public names are in __init__.pyi. Each is imported on first use, because an export only needs a few.
_load, _, _names = lazy_loader.attach_stub(__name__, __file__)
__all__ = [name for name in _names if name not in {"charts", "emulator", "errors", "spark"}]  # without submodules

_EXTRAS = {"charts": ("matplotlib", "PIL"), "spark": ("pyspark",)}  # modules, and the packages that they need


def __getattr__(name: str) -> Any:
    """Return a public name (PEP 562)."""
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - takes 25 ms

        return version("scenario-etl")
    if name not in _names:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name, obj=sys.modules[__name__])
    return import_module(f"{__name__}.charts") if name == "charts" else _load(name)


def __dir__() -> list[str]:
    """Return the public names, with modules only if their extra is installed, because help() loads each name."""
    return sorted([*__all__, *(name for name, needs in _EXTRAS.items() if all(map(find_spec, needs)))])
