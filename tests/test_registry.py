"""The pack as the registry makes it and as an artist gets it: checked and packed by comfy-cli, loaded from the zip."""

import json
import os
import re
import shutil
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote
from zipfile import ZipFile

import pytest
from comfy_client import running_server
from registry import NotInstalled, comfy, copy_tracked, install

pytestmark = pytest.mark.server

ROOT = Path(__file__).parents[1]
FOLDER = "ComfyUI-HiCache"  # as `git clone` names it; the other tests call it hicache
PACKED = {
    *("README.md", "README_CN.md", "CHANGELOG.md", "LICENSE", "pyproject.toml", "requirements.txt", "__init__.py"),
    *("hicache_core", "hicache_comfy", "nodes", "web", "locales", "example_workflows"),
}
LARGEST, WHOLE = 10_000_000, 5_000_000  # bytes, of a file in the zip and of the zip
NODES = {"HiCachePatchModel", "HiCacheSettings", "HiCacheReport", "HiCacheCompare"}


def give_up(sentence):
    (pytest.fail if os.environ.get("CI") else pytest.skip)(sentence)


@pytest.fixture(scope="module")
def program():
    try:
        return install()
    except NotInstalled as reason:
        give_up(f"comfy-cli cannot be installed: {reason}")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkout")
    return SimpleNamespace(folder=folder, names=copy_tracked(ROOT, folder))


@pytest.fixture(scope="module")
def packed(program, checkout):
    comfy(program, checkout.folder, "pack")
    with ZipFile(checkout.folder / "node.zip") as archive:
        yield archive


@pytest.fixture(scope="module")
def server(packed, tmp_path_factory):
    host, folder = Path(os.environ.get("COMFYUI_PATH", "")), tmp_path_factory.mktemp("unpacked")
    if not (host / "main.py").is_file():
        give_up(f"There is no ComfyUI in {str(host)!r}: run `python dev.py test`.")
    packed.extractall(folder)
    with running_server(host, {FOLDER: folder}, with_pack=False) as running:
        yield running


def read(server, *path):
    with urllib.request.urlopen(f"{server.url}/{quote('/'.join(path))}", timeout=30) as answer:
        return answer.read()


def complaints(text):
    return [line for line in text.splitlines() if re.search("warning|error|not found", line, re.IGNORECASE)]


def test_why_comfy_cli_is_missing_is_said(tmp_path, monkeypatch):
    shutil.copy(ROOT / "dev.py", tmp_path)
    (tmp_path / ".host").touch()
    monkeypatch.setenv("HICACHE_REPO", str(tmp_path))
    with pytest.raises(NotInstalled, match=re.escape(str(tmp_path / ".host"))):
        install()


def test_comfy_cli_finds_nothing_wrong(program, checkout):
    text = comfy(program, checkout.folder, "validate")
    assert "All validation checks passed" in text
    assert complaints(text) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('requires-comfyui = ">=0.16.3"', 'requires-comfyui = ">=0.16"'),
        ("GPU :: NVIDIA CUDA", "GPU :: Any"),
        ("OS Independent", "Any"),
    ],
)
def test_comfy_cli_finds_metadata_that_the_registry_drops(program, tmp_path, right, wrong):
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    assert right in text
    (tmp_path / "pyproject.toml").write_text(text.replace(right, wrong), "utf-8")
    assert complaints(comfy(program, tmp_path, "validate"))


def test_the_zip_has_every_file_of_the_pack_and_no_other(packed, checkout):
    wanted = {name for name in checkout.names if name.split("/")[0] in PACKED}
    assert {name.split("/")[0] for name in wanted} == PACKED
    assert set(packed.namelist()) == wanted


def test_the_zip_is_small(packed):
    assert max(entry.file_size for entry in packed.infolist()) < LARGEST
    assert Path(packed.filename).stat().st_size < WHOLE


def test_the_host_loads_the_nodes_from_the_zip(server):
    info = json.loads(read(server, "object_info"))
    assert {name for name, node in info.items() if node["python_module"] == f"custom_nodes.{FOLDER}"} == NODES
    assert not re.search(rf'(IMPORT FAILED|File ").*custom_nodes.{FOLDER}', server.log)


def test_the_host_serves_what_the_browser_needs(server, packed):
    assert f"/extensions/{FOLDER}/hicache.js" in json.loads(read(server, "extensions"))
    pages = [name for name in packed.namelist() if name.startswith("web/")]
    assert {"web/docs/HiCachePatchModel.md", "web/docs/HiCachePatchModel/zh.md"} < set(pages)
    for name in pages:
        assert read(server, "extensions", FOLDER, *name.split("/")[1:]) == packed.read(name), name


def test_the_host_has_the_texts_of_the_nodes(server):
    texts = json.loads(read(server, "i18n"))
    for language in ("en", "zh"):
        assert texts[language]["nodeDefs"].keys() >= NODES


def test_the_host_offers_the_example_workflows(server, packed):
    names = {Path(name).stem for name in packed.namelist() if re.fullmatch(r"example_workflows/[^/]+\.json", name)}
    assert names
    assert set(json.loads(read(server, "workflow_templates"))[FOLDER]) == names


def test_a_deleted_file_is_not_copied(tmp_path, checkout):
    shutil.copytree(checkout.folder, tmp_path / "one")
    (tmp_path / "one" / "LICENSE").unlink()
    assert "LICENSE" in checkout.names
    assert set(checkout.names) - set(copy_tracked(tmp_path / "one", tmp_path / "two")) == {"LICENSE"}
