"""Every example workflow against the node definitions of real servers, the oldest host's too."""

import json
import urllib.parse
import urllib.request
from itertools import chain
from pathlib import Path

import pytest
from examples import EXAMPLES, MODELS

pytestmark = pytest.mark.server

FOLDER = Path(__file__).parents[2] / "example_workflows"
FRONTENDS = {"MarkdownNote"}  # types that no server has
MULTIGPU = "MultiGPU_WorkUnits"
OF_THE_FRONTEND = {"upload"}  # widgets that no schema has
FILES = {*MODELS, "example.png"}  # not on this machine
NUMBERS = {"INT": int, "FLOAT": (int, float)}
OTHERS = {"BOOLEAN": bool, "STRING": str}


def specs(info):
    """Of all inputs of a node type: name to (kind, options)."""
    groups = [info["input"].get(group, {}).items() for group in ("required", "optional")]
    return {name: (spec[0], spec[1] if len(spec) > 1 else {}) for name, spec in chain(*groups)}


def choices(kind, options):
    """Of a combo; None for another kind."""
    if isinstance(kind, list):
        return kind
    if kind == "COMFY_DYNAMICCOMBO_V3":
        return [option["key"] for option in options["options"]]
    return options["options"] if kind == "COMBO" else None


def is_widget(kind, options):
    return choices(kind, options) is not None or kind in NUMBERS or kind in OTHERS


def wrong_value(kind, options, value):
    offered = choices(kind, options)
    if offered is not None:
        return value not in offered and value not in FILES
    if kind in OTHERS:
        return not isinstance(value, OTHERS[kind])
    good = isinstance(value, NUMBERS[kind]) and not isinstance(value, bool)
    return not good or not options.get("min", value) <= value <= options.get("max", value)


def wrong_widgets(node, info):
    """A host older than the frontend that saved the file may lack the last widgets."""
    known = {name: spec for name, spec in specs(info).items() if is_widget(*spec)}
    saved = [entry["name"] for entry in node["inputs"] if "widget" in entry and entry["name"] not in OF_THE_FRONTEND]
    if saved[: len(known)] != list(known):
        yield f"{node['type']} has the widgets {list(known)}, not {saved}"
        return
    values = list(node.get("widgets_values") or [])
    for name in saved:
        if not values:
            yield f"{node['type']} has no value for {name}"
            return
        value, options = values.pop(0), known.get(name, ("", {}))[1]
        if name in known and wrong_value(*known[name], value):
            yield f"{node['type']}.{name} cannot be {value!r}"
        if options.get("control_after_generate") and values[:1] != ["fixed"]:
            yield f"{node['type']}.{name} is not fixed"
        del values[: int(bool(options.get("control_after_generate") or options.get("image_upload")))]
    if values:
        yield f"{node['type']} has {len(values)} values too many"


def wrong_links(workflow, infos):
    nodes = {node["id"]: node for node in workflow["nodes"]}
    for number, source, slot, target, to, kind in workflow["links"]:
        entry = nodes[target]["inputs"][to]
        given, wanted = infos[nodes[source]["type"]]["output"][slot], specs(infos[nodes[target]["type"]])
        if entry["link"] != number or number not in nodes[source]["outputs"][slot]["links"]:
            yield f"link {number} is not in its nodes"
        if entry["name"] not in wanted or not given == kind or wanted[entry["name"]][0] not in (kind, "*"):
            yield f"{given} of {nodes[source]['type']} does not fit {nodes[target]['type']}.{entry['name']}"


def unconnected(node, info):
    linked = {entry["name"] for entry in node["inputs"] if entry.get("link") is not None}
    for name in info["input"].get("required", {}):
        if name not in linked and not is_widget(*specs(info)[name]):
            yield f"{node['type']}.{name} is not connected"


def complaints(workflow, infos):
    nodes = [node for node in workflow["nodes"] if node["type"] not in FRONTENDS]
    missing = sorted({node["type"] for node in nodes} - infos.keys())
    if missing:
        return [f"there is no {kind}" for kind in missing]
    of_nodes = ([*wrong_widgets(n, infos[n["type"]]), *unconnected(n, infos[n["type"]])] for n in nodes)
    return [*chain(*of_nodes), *wrong_links(workflow, infos)]


def load(title):
    return json.loads((FOLDER / f"{title}.json").read_text("utf-8"))


@pytest.mark.parametrize("title", [example.title for example in EXAMPLES])
def test_the_host_can_run_it(host, title):
    expected = []
    if "two GPUs" in title and not (host.path / "comfy_extras" / "nodes_multigpu.py").is_file():
        expected = [f"there is no {MULTIGPU}"]
    assert complaints(load(title), host.info) == expected


def test_the_template_browser_gets_all_of_them_with_their_pictures(host):
    with urllib.request.urlopen(f"{host.server.url}/workflow_templates") as answer:
        assert sorted(json.load(answer)["hicache"]) == sorted(example.title for example in EXAMPLES)
    for example in EXAMPLES:
        path = urllib.parse.quote(f"/api/workflow_templates/hicache/{example.title}.jpg")
        with urllib.request.urlopen(host.server.url + path) as answer:
            assert answer.headers["Content-Type"] == "image/jpeg"


def find(workflow, kind):
    return next(node for node in workflow["nodes"] if node["type"] == kind)


def rename(workflow):
    find(workflow, "KSampler")["type"] = "KSampler2"


def drop_value(workflow):
    find(workflow, "KSampler")["widgets_values"].pop()


def add_value(workflow):
    find(workflow, "KSampler")["widgets_values"].append(1)


def leave_the_range(workflow):
    find(workflow, "HiCachePatchModel")["widgets_values"][1] = 1000


def unknown_choice(workflow):
    find(workflow, "HiCachePatchModel")["widgets_values"][0] = "fastest"


def randomize(workflow):
    find(workflow, "KSampler")["widgets_values"][1] = "randomize"


def wrong_type(workflow):
    find(workflow, "KSampler")["widgets_values"][4] = 1


def rename_a_widget(workflow):
    find(workflow, "KSampler")["inputs"][-1]["name"] = "noise"


def unplug(workflow):
    find(workflow, "VAEDecode")["inputs"][1]["link"] = None


def plug_elsewhere(workflow):
    link = next(link for link in workflow["links"] if link[5] == "VAE")
    link[3:5] = find(workflow, "KSampler")["id"], 3


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (rename, "there is no KSampler2"),
        (drop_value, "KSampler has no value for denoise"),
        (add_value, "KSampler has 1 values too many"),
        (leave_the_range, "HiCachePatchModel.speed cannot be 1000"),
        (unknown_choice, "HiCachePatchModel.mode cannot be 'fastest'"),
        (randomize, "KSampler.seed is not fixed"),
        (wrong_type, "KSampler.sampler_name cannot be 1"),
        (rename_a_widget, "KSampler has the widgets"),
        (unplug, "VAEDecode.vae is not connected"),
        (plug_elsewhere, "VAE of VAELoader does not fit KSampler.latent_image"),
    ],
)
def test_the_check_fires(host, damage, complaint):
    workflow = load("HiCache on the small bundled Flux")
    damage(workflow)
    assert any(said.startswith(complaint) for said in complaints(workflow, host.info))
