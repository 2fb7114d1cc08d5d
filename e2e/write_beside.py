"""Changes `tenrec.events` of a busy server through its REST catalog, and looks at every snapshot afterwards.

write_beside.py write URL COMMITS: appends and overwrites until the table has seen so many commits; prints figures.
write_beside.py check URL ROWS: compares each snapshot with its parent and its summary, and the rows written above.
"""

import json
import os
import sys
import uuid

import pyarrow as pa
from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.exceptions import CommitFailedException, ValidationException

# A change is tried this often at most.
TRIES = 50


def attach(url):
    return RestCatalog("tenrec", uri=f"{url}/iceberg", token=os.environ["TENREC_PERSONAL_KEY"])


def write(catalog, commits):
    template = None
    while not template:
        found = catalog.load_table("tenrec.events").scan(row_filter="event = 'template'").to_arrow().to_pylist()
        template = found[0] if found else None
    schema = catalog.load_table("tenrec.events").schema().as_arrow()
    figures = {"appends": 0, "overwrites": 0, "retries": 0, "worst": 0, "rows": 0}

    def rows(event):
        made = [template | {"uuid": str(uuid.uuid4()), "event": event, "distinct_id": "outside"} for _ in range(5)]
        return pa.Table.from_pylist(made, schema=schema)

    def change(what):
        for tries in range(TRIES):
            events = catalog.load_table("tenrec.events")
            try:
                what(events)
                figures["retries"] += tries
                figures["worst"] = max(figures["worst"], tries)
                return events.metadata.last_sequence_number
            except (CommitFailedException, ValidationException):
                continue
        raise SystemExit(f"a change did not get through in {TRIES} tries")

    number, seen = 0, 0
    while seen < commits or not figures["overwrites"]:
        event = f"outside {number}"
        seen = change(lambda events: events.append(rows(event)))
        figures["appends"] += 1
        figures["rows"] += 5
        if number % 8 == 7:
            # The same number of other rows takes their place.
            change(lambda events: events.overwrite(rows(event), overwrite_filter=f"event = '{event}'"))
            figures["overwrites"] += 1
        number += 1
    return figures


def check(catalog, rows):
    table = catalog.load_table("tenrec.events")
    snapshots = {snapshot.snapshot_id: snapshot for snapshot in table.metadata.snapshots}
    counts, figures = {}, {"commits": table.metadata.last_sequence_number, "snapshots": len(snapshots), "read": 0, "merges": 0}
    offset = 0
    for number, snapshot in enumerate(sorted(snapshots.values(), key=lambda one: one.sequence_number)):
        said = snapshot.summary.additional_properties
        operation = snapshot.summary.operation.value
        figures["merges"] += operation == "replace"
        count = sum(task.file.record_count for task in table.scan(snapshot_id=snapshot.snapshot_id).plan_files())
        counts[snapshot.snapshot_id] = count
        where = f"snapshot {number}, {operation}"
        assert int(said["total-records"]) == count, f"{where}: {count} rows, {said}"
        if snapshot.parent_snapshot_id in counts:
            before = counts[snapshot.parent_snapshot_id]
            after = before + int(said.get("added-records", 0)) - int(said.get("deleted-records", 0))
            assert count == after, f"{where}: {count} rows after {before}, {said}"
            assert operation != "replace" or count == before, f"{where}: {count} rows instead of {before}"
        now = int(said.get("tenrec.log-offset", offset))
        assert now >= offset, f"{where}: log offset {now} after {offset}"
        offset = now
        if number % 10 == 0 or number == len(snapshots) - 1:
            read = table.scan(snapshot_id=snapshot.snapshot_id, selected_fields=("uuid",)).to_arrow()
            assert read.num_rows == count == len(set(read["uuid"].to_pylist())), f"{where}: {read.num_rows} rows are read of {count}"
            figures["read"] += 1
    ours = table.scan(row_filter="distinct_id = 'outside'", selected_fields=("uuid",)).to_arrow()
    assert len(set(ours["uuid"].to_pylist())) == ours.num_rows == rows, f"{ours.num_rows} rows of {rows} that were written"
    return figures


what, url, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
print(json.dumps({"write": write, "check": check}[what](attach(url), number)))
