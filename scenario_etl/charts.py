"""Public alias of the module `scenario_etl.dashboard.charts`. Requires the `report` extra."""

import sys

from scenario_etl.extras import requires_extra

with requires_extra("scenario_etl.charts", "report"):
    from scenario_etl.dashboard import charts

sys.modules[__name__] = charts
