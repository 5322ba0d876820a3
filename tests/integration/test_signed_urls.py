from datetime import UTC, datetime

import pandas as pd
import pyarrow as pa
import pytest

from scenario_etl import Emulator, signed_url_expiry
from scenario_etl.errors import ConfigError

PUBLIC = "https://cdn.example/thumbnails/asset_1"
SIGNED = "https://cdn.example/assets-transform/asset_1?p=100&Policy=abc&Key-Pair-Id=K&Signature=def"


def test_the_expiry_is_read_from_the_policy_of_a_real_form() -> None:
    now = datetime(2026, 11, 1, tzinfo=UTC)
    with Emulator(9, now=now) as api:
        url = api.record({"thumbnail": {"assetId": "asset_1"}})["thumbnail"]["url"]
    instant = datetime(2026, 11, 14, 23, 59, 59, tzinfo=UTC)
    assert signed_url_expiry(url) == instant
    for nothing in (None, "", PUBLIC, SIGNED, "https://cdn.example/a?Policy=e30_", "no url", "https://[?Policy=x"):
        assert signed_url_expiry(nothing) is None
    series = signed_url_expiry(pd.Series([url, None, PUBLIC], index=[3, 5, 7]))
    assert str(series.dtype) == "datetime64[us, UTC]"
    assert series.index.tolist() == [3, 5, 7]
    assert series[3] == pd.Timestamp(instant)
    assert series.isna().tolist() == [False, True, True]
    array = signed_url_expiry(pa.array([url, None]))
    assert array.type == pa.timestamp("us", "UTC")
    assert array.to_pylist() == [pd.Timestamp(instant), None]
    assert signed_url_expiry(pa.chunked_array([[url], [None]])).null_count == 1
    for numbers in (pa.array([1]), pd.Series([1])):
        with pytest.raises(
            ConfigError, match=r"urls must be a URL, or a Series or an Arrow array of URLs, got .*int64"
        ):
            signed_url_expiry(numbers)
