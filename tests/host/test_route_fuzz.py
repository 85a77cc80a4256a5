"""What the route of plans makes of any question: a plan, or one sentence and no more."""

import json
import math

import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from hicache_core import CACHE_DEVICES, LEVELS, RANGES
from hicache_core.basis import BASES

SAMPLERS = ["euler", "heun", "dpm_2", "lcm", "euler_cfg_pp", "res_multistep", "uni_pc", "of another pack"]
SCHEDULERS = ["simple", "karras", "beta", "sgm_uniform", "kl_optimal", "linear_quadratic", "of another pack"]


SMALL = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        [10**400, -(10**400), 10**4000, 1e308, math.nan, math.inf, "x" * 9000, "0-9999," * 900, "9" * 5000]
    ),
)
ANYTHING = st.recursive(SMALL, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner))
WIDGETS = {
    **{n: st.integers(a, b) if isinstance(a, int) else st.floats(a, b) for n, (a, b) in RANGES.items()},
    "basis": st.sampled_from(list(BASES)),
    "level": st.sampled_from(LEVELS),
    "cache_device": st.sampled_from(CACHE_DEVICES),
    "corrector": st.booleans(),
    "steps": st.sampled_from(["", "0, 4, 8-10", "0-9999", "7"]),
    "no such widget": ANYTHING,
}
SAMPLING = {
    "steps": st.integers(1, 60),
    "sampler_name": st.sampled_from(SAMPLERS),
    "scheduler": st.sampled_from(SCHEDULERS),
    "denoise": st.floats(0.0, 1.0),
    "start_at_step": st.integers(0, 70),
    "end_at_step": st.integers(0, 70),
}
QUESTION = {
    "mode": st.sampled_from(["target speed", "even intervals", "adaptive", "listed steps", "paper"]),
    "speed": WIDGETS["speed"],
    "tolerance": WIDGETS["tolerance"],
    "node": st.sampled_from(["4", "5:3"]),
}


@st.composite
def questions(draw):
    """Most of it as the timeline asks, some of it anything."""

    def drawn(kinds, optional):
        names = draw(st.lists(st.sampled_from(sorted(kinds)), unique=True)) if optional else kinds
        return {name: draw(kinds[name]) for name in names}

    sampling = {"steps": draw(SAMPLING["steps"]), **drawn(SAMPLING, True)}
    question = {**drawn(QUESTION, False), "sampling": sampling}
    if draw(st.booleans()):
        question["settings"] = drawn({k: v for k, v in WIDGETS.items() if k != "no such widget"}, True)
    for _ in range(draw(st.integers(0, 2))):
        settings = question.get("settings")  # by now it may be anything
        place = draw(st.sampled_from([question, sampling, settings if isinstance(settings, dict) else question]))
        place[draw(st.sampled_from([*sorted(place), "extra", "func", "self"]))] = draw(ANYTHING)
    return question


PLAIN = {"mode": "target speed", "speed": 2.5, "tolerance": 0.003, "node": "4", "sampling": {"steps": 20}}


@given(questions())
@example({**PLAIN, "speed": 10**400})
@example({**PLAIN, "speed": None})
@example({**PLAIN, "settings": {"steps": 5}})
@example({**PLAIN, "settings": {"steps": "9" * 5000}})
@example({**PLAIN, "settings": {"order": 10**4000}})
@example({**PLAIN, "sampling": {"steps": 10**400, "denoise": 1.0}})
@example({**PLAIN, "sampling": {"steps": 1, "denoise": 5e-324}})
@example({**PLAIN, "sampling": {"steps": 10_000, "denoise": 10**400}})
@example({**PLAIN, "mode": "adaptive", "tolerance": 5e-324})
@example({**PLAIN, "mode": "x" * 16_000})
@example({**PLAIN, "sampling": None})
@example({**PLAIN, "sampling": {"\n": None}})
@example({**PLAIN, "settings": {"\n" * 9000: 1}})
@example({"x" * 9000: 1})
@example([1, 2])
def test_any_question_gets_a_plan_or_a_sentence(pack, question):
    try:
        answer = pack.nodes.routes._answer(json.loads(json.dumps(question)))
    except (TypeError, ValueError) as refused:  # what the route answers with status 400
        reason = str(refused)
        event("refused")
    else:
        reason = "none"
        event("planned")
        if answer["total"] is None:
            assert (answer["speedup"] or 1.0) >= 1.0
        else:
            assert 0 <= answer["fewest"] <= answer["most"] <= answer["total"] <= 10_000
        json.dumps(answer, allow_nan=False)
    assert reason
    assert "\n" not in reason
    assert len(reason) < 400


@pytest.mark.parametrize("value", ["abc", 3, {"order": 2}, [1, 2]])
def test_the_patch_node_says_what_a_settings_input_is(pack, value):
    node = pack.nodes.patch_model.HiCachePatchModel
    with pytest.raises(TypeError, match=r"settings is .*: connect HiCache Settings, or nothing\."):
        node.execute("model", "target speed", 2.0, 0.003, value)


def test_the_other_nodes_say_what_they_need(pack):
    report = pack.nodes.report
    compare = pack.nodes.compare
    assert report.last_report("abc") is None
    with pytest.raises(TypeError, match=r"needs two IMAGEs and got 'abc': connect them\."):
        compare.HiCacheCompare.execute("abc", "abc", 8.0)
