"""Subgraphs and promoted widgets of saved workflows, with the node definitions of real servers."""

import pytest
from comfy_client import WorkflowError, to_prompt

pytestmark = pytest.mark.server

MUTED, BYPASSED = 2, 4
KSAMPLER = [7, "randomize", 12, 1.5, "euler", "simple", 1.0]


def node(number, kind, inputs=(), outputs=(), values=None, **more):
    """inputs are (name, type, link); outputs are types."""
    slots = [{"name": name, "type": slot, "link": link} for name, slot, link in inputs]
    saved = {"id": number, "type": kind, "inputs": slots, "outputs": [{"name": slot, "type": slot} for slot in outputs]}
    return saved | {"widgets_values": values, "mode": 0} | more


def loader(number=1):
    return node(number, "UNETLoader", outputs=["MODEL"], values=["flux.safetensors", "default"])


def links(*rows):
    """As inside subgraphs: (id, from node, from slot, to node, to slot)."""
    names = ("id", "origin_id", "origin_slot", "target_id", "target_slot")
    return [dict(zip(names, row, strict=True), type="*") for row in rows]


def slot(name, kind, *link_ids):
    return {"id": f"id of {name}", "name": name, "type": kind, "linkIds": list(link_ids)}


def patching(**more):
    """A subgraph that patches a model: inputs model and speed, the patched model as output."""
    sockets = [("model", "MODEL", 1), ("settings", "HICACHE_SETTINGS", None), ("speed", "FLOAT", 2)]
    patch = node(20, "HiCachePatchModel", sockets, ["MODEL"], ["adaptive", 2.5, 0.003])
    graph = {"id": "patching", "name": "Patching", "nodes": [patch]}
    graph["links"] = links((1, -10, 0, 20, 0), (2, -10, 1, 20, 2), (3, 20, 0, -20, 0))
    graph["inputs"] = [slot("model", "MODEL", 1), slot("speed", "FLOAT", 2)]
    graph["outputs"] = [slot("MODEL", "MODEL", 3)]
    return graph | more


def instance(number, model, speed=None, values=None, **more):
    return node(number, "patching", [("model", "MODEL", model), ("speed", "FLOAT", speed)], ["MODEL"], values, **more)


def sampler(number, link):
    return node(number, "KSampler", [("model", "MODEL", link)], ["LATENT"], KSAMPLER)


@pytest.fixture
def convert(host):
    """links are those of the workflow itself: (id, from node, from slot, to node, to slot)."""

    def to_nodes(nodes, links=(), subgraphs=(), **more):
        saved = {"nodes": nodes, "links": [[*link, "*"] for link in links], **more}
        return to_prompt(saved | {"definitions": {"subgraphs": list(subgraphs)}}, host.info)

    return to_nodes


CHAIN = [(5, 1, 0, 2, 0), (6, 2, 0, 3, 0)]  # loader -> instance -> sampler


def test_an_instance_is_opened_and_links_go_through_it(convert):
    prompt = convert([loader(), instance(2, 5), sampler(3, 6)], CHAIN, [patching()])
    assert prompt.keys() == {"1", "2:20", "3"}
    assert prompt["2:20"]["class_type"] == "HiCachePatchModel"
    assert prompt["2:20"]["inputs"]["model"] == ["1", 0]
    assert prompt["3"]["inputs"]["model"] == ["2:20", 0]


def test_every_instance_has_nodes_and_values_of_its_own(convert):
    nodes = [loader(), instance(2, 5, values=[3.0]), instance(3, 6, values=[4.0])]
    prompt = convert(nodes, [(5, 1, 0, 2, 0), (6, 2, 0, 3, 0)], [patching()])
    assert [prompt[key]["inputs"]["speed"] for key in ("2:20", "3:20")] == [3.0, 4.0]
    assert prompt["3:20"]["inputs"]["model"] == ["2:20", 0]


def test_a_promoted_widget_without_a_value_has_that_inside(convert):
    assert convert([instance(2, None)], [], [patching()])["2:20"]["inputs"]["speed"] == 2.5


def test_a_link_wins_over_a_promoted_value(convert):
    number = node(1, "PrimitiveFloat", outputs=["FLOAT"], values=[3.0])
    prompt = convert([number, instance(2, None, 5, [4.0])], [(5, 1, 0, 2, 1)], [patching()])
    assert prompt["2:20"]["inputs"]["speed"] == ["1", 0]


def test_a_subgraph_in_a_subgraph(convert):
    inner = instance(30, 1, 2, [9.0])
    outer = {"id": "outer", "name": "Outer", "nodes": [inner]}
    outer["links"] = links((1, -10, 0, 30, 0), (2, -10, 1, 30, 1), (3, 30, 0, -20, 0))
    outer |= {"inputs": [slot("model", "MODEL", 1), slot("speed", "FLOAT", 2)], "outputs": [slot("out", "MODEL", 3)]}
    middle = node(2, "outer", [("model", "MODEL", 5), ("speed", "FLOAT", None)], ["MODEL"], [6.0])
    prompt = convert([loader(), middle, sampler(3, 6)], CHAIN, [outer, patching()])
    assert prompt.keys() == {"1", "2:30:20", "3"}
    assert prompt["2:30:20"]["inputs"]["model"] == ["1", 0]
    assert prompt["2:30:20"]["inputs"]["speed"] == 6.0
    assert prompt["3"]["inputs"]["model"] == ["2:30:20", 0]


@pytest.mark.parametrize(("mode", "model"), [(MUTED, None), (BYPASSED, ["1", 0])])
def test_an_instance_that_is_off(convert, mode, model):
    prompt = convert([loader(), instance(2, 5, mode=mode), sampler(3, 6)], CHAIN, [patching()])
    assert prompt.keys() == {"1", "3"}
    assert prompt["3"]["inputs"].get("model") == model


def test_a_bypassed_node_inside_passes_on_what_the_instance_gets(convert):
    graph = patching()
    graph["nodes"][0]["mode"] = BYPASSED
    prompt = convert([loader(), instance(2, 5), sampler(3, 6)], CHAIN, [graph])
    assert prompt.keys() == {"1", "3"}
    assert prompt["3"]["inputs"]["model"] == ["1", 0]


def test_an_id_that_is_taken_gets_the_next_one_free(convert):
    prompt = convert([instance(20, None), loader(21)], [], [patching()], last_node_id=20)
    assert prompt.keys() == {"20:22", "21"}


def older(values, *entries):
    """An instance that names what it promoted instead of having inputs for it."""
    graph = patching(inputs=[slot("model", "MODEL", 1)])
    graph["links"] = links((1, -10, 0, 20, 0), (3, 20, 0, -20, 0))
    graph["nodes"][0]["inputs"][2]["link"] = None
    properties = {"proxyWidgets": [list(entry) for entry in entries]}
    return graph, node(2, "patching", [("model", "MODEL", None)], ["MODEL"], values, properties=properties)


def test_promoted_widgets_of_the_older_kind(convert):
    graph, saved = older([8.0, "paper"], ("20", "speed"), ("20", "mode"))
    inputs = convert([saved], [], [graph])["2:20"]["inputs"]
    assert (inputs["speed"], inputs["mode"], inputs["tolerance"]) == (8.0, "paper", 0.003)


def test_promoted_widgets_of_the_older_kind_without_values(convert):
    graph, saved = older([], ("20", "speed"), ("20", "gone"), ("99", "speed"))
    assert convert([saved], [], [graph])["2:20"]["inputs"]["speed"] == 2.5


def test_a_promoted_primitive_of_the_older_kind(convert):
    graph, saved = older([8.0], ("21", "value"))
    graph["nodes"].append(node(21, "PrimitiveNode", outputs=["FLOAT"], values=[1.0, "fixed"]))
    graph["links"] += links((7, 21, 0, 20, 3))
    graph["nodes"][0]["inputs"][2:] = node(0, "", [("mode", "COMBO", None), ("speed", "FLOAT", 7)])["inputs"]
    assert convert([saved], [], [graph])["2:20"]["inputs"]["speed"] == 8.0


def test_a_primitive_that_seems_to_fit_no_widget_stays(convert):
    """The frontend goes by the number of the input, which an older workflow counts without what has a widget."""
    graph, saved = older([8.0], ("21", "value"))
    graph["nodes"].append(node(21, "PrimitiveNode", outputs=["FLOAT"], values=[1.0, "fixed"]))
    graph["links"] += links((7, 21, 0, 20, 2))
    graph["nodes"][0]["inputs"][2]["link"] = 7
    assert convert([saved], [], [graph])["2:20"]["inputs"]["speed"] == 1.0


def test_titles_are_those_an_artist_sees(host, convert):
    graph = patching()
    graph["nodes"][0]["title"] = "Make it fast"
    prompt = convert([loader(), instance(2, None, title="Patching")], [], [graph])
    assert prompt["2:20"]["_meta"] == {"title": "Make it fast"}
    assert prompt["1"]["_meta"] == {"title": host.info["UNETLoader"]["display_name"]}


def test_a_workflow_of_version_1_has_links_as_objects(host):
    saved = {"version": 1, "nodes": [loader(), sampler(3, 6)], "links": links((6, 1, 0, 3, 0))}
    assert to_prompt(saved, host.info)["3"]["inputs"]["model"] == ["1", 0]


def test_a_subgraph_that_contains_itself_is_refused(convert):
    graph = patching()
    graph["nodes"].append(instance(30, None))
    with pytest.raises(WorkflowError, match="The subgraph 'Patching' contains itself"):
        convert([instance(2, None)], [], [graph])


def test_a_circle_of_links_is_refused(convert):
    hops = [node(1, "Reroute", [("", "*", 5)], ["*"]), node(2, "Reroute", [("", "*", 6)], ["*"])]
    circle = [(5, 2, 0, 1, 0), (6, 1, 0, 2, 0), (7, 1, 0, 3, 0)]
    with pytest.raises(WorkflowError, match="Node 1 feeds its own input ''"):
        convert([*hops, sampler(3, 7)], circle)


def test_an_unknown_node_in_a_subgraph_is_named_with_its_title(convert):
    graph = patching()
    graph["nodes"].append(node(25, "SomeoneElsesNode", title="Theirs"))
    with pytest.raises(WorkflowError, match=r"Node 2:25 \(Theirs\) is a 'SomeoneElsesNode'"):
        convert([instance(2, None)], [], [graph])


def test_a_link_that_the_workflow_has_not_is_refused(convert):
    with pytest.raises(WorkflowError, match="Node 3 has a link 6 at 'model', which the workflow has not"):
        convert([sampler(3, 6)])


def test_a_link_from_a_node_that_the_workflow_has_not_is_refused(convert):
    with pytest.raises(WorkflowError, match="Node 3 gets 'model' from node 1, which the workflow has not"):
        convert([sampler(3, 6)], [(6, 1, 0, 3, 0)])


def test_an_output_that_a_subgraph_has_not_is_refused(convert):
    with pytest.raises(WorkflowError, match="Node 2 has no output 1, which another node is linked to"):
        convert([instance(2, None), sampler(3, 6)], [(6, 2, 1, 3, 0)], [patching()])


def test_an_input_that_a_subgraph_has_not_is_refused(convert):
    with pytest.raises(WorkflowError, match="Node 2 has no input 1, which a node in its subgraph is linked to"):
        convert([instance(2, None)], [], [patching(inputs=[slot("model", "MODEL", 1)])])


def test_a_damaged_workflow_is_refused(host):
    with pytest.raises(WorkflowError, match=r"The workflow is damaged \(KeyError\('id'\)\): save it anew"):
        to_prompt({"nodes": [{"type": "KSampler"}]}, host.info)


def test_a_prompt_is_no_saved_workflow(host):
    with pytest.raises(WorkflowError, match="This is no saved workflow"):
        to_prompt({"1": {"class_type": "KSampler", "inputs": {}}}, host.info)
