"""What a user of requests would write, with urllib3's retries."""

import os
import sys

import pandas as pd
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

session = requests.Session()
session.auth = (os.environ["SCENARIO_SDK_API_KEY"], os.environ["SCENARIO_SDK_API_SECRET"])
retry = Retry(total=5, backoff_factor=0.5, status_forcelist=[429, 500, 502, 503, 504])
session.mount("http://", HTTPAdapter(max_retries=retry))
session.mount("https://", HTTPAdapter(max_retries=retry))

collections, token = [], None
while True:
    parameters = {"pageSize": 100} | ({"paginationToken": token} if token else {})
    response = session.get(f"{os.environ['SCENARIO_BASE_URL']}/collections", params=parameters, timeout=60)
    response.raise_for_status()
    page = response.json()
    collections += page.get("collections", [])
    token = page.get("nextPaginationToken")
    if not token:
        break
pd.json_normalize(collections).to_parquet(sys.argv[1])
