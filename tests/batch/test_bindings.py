"""Columns, seeds and --set on the inputs of nodes, with the node definitions of a real server."""

import pytest

from hicache_batch.bindings import Bindings, Wanted
from hicache_batch.errors import Refusal
from hicache_batch.rows import Row

pytestmark = pytest.mark.server


@pytest.fixture
def bind(workflow, info):
    def bindings(*sets, columns=("prompt",), seed=None, change=None):
        if change is not None:
            change(workflow)
        return Bindings(workflow, info, list(columns), Wanted([tuple(s.split("=", 1)) for s in sets], seed))

    return bindings


@pytest.fixture
def inputs(bind):
    """The inputs of all nodes for one row."""

    def of_row(*sets, row=0, base=None, change=None, **columns):
        made = bind(*sets, columns=columns, seed=base, change=change).apply(Row(row, columns))
        return {key: node["inputs"] for key, node in made.items()}

    return of_row


def test_prompt_and_seed_find_their_places(inputs):
    changed = inputs(prompt="heart crimson pink flat", row=5, base=100)
    assert changed["3"]["text"] == "heart crimson pink flat"
    assert changed["6"]["seed"] == 105


def test_the_workflow_itself_stays(bind, workflow):
    before = {key: dict(node["inputs"]) for key, node in workflow.items()}
    bind("KSampler.steps=7").apply(Row(1, {"prompt": "x"}))
    assert {key: node["inputs"] for key, node in workflow.items()} == before


@pytest.mark.parametrize("target", ["KSampler.steps", "6.steps"])
def test_a_node_is_named_by_title_or_id(inputs, target):
    assert inputs(f"{target}=7", prompt="x")["6"]["steps"] == 7


def test_a_column_named_like_an_input_is_bound_to_it(inputs):
    assert inputs(**{"KSampler.cfg": "2.5", "prompt": "x"})["6"]["cfg"] == 2.5


def test_a_template_mixes_columns_seed_and_row(inputs):
    sets = ("Prompt.text={a} and {{b}} of {row}, {seed}", "8.filename_prefix={a}")
    changed = inputs(*sets, a="cat", row=3, base=4)
    assert changed["3"]["text"] == "cat and {b} of 3, 7"
    assert changed["8"]["filename_prefix"] == "cat"


def test_a_template_takes_the_prompt_elsewhere(inputs):
    changed = inputs("8.filename_prefix={prompt}", prompt="cat")
    assert changed["3"]["text"] == "hexagon mint navy dots"


def test_a_column_of_seeds_wins_over_the_base(inputs):
    assert inputs(prompt="x", seed="18446744073709551615", row=2)["6"]["seed"] == 2**64 - 1


def test_a_bound_seed_is_left_to_its_binding(inputs):
    assert inputs("6.seed=9", prompt="x", row=2)["6"]["seed"] == 9


def test_titles_and_inputs_may_have_dots(inputs):
    def rename(workflow):
        workflow["6"]["_meta"]["title"] = "v1.5 sampler"
        workflow["6"]["inputs"]["steps.more"] = 1

    changed = inputs("v1.5 sampler.steps.more=5", "v1.5 sampler.steps=6", prompt="x", change=rename)
    assert (changed["6"]["steps.more"], changed["6"]["steps"]) == (5, 6)


def test_what_a_row_does_not_have_stays_as_it_is(bind):
    bindings = bind(columns=["prompt", "KSampler.steps", "KSampler.sampler_name"])
    changed = bindings.apply(Row(0, {"KSampler.steps": "", "KSampler.sampler_name": ""}))
    assert changed["3"]["inputs"]["text"] == "hexagon mint navy dots"
    assert (changed["6"]["inputs"]["steps"], changed["6"]["inputs"]["sampler_name"]) == (20, "euler")


def test_an_empty_text_is_a_text(inputs):
    assert inputs(prompt="")["3"]["text"] == ""


@pytest.mark.parametrize(
    ("target", "given", "taken"),
    [
        ("6.steps", "12", 12),
        ("6.steps", 12.0, 12),
        ("6.steps", " 1e2 ", 100),
        ("6.cfg", "3", 3.0),
        ("6.sampler_name", "dpmpp_2m", "dpmpp_2m"),
        ("3.text", 7, "7"),
        ("1.weight_dtype", "default", "default"),
    ],
)
def test_values_become_what_the_input_takes(inputs, target, given, taken):
    node, name = target.split(".")
    changed = inputs(**{target: given})[node][name]
    assert changed == taken
    assert type(changed) is type(taken)


@pytest.mark.parametrize(
    ("target", "given", "sentence"),
    [
        ("6.steps", "many", "Row 0 gives KSampler .6..steps 'many': .*"),
        ("6.steps", "2.5", "write a whole number"),
        ("6.steps", True, "write a whole number"),
        ("6.steps", "0", "choose from 1 to 10000"),
        ("6.cfg", "nan", "write a number"),
        ("6.cfg", "inf", "write a number"),
        ("6.cfg", 10**400, "write a number"),
        ("6.steps", 10**400, "choose from 1 to 10000"),
        ("6.sampler_name", "eule", "choose one of euler, "),
        ("seed", "-1", "The seed of row 0 is -1: choose a whole number from 0"),
        ("seed", "x", "The seed of row 0 is x"),
        ("seed", 2**64, "The seed of row 0 is 18446744073709551616"),
    ],
)
def test_values_that_no_input_takes_are_refused(inputs, target, given, sentence):
    with pytest.raises(Refusal, match=sentence):
        inputs(**{target: given})


@pytest.mark.parametrize(
    ("sets", "columns", "sentence"),
    [
        (
            ["Sampler.steps=7"],
            [],
            r"'Sampler.steps' names no node .* one of Load Diffusion Model \(1\), Load VAE \(2\)",
        ),
        (["KSampler.step=7"], [], r"'KSampler.step' names no input: choose one of .*KSampler.seed, KSampler.steps"),
        (["6.steps=7", "KSampler.steps=8"], [], r"KSampler \(6\).steps is bound twice"),
        (["6.steps={step}"], ["steps"], r"\{step\} in '\{step\}' is no column: choose of steps, seed, row"),
        (["6.steps={steps"], ["steps"], r"'\{steps' is no template \(expected '\}' before end of string\)"),
        (["6.steps={steps:d}"], ["steps"], "only names stand between braces"),
        (["6.steps={}"], ["steps"], r"\{\} in '\{\}' is no column"),
        (["6.model=7"], [], r"KSampler \(6\).model takes a MODEL, which is no text and no number"),
        ([], ["steps"], "Column 'steps' is bound to nothing; use it with --set"),
    ],
)
def test_a_wrong_binding_names_what_exists(bind, sets, columns, sentence):
    with pytest.raises(Refusal, match=sentence):
        bind(*sets, columns=columns)


def test_two_nodes_of_one_title_are_told_apart_by_id(bind):
    def rename(workflow):
        workflow["2"]["_meta"]["title"] = workflow["1"]["_meta"]["title"] = "Load"
        workflow["2"]["inputs"]["unet_name"] = "x"

    with pytest.raises(
        Refusal, match=r"'Load.unet_name' is several inputs: .* by the node's id, 1.unet_name, 2.unet_name"
    ):
        bind("Load.unet_name=x", change=rename)


def test_prompts_with_two_places_to_go_are_asked_about(bind):
    def combine(workflow):
        workflow["20"] = {"class_type": "SmallFluxText", "inputs": {"text": "b"}, "_meta": {"title": "Second"}}
        workflow["21"] = {"class_type": "ConditioningCombine", "inputs": {"a": ["3", 0], "b": ["20", 0]}}
        workflow["6"]["inputs"]["positive"] = ["21", 0]

    with pytest.raises(Refusal, match=r"Where do prompts go\? Say --set .*Prompt \(3\).text, Second \(20\).text"):
        bind(change=combine)


def test_the_negative_text_is_left_alone(inputs):
    def split(workflow):
        workflow["20"] = {"class_type": "SmallFluxText", "inputs": {"text": "b"}, "_meta": {"title": "Negative"}}
        workflow["6"]["inputs"]["negative"] = ["20", 0]

    changed = inputs(prompt="new", change=split)
    assert (changed["3"]["text"], changed["20"]["text"]) == ("new", "b")


def test_a_text_further_up_is_found(inputs):
    def chain(workflow):
        workflow["20"] = {"class_type": "PrimitiveStringMultiline", "inputs": {"value": "b"}}
        workflow["3"]["inputs"]["text"] = ["20", 0]

    assert inputs(prompt="new", change=chain)["20"]["value"] == "new"


def test_a_workflow_without_a_seed_says_so(bind):
    def fix(workflow):
        workflow["6"]["inputs"]["seed"] = ["20", 0]

    assert not bind(change=fix).has_seed
    assert bind().has_seed is False  # the same workflow, changed above


def linked(node):
    def change(workflow):
        workflow["20"] = node
        workflow["6"]["inputs"]["seed"] = ["20", 0]

    return change


INT = {"class_type": "PrimitiveInt", "inputs": {"value": 7}}


def test_a_seed_is_followed_to_the_number_that_it_is(inputs):
    changed = inputs(prompt="x", row=2, base=5, change=linked(INT))
    assert (changed["20"]["value"], changed["6"]["seed"]) == (7, ["20", 0])
    own = {"class_type": "RandomNoise", "inputs": {"noise_seed": 1, "digits": 3}}
    assert inputs(prompt="x", row=2, base=5, change=linked(own))["20"] == {"noise_seed": 7, "digits": 3}


def also_steps(workflow):
    linked(INT)(workflow)
    workflow["6"]["inputs"]["steps"] = ["20", 0]


UNCLEAR = [
    linked({"class_type": "Two", "inputs": {"a": 1, "b": 2}}),
    linked({"class_type": "Sum", "inputs": {"a": 1, "b": ["4", 0]}}),
    also_steps,
]


@pytest.mark.parametrize("change", UNCLEAR)
def test_a_seed_that_comes_from_elsewhere_is_left_or_refused(bind, change):
    assert not bind(change=change).has_seed
    with pytest.raises(Refusal, match=r"--seed does not reach KSampler \(6\).seed, which is linked: say --set"):
        bind(change=change, seed=0)
    with pytest.raises(Refusal, match="Column 'seed' does not reach"):
        bind(change=change, columns=["prompt", "seed"])


def test_a_seed_may_be_sent_elsewhere(inputs):
    changed = inputs("20.a={seed}", prompt="x", base=5, change=UNCLEAR[0])
    assert changed["20"] == {"a": 5, "b": 2}


def test_seeds_that_fit_nowhere_are_refused(bind):
    with pytest.raises(Refusal, match="--seed fits nowhere: the workflow has no seed"):
        bind(seed=3, change=lambda workflow: workflow["6"]["inputs"].pop("seed"))
