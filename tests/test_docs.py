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


FOR_TYPES = {"en": {}, "zh": {"MODEL": "模型", "IMAGE": "图像"}}  # the frontend's own names


def read_json(*path):
    return json.loads(ROOT.joinpath(*path).read_text("utf-8"))


def help_page(node, language):
    """Where the frontend looks; English stands in for every language that has no page."""
    return ROOT / "web" / "docs" / (f"{node}.md" if language == "en" else f"{node}/{language}.md")


def first_cells(page):
    """Of the rows of every table below its head."""
    tables = re.findall(r"^\|.*\|\n\|[-|]+\|\n((?:\|.*\n)+)", page, re.MULTILINE)
    return [[row.split("|")[1].strip() for row in table.splitlines()] for table in tables]


def expected_cells(info, texts, language):
    """Of the tables of inputs and outputs: what stands on the node, and the name in workflows where that is another."""
    inputs = [name for group in ("required", "optional") for name in info["input_order"].get(group, ())]
    labels = [texts["inputs"][name]["name"] for name in inputs]
    outputs = [texts["outputs"][str(index)] for index in range(len(info["output"]))]
    types = [FOR_TYPES[language].get(kind, kind) for kind in info["output"]]
    shown = [output.get("name", of_type) for output, of_type in zip(outputs, types, strict=True)]
    return [both(labels, inputs), both(shown, info["output_name"])]


def both(labels, names):
    return [name if label == name else f"{label} {name}" for label, name in zip(labels, names, strict=True)]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_node_has_a_help_page(language):
    nodes = read_json("locales", language, "nodeDefs.json")
    assert len(nodes) == 4
    for node, texts in nodes.items():
        assert help_page(node, language).read_text("utf-8").startswith(f"# {texts['display_name']}\n\n")


def test_every_help_page_is_of_a_node():
    nodes = read_json("locales", "en", "nodeDefs.json")
    pages = {help_page(node, language) for node in nodes for language in ("en", "zh")}
    assert {file for file in (ROOT / "web" / "docs").rglob("*") if file.is_file()} == pages


@pytest.mark.parametrize("language", ["en", "zh"])
def test_help_pages_have_a_row_for_every_input_and_output(language):
    nodes = read_json("tests", "server", "object_info.json")
    assert nodes
    texts = read_json("locales", language, "nodeDefs.json")
    for node, info in nodes.items():
        page = help_page(node, language).read_text("utf-8")
        assert first_cells(page)[:2] == expected_cells(info, texts[node], language), node


def test_a_missing_row_is_found():
    page = help_page("HiCacheSettings", "en").read_text("utf-8")
    (inputs, outputs) = first_cells(page)
    (less, same) = first_cells(re.sub(r"^\| level \|.*\n", "", page, flags=re.MULTILINE))
    assert [name for name in inputs if name not in less] == ["level"]
    assert outputs == same == ["SETTINGS"]


@pytest.mark.parametrize("page", [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")], ids=lambda page: page.name)
def test_links_between_documents_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []
