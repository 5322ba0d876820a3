"""Public alias of the module `scenario_etl.dashboard.charts`. Requires the `report` extra."""

import sys

from scenario_etl.extras import install_command

try:
    from scenario_etl.dashboard import charts
except ModuleNotFoundError as error:
    advice = f"scenario_etl.charts needs {error.name}; install it: {install_command('report')}"
    raise ModuleNotFoundError(advice, name=error.name) from None

sys.modules[__name__] = charts
