"""Stop, start: the same answers."""

import pytest
from server import PROJECT_KEY, Server, until

COUNTS = "select event, count(*) as amount, count(distinct person_id) as people from events_resolved group by event order by event"


@pytest.fixture
def own(tmp_path):
    server = Server(tmp_path / "data").start()
    yield server
    server.kill()


def send(server, first, amount):
    items = [
        {"event": f"kind {item % 3}", "distinct_id": f"user-{item % 5}", "properties": {"item": item}}
        for item in range(first, first + amount)
    ]
    assert server.post("/batch/", {"api_key": PROJECT_KEY, "batch": items})[0] == 200


def test_stop_and_start(own):
    send(own, 0, 200)
    until(lambda: own.value("select count(*) from events") == 200, "all events")
    merge = {"event": "$identify", "distinct_id": "user-0", "properties": {"$anon_distinct_id": "user-1", "$set": {"plan": "pro"}}}
    assert own.post("/batch/", {"api_key": PROJECT_KEY, "batch": [merge]})[0] == 200
    until(lambda: own.value("select count(*) from events") == 201, "the merge")
    before = own.query(COUNTS)
    people = own.value("select count(*) from persons_current")

    status, seconds = own.stop()
    assert (status, seconds < 10) == (0, True)

    own.start()
    assert own.query(COUNTS) == before
    assert own.value("select count(*) from persons_current") == people
    send(own, 200, 30)
    until(lambda: own.value("select count(*) from events") == 231, "events after the restart")


def test_kill_and_start(own):
    send(own, 0, 200)
    until(lambda: own.value("select count(*) from events") == 200, "all events")
    before = own.query(COUNTS)
    own.kill()
    own.start()
    until(lambda: own.value("select count(*) from events") == 200, "all events after the kill")
    assert own.query(COUNTS) == before


def test_acked_while_stopping_is_kept(own):
    send(own, 0, 10)
    assert own.stop()[0] == 0
    own.start()
    until(lambda: own.value("select count(*) from events") == 10, "what was acked right before SIGTERM")
