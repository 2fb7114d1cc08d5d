"""The published posthog-python."""

import pytest
from expect import by_name, one_person, person, story
from posthog import Posthog
from server import PROJECT_KEY


@pytest.mark.parametrize("gzip", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("mode", ["v0", "v1"])
def test_story(server, prefix, mode, gzip):
    errors = []
    client = Posthog(
        PROJECT_KEY,
        host=server.url,
        gzip=gzip,
        capture_mode=mode,
        on_error=lambda fault, items: errors.append(fault),
    )
    user, anonymous = f"{prefix}-user", f"{prefix}-anonymous"
    client.capture(f"{prefix} before", distinct_id=anonymous, properties={"number": 41.5})
    client.capture("$identify", distinct_id=user, properties={"$anon_distinct_id": anonymous, "$set": {"plan": "pro"}})
    client.alias(user, f"{prefix}-alias")
    client.group_identify("company", f"{prefix}-company", {"seats": 3}, distinct_id=user)
    client.capture(
        f"{prefix} after", distinct_id=user, properties={"text": "naïve ☕"}, groups={"company": f"{prefix}-company"}
    )
    for number in range(10):
        client.capture(f"{prefix} batch", distinct_id=user, properties={"number": number})
    client.shutdown()
    assert not errors
    story(server, prefix, server.events(prefix, 15), "posthog-python")


@pytest.mark.parametrize("mode", ["v0", "v1"])
def test_set_and_exception(server, prefix, mode):
    client = Posthog(PROJECT_KEY, host=server.url, capture_mode=mode)
    user = f"{prefix}-user"
    client.set(distinct_id=user, properties={"plan": "pro", "seen": 1})
    client.set_once(distinct_id=user, properties={"plan": "free", "first": "ad"})
    try:
        raise ValueError(f"{prefix} went wrong")
    except ValueError as fault:
        client.capture_exception(fault, distinct_id=user)
    client.shutdown()
    rows = server.events(prefix, 3)
    names = by_name(rows)
    properties = person(server, one_person(rows))
    assert (properties["plan"], properties["first"], properties["seen"]) == ("pro", "ad", 1)
    (exception,) = names["$exception"]
    assert f"{prefix} went wrong" in str(exception["properties"]["$exception_list"])


def test_personless(server, prefix):
    client = Posthog(PROJECT_KEY, host=server.url)
    client.capture(f"{prefix} quiet", distinct_id=f"{prefix}-user", properties={"$process_person_profile": False})
    client.shutdown()
    (row,) = server.events(prefix, 1)
    assert server.query(f"select id from persons_current where id = '{row['person_id']}'") == []


def test_same_uuid_is_visible_once(server, prefix):
    for _ in range(3):
        client = Posthog(PROJECT_KEY, host=server.url)
        client.capture(
            f"{prefix} again",
            distinct_id=f"{prefix}-user",
            uuid="0193a1b2-0000-7000-8000-" + prefix[1:].rjust(12, "0"),
            timestamp="2026-11-20T10:00:00Z",
        )
        client.shutdown()
    client = Posthog(PROJECT_KEY, host=server.url)
    client.capture(f"{prefix} last", distinct_id=f"{prefix}-user")
    client.shutdown()
    assert set(by_name(server.events(prefix, 2))) == {f"{prefix} again", f"{prefix} last"}
