"""The plain program with pandas kept out, which pyarrow otherwise imports behind one's back."""

import runpy
import sys
from pathlib import Path

sys.modules["pandas"] = None
runpy.run_path(str(Path(__file__).with_name("plain_program.py")), run_name="__main__")
