"""The documents and the tree say the same."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def drawn_paths():
    """Every path in the picture of docs/architecture.md; two spaces of indentation mean the folder above."""
    (picture,) = re.findall(r"```\n(.*?)```", (ROOT / "docs" / "architecture.md").read_text("utf-8"), re.DOTALL)
    folder = Path()
    for line in picture.splitlines():
        name = line.split()[0]
        if not line.startswith(" "):
            folder = Path(name) if name.endswith("/") else Path()
            yield Path(name)
        else:
            yield folder / name


def test_everything_in_the_picture_exists():
    assert [str(path) for path in drawn_paths() if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("package", ["hicache_core", "hicache_comfy", "nodes"])
def test_every_module_is_in_the_picture(package):
    modules = {path.relative_to(ROOT) for path in (ROOT / package).glob("*.py") if path.name != "__init__.py"}
    assert modules - set(drawn_paths()) == set()


def test_help_pages_name_every_input():
    nodes = json.loads((ROOT / "tests" / "server" / "object_info.json").read_text("utf-8"))
    assert nodes
    for node, info in nodes.items():
        page = (ROOT / "web" / "docs" / f"{node}.md").read_text("utf-8")
        names = [name for group in ("required", "optional") for name in info["input"].get(group, {})]
        assert [name for name in names if not re.search(rf"\b{name}\b", page)] == []


@pytest.mark.parametrize("page", [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")], ids=lambda page: page.name)
def test_links_between_documents_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []
