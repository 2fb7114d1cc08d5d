"""Prints what pyiceberg reads through a catalog, and how many objects of `lake` tables no table refers to.

read_lake.py CATALOG KEY BUCKET
"""

import json
import sys
import urllib.parse
import urllib.request
import xml.etree.ElementTree as xml

from pyiceberg.catalog.rest import RestCatalog

url, key, bucket = sys.argv[1:]
catalog = RestCatalog("lake", uri=f"{url}/iceberg", token=key, **{"s3.access-key-id": "testing", "s3.secret-access-key": "testing"})
events = catalog.load_table("lake.events")
rows = events.scan(row_filter="event = 'stored'", selected_fields=("uuid",)).to_arrow()["uuid"].to_pylist()
referred = set()
for name in catalog.list_tables("lake"):
    table = catalog.load_table(name)
    referred.add(table.metadata_location)
    referred.update(entry.metadata_file for entry in table.metadata.metadata_log)
    referred.update(snapshot.manifest_list for snapshot in table.metadata.snapshots)
    if table.metadata.snapshots:
        referred.update(table.inspect.all_manifests()["path"].to_pylist())
        referred.update(table.inspect.all_files()["file_path"].to_pylist())
endpoint, stored, more = events.io.properties["s3.endpoint"], set(), {}
while more is not None:
    asked = urllib.parse.urlencode({"list-type": "2", "prefix": "keeper/lake/", **more})
    with urllib.request.urlopen(f"{endpoint}/{bucket}?{asked}") as answer:
        listed = xml.parse(answer).getroot()
    texts = [(found.tag.split("}")[-1], found.text) for found in listed.iter()]
    stored.update(f"s3://{bucket}/{text}" for tag, text in texts if tag == "Key")
    next = [text for tag, text in texts if tag == "NextContinuationToken"]
    more = {"continuation-token": next[0]} if next else None
missing = sorted(referred - stored)
assert not missing, missing
print(json.dumps({"rows": len(rows), "uuids": len(set(rows)), "stored": len(stored), "unreferenced": len(stored - referred)}))
