"""The pack as ComfyUI, its registry and other people's scripts see it."""

import re
import sys
from importlib.metadata import files
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[1]
PYPROJECT = (ROOT / "pyproject.toml").read_text("utf-8")


def test_scripts_get_the_three_packages_and_nothing_else():
    assert 'packages = ["hicache_core", "hicache_comfy", "hicache_batch", "hicache_batch.saved"]' in PYPROJECT
    origins = [find_spec(name).origin for name in ("hicache_core", "hicache_comfy", "hicache_batch")]
    assert {Path(origin).resolve().parents[1] for origin in origins} == {ROOT}
    assert not [f for f in files("hicache") or () if f.parts[0] == "nodes"]


def test_the_pack_root_is_not_on_the_path():
    """The host has a top-level nodes.py of its own."""
    assert ROOT not in [Path(entry).resolve() for entry in sys.path]


def test_an_artist_installs_nothing():
    lines = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == []
    assert "dependencies = []" in PYPROJECT


def test_the_registry_gets_a_version_it_accepts():
    assert re.search(r'^version = "\d+\.\d+\.\d+"$', PYPROJECT, re.MULTILINE)
    assert re.search(r'^requires-comfyui = ">=\d+\.\d+\.\d+"$', PYPROJECT, re.MULTILINE)


def test_the_registry_gets_addresses_of_one_repository():
    urls = dict(re.findall(r'^"?(\w[\w ]*)"? = "(https://[^"]+)"', PYPROJECT, re.MULTILINE))
    assert urls.keys() == {"Repository", "Documentation", "Bug Tracker", "Issues", "Icon", "Banner"}
    owner = urls["Repository"].removeprefix("https://github.com/")
    pictures = {name: urls.pop(name) for name in ("Icon", "Banner")}
    assert [url for url in urls.values() if not url.startswith(urls["Repository"])] == []
    for url in pictures.values():
        assert (ROOT / url.removeprefix(f"https://raw.githubusercontent.com/{owner}/main/")).is_file()


def test_one_owner_publishes():
    (owner,) = re.findall(r'^Repository = "https://github.com/([^/]+)/', PYPROJECT, re.MULTILINE)
    workflow = (ROOT / ".github" / "workflows" / "publish.yml").read_text("utf-8")
    assert re.findall(r"if: github.repository_owner == '(.+)'", workflow) == [owner]


def test_the_version_is_not_behind_the_changelog():
    def number(version):
        return tuple(map(int, version.split(".")))

    (ours,) = re.findall(r'^version = "(.+)"$', PYPROJECT, re.MULTILINE)
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert [version for version in released if number(version) > number(ours)] == []


def test_sources_are_readable_on_every_windows():
    """The registry's checks refuse Python files outside cp1252."""
    for package in ("hicache_core", "hicache_comfy", "nodes"):
        for file in (ROOT / package).rglob("*.py"):
            file.read_text("utf-8").encode("cp1252")
