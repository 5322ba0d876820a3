"""What a user of dlt would write: its rest_api source, to Parquet."""

import os
import shutil
import sys
from pathlib import Path

import dlt
from dlt.sources.rest_api import rest_api_source

source = rest_api_source(
    {
        "client": {
            "base_url": os.environ["SCENARIO_BASE_URL"],
            "auth": {
                "type": "http_basic",
                "username": os.environ["SCENARIO_SDK_API_KEY"],
                "password": os.environ["SCENARIO_SDK_API_SECRET"],
            },
            "paginator": {
                "type": "cursor",
                "cursor_path": "nextPaginationToken",
                "cursor_param": "paginationToken",
            },
        },
        "resources": [
            {
                "name": "collections",
                "write_disposition": "replace",
                "endpoint": {"path": "collections", "data_selector": "collections", "params": {"pageSize": 100}},
            }
        ],
    }
)
lake = Path("lake").resolve()
pipeline = dlt.pipeline(
    "scenario",
    destination=dlt.destinations.filesystem(lake.as_uri()),
    dataset_name="scenario",
    pipelines_dir=str(Path("state").resolve()),
)
pipeline.run(source, loader_file_format="parquet").raise_on_failed_jobs()
(written,) = (lake / "scenario" / "collections").glob("*.parquet")
shutil.copyfile(written, sys.argv[1])
