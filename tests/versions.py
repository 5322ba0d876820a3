"""Expected differences of older versions of the dependencies, only if one is installed."""

import http.client
import re
from typing import Any

import matplotlib as mpl
import pandas as pd
import pyarrow as pa

from scenario_etl.column_types import ANY, BOOLEAN, FLOAT, FLOATS, INTEGER, JSON, STRING, STRINGS, TIMESTAMP

PANDAS_2 = pd.__version__.startswith("2.")
MATPLOTLIB_3_10 = mpl.__version_info__ < (3, 11)

PANDAS_3_DTYPES = {
    STRING: "str", ANY: "str", JSON: "str", INTEGER: "Int64", FLOAT: "Float64", BOOLEAN: "boolean",
    TIMESTAMP: "datetime64[us, UTC]", STRINGS: "object", FLOATS: "object",
}  # fmt: skip
DTYPES = PANDAS_3_DTYPES | (dict.fromkeys((STRING, ANY, JSON), "object") if PANDAS_2 else {})

MAX_DIFFERENCE = 25.0 if MATPLOTLIB_3_10 else 2.0  # mean of two images, of 255: 3.11 positions text differently
MAX_PIXELS = 1 if MATPLOTLIB_3_10 else 0  # of their heights

# newer patch releases of Python count interim responses
INTERIM_END = "more than 100 interim" if hasattr(http.client, "_MAXINTERIMRESPONSES") else "not complete after 0.5 s"

from_arrow = (lambda stream: pa.table(stream).to_pandas()) if PANDAS_2 else pd.DataFrame.from_arrow


def as_installed(data: dict[str, Any]) -> dict[str, Any]:
    """Return the outputs of a notebook cell by MIME type, as the installed version of pandas formats them.

    Pandas 2 has another dtype for strings, and writes microseconds instead of milliseconds. Both change the line breaks
    of a table in plain text, so only its HTML is compared.
    """
    if not PANDAS_2:
        return data
    kinds = data.keys() - ({"text/plain"} if "text/html" in data else set())
    return {kind: _as_in_pandas_2(data[kind]) for kind in kinds}


def _as_in_pandas_2(text: str) -> str:
    text = re.sub(r" {3}str$", "object", text, flags=re.MULTILINE)
    return re.sub(r"(?<=:\d\d\.\d{3})(?=\+00:00)", "000", text)
