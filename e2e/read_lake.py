"""Prints what pyiceberg reads through a catalog, and how many objects of `lake` tables no table refers to.

read_lake.py CATALOG KEY BUCKET
"""

import json
import sys

import boto3
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
s3 = boto3.client(
    "s3",
    endpoint_url=events.io.properties["s3.endpoint"],
    region_name="us-east-1",
    aws_access_key_id="testing",
    aws_secret_access_key="testing",
)
pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="keeper/lake/")
stored = {f"s3://{bucket}/{found['Key']}" for page in pages for found in page.get("Contents", [])}
missing = sorted(referred - stored)
assert not missing, missing
print(json.dumps({"rows": len(rows), "uuids": len(set(rows)), "stored": len(stored), "unreferenced": len(stored - referred)}))
