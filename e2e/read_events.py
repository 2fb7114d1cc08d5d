"""Prints [uuid, distinct_id, oracle, payload] of every row of `events`, read by pyiceberg: read_events.py DATA"""

import json
import sys

from pyiceberg.catalog.sql import SqlCatalog

data = sys.argv[1]
catalog = SqlCatalog("tenrec", uri=f"sqlite:///{data}/catalog.db", warehouse=f"file://{data}/warehouse")
scan = catalog.load_table("tenrec.events").scan(selected_fields=("uuid", "distinct_id", "properties"))
for batch in scan.to_arrow_batch_reader():
    for row in batch.to_pylist():
        if row["distinct_id"].startswith("writer-"):
            properties = json.loads(row["properties"])
            print(json.dumps([str(row["uuid"]), row["distinct_id"], properties.get("oracle"), properties.get("payload")]))
