"""Where the program starts: `scenario-etl`, and `python -m scenario_etl`."""

import os
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Import the command line and run it."""
    # numpy, which pyarrow imports, starts OpenBLAS, whose threads spin for a tenth of a second, for nothing here.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        from scenario_etl import cli  # noqa: PLC0415 - behind the line above, and where Ctrl-C is caught
    except KeyboardInterrupt:
        sys.stderr.write("scenario-etl: error: interrupted\n")
        sys.exit(130)
    cli.main()


if __name__ == "__main__":
    main()
