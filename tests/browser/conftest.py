"""The real frontend on a real server, in both renderers."""

import json
import os
import uuid
from pathlib import Path

import pytest
from comfy_client import running_server
from frontend import find_or_install, opened

REPO = Path(__file__).parents[2]
EXAMPLES = REPO / "example_workflows"
SMALL = EXAMPLES / "HiCache on the small bundled Flux.json"


@pytest.fixture(scope="session")
def chromium():
    path = find_or_install()
    if path is None:
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up("There is no Chromium: install one, `apt-get install chromium` on Debian.")
    return path


@pytest.fixture(scope="session")
def server():
    with running_server(Path(os.environ["COMFYUI_PATH"])) as running:
        yield running


@pytest.fixture(scope="module", params=["classic", "nodes 2.0"])
def frontend(request, server, chromium):
    """One tab for all tests of a module; each opens its workflow anew."""
    with opened(server.url, chromium, vue=request.param != "classic") as tab:
        yield tab


@pytest.fixture(scope="session")
def fresh(tmp_path_factory):
    """Copies a workflow with an id of its own: the server remembers what ran in it, and that is shown before a plan."""

    def copy(workflow):
        saved = json.loads(workflow.read_text("utf-8")) | {"id": str(uuid.uuid4())}
        file = tmp_path_factory.mktemp("workflow") / workflow.name
        file.write_text(json.dumps(saved), "utf-8")
        return file

    return copy


@pytest.fixture
def small(frontend, fresh):
    """The example that runs on any machine, opened."""
    frontend.open(fresh(SMALL))
    return frontend
