"""Saved workflows to prompts, as the frontend converts them, with the node definitions of real servers."""

import pytest
from comfy_client import WorkflowError, to_prompt
from demo.variants import node_id

pytestmark = pytest.mark.server

MUTED, BYPASSED = 2, 4
KSAMPLER = [7, "randomize", 12, 1.5, "euler", "simple", 1.0]


def node(number, kind, inputs=(), outputs=(), values=None, mode=0):
    """inputs (name, type, link[, is a widget]); outputs are types."""
    slots = [
        {"name": name, "type": slot, "link": link, **({"widget": {"name": name}} if widget else {})}
        for name, slot, link, *widget in inputs
    ]
    saved = {"id": number, "type": kind, "mode": mode, "inputs": slots}
    return saved | {"outputs": [{"name": slot, "type": slot} for slot in outputs], "widgets_values": values}


def loader(number=1):
    return node(number, "UNETLoader", outputs=["MODEL"], values=["flux.safetensors", "default"])


def patch(number, link, **more):
    sockets = [("model", "MODEL", link), ("settings", "HICACHE_SETTINGS", None)]
    return node(number, "HiCachePatchModel", sockets, ["MODEL"], ["target speed", 2.5, 0.003], **more)


def sampler(number, link, *more):
    return node(number, "KSampler", [("model", "MODEL", link), *more], ["LATENT"], KSAMPLER)


@pytest.fixture
def convert(host):
    """links are (id, from node, from slot, to node, to slot, type)."""

    def to_inputs(nodes, links=(), **more):
        prompt = to_prompt({"nodes": nodes, "links": [list(link) for link in links], **more}, host.info)
        return {key: node["inputs"] for key, node in prompt.items()}

    return to_inputs


def test_widget_values_go_by_position_past_what_follows_a_seed(convert):
    inputs = convert([sampler(1, None)])["1"]
    names = ("seed", "steps", "cfg", "sampler_name", "scheduler", "denoise")
    assert inputs == dict(zip(names, [7, 12, 1.5, "euler", "simple", 1.0], strict=True))


def test_widget_values_saved_by_name(convert):
    saved = node(1, "EmptySD3LatentImage", values={"width": 64, "batch_size": 2, "unknown": 1})
    assert convert([saved])["1"] == {"width": 64, "height": 1024, "batch_size": 2}


def test_a_widget_newer_than_the_workflow_has_its_default(convert):
    assert convert([node(1, "HiCachePatchModel", values=["adaptive"])])["1"] == {
        "mode": "adaptive",
        "speed": 2.5,
        "tolerance": 0.003,
    }


def test_a_link_is_node_and_slot(convert):
    nodes, links = [loader(), patch(2, 5)], [(5, 1, 0, 2, 0, "MODEL")]
    assert convert(nodes, links)["2"]["model"] == ["1", 0]


def test_a_link_wins_over_the_value_of_a_converted_widget(convert):
    number = node(1, "PrimitiveFloat", outputs=["FLOAT"], values=[3.0])
    changed = node(2, "HiCachePatchModel", [("speed", "FLOAT", 5, True)], ["MODEL"], ["adaptive", 2.5, 0.003])
    assert convert([number, changed], [(5, 1, 0, 2, 0, "FLOAT")])["2"]["speed"] == ["1", 0]


def test_a_primitive_node_gives_its_value(convert):
    primitive = node(1, "PrimitiveNode", outputs=["INT"], values=[99, "fixed"])
    converted = convert([primitive, sampler(2, None, ("seed", "INT", 5, True))], [(5, 1, 0, 2, 1, "INT")])
    assert converted.keys() == {"2"}
    assert converted["2"]["seed"] == 99


def test_reroutes_are_followed_and_notes_left_out(convert):
    hop = [("", "*", 5)], ["MODEL"]
    nodes = [loader(), node(2, "Reroute", *hop), patch(3, 6), node(4, "MarkdownNote", values=["hello"])]
    converted = convert(nodes, [(5, 1, 0, 2, 0, "*"), (6, 2, 0, 3, 0, "MODEL")])
    assert converted.keys() == {"1", "3"}
    assert converted["3"]["model"] == ["1", 0]


def test_a_muted_node_and_links_to_it_are_dropped(convert):
    nodes = [loader(), patch(2, 5, mode=MUTED), sampler(3, 6)]
    converted = convert(nodes, [(5, 1, 0, 2, 0, "MODEL"), (6, 2, 0, 3, 0, "MODEL")])
    assert converted.keys() == {"1", "3"}
    assert "model" not in converted["3"]


def test_a_bypassed_node_passes_its_first_input_of_the_type_on(convert):
    sockets = [("settings", "HICACHE_SETTINGS", None), ("model", "MODEL", 5)]
    bypassed = node(2, "HiCachePatchModel", sockets, ["MODEL"], mode=BYPASSED)
    converted = convert([loader(), bypassed, sampler(3, 6)], [(5, 1, 0, 2, 1, "MODEL"), (6, 2, 0, 3, 0, "MODEL")])
    assert converted.keys() == {"1", "3"}
    assert converted["3"]["model"] == ["1", 0]


def test_a_bypassed_node_without_such_an_input_gives_nothing(convert):
    bypassed = node(1, "EmptySD3LatentImage", outputs=["LATENT"], mode=BYPASSED)
    decoder = node(2, "VAEDecode", [("samples", "LATENT", 5)])
    assert convert([bypassed, decoder], [(5, 1, 0, 2, 0, "LATENT")]) == {"2": {}}


def test_a_list_of_values_is_not_mistaken_for_a_link(convert):
    saved = node(1, "UNETLoader", values=[["a", "b"], "default"])
    assert convert([saved])["1"]["unet_name"] == {"__value__": ["a", "b"]}


def test_an_unknown_node_type_is_named(convert):
    with pytest.raises(WorkflowError, match="Node 3 is a 'SomeoneElsesNode': this server has no such node type"):
        convert([node(3, "SomeoneElsesNode")])


def test_the_example_is_the_same_prompt_on_every_host(host, workflow):
    prompt = to_prompt(workflow, host.info)
    sampler = prompt[node_id(prompt, "KSampler")]["inputs"]
    widgets = {"seed": 7, "steps": 50, "cfg": 1, "sampler_name": "euler", "scheduler": "simple", "denoise": 1}
    conditioning = [node_id(prompt, "LoadTrainingDataset"), 1]
    assert sampler == widgets | {
        "model": [node_id(prompt, "HiCachePatchModel"), 0],
        "positive": conditioning,
        "negative": conditioning,
        "latent_image": [node_id(prompt, "EmptySD3LatentImage"), 0],
    }
