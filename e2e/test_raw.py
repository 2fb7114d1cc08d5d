"""Plain HTTP, as people write it by hand."""

import base64
import gzip
import json
import urllib.parse

import pytest
from expect import by_name, one_person, person
from server import PROJECT_KEY


def test_batch_of_a_small_go_client(server, prefix):
    """A hand-written client: /batch/ without sent_at and uuid, `$set` and `$set_once` inside properties."""
    user = f"{prefix}-user"
    items = [
        {
            "event": f"{prefix} workspace created",
            "distinct_id": user,
            "properties": {
                "workspace_id": "w1",
                "event_schema_version": 1,
                "environment": "test",
                "is_demo": False,
                "user_id": user,
                "$set_once": {"first_workspace": "w1"},
                "$set": {"plan": "team"},
            },
            "timestamp": "2026-11-20T10:00:00.123456789Z",
        },
        {
            "event": f"{prefix} job finished",
            "distinct_id": user,
            "properties": {"environment": "test", "seconds": 12},
            "timestamp": "2026-11-20T10:00:01Z",
        },
    ]
    status, text, headers = server.post("/batch/", {"api_key": PROJECT_KEY, "batch": items})
    assert (status, json.loads(text)) == (200, {"status": "Ok"})
    assert headers["content-type"].startswith("application/json")
    rows = server.events(prefix, 2)
    first = by_name(rows)[f"{prefix} workspace created"][0]
    assert first["properties"]["workspace_id"] == "w1"
    properties = person(server, one_person(rows))
    assert (properties["plan"], properties["first_workspace"]) == ("team", "w1")


@pytest.mark.parametrize("path", ["/e", "/e/", "/capture", "/capture/", "/track/", "/i/v0/e/", "/batch", "/ingest/e/"])
def test_single_on_every_path(server, prefix, path):
    body = {"api_key": PROJECT_KEY, "event": f"{prefix} one", "distinct_id": f"{prefix}-user"}
    status, text, _ = server.post(path, body)
    assert (status, json.loads(text)) == (200, {"status": "Ok"})
    server.events(prefix, 1)


@pytest.mark.parametrize("encoding", ["gzip", "base64", "form", "form-base64"])
def test_encodings(server, prefix, encoding):
    event = {"api_key": PROJECT_KEY, "event": f"{prefix} one", "distinct_id": f"{prefix}-user", "properties": {"a": "+/="}}
    text = json.dumps(event).encode()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    body, headers = {
        "gzip": (gzip.compress(text), {"Content-Type": "text/plain"}),
        "base64": (base64.b64encode(text), {"Content-Type": "text/plain"}),
        "form": (b"data=" + urllib.parse.quote_plus(text).encode(), form),
        "form-base64": (b"data=" + urllib.parse.quote_plus(base64.b64encode(text)).encode(), form),
    }[encoding]
    status, answer, _ = server.post("/i/v0/e/", body, headers)
    assert status == 200, answer
    (row,) = server.events(prefix, 1)
    assert row["properties"]["a"] == "+/="


@pytest.mark.parametrize(
    "body,status,text",
    [
        ({"api_key": "phc_nobody", "event": "a", "distinct_id": "b"}, 401, "project API key"),
        ({"event": "a", "distinct_id": "b"}, 401, "event submitted without an api_key"),
        ({"api_key": PROJECT_KEY, "event": "a"}, 400, "event submitted without a distinct_id"),
        ({"api_key": PROJECT_KEY, "batch": []}, 400, "request holds no event"),
        (b"{", 400, "failed to parse request"),
    ],
    ids=["unknown key", "no key", "no distinct id", "empty batch", "not JSON"],
)
def test_refusals_reach_browsers(server, body, status, text):
    got, answer, headers = server.post("/e/", body, {"Origin": "https://shop.example.com"})
    assert (got, text in answer) == (status, True), answer
    assert headers["access-control-allow-origin"] == "https://shop.example.com"
    assert headers["access-control-allow-credentials"] == "true"


def test_query_answers_in_shape(server, prefix):
    body = {"api_key": PROJECT_KEY, "event": f"{prefix} one", "distinct_id": f"{prefix}-user", "properties": {"$browser": "Lynx", "n": 3}}
    assert server.post("/capture/", body)[0] == 200
    server.events(prefix, 1)
    sql = f"select properties.$browser as browser, properties.n as n, count(*) as amount from events where event = '{prefix} one' group by 1, 2"
    assert [(row["browser"], str(row["n"]), row["amount"]) for row in server.query(sql)] == [("Lynx", "3", 1)]
