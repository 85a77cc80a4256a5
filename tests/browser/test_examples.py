"""Every example workflow in the real frontend, in both renderers; the small ones to the end."""

import json
import re
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import pytest
from examples import EXAMPLES, make, saved
from examples.layout import Example, Node, column, node
from PIL import Image
from playwright.sync_api import Error

pytestmark = pytest.mark.browser

FOLDER = Path(__file__).parents[2] / "example_workflows"
BY_TITLE = {example.title: example for example in EXAMPLES}
PLANS = """() => app.graph.nodes.filter(node => node.type === 'HiCachePatchModel').map(
  node => node.widgets.find(widget => widget.name === 'timeline').element.getAttribute('aria-label') ?? '')"""
TYPES = "() => app.graph.nodes.map(node => [node.type, !!node.constructor.nodeData])"
BOXES = """() => app.graph.nodes.map(node => {
  const drawn = document.querySelector(`[data-node-id="${node.id}"]`)?.getBoundingClientRect();
  const [x, y, width, height] = drawn ? [drawn.x, drawn.y, drawn.width, drawn.height] : node.getBounding();
  return [node.title, x, y, x + width, y + height];
})"""
SAMPLER_STEPS = {  # that one run makes
    "KSampler": lambda steps, **_: steps,
    "KSamplerAdvanced": lambda steps, start_at_step, end_at_step, **_: min(steps, end_at_step) - start_at_step,
}


def load(title):
    return json.loads((FOLDER / f"{title}.json").read_text("utf-8"))


def expected_steps(example):
    """Of the runs behind every Patch node."""
    patches = [row.key for row in example.nodes if row.type == "HiCachePatchModel"]
    samplers = [row for row in example.nodes if row.type in SAMPLER_STEPS]
    sampled = {row.links["model"][0]: SAMPLER_STEPS[row.type](**row.widgets) for row in samplers}
    return [sampled[key] for key in patches]


@dataclass(frozen=True)
class Look:
    types: list
    plans: list
    boxes: list
    problems: list


@pytest.fixture(scope="module")
def looks(frontend):
    """What every example shows, by title: each is opened once."""
    seen = {}
    for title in BY_TITLE:
        frontend.open_anew(load(title))
        frontend.page.wait_for_function(f"() => ({PLANS})().every(text => / steps computed/.test(text))")
        seen[title] = Look(*(frontend.evaluate(script) for script in (TYPES, PLANS, BOXES)), [*frontend.problems])
    return seen


every_example = pytest.mark.parametrize("title", BY_TITLE)


@every_example
def test_no_node_is_missing(looks, title):
    types = looks[title].types
    assert sorted(kind for kind, known in types if not known) == ["MarkdownNote"]
    assert len(types) == 1 + len(list(BY_TITLE[title].nodes))


@every_example
def test_every_patch_node_shows_the_plan_of_its_run(looks, title):
    plans = [re.match(r"(\d+) of (\d+) steps computed", text) for text in looks[title].plans]
    assert [int(plan[2]) for plan in plans] == expected_steps(BY_TITLE[title])
    told = re.findall(r"(\d+) of (?:the|its) (\d+) steps", BY_TITLE[title].note)
    assert set(told) == {plan.groups() for plan in plans}


def overlaps(boxes):
    for (one, a, b, c, d), (other, e, f, g, h) in combinations(boxes, 2):
        if min(c, g) - max(a, e) > 1 and min(d, h) - max(b, f) > 1:
            yield f"{one} and {other}"


@every_example
def test_no_two_nodes_overlap(looks, title):
    assert len(looks[title].boxes) == 1 + len(list(BY_TITLE[title].nodes))
    assert list(overlaps(looks[title].boxes)) == []


def test_overlapping_nodes_are_found():
    assert list(overlaps([("a", 0, 0, 10, 10), ("b", 5, 5, 15, 15), ("c", 10, 0, 20, 5)])) == ["a and b"]


@every_example
def test_nothing_of_ours_is_in_the_console(looks, title):
    assert [text for text in looks[title].problems if "hicache" in text.lower()] == []


@every_example
def test_it_is_not_too_large_for_a_screen(title):
    nodes = load(title)["nodes"]
    assert max(n["pos"][0] + n["size"][0] for n in nodes) - min(n["pos"][0] for n in nodes) <= 1850
    assert max(n["pos"][1] + n["size"][1] for n in nodes) - min(n["pos"][1] for n in nodes) <= 1150


@pytest.mark.parametrize("frontend", ["classic"], indirect=True)
@every_example
def test_the_file_is_what_the_script_writes(frontend, title):
    """If not: python dev.py exec -- python -m examples"""
    make(frontend, BY_TITLE[title])
    assert json.loads(saved(frontend, BY_TITLE[title])) == load(title)


@pytest.mark.parametrize("frontend", ["classic"], indirect=True)
@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (Node("a", "Loader", {}, {}), "This ComfyUI has no node Loader"),
        (Node("a", "KSampler", {}, {"speed": 2}), "KSampler has no widget speed"),
        (Node("a", "VAEDecode", {"vae": ("b", "")}, {}), "a.vae does not take b"),
        (Node("a", "VAEDecode", {"vae": ("vae", "MODEL")}, {}), "a.vae does not take vae"),
        (Node("a", "VAEDecode", {"samples": ("vae", "")}, {}), "a.samples does not take vae"),
    ],
)
def test_a_row_that_does_not_fit_is_refused(frontend, wrong, complaint):
    with pytest.raises(Error, match=re.escape(complaint)):
        make(frontend, Example("wrong", "", (column(node("vae", "VAELoader"), wrong),)))


@pytest.mark.parametrize("frontend", ["classic"], indirect=True)
@pytest.mark.parametrize("title", [example.title for example in EXAMPLES if example.run])
def test_it_runs_to_its_end(frontend, title):
    frontend.open_anew(load(title))
    frontend.queue()
    frontend.wait_until_idle()
    (entry,) = frontend.evaluate("async () => Object.values(await (await fetch('/history?max_items=1')).json())")
    assert entry["status"]["status_str"] == "success"
    assert [text for text in frontend.evaluate(PLANS) if not re.match(r"20 of 50 computed", text)] == []
    texts = [line for output in entry["outputs"].values() for line in output.get("text", [])]
    if BY_TITLE[title].columns[-1].nodes[0].type == "HiCacheCompare":
        assert texts
        assert all(text.startswith("PSNR") for text in texts)


def test_every_file_is_an_example_and_has_a_picture():
    assert {file.stem for file in FOLDER.glob("*.json")} == {file.stem for file in FOLDER.glob("*.jpg")} == {*BY_TITLE}
    for file in FOLDER.glob("*.jpg"):
        with Image.open(file) as picture:
            assert picture.format == "JPEG"
            assert picture.width >= 480
        assert file.stat().st_size <= 150_000
