"""The plain program with pandas kept out, which pyarrow otherwise imports behind one's back."""

import runpy
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path


class NoPandas(MetaPathFinder):
    """Finds that pandas is not installed."""

    def find_spec(self, name, path=None, target=None):
        if name == "pandas":
            raise ModuleNotFoundError(name)


sys.meta_path.insert(0, NoPandas())
runpy.run_path(str(Path(__file__).with_name("plain_program.py")), run_name="__main__")
