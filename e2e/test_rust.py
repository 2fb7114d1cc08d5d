"""The published posthog-rs. Its first run compiles it."""

import os
import subprocess
from pathlib import Path

import pytest
from expect import story
from server import PROJECT_KEY

MANIFEST = Path(__file__).parent / "rust" / "Cargo.toml"


@pytest.mark.parametrize("mode", ["v0", "v1"])
def test_story(server, prefix, mode, tmp_path_factory):
    # `target` would lie in the checkout; a folder of its own also keeps it out of our builds' lock.
    target = os.environ.get("TENREC_E2E_RUST_TARGET") or str(Path.home() / ".cache" / "tenrec" / "e2e" / "rust")
    features = ["--features", "v1"] if mode == "v1" else []
    command = ["cargo", "run", "--quiet", "--locked", "--manifest-path", str(MANIFEST), *features, "--"]
    ended = subprocess.run(
        [*command, server.url, PROJECT_KEY, prefix],
        env={**os.environ, "CARGO_TARGET_DIR": target},
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    story(server, prefix, server.events(prefix, 14), "posthog-rs")
