"""The real server as a child process, and a client for its SQL endpoint."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

PROJECT_KEY = "phc_endtoend00000000000000000000000000000000000"
PERSONAL_KEY = "phx_endtoend00000000000000000000000000000000000"

# Commits are made every second here, so that tables can be read back soon.
SETTINGS = {
    "TENREC__INGEST__COMMIT_SECONDS": "1",
    "TENREC__BOOTSTRAP__PROJECT_KEY": PROJECT_KEY,
    "TENREC__BOOTSTRAP__PERSONAL_KEY": PERSONAL_KEY,
}


class Refused(Exception):
    """An answer other than 200."""

    def __init__(self, status, text):
        super().__init__(f"{status}: {text}")
        self.status = status
        self.text = text


def free_port():
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(condition, what, seconds=10.0):
    """Polls until `condition()` is true; its last answer, which may be an exception, is in the failure."""
    end = time.monotonic() + seconds
    while True:
        try:
            answer = condition()
            if answer:
                return answer
        except (Refused, OSError) as fault:
            answer = fault
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what} (last: {answer!r})")
        time.sleep(0.05)


class Server:
    """One data folder and, between `start` and `stop`, one process on it."""

    def __init__(self, data: Path, settings=None):
        self.settings = settings or {}
        self.binary = os.environ["TENREC_BINARY"]
        self.data = data
        self.log = data.with_name(data.name + ".log")
        self.process = None
        self.url = None

    def start(self):
        return self.start_at(f"127.0.0.1:{free_port()}")

    def start_at(self, address):
        self.url = f"http://{address}"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [self.binary, "serve", "--data", str(self.data), "--listen", address],
                env={**os.environ, **SETTINGS, **self.settings},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            until(self.ready, "the server is ready", 30)
        except AssertionError as fault:
            self.kill()
            tail = self.log.read_text(errors="replace")[-4000:]
            raise AssertionError(f"{fault}\nits log ends with:\n{tail}") from None
        return self

    def ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended with {self.process.returncode}:\n{self.log.read_text()[-4000:]}")
        with urllib.request.urlopen(f"{self.url}/_readiness", timeout=5) as answer:
            return answer.status == 200

    def stop(self, seconds=10):
        """SIGTERM; returns the exit status and how long it took."""
        start = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(seconds)
        return status, time.monotonic() - start

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def post(self, path, body, headers=None):
        """Sends a body (JSON unless it is bytes) and returns (status, text, headers)."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method="POST")
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read().decode(), dict(answer.headers)
        except urllib.error.HTTPError as fault:
            return fault.code, fault.read().decode(), dict(fault.headers)

    def metrics(self):
        """The text of `/metrics`."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=10) as answer:
            return answer.read().decode()

    def query(self, sql):
        """The rows of one SQL statement, each a dictionary by column name."""
        status, text, _ = self.post(
            "/api/projects/1/query/",
            {"query": {"kind": "HogQLQuery", "query": sql}},
            {"Authorization": f"Bearer {PERSONAL_KEY}"},
        )
        if status != 200:
            raise Refused(status, f"{text} for: {sql}")
        answer = json.loads(text)
        return [dict(zip(answer["columns"], row)) for row in answer["results"]]

    def value(self, sql):
        """The only cell of a statement's only row."""
        (row,) = self.query(sql)
        (cell,) = row.values()
        return cell

    def events(self, prefix, amount, seconds=10.0):
        """The events whose distinct id starts with `prefix`, once there are `amount` of them; fails on any other amount."""
        sql = (
            "select uuid, event, distinct_id, person_id, properties, group_0, group_1, group_2, group_3, group_4 "
            f"from events_resolved where distinct_id like '{prefix}%' order by timestamp limit 1000"
        )
        rows = []

        def arrived():
            nonlocal rows
            rows = self.query(sql)
            return len(rows) >= amount

        try:
            until(arrived, f"{amount} events of {prefix}", seconds)
        except AssertionError as fault:
            raise AssertionError(f"{fault}; there are {[row['event'] for row in rows]}") from None
        assert len(rows) == amount, [row["event"] for row in rows]
        uuids = [row["uuid"] for row in rows]
        assert len(set(uuids)) == len(uuids), "a uuid is visible twice"
        for row in rows:
            if isinstance(row["properties"], str):
                row["properties"] = json.loads(row["properties"])
        return rows
