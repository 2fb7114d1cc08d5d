"""The work of one Tenrec done by several processes over a shared log, a shared metastore and one folder of tables."""

import json
import os
import re
import subprocess
import threading
import time
import urllib.error
import urllib.request
import uuid

import pytest
from server import SETTINGS, Server, free_port, until
from shared import Broker, Postgres

PARTITIONS = "3"


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    running = Postgres(tmp_path_factory.mktemp("postgres")).start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    running = Broker(tmp_path_factory.mktemp("broker"))
    yield running
    running.resume()
    running.kill()


class Team:
    """The settings that all processes share."""

    def __init__(self, folder, postgres, broker):
        name = "t" + uuid.uuid4().hex[:10]
        self.data = folder / "data"
        self.folder = folder
        self.settings = {
            "TENREC__METASTORE__URL": postgres.database(name),
            "TENREC__KAFKA__BROKERS": broker.address if broker else "",
            "TENREC__KAFKA__TOPIC": name,
            "TENREC__KAFKA__PARTITIONS": PARTITIONS,
            "TENREC__KAFKA__ACK_TIMEOUT_MS": "1000",
            # Each unknown key makes a project, and projects are spread over the partitions.
            "TENREC__CAPTURE__TOKEN_MODE": "open",
        }
        self.started = []

    def process(self, role, **more):
        process = Server(self.data, {**self.settings, "TENREC__SERVER__ROLE": role, **more})
        process.log = self.folder / f"{role}.log"
        self.started.append(process)
        return process

    def start(self, role, **more):
        return self.process(role, **more).start()

    def end(self):
        for process in self.started:
            process.kill()


@pytest.fixture
def team(tmp_path, postgres, broker):
    team = Team(tmp_path, postgres, broker)
    yield team
    team.end()


class Sender(threading.Thread):
    """Sends events of several projects until told to stop; remembers which were acknowledged."""

    def __init__(self, capture, keys):
        super().__init__(daemon=True)
        self.capture, self.keys = capture, keys
        self.sent, self.acked, self.statuses = set(), {}, []
        self.stopping = threading.Event()

    def run(self):
        number = 0
        while not self.stopping.is_set():
            key = self.keys[number % len(self.keys)]
            number += 1
            ids = [str(uuid.uuid4()) for _ in range(5)]
            batch = [{"event": "e", "distinct_id": f"d{number % 11}", "uuid": one, "properties": {"n": number}} for one in ids]
            self.sent.update(ids)
            # An SDK sends the same again until it is told 200.
            while not self.stopping.is_set():
                try:
                    status, _, headers = self.capture.post("/batch/", {"api_key": key, "batch": batch})
                except OSError:
                    status, headers = 0, {}
                self.statuses.append(status)
                if status == 200:
                    self.acked.update(dict.fromkeys(ids, key))
                    break
                assert status in (0, 503), status
                assert status == 0 or {name.lower() for name in headers} >= {"retry-after"}
                time.sleep(0.02)

    def end(self):
        self.stopping.set()
        self.join(30)
        assert not self.is_alive()


def visible(query, projects=6):
    """Every uuid the query process sees, of all projects, with repeats."""
    found = []
    for project in range(1, projects + 1):
        status, text, _ = query.post(
            f"/api/projects/{project}/query/",
            {"query": {"kind": "HogQLQuery", "query": "select uuid from events where event = 'e' limit 50000"}},
            {"Authorization": f"Bearer {SETTINGS['TENREC__BOOTSTRAP__PERSONAL_KEY']}"},
        )
        if status == 200:
            found += [row[0] for row in json.loads(text)["results"]]
    return found


def once(query, sender):
    """Waits until everything acknowledged is visible; then nothing is twice and nothing was never sent."""
    until(lambda: set(visible(query)) >= set(sender.acked), "every acknowledged event is visible", 30)
    found = visible(query)
    assert len(found) == len(set(found)), "an event is visible twice"
    assert set(found) <= sender.sent
    return len(found)


def test_a_writer_killed_again_and_again_loses_and_doubles_nothing(team, broker):
    writer = team.start("writer")
    capture, query = team.start("capture"), team.start("query")
    sender = Sender(capture, [f"phc_project_{number}" for number in range(5)])
    sender.start()
    acked = 0
    for _ in range(3):
        until(lambda: len(sender.acked) > acked + 100, "events flow", 20)
        acked = len(sender.acked)
        writer.kill()
        writer = team.start("writer")
    # A broker that does not answer: senders are told to come again, and nobody dies of it.
    broker.pause()
    refused = len(sender.statuses)
    until(lambda: 503 in sender.statuses[refused:], "senders are told to come again", 20)
    until(lambda: not_ready(capture), "it wants no traffic", 20)
    broker.resume()
    until(capture.ready, "the broker answers again", 20)
    acked = len(sender.acked)
    until(lambda: len(sender.acked) > acked + 50, "events flow again", 20)
    sender.end()
    assert once(query, sender) >= len(sender.acked) > 350
    # Other partitions than the first have records: their offsets are in the tables, too.
    text = "".join(path.read_text() for path in (team.data / "warehouse" / "tenrec").rglob("*events*/metadata/*.json"))
    assert re.search(r'"tenrec\.log-offset\.[12]"', text)
    assert [process.process.poll() for process in (writer, capture, query)] == [None] * 3


def not_ready(server):
    try:
        urllib.request.urlopen(f"{server.url}/_readiness", timeout=5)
    except urllib.error.HTTPError as fault:
        return fault.code == 503
    return False


def test_each_role_says_what_it_does_not_do(team):
    query = team.process("query")
    with pytest.raises(AssertionError, match="there are no tables in .*writer"):
        query.start()
    writer = team.start("writer")
    capture, query = team.start("capture"), team.start("query")
    event = {"api_key": SETTINGS["TENREC__BOOTSTRAP__PROJECT_KEY"], "event": "e", "distinct_id": "d"}
    for process in (writer, query):
        status, text, headers = process.post("/e/", event)
        assert status == 503 and "server.role" in text and "Retry-After" in {name.title() for name in headers}
        assert process.post("/i/v1/analytics/events", {})[0] == 503
    for process in (writer, capture):
        status, text, _ = process.post("/api/projects/1/query/", {"query": {"kind": "HogQLQuery", "query": "select 1"}})
        assert status == 404 and "`query`" in text
        assert process.post("/iceberg/v1/namespaces", {})[0] == 404
    assert query.value("select 1") == 1
    status, text, _ = query.post("/iceberg/v1/namespaces", {"namespace": ["n"]})
    assert status == 405 and "only reads" in text
    for process in (writer, capture, query):
        assert process.ready() and "tenrec_" in process.metrics()
    assert capture.post("/e/", event)[0] == 200
    until(lambda: query.value("select count(*) from events") == 1, "committed and seen", 15)
    second = team.process("writer")
    with pytest.raises(AssertionError, match="another process"):
        second.start()
    assert writer.stop()[0] == 0 and capture.stop()[0] == 0 and query.stop()[0] == 0


def test_a_role_without_shared_engines_says_which_setting_is_missing(tmp_path):
    for role, missing in (
        ("capture", ["kafka.brokers", "metastore.url"]),
        ("writer", ["kafka.brokers", "metastore.url"]),
        ("query", ["metastore.url"]),
    ):
        done = subprocess.run(
            [os.environ["TENREC_BINARY"], "serve", "--data", str(tmp_path / "data"), "--role", role],
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.returncode != 0
        for setting in missing:
            assert re.search(rf"server\.role: `{role}` .*set {setting}", done.stderr), done.stderr
    assert not (tmp_path / "data").exists()


def test_a_log_that_lost_what_was_not_folded_is_not_gone_on_with(team, tmp_path):
    server = team.start("all")
    for _ in range(3):
        assert server.post("/e/", {"api_key": "phc_one", "event": "e", "distinct_id": "d"})[0] == 200
    until(lambda: "tenrec_pump_checkpoint_offset 3" in server.metrics(), "committed", 15)
    assert server.stop()[0] == 0
    # The topic is made anew: it ends before the checkpoint.
    team.settings["TENREC__KAFKA__TOPIC"] += "x"
    with pytest.raises(AssertionError, match="do not belong together"):
        team.process("all").start()
    team.settings["TENREC__KAFKA__PARTITIONS"] = "2"
    with pytest.raises(AssertionError, match="kafka.partitions is 2: set it to 3"):
        team.process("all").start()
    team.settings["TENREC__KAFKA__BROKERS"] = f"127.0.0.1:{free_port()}"
    with pytest.raises(AssertionError, match="cannot reach the brokers of the log"):
        team.process("all").start()


def test_a_metadata_database_that_restarts_stops_nothing(tmp_path, postgres):
    team = Team(tmp_path, postgres, None)
    try:
        server = team.start("all")
        sender = Sender(server, [SETTINGS["TENREC__BOOTSTRAP__PROJECT_KEY"]])
        sender.start()
        until(lambda: len(sender.acked) > 50, "events flow", 20)
        postgres.stop()
        acked = len(sender.acked)
        # New persons must be loaded: the pump asks in vain, and waits.
        for number in range(20):
            body = {"api_key": sender.keys[0], "event": "other", "distinct_id": f"new {number}"}
            assert server.post("/e/", body)[0] == 200, "the log takes events meanwhile"
        until(lambda: 'tenrec_pump_stalls_total{part="metastore"}' in server.metrics(), "the pump waits", 20)
        until(lambda: len(sender.acked) > acked + 50, "events are acknowledged meanwhile", 20)
        postgres.start()
        sender.end()
        assert once(server, sender) >= len(sender.acked)
        assert server.value("select count(*) from events where event = 'other'") == 20
        assert server.process.poll() is None
        assert server.stop()[0] == 0
    finally:
        team.end()
