"""The real frontend on a real server, in both renderers."""

import json
import os
from pathlib import Path

import pytest
from comfy_client import running_server
from frontend import find_or_install, one_picture, opened


@pytest.fixture(scope="session")
def chromium():
    path = find_or_install()
    if path is None:
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up("There is no Chromium: install one, `apt-get install chromium` on Debian.")
    return path


@pytest.fixture(scope="session")
def server():
    with running_server(Path(os.environ["COMFYUI_PATH"]), prepare=one_picture.add_dataset) as running:
        yield running


@pytest.fixture(scope="module", params=["classic", "nodes 2.0"])
def frontend(request, server, chromium):
    """One tab for all tests of a module; each opens its workflow anew."""
    with opened(server.url, chromium, vue=request.param != "classic") as tab:
        yield tab


@pytest.fixture
def small(frontend):
    """The example that runs on any machine, with one picture, opened."""
    frontend.open_anew(one_picture.example())
    return frontend


@pytest.fixture
def six(frontend):
    """The same with its six pictures, six runs one after the other."""
    frontend.open_anew(json.loads(one_picture.EXAMPLE.read_text("utf-8")))
    return frontend
