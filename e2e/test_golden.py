"""What earlier versions left is opened by this one, with the same answers; what a later one left is refused."""

import json
import os
import sqlite3
import struct
import subprocess
import zlib
from pathlib import Path

import pytest
from server import Server, until

GOLDEN = Path(__file__).parent.parent / "fixtures" / "golden"
VERSIONS = sorted(folder for folder in GOLDEN.iterdir() if folder.is_dir())
# The keys of the server that made them.
PERSONAL_KEY = "phx_testkit0000000000000000000000000000000000000"


def tenrec(*words):
    return subprocess.run([os.environ["TENREC_BINARY"], *map(str, words)], capture_output=True, text=True, timeout=60)


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


def restore(folder, data):
    told = tenrec("restore", folder, "--to", data)
    assert told.returncode == 0, told.stderr


@pytest.mark.parametrize("folder", VERSIONS, ids=lambda folder: folder.name)
def test_an_earlier_folder_gives_the_answers_it_gave(folder, data):
    restore(folder, data)
    server = Server(data).start()

    def ask(sql):
        body = {"query": {"kind": "HogQLQuery", "query": sql}}
        status, text, _ = server.post("/api/projects/1/query/", body, {"Authorization": f"Bearer {PERSONAL_KEY}"})
        assert status == 200, text
        return json.loads(text)["results"]

    try:
        for question in json.loads((folder / "answers.json").read_text()):
            # What was in the log only is folded in the first moments.
            until(lambda: ask(question["sql"]) == question["rows"], question["sql"])
    finally:
        server.kill()


def refused(data):
    """What the server says when it does not start."""
    told = tenrec("serve", "--data", data, "--listen", "127.0.0.1:0")
    assert told.returncode == 1
    return told.stderr


def test_a_later_metastore_is_refused(data):
    restore(VERSIONS[-1], data)
    with sqlite3.connect(data / "tenrec.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    assert "schema version 99" in refused(data)


def test_a_table_with_later_columns_is_refused(data):
    restore(VERSIONS[-1], data)
    with sqlite3.connect(data / "catalog.db") as connection:
        query = "SELECT metadata_location FROM iceberg_tables WHERE table_name = 'events'"
        path = connection.execute(query).fetchone()[0].removeprefix("file://")
    connection.close()
    metadata = json.loads(Path(path).read_text())
    metadata["properties"]["tenrec.columns"] = "999"
    content = json.dumps(metadata).encode()
    Path(path).write_bytes(content)
    try:
        os.setxattr(path, "user.tenrec.crc32", struct.pack("<I", zlib.crc32(content)))
    except OSError:
        pass  # a file system without attributes has no checksums
    assert "newer" in refused(data)


def test_a_later_log_is_refused(data):
    restore(VERSIONS[-1], data)
    segment = sorted((data / "log").glob("*.segment"))[-1]
    with segment.open("r+b") as file:
        block = bytearray(file.read(512))
        block[12:16] = struct.pack("<I", 2)
        block[8:12] = struct.pack("<I", zlib.crc32(block[12:]))
        file.seek(0)
        file.write(block)
    assert "another version of Tenrec" in refused(data)


def test_a_later_backup_is_refused(tmp_path, data):
    backups = tmp_path / "later" / "backups"
    backups.mkdir(parents=True)
    (backups / "20990101T000000000Z.json").write_text('{"format":2,"sha256":"","backup":{}}')
    told = tenrec("restore", tmp_path / "later", "--to", data)
    assert told.returncode == 1
    assert "newer Tenrec" in told.stderr
