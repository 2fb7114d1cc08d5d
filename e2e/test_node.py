"""The published posthog-node."""

import os
import subprocess
from pathlib import Path

import pytest
from expect import by_name, story
from server import PROJECT_KEY

PROGRAM = Path(__file__).parent / "node" / "send.cjs"


@pytest.mark.parametrize("mode", ["v0", "v1"])
def test_story(server, prefix, node_modules, mode):
    environment = {**os.environ, "NODE_PATH": str(node_modules), "POSTHOG_CAPTURE_MODE": mode}
    command = ["node", str(PROGRAM), server.url, PROJECT_KEY, prefix]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    rows = server.events(prefix, 16)
    story(server, prefix, rows, "posthog-node")
    (exception,) = by_name(rows)["$exception"]
    assert f"{prefix} went wrong" in str(exception["properties"]["$exception_list"])
