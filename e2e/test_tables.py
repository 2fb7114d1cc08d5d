"""The same rows through other engines, from the files on disk."""

import json
from pathlib import Path

import duckdb
import duckdb_extension_avro
import duckdb_extension_httpfs
import duckdb_extension_iceberg
import pytest
from pyiceberg.catalog.sql import SqlCatalog
from server import PROJECT_KEY, Server, until

TABLES = ["events", "persons", "person_distinct_ids", "groups"]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A folder with known events whose server has stopped, and what SQL said of it just before."""
    server = Server(tmp_path_factory.mktemp("tables") / "data").start()
    try:
        for number in range(5):
            items = [
                {"event": f"kind {number}", "distinct_id": f"user-{item % 7}", "properties": {"item": item, "$browser": "Lynx"}}
                for item in range(100)
            ]
            assert server.post("/batch/", {"api_key": PROJECT_KEY, "batch": items})[0] == 200
        known = {"$group_type": "company", "$group_key": "acme", "$group_set": {"seats": 3}}
        items = [
            {"event": "$identify", "distinct_id": "user-0", "properties": {"$anon_distinct_id": "user-1"}},
            {"event": "$groupidentify", "distinct_id": "user-0", "properties": known},
        ]
        assert server.post("/batch/", {"api_key": PROJECT_KEY, "batch": items})[0] == 200
        until(lambda: server.value("select count(*) from events") == 502, "all events")
        counts = {table: server.value(f"select count(*) from {table}") for table in TABLES}
        uuids = {row["uuid"] for row in server.query("select uuid from events limit 1000")}
        assert server.stop()[0] == 0
        yield server.data, counts, uuids
    finally:
        server.kill()


def catalog(data: Path):
    return SqlCatalog("tenrec", uri=f"sqlite:///{data}/catalog.db", warehouse=f"file://{data}/warehouse")


@pytest.mark.parametrize("table", TABLES)
def test_pyiceberg_counts(stopped, table):
    data, counts, _ = stopped
    assert catalog(data).load_table(f"tenrec.{table}").scan().to_arrow().num_rows == counts[table]


def test_pyiceberg_rows(stopped):
    data, _, uuids = stopped
    rows = catalog(data).load_table("tenrec.events").scan(row_filter="event = 'kind 3'").to_arrow().to_pylist()
    assert sorted(json.loads(row["properties"])["item"] for row in rows) == list(range(100))
    assert {row["p_browser"] for row in rows} == {"Lynx"}
    assert {str(row["uuid"]) for row in rows} <= uuids


def test_commits_carry_the_log_offset(stopped):
    data, _, _ = stopped
    summary = catalog(data).load_table("tenrec.events").current_snapshot().summary.additional_properties
    assert any("offset" in name for name in summary), summary


@pytest.fixture(scope="module")
def duck():
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    for package in (duckdb_extension_httpfs, duckdb_extension_avro, duckdb_extension_iceberg):
        (extension,) = Path(package.__file__).parent.rglob("*.duckdb_extension")
        connection.execute(f"LOAD '{extension}'")
    return connection


@pytest.mark.parametrize("table", TABLES)
def test_duckdb_counts(stopped, duck, table):
    data, counts, _ = stopped
    metadata = catalog(data).load_table(f"tenrec.{table}").metadata_location
    assert duck.execute(f"select count(*) from iceberg_scan('{metadata}')").fetchone()[0] == counts[table]


def test_duckdb_rows(stopped, duck):
    data, _, _ = stopped
    metadata = catalog(data).load_table("tenrec.events").metadata_location
    sql = f"select event, count(*), count(distinct person_id) from iceberg_scan('{metadata}') where event like 'kind%' group by 1 order by 1"
    assert duck.execute(sql).fetchall() == [(f"kind {number}", 100, 7) for number in range(5)]
