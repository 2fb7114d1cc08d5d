"""`tenrec projects set` beside a running server: switches, quotas and restrictions take hold within a second."""

import subprocess

import pytest
from server import PROJECT_KEY, Server, until


@pytest.fixture
def own(tmp_path):
    server = Server(tmp_path / "data").start()
    yield server
    server.kill()


def change(server, *words):
    command = [server.binary, "projects", "set", "1", *words, "--data", str(server.data)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30)


def send(server, name, distinct_id="someone"):
    body = {"api_key": PROJECT_KEY, "event": name, "distinct_id": distinct_id, "properties": {"$ip": "1.2.3.4"}}
    assert server.post("/i/v0/e/", body)[0] == 200


def stored(server, name):
    return server.value(f"select count(*) from events where event = '{name}'")


def test_a_running_server_follows(own):
    assert change(own, 'restrictions=[{"action":"drop_event","distinct_ids":["bot"]}]', "anonymize_ips=true").returncode == 0

    def bots_are_dropped():
        before = stored(own, "probe")
        send(own, "probe", "bot")
        send(own, "probe")
        until(lambda: stored(own, "probe") > before, "the probe of someone")
        return stored(own, "probe") == before + 1

    until(bots_are_dropped, "events of bots are dropped")
    send(own, "after")
    until(lambda: stored(own, "after") == 1, "the event after the change")
    assert own.value("select properties from events where event = 'after'").find("$ip") == -1

    assert change(own, 'exhausted=["events"]').returncode == 0

    def quota_is_used_up():
        send(own, "over")
        return 'capture_quota_limit_exceeded{resource="events"}' in own.metrics()

    until(quota_is_used_up, "the quota counts as used up")


def test_wrong_words_change_nothing(own):
    for word, part in [("color=red", "no `color`"), ("timezone=Mars/Base", "Mars/Base"), ("anonymize_ips=maybe", "switch")]:
        answer = change(own, word)
        assert answer.returncode == 1 and part in answer.stderr, answer
