"""What a user of the vendor's official client would write."""

import sys

import pandas as pd
from scenario_sdk import Scenario

client = Scenario()
collections = [collection.to_dict() for collection in client.collections.list()]
pd.json_normalize(collections).to_parquet(sys.argv[1])
