"""Tables in an object store and in another service's catalog: nothing is lost by a kill, and other engines read them."""

import os
import subprocess
import urllib.request
import uuid
import xml.etree.ElementTree as xml

import duckdb
import duckdb_extension_avro
import duckdb_extension_httpfs
import duckdb_extension_iceberg
import pytest
from pyiceberg.catalog.rest import RestCatalog
from server import PERSONAL_KEY, PROJECT_KEY, Server, free_port, until

@pytest.fixture(scope="module")
def s3(store_python):
    """A store that speaks S3, of these tests' own."""
    port = free_port()
    process = subprocess.Popen(
        [store_python, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"

    def answers():
        with urllib.request.urlopen(f"{url}/moto-api/", timeout=5) as answer:
            return answer.status == 200

    until(answers, "the store answers", 60)
    yield url
    process.kill()
    process.wait()


@pytest.fixture
def bucket(s3):
    name = "lake-" + uuid.uuid4().hex[:8]
    put(f"{s3}/{name}", b"")
    return name


def put(url, body):
    """Nobody has to sign requests to this store."""
    with urllib.request.urlopen(urllib.request.Request(url, data=body, method="PUT"), timeout=10) as answer:
        assert answer.status == 200


def keys(s3, bucket):
    with urllib.request.urlopen(f"{s3}/{bucket}?list-type=2&max-keys=1000", timeout=10) as answer:
        listed = xml.parse(answer).getroot()
    return [found.text for found in listed.iter() if found.tag.endswith("}Key")]


def settings(s3, **more):
    return {
        "TENREC__S3__ENDPOINT": s3,
        "TENREC__S3__REGION": "us-east-1",
        "TENREC__S3__ACCESS_KEY_ID": "testing",
        "TENREC__S3__SECRET_ACCESS_KEY": "testing",
        "TENREC__S3__ALLOW_HTTP": "true",
        "TENREC__S3__LEND_KEYS": "true",
        **{f"TENREC__{name}": value for name, value in more.items()},
    }


def send(server, ids):
    items = [{"event": "stored", "distinct_id": one, "properties": {"n": number}} for number, one in enumerate(ids)]
    assert server.post("/batch/", {"api_key": PROJECT_KEY, "batch": items})[0] == 200


def attach(server):
    return RestCatalog("tenrec", uri=f"{server.url}/iceberg", token=PERSONAL_KEY)


def committed(catalog, table):
    scan = catalog.load_table(table).scan(row_filter="event = 'stored'", selected_fields=("distinct_id",))
    return sorted(scan.to_arrow()["distinct_id"].to_pylist())


def seen_by_sql(server):
    rows = server.query("select distinct_id from events where event = 'stored' order by distinct_id limit 1000")
    return [row["distinct_id"] for row in rows]


def seen_by_duckdb(server, table):
    connection = duckdb.connect()
    for extension in (duckdb_extension_avro, duckdb_extension_httpfs, duckdb_extension_iceberg):
        name = extension.__name__.removeprefix("duckdb_extension_")
        folder = f"{os.path.dirname(extension.__file__)}/extensions/v{duckdb.__version__}"
        connection.execute(f"LOAD '{folder}/{name}.duckdb_extension'")
    connection.execute(f"CREATE SECRET (TYPE iceberg, TOKEN '{PERSONAL_KEY}')")
    connection.execute(f"ATTACH 'tenrec' AS lake (TYPE iceberg, ENDPOINT '{server.url}/iceberg')")
    sql = f"SELECT distinct_id FROM lake.{table} WHERE event = 'stored' ORDER BY 1"
    return [row[0] for row in connection.execute(sql).fetchall()]


def through_a_kill(server, committed_now):
    """Sends, kills before and after a commit, and gives all that was sent."""
    first = [f"first-{number:03}" for number in range(40)]
    send(server, first)
    until(lambda: committed_now(server) == first, "events are committed", 30)
    second = [f"second-{number:03}" for number in range(40)]
    send(server, second)
    server.kill()
    server.start()
    until(lambda: committed_now(server) == first + second, "events are committed after a kill", 30)
    return first + second


def tenrec_table(server, *words):
    done = subprocess.run(
        [server.binary, "table", *words, "--data", str(server.data)],
        env={**os.environ, **server.settings},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_tables_in_an_object_store(s3, bucket, tmp_path):
    more = settings(s3, TABLE__LOCATION=f"s3://{bucket}/tenrec")
    server = Server(tmp_path / "data", more).start()
    try:
        sent = through_a_kill(server, lambda server: committed(attach(server), "tenrec.events"))
        assert seen_by_sql(server) == sent
        assert seen_by_duckdb(server, "tenrec.events") == sent
        assert not (server.data / "warehouse").exists(), "everything is in the store"
        found = keys(s3, bucket)
        assert all(key.startswith("tenrec/tenrec/") for key in found)
        server.stop()
        put(f"{s3}/{bucket}/tenrec/tenrec/events/data/left.parquet", b"left")
        tenrec_table(server, "compact", "events", "--all")
        tenrec_table(server, "expire", "events", "--keep", "1", "--grace-seconds", "0")
        tenrec_table(server, "orphans", "events", "--hours", "0")
        data = [key for key in keys(s3, bucket) if key.startswith("tenrec/tenrec/events/data/")]
        assert len(data) == 1, data
        assert "events" in tenrec_table(server, "stats", "events")
        server.start()
        assert seen_by_sql(server) == sent
        # The keys are told to those who load a table, and to nobody else.
        said = subprocess.run(
            [server.binary, "settings"], env={**os.environ, **more, "TENREC__S3__SESSION_TOKEN": "hidden"},
            capture_output=True, text=True, check=True,
        ).stdout
        assert "s3.secret_access_key" in said and '"testing"' in said and "hidden" not in said
    finally:
        server.kill()


def test_a_lost_catalog_is_not_replaced_by_an_empty_one(s3, bucket, tmp_path):
    more = settings(s3, TABLE__LOCATION=f"s3://{bucket}/tenrec")
    server = Server(tmp_path / "data", more).start()
    server.stop()
    for file in server.data.glob("catalog.db*"):
        file.unlink()
    with pytest.raises(AssertionError, match="the catalog lists none"):
        server.start()


def test_tables_in_another_services_catalog(s3, bucket, tmp_path):
    """Another Tenrec keeps the catalog and lends the keys of its store."""
    keeper = Server(tmp_path / "keeper", settings(s3, TABLE__LOCATION=f"s3://{bucket}/keeper")).start()
    server = Server(
        tmp_path / "data",
        {
            "TENREC__CATALOG__KIND": "rest",
            "TENREC__CATALOG__URI": f"{keeper.url}/iceberg",
            "TENREC__CATALOG__TOKEN": PERSONAL_KEY,
            "TENREC__CATALOG__NAMESPACE": "lake",
            "TENREC__S3__ALLOW_HTTP": "true",
        },
    ).start()
    try:
        sent = through_a_kill(server, lambda _: committed(attach(keeper), "lake.events"))
        assert seen_by_sql(server) == sent
        assert seen_by_duckdb(keeper, "lake.events") == sent
        names = [(server, "tenrec.events"), (keeper, "lake.events")]
        uuids = {attach(one).load_table(name).metadata.table_uuid for one, name in names}
        assert len(uuids) == 1, "the same table by the name it has here"
        # Another writer's snapshot between ours.
        table = attach(keeper).load_table("lake.events")
        with table.transaction() as change:
            change.set_properties({"owner": "somebody"})
        send(server, ["third"])
        until(lambda: committed(attach(keeper), "lake.events") == sent + ["third"], "commits go on", 30)
        assert not (server.data / "catalog.db").exists()
        # A keeper that is away for a while delays the commit, and nothing else.
        keeper.kill()
        send(server, ["while away"])
        assert seen_by_sql(server)[-1] == "while away"
        address = keeper.url.removeprefix("http://")
        keeper.start_at(address)
        wanted = sent + ["third", "while away"]
        until(lambda: committed(attach(keeper), "lake.events") == wanted, "the delayed commit", 60)
    finally:
        server.kill()
        keeper.kill()
