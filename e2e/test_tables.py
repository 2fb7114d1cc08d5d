"""The same rows through other engines, from the files on disk."""

import json
import os
import subprocess
from pathlib import Path

import duckdb
import duckdb_extension_avro
import duckdb_extension_httpfs
import duckdb_extension_iceberg
import pyarrow.parquet
import pytest
from pyiceberg.catalog.sql import SqlCatalog
from server import PERSONAL_KEY, PROJECT_KEY, Server, until

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


def tenrec(server, *words, **settings):
    command = [server.binary, "table", *words, "--data", server.data]
    return subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **settings}).stdout


@pytest.fixture(scope="module")
def cared(tmp_path_factory):
    """A folder of many commits that was compacted, rid of a person and of its old files."""
    server = Server(tmp_path_factory.mktemp("cared") / "data").start()
    try:
        for number in range(12):
            items = [
                {"event": f"kind {number % 4}", "distinct_id": f"user-{item}", "properties": {"$browser": "Lynx"}} for item in range(10)
            ]
            assert server.post("/batch/", {"api_key": PROJECT_KEY, "batch": items})[0] == 200
            until(lambda: server.value("select count(*) from events") == 10 * (number + 1), "its events")
            assert server.stop()[0] == 0
            server.start()
        assert server.stop()[0] == 0
        files = len(list((server.data / "warehouse/tenrec/events/data").rglob("*.parquet")))
        assert files >= 12
        tenrec(server, "compact", "--all")
        tenrec(server, "erase", "--project", "1", "--distinct-id", "user-3")
        before = {table: catalog(server.data).load_table(f"tenrec.{table}").scan().to_arrow() for table in TABLES}
        tenrec(server, "expire", "--keep", "1", "--grace-seconds", "0")
        yield server, before
    finally:
        server.kill()


@pytest.mark.parametrize("table", TABLES)
def test_cared_tables_read_the_same_everywhere(cared, duck, table):
    server, before = cared
    loaded = catalog(server.data).load_table(f"tenrec.{table}")
    rows = loaded.scan().to_arrow().num_rows
    assert rows == before[table].num_rows
    assert duck.execute(f"select count(*) from iceberg_scan('{loaded.metadata_location}')").fetchone()[0] == rows
    if rows:
        summary = loaded.current_snapshot().summary.additional_properties
        assert int(summary["total-records"]) == rows
        assert int(summary["total-data-files"]) == len(list(loaded.scan().plan_files()))
        assert any("offset" in name for name in summary), summary


def test_cared_events_are_few_files_without_the_person(cared, duck):
    server, _ = cared
    loaded = catalog(server.data).load_table("tenrec.events")
    files = {Path(task.file.file_path.removeprefix("file://")) for task in loaded.scan().plan_files()}
    assert len(files) <= 2  # one a day
    assert set((server.data / "warehouse/tenrec/events/data").rglob("*.parquet")) == files
    sql = f"select distinct_id, count(*) from iceberg_scan('{loaded.metadata_location}') group by 1 order by 1"
    assert duck.execute(sql).fetchall() == [(f"user-{item}", 12) for item in range(10) if item != 3]


def test_cared_tables_take_new_rows(cared):
    server, _ = cared
    server.start()
    assert server.value("select count(*) from events") == 108
    item = {"event": "after", "distinct_id": "user-1", "properties": {}}
    assert server.post("/batch/", {"api_key": PROJECT_KEY, "batch": [item]})[0] == 200
    until(lambda: server.value("select count(*) from events") == 109, "the new event")
    assert server.stop()[0] == 0
    assert catalog(server.data).load_table("tenrec.events").scan().to_arrow().num_rows == 109


def test_files_of_many_rows_are_put_together_and_read_the_same(tmp_path, duck):
    server = Server(tmp_path / "data").start()
    try:
        for number in range(3):
            items = [
                {"event": f"kind {item % 3}", "distinct_id": f"user-{item % 50}", "properties": {"number": number}} for item in range(500)
            ]
            assert server.post("/batch/", {"api_key": PROJECT_KEY, "batch": items})[0] == 200
            until(lambda: server.value("select count(*) from events") == 500 * (number + 1), "its events")
            assert server.stop()[0] == 0
            server.start()
        assert server.stop()[0] == 0
        tenrec(server, "compact", "--all", TENREC__CARE__GROUP_ROWS="400")

        def read():
            table = catalog(server.data).load_table("tenrec.events")
            (one,) = {task.file.file_path for task in table.scan().plan_files()}
            groups = pyarrow.parquet.ParquetFile(one.removeprefix("file://")).metadata
            rows = [groups.row_group(at).num_rows for at in range(groups.num_row_groups)]
            named = table.scan(row_filter="distinct_id = 'user-7'", selected_fields=("event",)).to_arrow().num_rows
            sql = f"select event, count(*), count(distinct uuid) from iceberg_scan('{table.metadata_location}') group by 1 order by 1"
            return rows, named, duck.execute(sql).fetchall()

        each = [(f"kind {kind}", count, count) for kind, count in enumerate((501, 501, 498))]
        assert read() == ([500] * 3, 30, each)
        tenrec(server, "erase", "--project", "1", "--distinct-id", "user-7")
        tenrec(server, "compact", "--all", TENREC__CARE__GROUP_ROWS="400")
        rows, named, counts = read()
        assert (rows, named, sum(count for _, count, _ in counts)) == ([490] * 3, 0, 1470)
        server.start()
        assert server.value("select count(*) from events where distinct_id = 'user-8'") == 30
        assert server.value("select count(*) from events") == 1470
        assert server.stop()[0] == 0
    finally:
        server.kill()


def test_a_running_server_is_cared_for_by_url(tmp_path, duck):
    server = Server(tmp_path / "data").start()

    def ask(*words):
        command = [server.binary, "table", *words, "--url", server.url, "--key", PERSONAL_KEY]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def events():
        return catalog(server.data).load_table("tenrec.events")

    try:
        for number in range(4):
            items = [{"event": "kind", "distinct_id": f"user-{item}", "properties": {"number": number}} for item in range(10)]
            assert server.post("/batch/", {"api_key": PROJECT_KEY, "batch": items})[0] == 200
            until(lambda: events().scan(selected_fields=("uuid",)).to_arrow().num_rows == 10 * (number + 1), "they are committed")
        assert "files merged" in ask("compact", "--all")
        told = ask("erase", "--project", "1", "--distinct-id", "user-3")
        assert "no current table has the person" in told and "gone by" in told
        assert "bytes freed" in ask("expire", "--grace-seconds", "0")
        left = [f"user-{item}" for item in range(10) if item != 3]
        table = events()
        assert sorted(table.scan(selected_fields=("distinct_id",)).to_arrow()["distinct_id"].to_pylist()) == sorted(left * 4)
        sql = f"select distinct_id, count(*) from iceberg_scan('{table.metadata_location}') group by 1 order by 1"
        assert duck.execute(sql).fetchall() == [(one, 4) for one in left]
        files = {Path(task.file.file_path.removeprefix("file://")) for task in table.scan().plan_files()}
        assert set((server.data / "warehouse/tenrec/events/data").rglob("*.parquet")) == files
        assert server.value("select count(*) from persons where id in (select person_id from events where distinct_id = 'user-3')") == 0
        refused = subprocess.run([server.binary, "table", "stats", "--url", server.url, "--key", "phx_wrong"], capture_output=True, text=True)
        assert refused.returncode != 0 and "401" in refused.stderr, refused.stderr
        assert server.stop()[0] == 0
    finally:
        server.kill()
