"""Entry point of `scenario-etl` and `python -m scenario_etl`."""

import os
import sys
from time import gmtime, strftime
from typing import NoReturn

# Libraries read these variables when they are imported. Values set by the user take precedence.
ENVIRONMENT_DEFAULTS = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",  # one heap for Arrow and Python; saves 35 of 220 MB
    "OPENBLAS_NUM_THREADS": "1",  # threads for linear algebra, which is not used here, would spin for 0.1 s
}


def main() -> NoReturn:
    """Import the command line and run it."""
    for name, value in ENVIRONMENT_DEFAULTS.items():
        os.environ.setdefault(name, value)
    try:
        from scenario_etl import cli_exit  # noqa: PLC0415 - after the environment is set, and inside the try block, which catches Ctrl-C
    except KeyboardInterrupt:
        sys.stderr.write(strftime("%Y-%m-%dT%H:%M:%SZ scenario-etl: error: interrupted\n", gmtime()))
        sys.exit(130)
    cli_exit.main()


if __name__ == "__main__":
    main()
