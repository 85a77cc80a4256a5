"""Widgets of saved workflows that depend on each other or are not what they seem, with definitions of real servers."""

import pytest
from comfy_client import WorkflowError, to_prompt

pytestmark = pytest.mark.server


def node(kind, values, inputs=(), **more):
    slots = [{"name": name, "type": slot, "link": link} for name, slot, link in inputs]
    return {"id": 1, "type": kind, "inputs": slots, "outputs": [], "widgets_values": values} | more


@pytest.fixture
def inputs_of(host):
    """Of one node, by the host's own definition or by one that is given."""

    def convert(saved, *others, links=(), **definition):
        info = {**host.info, **definition}
        return to_prompt({"nodes": [saved, *others], "links": list(links)}, info)["1"]["inputs"]

    return convert


def definition(**inputs):
    return {"name": "Made", "input": {"required": inputs}, "output": []}


CHOICES = [
    {"key": "by size", "inputs": {"required": {"width": ["INT", {"default": 8}], "height": ["INT", {"default": 9}]}}},
    {"key": "by factor", "inputs": {"required": {"factor": ["FLOAT", {"default": 2.0}]}}},
    {"key": "by image", "inputs": {"required": {"image": ["IMAGE", {}]}}},
]
RESIZE = definition(how=["COMFY_DYNAMICCOMBO_V3", {"options": CHOICES}], after=["STRING", {"default": "end"}])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], {"how": "by size", "how.width": 8, "how.height": 9, "after": "end"}),
        (["by size", 1, 2, "x"], {"how": "by size", "how.width": 1, "how.height": 2, "after": "x"}),
        (["by factor", 3.0, "x"], {"how": "by factor", "how.factor": 3.0, "after": "x"}),
        (["by image", "x"], {"how": "by image", "after": "x"}),
        ({"after": "x", "how.factor": 3.0, "how": "by factor"}, {"how": "by factor", "how.factor": 3.0, "after": "x"}),
    ],
)
def test_a_choice_brings_widgets_of_its_own(inputs_of, values, expected):
    assert inputs_of(node("Made", values), Made=RESIZE) == expected


def test_a_choice_within_a_choice(inputs_of):
    inner = [{"key": key, "inputs": {"required": {key: ["INT", {"default": 1}]}}} for key in "ab"]
    outer = [{"key": "on", "inputs": {"required": {"kind": ["COMFY_DYNAMICCOMBO_V3", {"options": inner}]}}}]
    made = definition(mode=["COMFY_DYNAMICCOMBO_V3", {"options": outer}], last=["INT", {}])
    expected = {"mode": "on", "mode.kind": "b", "mode.kind.b": 5, "last": 6}
    assert inputs_of(node("Made", ["on", "b", 5, 6]), Made=made) == expected


def test_sockets_that_grow_keep_their_names(inputs_of):
    template = {"input": {"required": {"image": ["IMAGE", {}]}}, "prefix": "image", "min": 1, "max": 9}
    made = definition(images=["COMFY_AUTOGROW_V3", {"template": template}])
    sockets = [("images.image0", "IMAGE", 5), ("images.image1", "IMAGE", None)]
    source = {"id": 2, "type": "LoadImage", "outputs": [], "widgets_values": ["a.png", "image"]}
    assert inputs_of(node("Made", [], sockets), source, links=[[5, 2, 0, 1, 0, "IMAGE"]], Made=made) == {
        "images.image0": ["2", 0]
    }


def test_fields_that_grow_are_refused(inputs_of):
    template = {"input": {"required": {"text": ["STRING", {}]}}, "prefix": "text", "min": 1, "max": 9}
    made = definition(texts=["COMFY_AUTOGROW_V3", {"template": template}])
    with pytest.raises(WorkflowError, match="Node 1 cannot run from a file: its input 'texts' grows fields"):
        inputs_of(node("Made", []), Made=made)


@pytest.mark.parametrize(("kind", "name"), [("WEBCAM", "photo"), ("AUDIO_RECORD", "sound"), ("LOAD_3D", "image")])
def test_what_the_browser_records_is_refused(inputs_of, kind, name):
    with pytest.raises(WorkflowError, match=f"its input '{name}' is recorded in the browser"):
        inputs_of(node("Made", []), Made=definition(**{name: [kind, {}]}))


def test_the_button_for_a_file_has_a_value_that_is_not_sent(inputs_of):
    assert inputs_of(node("LoadImage", ["a.png", "image"])) == {"image": "a.png"}


def test_a_combo_with_a_control_has_a_filter_too(inputs_of):
    made = definition(name=["COMBO", {"options": ["a", "b"], "control_after_generate": True}], last=["INT", {}])
    assert inputs_of(node("Made", ["b", "fixed", "", 6]), Made=made) == {"name": "b", "last": 6}


def test_a_combo_saved_without_a_choice_has_the_first(inputs_of):
    assert inputs_of(node("Made", [None]), Made=definition(name=[["a", "b"]])) == {"name": "a"}


FORCED = definition(clip=["CLIP", {}], was=["FLOAT", {"forceInput": True}], count=["INT", {}], last=["INT", {}])


@pytest.mark.parametrize("values", [[0.5, 5, 6], [5, 6]])
def test_a_value_of_a_widget_that_became_a_socket_is_skipped(inputs_of, values):
    assert inputs_of(node("Made", values), Made=FORCED) == {"count": 5, "last": 6}


def test_a_region_is_saved_with_its_sides(inputs_of):
    box = {"x": 1, "y": 2, "width": 3, "height": 4}
    made = definition(region=["BOUNDING_BOX", {}], last=["INT", {}])
    assert inputs_of(node("Made", [box, 1, 2, 3, 4, 7]), Made=made) == {"region": box, "last": 7}


def test_widgets_come_in_the_order_of_the_definition(inputs_of):
    made = definition(b=["INT", {}], a=["INT", {}]) | {"input_order": {"required": ["a", "b"]}}
    assert inputs_of(node("Made", [1, 2]), Made=made) == {"a": 1, "b": 2}


def test_choices_that_the_artist_writes(inputs_of):
    made = definition(choice=["COMBO", {"options": []}]) | {"name": "CustomCombo"}
    expected = {"choice": "b", "index": 1, "option1": "a", "option2": "b", "option3": ""}
    assert inputs_of(node("CustomCombo", ["b", 0, "a", "b", ""]), CustomCombo=made) == expected


TEXT = definition(text=["STRING", {"multiline": True, "dynamicPrompts": True}])


def test_a_template_is_chosen_from_and_loses_its_comments(inputs_of):
    chosen = {inputs_of(node("Made", ["a {red|{light|dark} blue} hat // or not"]), Made=TEXT)["text"] for _ in range(3)}
    assert len(chosen) == 1  # always the same for a text
    assert chosen < {"a red hat ", "a light blue hat ", "a dark blue hat "}


def test_braces_can_be_meant(inputs_of):
    assert inputs_of(node("Made", [r"a \{red\|blue\} hat"]), Made=TEXT) == {"text": "a {red|blue} hat"}


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("%EmptyImage.width%px", "64px"),
        ("%My size.width%px", "64px"),
        ("%Nobody.width% %EmptyImage.nothing% %text%", "%Nobody.width% %EmptyImage.nothing% %text%"),
    ],
)
def test_names_of_files_are_filled_in(inputs_of, prefix, expected):
    size = {"id": 2, "type": "EmptyImage", "title": "My size", "widgets_values": [64, 32, 1, 0]}
    assert inputs_of(node("SaveImage", [prefix]), size) == {"filename_prefix": expected}


def test_a_date_in_the_name_of_a_file(inputs_of):
    name = inputs_of(node("SaveImage", ["%date:yyyy-MM-dd%"]))["filename_prefix"]
    assert [len(part) for part in name.split("-")] == [4, 2, 2]
