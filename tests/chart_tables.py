"""Tables that the tests of charts draw."""

import pandas as pd

from scenario_etl.dashboard.style import luminance

DAYS = pd.date_range("2026-11-02", periods=9)
NAMES = ["Boss Concepts", None, "", "$a_1$ \\frac{", "<b>bold</b>", "x" * 200, "コレクション 🎮", "tab\tand\nline"]


def history(**changed: object) -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "date": DAYS,
            "rows": pd.array([100, 101, 101, None, 99, 99, 104, 104, 113], "Int64"),
            "items": pd.array([900, 950, 950, None, 990, 990, 1200, 1200, 1201], "Int64"),
            "previous_date": [pd.NaT, *DAYS[:2], pd.NaT, DAYS[2], *DAYS[4:8]],
            "added": pd.array([100, 1, 0, None, 1, 0, 5, 0, 9], "Int64"),
            "updated": pd.array([0, 4, 0, None, 2, 0, 1, 0, 0], "Int64"),
            "deleted": pd.array([0, 0, 0, None, 3, 0, 0, 0, 0], "Int64"),
            "rejected": [False, False, False, True, False, False, False, False, False],
        }
    )
    return frame.assign(**changed)


def collections() -> pd.DataFrame:
    return pd.DataFrame({"name": NAMES, "item_count": pd.array([40, None, 1, 2, 3, 4, 5, 45], "Int64")})


def changes() -> pd.DataFrame:
    owners = ["proj_a", "proj_a", "proj_b", None, "proj_a"]
    days = ["2026-11-02", "2026-11-08", "2026-11-09", "2026-11-09", "2026-11-10"]
    return pd.DataFrame({"snapshot_date": days, "owner_id": owners})


def contrast(first: object, second: object) -> float:
    """Return the contrast ratio of two colors, as WCAG defines it."""
    dark, light = sorted([luminance(first), luminance(second)])
    return (light + 0.05) / (dark + 0.05)
