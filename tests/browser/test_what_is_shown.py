"""Which plan or run a timeline shows when the graph around it changes: values, samplers, subgraphs, workflows, tabs."""

import pytest
from frontend.timeline import label, wait_for

pytestmark = pytest.mark.browser

SAMPLER = "app.graph.nodes.find(n => n.type === 'KSampler')"
OUTER = "app.graph.nodes.find(n => n.subgraph)"
INNER = f"{OUTER}?.subgraph.nodes.find(n => n.type === 'HiCachePatchModel')"
INSIDE = f"{INNER}?.widgets.find(w => w.name === 'timeline').element.getAttribute('aria-label')"
RELOAD = "async () => { await app.loadGraphData(app.graph.serialize()); }"  # every node is made anew, as by undo


def shows(frontend, expression, text):
    """Waits until the expression is a text with this in it."""
    frontend.page.wait_for_function(
        f"text => ({expression} ?? '').includes(text)", arg=text, polling=50, timeout=60_000
    )


def run(frontend):
    frontend.queue()
    frontend.wait_until_idle()


def into_a_subgraph(frontend):
    frontend.evaluate(
        """() => {
          app.canvas.selectItems([patchNode()]);
          app.extensionManager.command.execute('Comfy.Graph.ConvertToSubgraph');
        }"""
    )
    frontend.page.wait_for_function(f"() => {INNER}")


def test_a_run_is_not_shown_as_that_of_other_values(small):
    run(small)
    ran = wait_for(small, "20 of 50 computed")
    small.set("speed", 5.0)
    wait_for(small, "10 of 50 steps computed")
    small.evaluate(RELOAD)
    small.page.wait_for_timeout(1500)
    wait_for(small, "10 of 50 steps computed")
    small.set("speed", 2.5)
    assert wait_for(small, "20 of 50 computed") == ran


def test_values_changed_during_a_run_are_those_of_the_next(six):
    six.queue()
    wait_for(six, "Step ")
    six.set("speed", 5.0)
    six.page.wait_for_timeout(600)
    assert label(six).startswith("Step ")
    six.wait_until_idle()
    wait_for(six, "10 of 50 steps computed")


def test_an_interrupted_run_says_where_it_stopped(small):
    small.evaluate(f"() => setWidget({SAMPLER}, 'steps', 1000)")
    wait_for(small, "400 of 1000 steps computed")
    small.queue()
    wait_for(small, "Step ")
    small.evaluate("() => app.api.interrupt()")
    small.wait_until_idle()
    wait_for(small, "Stopped at step ")


def test_a_run_whose_sampler_is_gone_is_forgotten(small):
    run(small)
    wait_for(small, "20 of 50 computed")
    small.evaluate(
        f"""() => {{
          const old = {SAMPLER}, sampler = LiteGraph.createNode('KSampler');
          app.graph.remove(old);
          app.graph.add(sampler);
          sampler.pos = [...old.pos];
          patchNode().connect(0, sampler, 'model');
          setWidget(sampler, 'steps', 30);
        }}"""
    )
    assert "of 2" not in wait_for(small, "12 of 30 steps computed")


def test_the_first_of_two_in_a_row_says_that_the_second_counts(small):
    small.evaluate(
        f"""() => {{
          const second = LiteGraph.createNode('HiCachePatchModel');
          app.graph.add(second);
          patchNode().connect(0, second, 'model');
          second.connect(0, {SAMPLER}, 'model');
        }}"""
    )
    wait_for(small, "The HiCache Patch Model after this one counts")


def test_noise_levels_of_any_other_node_are_known_when_the_run_starts(small):
    small.evaluate(
        f"""() => {{
          const add = type => app.graph.add(LiteGraph.createNode(type)) ?? app.graph.nodes.find(n => n.type === type);
          const old = {SAMPLER};
          const [sampler, sigmas, euler] = ['SamplerCustom', 'KarrasScheduler', 'KSamplerSelect'].map(add);
          patchNode().connect(0, sampler, 'model');
          sigmas.connect(0, sampler, 'sigmas');
          euler.connect(0, sampler, 'sampler');
          for (const name of ['positive', 'negative', 'latent_image']) {{
            const link = app.graph.getLink(old.inputs.find(i => i.name === name).link);
            app.graph.getNodeById(link.origin_id).connect(link.origin_slot, sampler, name);
          }}
          sampler.connect(0, app.graph.nodes.find(n => n.type === 'VAEDecode'), 'samples');
          setWidget(euler, 'sampler_name', 'euler');
          setWidget(sigmas, 'steps', 10);
          setWidget(sigmas, 'sigma_max', 1);
          setWidget(sigmas, 'sigma_min', 0.02);
          setWidget(sampler, 'cfg', 1);
          app.graph.remove(old);
        }}"""
    )
    wait_for(small, "Planned when the run starts · at most 2.5×")
    run(small)
    wait_for(small, " of 10 computed")
    small.set("speed", 4.0)
    wait_for(small, "Planned when the run starts · at most 4.0×")


def test_in_a_subgraph_it_shows_plan_and_run(small):
    wait_for(small, "20 of 50 steps computed")
    into_a_subgraph(small)
    shows(small, INSIDE, "20 of 50 steps computed · about 2.5×")
    run(small)
    shows(small, INSIDE, "20 of 50 computed")
    small.evaluate(f"() => setWidget({SAMPLER}, 'steps', 20)")
    shows(small, INSIDE, "8 of 20 steps computed")


def test_a_promoted_slider_counts(small):
    into_a_subgraph(small)
    small.evaluate(
        f"""() => {{
          const node = {INNER}, input = {OUTER}.subgraph.addInput('speed', 'FLOAT');
          input.connect(node.inputs.find(one => one.name === 'speed'), node);
        }}"""
    )
    shows(small, INSIDE, "20 of 50 steps computed")
    small.evaluate(f"() => setWidget({OUTER}, 'speed', 5)")
    shows(small, INSIDE, "10 of 50 steps computed")


def test_in_a_bypassed_subgraph_it_is_bypassed(small):
    into_a_subgraph(small)
    shows(small, INSIDE, "20 of 50 steps computed")
    small.evaluate(f"() => {{ {OUTER}.mode = 4; }}")
    shows(small, INSIDE, "Bypassed: every step is computed")


def test_a_sampler_in_a_subgraph_is_found(small):
    small.evaluate(
        f"""() => {{
          app.canvas.selectItems([{SAMPLER}]);
          app.extensionManager.command.execute('Comfy.Graph.ConvertToSubgraph');
        }}"""
    )
    small.page.wait_for_function(f"() => {OUTER}")
    wait_for(small, "20 of 50 steps computed")
    small.evaluate(f"() => setWidget({OUTER}.subgraph.nodes.find(n => n.type === 'KSampler'), 'steps', 20)")
    wait_for(small, "8 of 20 steps computed")
    small.evaluate(f"() => {{ {OUTER}.mode = 2; }}")
    wait_for(small, "Connect a sampler to see the plan")


def test_a_server_that_was_away_is_asked_again(small):
    wait_for(small, "20 of 50 steps computed")
    answers = [503, 429]

    def refuse(route):
        if answers:
            route.fulfill(status=answers.pop(), body="{}")
        else:
            route.fallback()

    small.page.route("**/hicache/plan", refuse)
    small.set("speed", 3.0)
    wait_for(small, "17 of 50 steps computed")
    assert answers == []
    small.page.unroute("**/hicache/plan")


def test_a_tab_that_was_open_before_sees_the_run_of_another(six):
    workflow = six.evaluate("() => app.graph.serialize()")
    other = type(six)(six.url, six.context, six.context.new_page())
    try:
        other.load()
        other.evaluate("async workflow => { await app.loadGraphData(workflow); }", workflow)
        wait_for(other, "20 of 50 steps computed")
        six.queue()
        wait_for(other, "Step ")
        six.wait_until_idle()
        wait_for(other, "20 of 50 computed")
    finally:
        other.page.close()
