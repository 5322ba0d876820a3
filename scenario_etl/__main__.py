"""Entry point of `scenario-etl` and `python -m scenario_etl`."""

import os
import sys
from time import gmtime, strftime
from typing import NoReturn

# Read by libraries while they are imported; what the user has set stays.
SETTINGS = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",  # one heap instead of Arrow's beside Python's: 35 of 220 MB
    "OPENBLAS_NUM_THREADS": "1",  # numpy's threads for linear algebra spin for a tenth of a second, for nothing here
}


def main() -> NoReturn:
    """Import the command line and run it."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        from scenario_etl import cli_exit  # noqa: PLC0415 - behind the lines above, and where Ctrl-C is caught
    except KeyboardInterrupt:
        sys.stderr.write(strftime("%Y-%m-%dT%H:%M:%SZ scenario-etl: error: interrupted\n", gmtime()))
        sys.exit(130)
    cli_exit.main()


if __name__ == "__main__":
    main()
