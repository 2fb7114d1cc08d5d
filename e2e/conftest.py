"""One running server for all tests, and where the installed tools are."""

import os
import shutil
import uuid
from pathlib import Path

import pytest
from server import Server


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("tenrec") / "data").start()
    yield running
    running.kill()


@pytest.fixture
def prefix():
    """A word of this test's own that its distinct ids and events start with."""
    return "t" + uuid.uuid4().hex[:10]


def _folder(name):
    value = os.environ.get(name)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tenrec" / "e2e"
    return Path(value) if value else cache / {"TENREC_E2E_NODE": "node", "TENREC_E2E_JS": "js"}[name] / "node_modules"


@pytest.fixture(scope="session")
def node_modules():
    return _folder("TENREC_E2E_NODE")


@pytest.fixture(scope="session")
def js_modules():
    return _folder("TENREC_E2E_JS")


@pytest.fixture(scope="session")
def store_python():
    value = os.environ.get("TENREC_E2E_STORE")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tenrec" / "e2e"
    return value or str(cache / "store" / "bin" / "python")


@pytest.fixture(scope="session")
def chromium():
    path = shutil.which(os.environ.get("TENREC_E2E_CHROMIUM", "chromium"))
    assert path, "no Chromium on this machine: install one, or name it in CHROMIUM"
    return path
