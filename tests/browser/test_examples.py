"""Every example workflow in the real frontend, in both renderers; the small ones to the end."""

import json
import re
from itertools import combinations
from pathlib import Path

import pytest
from examples import EXAMPLES, make, saved
from PIL import Image

pytestmark = pytest.mark.browser

FOLDER = Path(__file__).parents[2] / "example_workflows"
BY_TITLE = {example.title: example for example in EXAMPLES}
PLANS = """() => app.graph.nodes.filter(node => node.type === 'HiCachePatchModel').map(
  node => node.widgets.find(widget => widget.name === 'timeline').element.getAttribute('aria-label') ?? '')"""
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


@pytest.fixture(scope="module", params=BY_TITLE)
def opened_example(request, frontend):
    """An example, opened once for all tests that only look."""
    frontend.open(FOLDER / f"{request.param}.json")
    frontend.page.wait_for_function(f"() => ({PLANS})().every(text => / steps computed/.test(text))", timeout=60_000)
    return BY_TITLE[request.param]


def test_no_node_is_missing(frontend, opened_example):
    types = frontend.evaluate("() => app.graph.nodes.map(node => [node.type, !!node.constructor.nodeData])")
    assert sorted(kind for kind, known in types if not known) == ["MarkdownNote"]
    assert len(types) == 1 + len(list(opened_example.nodes))


def test_every_patch_node_shows_the_plan_of_its_run(frontend, opened_example):
    plans = [re.match(r"(\d+) of (\d+) steps computed", text) for text in frontend.evaluate(PLANS)]
    assert [int(plan[2]) for plan in plans] == expected_steps(opened_example)
    told = re.findall(r"(\d+) of (?:the|its) (\d+) steps", opened_example.note)
    assert set(told) == {plan.groups() for plan in plans}


def overlaps(boxes):
    for (one, a, b, c, d), (other, e, f, g, h) in combinations(boxes, 2):
        if min(c, g) - max(a, e) > 1 and min(d, h) - max(b, f) > 1:
            yield f"{one} and {other}"


def test_no_two_nodes_overlap(frontend, opened_example):
    boxes = frontend.evaluate(BOXES)
    assert len(boxes) == 1 + len(list(opened_example.nodes))
    assert list(overlaps(boxes)) == []


def test_overlapping_nodes_are_found():
    assert list(overlaps([("a", 0, 0, 10, 10), ("b", 5, 5, 15, 15), ("c", 10, 0, 20, 5)])) == ["a and b"]


def test_it_is_not_too_large_for_a_screen(opened_example):
    boxes = [(x, y, x + w, y + h) for _, (x, y), (w, h) in opened_example.boxes()]
    left, top = min(x for x, *_ in boxes), -opened_example.note_size[1]
    assert max(right for *_, right, _ in boxes) - left <= 1850
    assert max(bottom for *_, bottom in boxes) - top <= 1150


def test_nothing_of_ours_is_in_the_console(frontend, opened_example):
    assert [text for text in frontend.problems if "hicache" in text.lower()] == []


@pytest.mark.parametrize("frontend", ["classic"], indirect=True)
@pytest.mark.parametrize("title", BY_TITLE)
def test_the_file_is_what_the_script_writes(frontend, title):
    """If not: python dev.py exec -- python -m examples"""
    make(frontend, BY_TITLE[title])
    assert json.loads(saved(frontend, BY_TITLE[title])) == load(title)


@pytest.mark.parametrize("frontend", ["classic"], indirect=True)
@pytest.mark.parametrize("title", [example.title for example in EXAMPLES if example.run])
def test_it_runs_to_its_end(frontend, title):
    frontend.open(FOLDER / f"{title}.json")
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
