"""Charts and HTML report of a lake. Requires the `report` extra."""
