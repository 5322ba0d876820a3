"""What older versions do differently from the newest: expected where one is installed, and nowhere else."""

import http.client
import re
from typing import Any

import matplotlib as mpl
import pandas as pd
import pyarrow as pa

from scenario_etl.schema import INTEGER, STRING, TIMESTAMP

PANDAS_2 = pd.__version__.startswith("2.")
MATPLOTLIB_3_10 = mpl.__version_info__ < (3, 11)

PANDAS_3_DTYPES = {STRING: "str", INTEGER: "Int64", TIMESTAMP: "datetime64[us, UTC]"}
DTYPES = PANDAS_3_DTYPES | ({STRING: "object"} if PANDAS_2 else {})

MAX_DIFFERENCE = 25.0 if MATPLOTLIB_3_10 else 2.0  # between two pictures, of 255 on average: 3.11 places text anew
MAX_PIXELS = 1 if MATPLOTLIB_3_10 else 0  # between their heights

# newer patch releases of Python count what comes before an answer
INTERIM_END = "more than 100 interim" if hasattr(http.client, "_MAXINTERIMRESPONSES") else "not complete after 0.5 s"

from_arrow = (lambda stream: pa.table(stream).to_pandas()) if PANDAS_2 else pd.DataFrame.from_arrow


def as_shown_here(data: dict[str, Any]) -> dict[str, Any]:
    """Return what a cell of a notebook shows, by MIME type, as the installed pandas shows it.

    Pandas 2 has another name for texts, and writes microseconds where milliseconds do. A table is then wrapped in other
    places as plain text; it is compared as HTML.
    """
    if not PANDAS_2:
        return data
    kinds = data.keys() - ({"text/plain"} if "text/html" in data else set())
    return {kind: _by_pandas_2(data[kind]) for kind in kinds}


def _by_pandas_2(shown: str) -> str:
    shown = re.sub(r" {3}str$", "object", shown, flags=re.MULTILINE)
    return re.sub(r"(?<=:\d\d\.\d{3})(?=\+00:00)", "000", shown)
