"""What an SDK must have left behind after the story that each of its programs tells:

`PREFIX before` by an anonymous id, identify as `PREFIX-user` with plan=pro, an alias, a company with seats=3,
`PREFIX after` in that company, then ten `PREFIX batch` events.
"""

import json


def by_name(rows):
    found = {}
    for row in rows:
        found.setdefault(row["event"], []).append(row)
    return found


def one_person(rows):
    people = {row["person_id"] for row in rows}
    assert len(people) == 1, {row["event"]: (row["distinct_id"], row["person_id"]) for row in rows}
    return people.pop()


def person(server, person_id):
    (row,) = server.query(f"select properties from persons_current where id = '{person_id}'")
    properties = row["properties"]
    return json.loads(properties) if isinstance(properties, str) else properties


def groups(row):
    return [row[f"group_{slot}"] for slot in range(5) if row[f"group_{slot}"]]


def company(server, prefix):
    rows = server.query(
        f"select properties from groups where group_key = '{prefix}-company' order by version desc limit 1"
    )
    assert rows, "the group is not there"
    properties = rows[0]["properties"]
    return json.loads(properties) if isinstance(properties, str) else properties


def story(server, prefix, rows, lib):
    """Checks the story; `rows` are all events whose distinct id starts with `prefix`."""
    names = by_name(rows)
    (before,) = names[f"{prefix} before"]
    (after,) = names[f"{prefix} after"]
    assert before["properties"]["number"] == 41.5
    assert before["distinct_id"] == f"{prefix}-anonymous"
    assert after["properties"]["text"] == "naïve ☕"
    assert after["properties"]["$lib"] == lib
    assert groups(after) == [f"{prefix}-company"]
    batch = names[f"{prefix} batch"]
    assert sorted(row["properties"]["number"] for row in batch) == list(range(10))
    assert all(row["distinct_id"] == f"{prefix}-user" for row in batch)
    # Everything the anonymous visitor did now belongs to the person.
    person_id = one_person([before, after, *batch, *names["$create_alias"]])
    assert person(server, person_id)["plan"] == "pro"
    assert company(server, prefix)["seats"] == 3
