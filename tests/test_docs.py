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


@pytest.mark.parametrize("package", ["hicache_core", "hicache_comfy", "nodes", "hicache_batch", "hicache_batch/saved"])
def test_every_module_is_in_the_picture(package):
    modules = {path.relative_to(ROOT) for path in (ROOT / package).glob("*.py") if not path.name.startswith("__")}
    assert modules - set(drawn_paths()) == set()


def test_every_tool_and_every_suite_is_in_the_picture():
    def folders(name):
        return {path.parent.relative_to(ROOT) for path in (ROOT / name).glob("*/*.py")}

    assert folders("tools") - set(drawn_paths()) == set()
    (suites,) = re.findall(r"^tests/ +(.*) mirror the code$", (ROOT / "docs/architecture.md").read_text("utf-8"), re.M)
    assert {Path("tests") / suite for suite in suites.split()} == folders("tests")


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
    links = re.findall(r'(?:\]\(|src=")(?!https?:)([^)#"]+)', page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


READMES = [ROOT / "README.md", ROOT / "README_CN.md"]
both_readmes = pytest.mark.parametrize("readme", READMES, ids=lambda page: page.name)
BENCHMARKS = ROOT / "docs" / "benchmarks"


def rows(page):
    """The cells of every line of every table, without bold type."""
    lines = re.findall(r"^\|(.*)\|$", page.read_text("utf-8"), re.MULTILINE)
    return [[cell.strip().replace("**", "") for cell in line.split("|")] for line in lines]


def levels_of_models(page):
    """{name: (output, stack and block, module)} of a table whose first cell is one name or several."""
    ticked = [(cells[0].split(", "), *cells[-3:]) for cells in rows(page) if "✓" in cells and len(cells) == 4]
    return {name: levels for names, *levels in ticked for name in names}


@both_readmes
def test_the_readme_has_every_model_with_its_levels(readme):
    families = levels_of_models(readme)
    used = set()
    for name, _, _, *levels, _ in (cells for cells in rows(ROOT / "docs" / "models.md") if len(cells) == 7):
        if name != "model" and "✓" in levels:
            family = max((f for f in families if name.startswith(f)), key=len, default=name)
            used.add(family)
            assert levels == families.get(family), name
    assert used == families.keys()


def test_the_readme_has_the_figures_of_the_grid():
    """benchmarks/grid.py: some lines of its first table, calls by the demo apart."""
    measured = [cells[1:] for cells in rows(BENCHMARKS / "grid.md") if len(cells) == 7]
    shown = [cells[1:] for cells in rows(READMES[0]) if len(cells) == 7 and cells[2] in ("euler", "res_multistep")]
    assert len(shown) >= 6
    assert [cells for cells in shown if cells not in measured] == []


def test_the_readme_has_the_figures_of_the_fidelity_pages():
    """benchmarks/fidelity.py: the best of each kind, without its name."""
    pages = [BENCHMARKS / f"fidelity_{model}.md" for model in ("flux", "qwen_image")]
    measured = [cells[:4] for page in pages for cells in rows(page) if len(cells) == 5 and cells[0].isdigit()]
    shown = [cells[1:] for cells in rows(READMES[0]) if len(cells) == 5 and cells[1].isdigit()]
    assert len(shown) == len(measured) == 6
    for ours, theirs in zip(shown, measured, strict=True):
        assert [cell.replace("**", "") for cell in ours] == [re.sub(r"\).*", ")", cell) for cell in theirs]


def test_both_languages_give_the_same_figures_and_links():
    english, chinese = (page.read_text("utf-8") for page in READMES)
    for pattern in (r"\d+\.\d+", r"\]\((docs/[^)]+|https:[^)]+)\)", r"src=\"(.+?)\"", r"```\n(.*?)```"):
        assert re.findall(pattern, english, re.DOTALL) == re.findall(pattern, chinese, re.DOTALL)
