from datetime import date
from pathlib import Path

import scenario_etl
from scenario_etl import Client, Emulator, charts, snapshot


def test_a_history_is_drawn_as_the_package_returns_it(tmp_path: Path) -> None:
    with Emulator(9) as api, Client("demo", "demo", base_url=api.url) as client:
        for day in api.days(4, date(2026, 11, 24)):
            snapshot("collections", tmp_path / "lake", date=day, client=client)
    runs = scenario_etl.history(tmp_path / "lake", "collections")
    assert charts.title_of(charts.growth(runs)) == f"{len(api.collections)} collections, 4 more than on Nov 21"
    assert "has the most changes" in charts.title_of(charts.daily_changes(runs))
