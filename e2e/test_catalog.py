"""The tables through `/iceberg/v1`: published clients attach with one URL, read, write, and share with a busy server."""

import json
import subprocess
import threading
import uuid
from pathlib import Path

import duckdb
import duckdb_extension_avro
import duckdb_extension_httpfs
import duckdb_extension_iceberg
import pyarrow as pa
import pytest
from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.exceptions import (
    BadRequestError,
    CommitFailedException,
    ForbiddenError,
    NamespaceNotEmptyError,
    NoSuchTableError,
    TableAlreadyExistsError,
    UnauthorizedError,
    ValidationException,
)
from pyiceberg.types import LongType
from server import PERSONAL_KEY, PROJECT_KEY, Server, until

NUMBERS = pa.schema([("a", pa.int64()), ("b", pa.string())])


def numbers(*rows):
    return pa.table({"a": [a for a, _ in rows], "b": [b for _, b in rows]}, schema=NUMBERS)


def attach(server, **properties):
    return RestCatalog("tenrec", uri=f"{server.url}/iceberg", **(properties or {"token": PERSONAL_KEY}))


def send(server, event, ids):
    items = [{"event": event, "distinct_id": one, "properties": {"n": number}} for number, one in enumerate(ids)]
    assert server.post("/batch/", {"api_key": PROJECT_KEY, "batch": items})[0] == 200


def committed(catalog, event):
    """Distinct ids of an event in the committed table, as pyiceberg reads it."""
    scan = catalog.load_table("tenrec.events").scan(row_filter=f"event = '{event}'", selected_fields=("distinct_id",))
    return sorted(scan.to_arrow()["distinct_id"].to_pylist())


@pytest.fixture(scope="module")
def filled(server):
    """The shared server with a hundred events of four kinds in its tables, one commit each."""
    catalog = attach(server)
    for kind in range(4):
        send(server, f"catalog {kind}", [f"catalog-{kind}-{number}" for number in range(25)])
        until(lambda: len(committed(catalog, f"catalog {kind}")) == 25, "events are committed")
    return catalog


@pytest.fixture
def lab(filled):
    """An empty namespace of this test's own."""
    name = "lab_" + uuid.uuid4().hex[:8]
    filled.create_namespace(name, {"owner": "e2e"})
    yield name
    for table in filled.list_tables(name):
        filled.purge_table(table)
    filled.drop_namespace(name)


def test_pyiceberg_finds_the_tables(server, filled):
    assert ("tenrec",) in filled.list_namespaces()
    assert filled.list_namespaces("tenrec") == []
    assert ("tenrec", "events") in filled.list_tables("tenrec")
    assert filled.table_exists("tenrec.persons") and not filled.table_exists("tenrec.nothing")
    with pytest.raises(NoSuchTableError):
        filled.load_table("tenrec.nothing")
    assert filled.list_views("tenrec") == []
    rows = filled.load_table("tenrec.events").scan(row_filter="event = 'catalog 2'").to_arrow().to_pylist()
    assert sorted(json.loads(row["properties"])["n"] for row in rows) == list(range(25))


def test_a_key_is_enough_in_every_way_clients_know(server, filled):
    for properties in ({"credential": PERSONAL_KEY}, {"credential": f"me:{PERSONAL_KEY}", "warehouse": "tenrec"}, {"token": PERSONAL_KEY, "prefix": "tenrec"}):
        assert attach(server, **properties).table_exists("tenrec.events"), properties
    with pytest.raises(UnauthorizedError):
        attach(server, token="phx_wrong").list_namespaces()


def test_a_key_of_one_project_sees_no_table(tmp_path):
    server = Server(tmp_path / "data").start()
    try:
        assert server.stop()[0] == 0
        command = [server.binary, "keys", "create", "one", "--project", "1", "--data", str(server.data)]
        made = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        key = next(word for word in made.split() if word.startswith("phs_"))
        server.start()
        with pytest.raises(ForbiddenError, match="all projects"):
            attach(server, token=key).list_namespaces()
    finally:
        server.kill()


def test_tables_of_ones_own_lie_beside_ours(filled, lab):
    table = filled.create_table(f"{lab}.t", NUMBERS)
    with pytest.raises(TableAlreadyExistsError):
        filled.create_table(f"{lab}.t", NUMBERS)
    table.append(numbers((1, "x"), (2, "y"), (3, "z")))
    table.delete("a = 2")
    table.overwrite(numbers((9, "x")), overwrite_filter="b = 'x'")
    with table.update_schema() as update:
        update.add_column("c", LongType())
    rows = filled.load_table(f"{lab}.t").scan().to_arrow().to_pylist()
    assert sorted((row["a"], row["b"], row["c"]) for row in rows) == [(3, "z", None), (9, "x", None)]
    with filled.create_table_transaction(f"{lab}.made_with_rows", NUMBERS) as transaction:
        transaction.append(numbers((1, "x")))
    assert filled.load_table(f"{lab}.made_with_rows").scan().to_arrow().num_rows == 1
    filled.rename_table(f"{lab}.t", f"{lab}.u")
    location = filled.load_table(f"{lab}.u").metadata_location
    with pytest.raises(NamespaceNotEmptyError):
        filled.drop_namespace(lab)
    filled.drop_table(f"{lab}.u")
    assert filled.register_table(f"{lab}.v", location).scan().to_arrow().num_rows == 2


def test_two_writers_see_each_other(filled, lab):
    first = filled.create_table(f"{lab}.t", NUMBERS, properties={"commit.retry.num-retries": "0"})
    second = filled.load_table(f"{lab}.t")
    first.append(numbers((1, "x")))
    with pytest.raises(CommitFailedException):
        second.append(numbers((2, "y")))
    second.refresh().append(numbers((2, "y")))
    assert sorted(first.refresh().scan().to_arrow()["a"].to_pylist()) == [1, 2]


def test_our_tables_stay_readable_for_us(server, filled):
    events = filled.load_table("tenrec.events")
    for change in (
        lambda: events.update_schema().delete_column("properties").commit(),
        lambda: events.update_spec().add_identity("event").commit(),
        lambda: events.transaction().set_properties({"tenrec.log-offset": "999999"}).commit_transaction(),
        lambda: events.manage_snapshots().rollback_to_snapshot(events.history()[0].snapshot_id).commit(),
    ):
        with pytest.raises(BadRequestError, match="is Tenrec's"):
            change()
    for change in (
        lambda: filled.drop_table("tenrec.events"),
        lambda: filled.create_table("tenrec.mine", NUMBERS),
        lambda: filled.rename_table("tenrec.events", "tenrec.mine"),
    ):
        with pytest.raises(ForbiddenError, match="belongs to Tenrec"):
            change()
    with events.manage_snapshots() as snapshots:
        snapshots.create_tag(events.current_snapshot().snapshot_id, "kept")
    assert "kept" in filled.load_table("tenrec.events").refs()
    assert server.value("select count(*) from events where event = 'catalog 0'") == 25


@pytest.fixture
def duck(server):
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    for package in (duckdb_extension_httpfs, duckdb_extension_avro, duckdb_extension_iceberg):
        (extension,) = Path(package.__file__).parent.rglob("*.duckdb_extension")
        connection.execute(f"LOAD '{extension}'")
    token = f"{server.url}/iceberg/v1/oauth/tokens"
    connection.execute(f"CREATE SECRET tenrec (TYPE iceberg, CLIENT_ID 'me', CLIENT_SECRET '{PERSONAL_KEY}', OAUTH2_SERVER_URI '{token}')")
    connection.execute(f"ATTACH 'tenrec' AS ice (TYPE iceberg, ENDPOINT '{server.url}/iceberg', SECRET tenrec)")
    return connection


def test_duckdb_reads_with_one_url(duck, filled):
    sql = "select event, count(*), count(distinct distinct_id) from ice.tenrec.events where event like 'catalog%' group by 1 order by 1"
    assert duck.execute(sql).fetchall() == [(f"catalog {kind}", 25, 25) for kind in range(4)]
    names = {row[2] for row in duck.execute("select * from information_schema.tables where table_catalog = 'ice'").fetchall()}
    assert {"events", "persons", "groups"} <= names


def test_duckdb_writes_beside_ours(duck, filled):
    lab = "duck_" + uuid.uuid4().hex[:8]
    duck.execute(f"CREATE SCHEMA ice.{lab}")
    duck.execute(f"CREATE TABLE ice.{lab}.kinds AS SELECT event, count(*) AS n FROM ice.tenrec.events WHERE event LIKE 'catalog%' GROUP BY 1")
    duck.execute(f"INSERT INTO ice.{lab}.kinds VALUES ('more', 1)")
    duck.execute(f"DELETE FROM ice.{lab}.kinds WHERE event = 'catalog 3'")
    rows = filled.load_table(f"{lab}.kinds").scan().to_arrow().to_pylist()
    assert sorted((row["event"], row["n"]) for row in rows) == [("catalog 0", 25), ("catalog 1", 25), ("catalog 2", 25), ("more", 1)]
    with pytest.raises(duckdb.Error, match="delete files"):
        duck.execute("DELETE FROM ice.tenrec.events WHERE event = 'catalog 1'")
    duck.execute(f"DROP TABLE ice.{lab}.kinds")
    duck.execute(f"DROP SCHEMA ice.{lab}")


def again(catalog, change):
    """Makes a change of `events` on fresh metadata until nobody was in the way."""

    def attempt():
        try:
            change(catalog.load_table("tenrec.events"))
            return True
        except (CommitFailedException, ValidationException):
            return False

    until(attempt, "a change goes through", 30)


def test_nothing_is_lost_or_doubled_while_others_write_too(tmp_path):
    """A writer never stops, commits and merges come every few seconds; pyiceberg appends, deletes and overwrites."""
    busy = {"INGEST__COMMIT_SECONDS": "3", "CARE__EVERY_SECONDS": "2", "CARE__MIN_FILES": "2"}
    server = Server(tmp_path / "data", {f"TENREC__{key}": value for key, value in busy.items()}).start()
    try:
        catalog = attach(server)
        send(server, "template", ["template"])
        for number in range(3):
            send(server, f"doomed {number}", [f"doomed-{number}-{row}" for row in range(5)])
            send(server, f"replaced {number}", [f"old-{number}-{row}" for row in range(5)])
        until(lambda: len(committed(catalog, "replaced 2")) == 5, "events are committed")
        sent, stop = [], threading.Event()

        def write():
            while not stop.is_set():
                ids = [f"writer-{len(sent) + row}" for row in range(10)]
                send(server, "steady", ids)
                sent.extend(ids)
                stop.wait(0.02)

        writer = threading.Thread(target=write)
        writer.start()
        template = catalog.load_table("tenrec.events").scan(row_filter="event = 'template'").to_arrow().to_pylist()[0]
        schema = catalog.load_table("tenrec.events").schema().as_arrow()

        def rows(event, ids):
            made = [template | {"uuid": str(uuid.uuid4()), "event": event, "distinct_id": one} for one in ids]
            return pa.Table.from_pylist(made, schema=schema)

        for number in range(3):
            ours = rows("outside", [f"outside-{number}-{row}" for row in range(5)])
            again(catalog, lambda events: events.append(ours))
            again(catalog, lambda events: events.delete(f"event = 'doomed {number}'"))
            new = rows("replaced", [f"new-{number}-{row}" for row in range(5)])
            again(catalog, lambda events: events.overwrite(new, overwrite_filter=f"event = 'replaced {number}'"))
        stop.set()
        writer.join()
        five = lambda kind: sorted(f"{kind}-{number}-{row}" for number in range(3) for row in range(5))
        wanted = {"steady": sorted(sent), "outside": five("outside"), "replaced": five("new"), "template": ["template"]}

        def found():
            seen = {}
            for row in server.query("select event, distinct_id from events limit 50000"):
                seen.setdefault(row["event"], []).append(row["distinct_id"])
            return {event: sorted(ids) for event, ids in seen.items()}

        until(lambda: len(found().get("steady", [])) >= len(sent), "everything is visible")
        assert found() == wanted
        # Killed in the middle of whatever it does, it goes on from what it finds.
        server.kill()
        server.start()
        catalog = attach(server)
        send(server, "after", ["after"])
        wanted["after"] = ["after"]
        until(lambda: committed(catalog, "after") == ["after"], "it commits again")
        assert found() == wanted
        table = catalog.load_table("tenrec.events").scan(selected_fields=("event", "distinct_id", "uuid")).to_arrow()
        assert len(set(table["uuid"].to_pylist())) == table.num_rows == sum(map(len, wanted.values()))
        said = server.log.read_text()
        assert "small files merged" in said and "changed by another program" in said and "panicked" not in said
    finally:
        server.kill()
