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


@pytest.mark.parametrize("grain", PATCHES)
@pytest.mark.parametrize(("name", "method"), CASES)
@pytest.mark.parametrize("together", [True, False])
def test_skipping_with_the_features_of_the_step_is_the_step(request, call, name, method, grain, together):
    with torch.no_grad():
        expected = call(name, method, {})
    fixture = request.getfixturevalue(name)
    network = fixture if name == "flux_2" else fixture.model.diffusion_model
    architecture = QWEN_IMAGE if name == "qwen_image" else FLUX
    # Two conditions of one picture each, or one of two.
    options = {"cond_or_uncond": [0, 1], "uuids": ["a", "b"]} if together else {"cond_or_uncond": [0], "uuids": ["a"]}
    layouts = {}

    def through(**what):
        plan = Plan(architecture, PATCHES[grain], 1 if together else 2, layouts, **what)
        blocks = BlockCall(plan, network, options)
        ran = []
        counter = first_block(network).register_forward_pre_hook(lambda *_: ran.append(1))
        try:
            with torch.no_grad():
                output = call(name, method, blocks.patched(options))
        finally:
            counter.remove()
        assert plan.objections == plan.trouble == []
        return output, plan, len(ran)

    branches = list(zip(options["cond_or_uncond"], options["uuids"], strict=True))
    computed, plan, ran = through(recorded={branch: {} for branch in branches})
    assert torch.equal(computed, expected)
    assert ran == 1
    series = {}
    for branch, tensors in plan.recorded.items():
        series[branch] = Series((Anchor(0.0, tensors, {}),), {slot: [1.0] for slot in tensors})
    skipped, _, ran = through(series=series)
    assert ran == 0
    assert float((skipped - expected).norm()) < 1e-5 * float(expected.norm())
