"""Saved workflows become the prompts that the real frontend makes; `python -m saved_graphs` looks at hundreds."""

import json
from copy import deepcopy
from urllib.request import urlopen

import pytest
from comfy_client import to_prompt
from saved_graphs import differences, frontend_prompt, read_one

pytestmark = pytest.mark.browser

TEMPLATES = {
    "04_hunyuan_3d_2.1_subgraphed": "promoted widgets of the older kind, with values",
    "api_anthropic_claude_opus_5": "promoted widgets that are inputs; dynamic combos; sockets that grow",
    "image_netayume_lumina_t2i": "subgraphs in subgraphs",
    "image_flux2_klein_text_to_image": "an instance that is off",
    "audio_ace_step_1_5_split": "primitive nodes",
    "audio_stable_audio_3_medium": "a combo with choices of one's own",
    "basic_image_color_adjustment": "curves",
    "hidream_e1_full": "reroutes",
}


@pytest.fixture(scope="module")
def object_info(server):
    with urlopen(f"{server.url}/object_info", timeout=60) as answer:
        return json.load(answer)


def two_instances():
    """Of one subgraph, the second with other values for its promoted widgets."""
    workflow = read_one("01_get_started_text_to_image")
    subgraphs = {graph["id"] for graph in workflow["definitions"]["subgraphs"]}
    (instance,) = (node for node in workflow["nodes"] if node["type"] in subgraphs)
    second = deepcopy(instance) | {"id": 900, "widgets_values": ["a fox", 512, None, 4]}
    for slot in [*second["inputs"], *second["outputs"]]:
        slot |= {"link": None} if "link" in slot else {"links": []}
    return workflow | {"nodes": [*workflow["nodes"], second]}


def assert_same(frontend, workflow, object_info):
    theirs = frontend_prompt(frontend, workflow)["prompt"]
    assert theirs
    assert list(differences(theirs, to_prompt(workflow, object_info))) == []


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_of_the_host_is_the_same_prompt(frontend, object_info, name):
    assert_same(frontend, read_one(name), object_info)


def test_two_instances_are_the_same_prompt(frontend, object_info):
    assert_same(frontend, two_instances(), object_info)
