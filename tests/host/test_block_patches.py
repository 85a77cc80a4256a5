"""A skipped step that adds the very features of that step is that step, in every network with every modulation."""

import comfy.ops
import pytest
import torch
from comfy.ldm.flux.model import Flux
from small_models import pictures
from small_models.flux import CONFIG
from small_models.sampling import first_block

from hicache_comfy.architectures import FLUX, QWEN_IMAGE
from hicache_comfy.block_call import BlockCall, Plan
from hicache_comfy.block_patches import PATCHES
from hicache_core import LEVELS, Series
from hicache_core.history import Anchor

FLUX_2 = dict(
    CONFIG,
    vec_in_dim=None,
    guidance_embed=False,
    global_modulation=True,
    mlp_silu_act=True,
    ops_bias=False,
    qkv_bias=False,
    axes_dim=[32, 32, 32, 32],
    txt_ids_dims=[3],
)


@pytest.fixture(scope="module")
def flux_2():
    """Untrained, with modulation that differs between noise levels."""
    net = Flux(**FLUX_2, dtype=torch.float32, device="cpu", operations=comfy.ops.disable_weight_init)
    generator = torch.Generator().manual_seed(0)
    for parameter in net.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.08
    return net.requires_grad_(False)


@pytest.fixture
def call(request):
    """Calls a network by name with two pictures and the patches of a BlockCall."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, 16, 8, 8, generator=generator)
    reference = torch.randn(1, 16, 8, 6, generator=generator)
    context, pooled = pictures.encode_captions(pictures.captions(pictures.TRAIN)[:2])
    sigma = torch.full((2,), 0.6)

    def run(name, method, options):
        how = {"transformer_options": options}
        if method:
            ref = reference.repeat(2, 1, 1, 1)
            how |= {"ref_latents": [ref[:, :, None] if name == "qwen_image" else ref], "ref_latents_method": method}
        if name == "qwen_image":
            model = request.getfixturevalue("qwen_image").model.diffusion_model
            return model(x[:, :, None], sigma, context, **how)
        if name == "flux":
            model = request.getfixturevalue("flux").model.diffusion_model
            return model(x, sigma, context, pooled, torch.full((2,), 3.0), **how)
        return request.getfixturevalue("flux_2")(x, sigma, context, **how)

    return run


def test_every_level_inside_the_network_has_a_patch():
    assert tuple(PATCHES) == LEVELS[1:]


CASES = [
    ("flux", ""),
    ("flux", "index"),
    ("flux_2", ""),
    ("flux_2", "index"),
    ("flux_2", "index_timestep_zero"),
    ("qwen_image", ""),
    ("qwen_image", "index"),
    ("qwen_image", "index_timestep_zero"),
]


@pytest.fixture
def through(request, call):
    """Calls a network by name through the patches of a grain: what a plan says, what comes out, whether blocks ran.

    together: two conditions of one picture each, or one of two.
    """

    def run(name, method, grain, together, layouts, **what):
        fixture = request.getfixturevalue(name)
        network = fixture if name == "flux_2" else fixture.model.diffusion_model
        architecture = QWEN_IMAGE if name == "qwen_image" else FLUX
        plan = Plan(architecture, PATCHES[grain], 1 if together else 2, layouts, **what)
        blocks = BlockCall(plan, network, OPTIONS[together])
        ran = []
        counter = first_block(network).register_forward_pre_hook(lambda *_: ran.append(1))
        try:
            with torch.no_grad():
                output = call(name, method, blocks.patched(OPTIONS[together]))
        finally:
            counter.remove()
        assert plan.trouble == []
        return output, plan, len(ran)

    return run


OPTIONS = {
    True: {"cond_or_uncond": [0, 1], "uuids": ["a", "b"]},
    False: {"cond_or_uncond": [0], "uuids": ["a"]},
}


def recorded_for(together):
    options = OPTIONS[together]
    return {branch: {} for branch in zip(options["cond_or_uncond"], options["uuids"], strict=True)}


def series_of(recorded, change=lambda tensor: tensor):
    """Forecasts that are what was recorded, or a change of it."""
    return {
        branch: Series(
            (Anchor(0.0, {s: change(t) for s, t in tensors.items()}, {}),), {slot: [1.0] for slot in tensors}
        )
        for branch, tensors in recorded.items()
    }


@pytest.mark.parametrize("grain", PATCHES)
@pytest.mark.parametrize(("name", "method"), CASES)
@pytest.mark.parametrize("together", [True, False])
def test_skipping_with_the_features_of_the_step_is_the_step(call, through, name, method, grain, together):
    with torch.no_grad():
        expected = call(name, method, {})
    case = name, method, grain, together, {}
    computed, plan, ran = through(*case, recorded=recorded_for(together))
    assert torch.equal(computed, expected)
    assert ran == 1
    skipped, passed, ran = through(*case, series=series_of(plan.recorded))
    assert ran == 0
    assert plan.objections == passed.objections == []
    assert float((skipped - expected).norm()) < 1e-5 * float(expected.norm())


@pytest.mark.parametrize("grain", PATCHES)
@pytest.mark.parametrize("name", ["flux", "qwen_image"])
@pytest.mark.parametrize("together", [True, False])
def test_a_call_with_other_tokens_than_were_stored_is_computed(call, through, name, grain, together):
    case = name, "", grain, together, {}
    _, plan, _ = through(*case, recorded=recorded_for(together))
    shorter = series_of(plan.recorded, lambda tensor: tensor[:, 1:])
    output, refused, ran = through(*case, series=shorter)
    assert refused.objections == ["the shape of the hidden states changed"]
    assert ran == 1
    with torch.no_grad():
        assert torch.equal(output, call(name, "", {}))


@pytest.mark.parametrize("grain", PATCHES)
def test_a_block_of_which_something_is_missing_is_computed(call, through, grain):
    """Nobody objects: the rest is forecast as it was meant."""
    case = "flux", "", grain, False, {}
    _, plan, _ = through(*case, recorded=recorded_for(False))
    (tensors,) = plan.recorded.values()
    del tensors[next(iter(tensors))]
    output, partly, ran = through(*case, series=series_of(plan.recorded))
    assert partly.objections == []
    assert ran == 1
    with torch.no_grad():
        expected = call("flux", "", {})
    assert float((output - expected).norm()) < 1e-5 * float(expected.norm())
