"""The published posthog-js bundle in headless Chromium, on a page of another origin."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from expect import by_name, company, groups, one_person, person
from server import PROJECT_KEY, until

PROGRAM = Path(__file__).parent / "js" / "browse.cjs"


@pytest.fixture(scope="module")
def visit(server, js_modules, chromium):
    """One visit; the tests below look at it from different sides."""
    prefix = "b" + os.urandom(5).hex()
    command = ["node", str(PROGRAM), server.url, PROJECT_KEY, prefix, chromium]
    environment = {**os.environ, "NODE_PATH": str(js_modules)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    told = json.loads(ended.stdout.splitlines()[-1])
    told["prefix"] = prefix
    ids = f"('{prefix}-user', '{told['anonymous']}')"

    def rows():
        found = server.query(
            "select uuid, event, distinct_id, person_id, properties, elements_chain, group_0, group_1, group_2, group_3, group_4 "
            f"from events_resolved where distinct_id in {ids} order by timestamp limit 1000"
        )
        for row in found:
            if isinstance(row["properties"], str):
                row["properties"] = json.loads(row["properties"])
        return found

    until(lambda: f"{prefix} leaving" in by_name(rows()), f"the beacon has arrived; requests: {told['requests']}")
    told["rows"] = rows()
    return told


def test_every_event_is_visible_once(visit):
    uuids = [row["uuid"] for row in visit["rows"]]
    assert len(set(uuids)) == len(uuids)
    sent = {event["uuid"]: event["name"] for event in visit["captured"] if event["name"] != "$snapshot"}
    missing = {name for uuid, name in sent.items() if uuid not in uuids}
    assert not missing
    assert len(by_name(visit["rows"])["$pageview"]) == 1


def test_identify_unites(visit, server):
    names = by_name(visit["rows"])
    (before,) = names[f"{visit['prefix']} before"]
    (after,) = names[f"{visit['prefix']} after"]
    assert before["distinct_id"] == visit["anonymous"]
    assert before["properties"]["number"] == 41.5
    assert after["properties"]["text"] == "naïve ☕"
    assert after["properties"]["$lib"] == "web"
    assert groups(after) == [f"{visit['prefix']}-company"]
    person_id = one_person(visit["rows"])
    assert person(server, person_id)["plan"] == "pro"
    assert company(server, visit["prefix"])["seats"] == 3


def test_autocapture(visit):
    clicks = by_name(visit["rows"])["$autocapture"]
    assert len(clicks) == 2
    for click in clicks:
        assert click["properties"]["$event_type"] == "click"
        chain = click["elements_chain"] or json.dumps(click["properties"])
        assert "button" in chain and "Buy now" in chain


def test_beacon_on_leaving(visit):
    assert len(by_name(visit["rows"])[f"{visit['prefix']} leaving"]) == 1
    assert any("/e/" in beacon["url"] and beacon["taken"] for beacon in visit["beacons"]), visit["beacons"]


def test_session_recording(visit, server):
    session = visit["rows"][0]["properties"]["$session_id"]
    sql = f"select event_count from session_replay_blocks where session_id = '{session}' limit 100"
    blocks = until(lambda: server.query(sql), f"blocks of session {session}; {visit['requests']}")
    assert sum(block["event_count"] for block in blocks) > 1


def test_no_request_was_refused(visit):
    # Feature flags and extensions are asked for by path; not having them is an answer, not a refusal of events.
    events = [r for r in visit["requests"] if r["method"] == "POST" and r["url"].split("?")[0] in ("/e/", "/i/v0/e/", "/s/")]
    assert events
    assert {request.get("status") for request in events} == {200}
    assert not [line for line in visit["problems"] if "CORS" in line], visit["problems"]
