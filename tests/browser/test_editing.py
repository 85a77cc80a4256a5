"""An artist's hands on the nodes: search, links, slider, undo, copies, bypass, files; in both renderers."""

import io
import json
import urllib.parse
import urllib.request

import pytest
from frontend.timeline import ROOT, wait_for
from PIL import Image, ImageChops

pytestmark = pytest.mark.browser

CONNECTED = """[patchNode().inputs[0].link !== null, patchNode().id ===
  app.graph.getLink(app.graph.nodes.find(n => n.type === 'KSampler').inputs[0].link)?.origin_id]"""
SPEED = "patchNode()?.widgets.find(w => w.name === 'speed').value"
OTHERS = {  # a value for every widget that is not its default
    "HiCachePatchModel": {"mode": "adaptive", "speed": 3.3, "tolerance": 0.008},
    "HiCacheSettings": {
        "basis": "taylor",
        "order": 2,
        "contraction": 0.35,
        "warmup_steps": 4,
        "start_percent": 0.05,
        "end_percent": 0.95,
        "level": "stack",
        "stabilizer": False,
        "corrector": False,
        "explosion_limit": 40.0,
        "steps": "0, 1, 5-9",
        "cache_device": "cpu",
        "signal_floor": 0.02,
        "max_gap": 5,
    },
    "HiCacheReport": {"scale": 1},
    "HiCacheCompare": {"amplify": 4.0},
}


def widgets(frontend, kind):
    return frontend.evaluate(
        """kind => Object.fromEntries(app.graph.nodes.find(n => n.type === kind).widgets
          .filter(w => w.serialize !== false && w.type !== 'button').map(w => [w.name, w.value]))""",
        kind,
    )


def link(frontend, output, slot, target, into):
    """Drags a link; the nodes by type."""
    start, end = frontend.evaluate(
        """([output, slot, target, into]) => {
          const of = type => app.graph.nodes.find(n => n.type === type);
          const place = of(target).inputs.findIndex(one => one.name === into);
          return [[...of(output).getOutputPos(slot)], [...of(target).getInputPos(place)]];
        }""",
        [output, slot, target, into],
    )
    frontend.drag(frontend.on_screen(*start), frontend.on_screen(*end))


def slider(frontend):
    """The middle of the slider of speed and its ends, in pixels of the page."""
    vue = frontend.page.locator("[data-node-id] [role=slider]")
    if vue.count():
        box = frontend.page.locator("[data-node-id] [data-slot=slider-track]").bounding_box()
        return (box["x"], box["y"] + box["height"] / 2), (box["x"] + box["width"], box["y"] + box["height"] / 2)
    x, y, width = frontend.evaluate(
        """() => {
          const node = patchNode(), widget = node.widgets.find(w => w.name === 'speed');
          return [node.pos[0], node.pos[1] + widget.last_y + 10, node.size[0]];
        }"""
    )
    return frontend.on_screen(x + 15, y), frontend.on_screen(x + width - 15, y)


def move_slider(frontend, share):
    """To a share of its length, from where the handle is."""
    (left, y), (right, _) = slider(frontend)
    now = (frontend.evaluate(f"() => {SPEED}") - 1.0) / 9.0
    frontend.drag((left + now * (right - left), y), (left + share * (right - left), y))
    return frontend.evaluate(f"() => {SPEED}")


def becomes(frontend, expression, value):
    """On a busy machine the page takes a while."""
    for _ in range(100):
        found = frontend.evaluate(f"() => {expression}")
        if found == value:
            return True
        frontend.page.wait_for_timeout(200)
    pytest.fail(f"{expression} is {found!r} and never became {value!r}.")


def press(frontend, keys):
    """With the mouse over the canvas."""
    frontend.page.mouse.move(*frontend.empty_place())
    frontend.page.keyboard.press(keys)
    frontend.page.wait_for_timeout(800)


def pictures(frontend):
    """Queues the workflow, at a few steps; what it made, as PIL images."""
    frontend.evaluate("() => setWidget(app.graph.nodes.find(n => n.type === 'KSampler'), 'steps', 16)")
    frontend.queue()
    frontend.wait_until_idle()
    (entry,) = frontend.evaluate("async () => Object.values(await (await fetch('/history?max_items=1')).json())")
    assert entry["status"]["status_str"] == "success"
    return [
        load(f"{frontend.url}/view?{urllib.parse.urlencode(file)}")
        for output in entry["outputs"].values()
        for file in output.get("images", [])
    ]


def load(url):
    with urllib.request.urlopen(url) as answer:
        return Image.open(io.BytesIO(answer.read())).convert("RGB")


def same(one, other):
    return len(one) == len(other) > 0 and all(
        ImageChops.difference(*pair).getbbox() is None for pair in zip(one, other, strict=True)
    )


def test_added_from_the_search_and_connected_by_hand(small):
    small.evaluate("() => app.graph.remove(patchNode())")
    small.search("HiCache Patch Model", 500, 40)
    wait_for(small, "Connect a sampler to see the plan")
    link(small, "UNETLoader", 0, "HiCachePatchModel", "model")
    link(small, "HiCachePatchModel", 0, "KSampler", "model")
    assert becomes(small, CONNECTED, [True, True])
    wait_for(small, "20 of 50 steps computed · about 2.5×")


@pytest.mark.parametrize("name", ["HiCache Settings", "HiCache Report", "HiCache Compare"])
def test_every_node_is_found_by_the_search(small, name):
    lowest = small.evaluate("() => Math.max(...app.graph.nodes.map(n => n.pos[1] + n.size[1]))")
    small.search(name, 100, lowest + 150)
    assert small.evaluate(f"() => app.graph.nodes.some(n => n.type === '{name.replace(' ', '')}')")


def test_the_slider_moves_the_plan(small):
    wait_for(small, "20 of 50 steps computed")
    speed = move_slider(small, 4.0 / 9.0)
    assert 4.0 < speed < 6.0
    wait_for(small, f"{round(50 / speed)} of 50 steps computed")


def test_undo_and_redo(small):
    wait_for(small, "20 of 50 steps computed")
    small.page.mouse.click(*small.empty_place())
    speed = move_slider(small, 1.0)
    assert speed == 10.0
    wait_for(small, "5 of 50 steps computed")
    small.page.mouse.click(*small.empty_place())
    press(small, "Control+z")
    assert becomes(small, SPEED, 2.5)
    wait_for(small, "20 of 50 steps computed")
    press(small, "Control+y")
    assert becomes(small, SPEED, 10.0)
    wait_for(small, "5 of 50 steps computed")


def test_undo_brings_a_removed_node_back_with_what_it_showed(small):
    small.queue()
    small.wait_until_idle()
    ran = wait_for(small, "20 of 50 computed")
    small.page.mouse.click(*small.empty_place())
    small.evaluate("() => app.canvas.selectItems([patchNode()])")
    press(small, "Delete")
    assert becomes(small, "patchNode() === undefined", True)
    press(small, "Control+z")
    small.page.wait_for_function("() => patchNode()")
    assert wait_for(small, "20 of 50 computed") == ran


def test_a_copy_has_a_timeline_of_its_own(small):
    small.set("speed", 5.0)
    wait_for(small, "10 of 50 steps computed")
    small.evaluate("() => app.canvas.selectItems([patchNode()])")
    press(small, "Control+c")
    press(small, "Control+v")
    assert becomes(small, "app.graph.nodes.filter(n => n.type === 'HiCachePatchModel').length", 2)
    small.page.wait_for_timeout(1000)
    copies = small.evaluate(
        """() => app.graph.nodes.filter(n => n.type === 'HiCachePatchModel').map(n => [
          n.widgets.find(w => w.name === 'speed').value, n.size[1],
          n.widgets.find(w => w.name === 'timeline').element.getAttribute('aria-label')])"""
    )
    assert [speed for speed, _, _ in copies] == [5.0, 5.0]
    assert len({height for _, height, _ in copies}) == 1
    assert sorted(text.split(" ")[0] for _, _, text in copies) == ["10", "Connect"]


def test_bypassed_the_picture_is_that_of_the_full_run(small):
    patched = pictures(small)
    small.evaluate("() => app.canvas.selectItems([patchNode()])")
    press(small, "Control+b")
    wait_for(small, "Bypassed: every step is computed")
    bypassed = pictures(small)
    small.evaluate(
        """() => {
          const sampler = app.graph.nodes.find(n => n.type === 'KSampler');
          app.graph.nodes.find(n => n.type === 'UNETLoader').connect(0, sampler, 'model');
          app.graph.remove(patchNode());
        }"""
    )
    unpatched = pictures(small)
    assert same(bypassed, unpatched)
    assert not same(patched, unpatched)


def test_every_widget_comes_back_from_a_saved_file(small, tmp_path):
    small.evaluate(
        """() => {
          const add = type => app.graph.add(LiteGraph.createNode(type)) ?? app.graph.nodes.find(n => n.type === type);
          add('HiCacheSettings').connect(0, patchNode(), 'settings');
          const [report, compare] = [add('HiCacheReport'), add('HiCacheCompare')];
          patchNode().connect(0, report, 'model');
          app.graph.nodes.find(n => n.type === 'KSampler').connect(0, report, 'samples');
          for (const input of [0, 1]) app.graph.nodes.find(n => n.type === 'VAEDecode').connect(0, compare, input);
        }"""
    )
    for kind, values in OTHERS.items():
        before = widgets(small, kind)
        assert set(values) == set(before)
        assert {name for name in values if values[name] == before[name]} == set()
    small.evaluate(  # at once, so that no plan is shown of some of them
        """all => {
          for (const [kind, values] of Object.entries(all)) for (const [name, value] of Object.entries(values))
            setWidget(app.graph.nodes.find(n => n.type === kind), name, value);
        }""",
        OTHERS,
    )
    said = wait_for(small, " to 50 of 50 steps computed")
    prompt = small.evaluate("async () => (await app.graphToPrompt()).output")
    file = tmp_path / "saved by an artist.json"
    file.write_text(json.dumps(small.evaluate("() => app.graph.serialize()")), "utf-8")
    small.evaluate("() => app.graph.clear()")
    small.page.locator("#comfy-file-input").set_input_files(file)
    small.page.wait_for_function("() => patchNode()")
    assert {kind: widgets(small, kind) for kind in OTHERS} == OTHERS
    assert wait_for(small, " to 50 of 50 steps computed") == said
    assert small.evaluate("async () => (await app.graphToPrompt()).output") == prompt


def test_the_way_back_to_the_defaults(small):
    small.evaluate("() => app.graph.add(LiteGraph.createNode('HiCacheSettings'))")
    find = "app.graph.nodes.find(n => n.type === 'HiCacheSettings')"
    defaults = widgets(small, "HiCacheSettings")
    for name, value in OTHERS["HiCacheSettings"].items():
        small.set(name, value, find)
    assert widgets(small, "HiCacheSettings") == OTHERS["HiCacheSettings"]
    small.evaluate(f"() => {find}.widgets.find(w => w.type === 'button').callback()")
    assert widgets(small, "HiCacheSettings") == defaults


def test_collapsed_and_opened_again_it_is_as_high_as_before(small):
    before = small.evaluate("() => [...patchNode().size]")
    for _ in range(2):
        small.evaluate("() => patchNode().collapse()")
        small.page.wait_for_timeout(500)
    assert small.evaluate("() => [...patchNode().size]") == before
    assert small.evaluate(f"() => {ROOT}.isConnected")
