"""What a user of the vendor's official client would write."""

import sys

import pandas as pd
from scenario_sdk import Scenario

client = Scenario()
sizes = {"page_size": int(sys.argv[2])} if len(sys.argv) > 2 else {}
collections = [collection.to_dict() for collection in client.collections.list(**sizes)]
pd.json_normalize(collections).to_parquet(sys.argv[1])
