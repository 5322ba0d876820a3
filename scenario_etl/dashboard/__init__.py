"""What a lake looks like: charts and an HTML page. Needs the extra `report`."""
