"""The live timeline on the Patch node: the plan, the run as it happens, what it came to."""

import re

import pytest
from frontend.timeline import BARS, ROOT, label, wait_for

pytestmark = pytest.mark.browser


def height(frontend):
    """Of the node on the screen, at a zoom of 1."""
    return frontend.evaluate(
        """() => {
          const node = patchNode(), element = document.querySelector(`[data-node-id="${node.id}"]`);
          return element ? element.offsetHeight : node.size[1];
        }"""
    )


def test_before_the_run_it_shows_the_plan(small):
    assert wait_for(small, "20 of 50 steps computed · about 2.5×")
    assert small.evaluate(BARS).count("1") == 20


def test_the_plan_follows_the_widgets(small):
    small.set("speed", 5.0)
    wait_for(small, "10 of 50 steps computed · about 5.0×")
    small.set("mode", "adaptive")
    assert re.search(r"\d+ to 50 of 50 steps computed · at most", wait_for(small, " to 50 of 50"))
    small.set("mode", "even intervals")
    small.evaluate("() => setWidget(app.graph.nodes.find(n => n.type === 'KSampler'), 'steps', 20)")
    wait_for(small, "of 20 steps computed")


def test_without_a_sampler_it_says_what_to_do(small):
    small.evaluate("() => patchNode().disconnectOutput(0)")
    wait_for(small, "Connect a sampler to see the plan")


def test_the_run_is_shown_as_it_happens_and_the_node_never_grows(small):
    """Long enough to be told of several times, on a fast machine too."""
    small.evaluate("() => setWidget(app.graph.nodes.find(n => n.type === 'KSampler'), 'steps', 400)")
    wait_for(small, "160 of 400 steps computed")
    before, seen = height(small), set()
    small.queue()
    for _ in range(1000):
        text = label(small)
        seen.add(text)
        assert height(small) == before
        if "saved" in text or "nothing saved" in text:
            break
        small.page.wait_for_timeout(40)
    small.wait_until_idle()
    assert re.search(r"160 of 400 computed · 2\.5× fewer calls · .+ on cpu", wait_for(small, "160 of 400 computed"))
    steps = {int(found[1]) for text in seen if (found := re.match(r"Step (\d+) of 400: \d+ computed", text))}
    assert len(steps) > 2, seen
    assert height(small) == before


def test_after_a_change_the_plan_comes_back(small):
    small.queue()
    small.wait_until_idle()
    small.set("speed", 4.0)
    wait_for(small, "12 of 50 steps computed")


def test_it_is_neither_in_the_prompt_nor_in_the_workflow(small):
    saved, prompt = small.evaluate(
        """async () => {
          const node = patchNode(), {output} = await app.graphToPrompt();
          return [node.serialize().widgets_values, output[node.id].inputs];
        }"""
    )
    assert saved == ["target speed", 2.5, 0.003]
    assert set(prompt) == {"model", "mode", "speed", "tolerance"}


def test_a_bar_tells_its_numbers(small):
    small.queue()
    small.wait_until_idle()
    box = small.evaluate(
        f"() => {{ const box = {ROOT}.shadowRoot.querySelector('canvas').getBoundingClientRect();"
        "return [box.x, box.y, box.width, box.height]; }"
    )
    small.page.mouse.move(box[0] + box[2] * 0.5 / 50, box[1] + box[3] / 2)
    hint = small.evaluate(f"() => {ROOT}.shadowRoot.querySelector('canvas').title")
    assert re.match(r"Step 0: computed, \d", hint)


def test_a_page_that_comes_back_shows_the_run(small):
    small.queue()
    small.wait_until_idle()
    ran = wait_for(small, "20 of 50 computed")
    workflow = small.evaluate("() => app.graph.serialize()")
    small.load()
    small.evaluate("async workflow => { await app.loadGraphData(workflow); }", workflow)
    assert wait_for(small, "20 of 50 computed") == ran


def test_a_page_that_comes_back_in_the_middle_follows_the_run_to_its_end(six):
    workflow = six.evaluate("() => app.graph.serialize()")
    six.queue()
    wait_for(six, "Step ")
    six.load()
    six.evaluate("async workflow => { await app.loadGraphData(workflow); }", workflow)
    six.wait_until_idle()
    wait_for(six, "20 of 50 computed")


def test_another_workflow_with_the_same_node_ids_stays_as_it_is(small):
    small.queue()
    small.wait_until_idle()
    workflow = small.evaluate("() => app.graph.serialize()")
    other = {**workflow, "id": "11111111-2222-4333-8444-555555555555"}
    small.evaluate("async workflow => { await app.loadGraphData(workflow); }", other)
    wait_for(small, "20 of 50 steps computed")


def test_several_samplers_on_one_model_have_a_timeline_each(small):
    small.evaluate(
        """() => {
          const first = app.graph.nodes.find(n => n.type === 'KSampler');
          const second = LiteGraph.createNode('KSampler');
          app.graph.add(second);
          second.pos = [first.pos[0], first.pos[1] + 400];
          patchNode().connect(0, second, 'model');
          setWidget(second, 'steps', 30);
        }"""
    )
    wait_for(small, "of 2 ›")
    for steps in (50, 30, 50):
        assert "of 2 ›" in wait_for(small, f" of {steps} steps")
        small.evaluate(f"() => {ROOT}.shadowRoot.querySelector('.aside').click()")


def test_inside_a_subgraph(small):
    small.evaluate(
        """() => {
          app.canvas.selectItems([patchNode()]);
          app.extensionManager.command.execute('Comfy.Graph.ConvertToSubgraph');
        }"""
    )
    small.page.wait_for_function("() => app.graph.nodes.some(n => n.subgraph)")
    small.queue()
    small.wait_until_idle()
    shown = """() => {
      const outer = app.graph.nodes.find(n => n.subgraph);
      if (app.canvas.graph === app.rootGraph) app.canvas.openSubgraph(outer.subgraph, outer);
      const {element} = outer.subgraph.nodes.find(n => n.type === 'HiCachePatchModel').widgets.at(-1);
      const said = element.getAttribute('aria-label');
      return element.isConnected && element.clientWidth && said.startsWith('20 of 50 computed');
    }"""
    small.page.wait_for_function(shown)
    small.evaluate("() => app.canvas.setGraph(app.rootGraph)")


def test_the_text_follows_the_theme(small):
    title = f"() => getComputedStyle({ROOT}.shadowRoot.querySelector('.title')).color"
    dark = small.evaluate(title)
    small.evaluate("() => app.extensionManager.setting.set('Comfy.ColorPalette', 'light')")
    try:
        small.page.wait_for_function(f"dark => ({title})() !== dark", arg=dark)
    finally:
        small.evaluate("() => app.extensionManager.setting.set('Comfy.ColorPalette', 'dark')")


def test_in_chinese(small):
    small.evaluate("() => app.extensionManager.setting.set('Comfy.Locale', 'zh')")
    try:
        wait_for(small, "计算 50 步中的 20 步")
    finally:
        small.evaluate("() => app.extensionManager.setting.set('Comfy.Locale', 'en')")


def test_removed_nodes_leave_no_timeline_behind(small):
    small.evaluate("() => app.graph.clear()")
    small.evaluate(
        """() => { for (let k = 0; k < 8; k++) {
          const node = LiteGraph.createNode('HiCachePatchModel');
          app.graph.add(node);
          app.graph.remove(node);
        } }"""
    )
    small.page.wait_for_timeout(700)
    assert small.evaluate("() => document.querySelectorAll('.hicache-timeline').length") == 0


def test_a_folded_widget_takes_no_place(small):
    """In Nodes 2.0 the frontend folds by itself."""
    names = "() => patchNode().getLayoutWidgets().map(widget => widget.name)"
    everything = ["mode", "speed", "tolerance", "timeline"]
    vue = small.evaluate("() => LiteGraph.vueNodesMode")
    assert small.evaluate(names) == (everything if vue else ["mode", "speed", "timeline"])
    small.evaluate("() => patchNode().toggleAdvanced()")
    assert small.evaluate(names) == everything


def test_nothing_of_ours_is_in_the_console(small):
    assert [text for text in small.problems if "hicache" in text.lower()] == []
