"""Charts and HTML page of a lake. Needs the extra `report`."""
