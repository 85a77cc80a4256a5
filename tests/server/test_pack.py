"""The pack inside a real server: that it loads, and that nothing of it or of the host is there twice."""

import json
import os
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.server

SNAPSHOT = Path(__file__).with_name("object_info.json")
NODES = ("HiCachePatchModel", "HiCacheSettings", "HiCacheReport", "HiCacheCompare")
FIELDS = (
    *("display_name", "description", "category", "search_aliases"),
    *("input_order", "output", "output_name", "output_tooltips"),
)
OPTIONS = ("default", "min", "max", "step", "options", "tooltip", "advanced", "display")


def test_the_pack_loads_without_an_error(host):
    assert re.search(r"seconds: .*custom_nodes.hicache$", host.startup_log, re.MULTILINE)
    assert not re.search(r'File ".*custom_nodes.hicache', host.startup_log)


def test_every_node_is_registered_by_the_pack(host):
    ours = {name for name, node in host.info.items() if node["python_module"] == "custom_nodes.hicache"}
    assert ours == set(NODES)


def ours(node):
    """The part of an /object_info entry that the pack decides, the same on every host."""
    inputs = {
        name: [kind, {option: value for option, value in options.items() if option in OPTIONS and value is not False}]
        for section in ("required", "optional")
        for name, (kind, options) in node["input"].get(section, {}).items()
    }
    return {"input": inputs, **{field: node[field] for field in FIELDS}}


def test_artists_see_what_they_saw(host):
    """Saved workflows depend on it. After a change that is meant: HICACHE_WRITE_SNAPSHOT=1 python dev.py test
    tests/server/test_pack.py, and read the difference."""
    found = {name: ours(host.info[name]) for name in NODES}
    if os.environ.get("HICACHE_WRITE_SNAPSHOT"):
        SNAPSHOT.write_text(json.dumps(found, indent=2) + "\n", "utf-8", newline="\n")
    assert found == json.loads(SNAPSHOT.read_text("utf-8"))


@pytest.fixture
def report(host):
    return host.run({"1": {"class_type": "HiCacheTestReport", "inputs": {}}}).outputs["1"]


def test_import_nodes_is_the_hosts(host, report):
    assert Path(report["nodes"][0]).resolve() == (host.path / "nodes.py").resolve()


def test_the_server_has_one_settings_class(report):
    assert len(report["settings"]) == 1


def test_the_pack_root_is_not_on_the_servers_path(host, report):
    root = (host.server.base / "custom_nodes" / "hicache").resolve()
    assert root not in [Path(entry) for entry in report["path"]]
