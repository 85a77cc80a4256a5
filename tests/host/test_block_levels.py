"""Forecasts inside the network: bit-identity, what other packs do to blocks, what survives a run."""

from dataclasses import replace

import comfy.controlnet
import comfy.model_management
import pytest
import torch
from small_models.sampling import conditioning, jobs, sample

from hicache_comfy import attach, last_report
from hicache_core import LEVELS, Settings, presets

CLOSE = 0.25  # relative RMS error; another seed of the same caption is beyond 0.6
BLOCK_LEVELS = LEVELS[1:]


def error(a, b):
    return float((a - b).norm() / b.norm())


def every_third(level, **changes):
    """Even gaps and half the trend: gentle, so that what a test sees is what it looks for."""
    return replace(presets.paper(3, order=1), level=level, **changes)


def hooks_left(model):
    modules = model.model.diffusion_model.modules()
    return [m for m in modules if m._forward_hooks or m._forward_pre_hooks]


@pytest.fixture
def guided(job, model):
    """Qwen-Image with true CFG as in practice; a Flux dev stands less."""
    return replace(job, cfg=2.0 if type(model.model).__name__ == "Flux" else 4.0, steps=24)


@pytest.mark.parametrize("level", LEVELS)
def test_interval_one_is_bit_identical(model, guided, level):
    settings = replace(presets.paper(1), level=level)
    assert torch.equal(sample(attach(model, settings), guided), sample(model, guided))


@pytest.mark.parametrize("level", LEVELS)
def test_steps_before_the_first_forecast_and_runs_afterwards_are_bit_identical(model, job, level):
    """What is recorded on a computed step does not touch it."""
    plain, cached, again = [], [], []
    sample(model, job, callback=lambda k, x0, x, n: plain.append((x0.clone(), x.clone())))
    settings = replace(presets.paper(interval=20), level=level, warmup_steps=8)
    sample(attach(model, settings), job, callback=lambda k, x0, x, n: cached.append((x0.clone(), x.clone())))
    sample(model, job, callback=lambda k, x0, x, n: again.append((x0.clone(), x.clone())))
    for mine, theirs in zip(cached[:8], plain[:8], strict=True):
        assert all(map(torch.equal, mine, theirs))
    assert not torch.equal(cached[-1][1], plain[-1][1])
    assert all(torch.equal(a[1], b[1]) for a, b in zip(again, plain, strict=True))
    assert hooks_left(model) == []


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_stays_close_and_counts_its_calls(model, guided, block_calls, level):
    patched = attach(model, every_third(level))
    with block_calls.during():
        output = sample(patched, guided)
    report = last_report(patched)
    assert report.messages == ()
    assert report.calls == block_calls.count == 10
    assert error(output, sample(model, guided)) < CLOSE


@pytest.mark.parametrize(("level", "elements"), [("stack", 64), ("block", 8 * 68), ("module", (2 * 2 + 6) * 68)])
def test_bytes_held_are_the_formulas(flux, job, level, elements):
    """docs/levels.md: anchors * tokens of all slots * channels * size of a number. 64 image and 4 text tokens."""
    patched = attach(flux, replace(presets.paper(3), level=level))
    sample(patched, job)
    assert last_report(patched).bytes_held == 3 * elements * 128 * 4


@pytest.mark.parametrize("basis", ["hermite", "taylor"])
def test_stack_and_block_level_are_one_method(model, job, basis):
    """The stack's residual is the sum of the blocks' residuals, and a forecast is linear in them."""
    outputs = [sample(attach(model, every_third(level, basis=basis)), job) for level in ("stack", "block")]
    assert error(*outputs) < 1e-5


@pytest.mark.parametrize("level", BLOCK_LEVELS)
@pytest.mark.parametrize("failing", [1, 4, 6])
def test_after_an_error_no_hook_is_left_and_the_next_run_is_the_same(model, job, block_calls, level, failing):
    patched = attach(model, every_third(level))
    expected = sample(patched, job)
    with block_calls.during(fail_at=failing), pytest.raises(RuntimeError, match="the network failed"):
        sample(patched, job)
    assert hooks_left(model) == []
    assert torch.equal(sample(patched, job), expected)


@pytest.mark.parametrize("level", BLOCK_LEVELS)
def test_after_an_error_deep_inside_a_block_no_hook_is_left(model, job, level):
    *_, last = (m for m in model.model.diffusion_model.modules() if isinstance(m, torch.nn.Linear))
    block = next(m for name, m in model.model.diffusion_model.named_modules() if name.endswith("blocks.0"))
    inner = [m for m in block.modules() if isinstance(m, torch.nn.Linear)][-1]
    assert inner is not last

    def fail(*_):
        raise RuntimeError("out of memory")

    handle = inner.register_forward_pre_hook(fail)
    try:
        with pytest.raises(RuntimeError, match="out of memory"):
            sample(attach(model, every_third(level)), job)
    finally:
        handle.remove()
    assert hooks_left(model) == []


@pytest.mark.parametrize("level", BLOCK_LEVELS)
@pytest.mark.parametrize("step", [0, 3, 4])
def test_after_an_interrupt_no_hook_is_left(model, job, level, step):
    def stop(k, *_):
        if k == step:
            comfy.model_management.interrupt_current_processing()
            comfy.model_management.throw_exception_if_processing_interrupted()

    patched = attach(model, every_third(level))
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        sample(patched, job, callback=stop)
    assert hooks_left(model) == []


@pytest.mark.parametrize("level", BLOCK_LEVELS)
def test_a_batch_keeps_its_pictures_apart(model, guided, level):
    two = replace(guided, batch=2)
    patched = attach(model, every_third(level))
    output, full = sample(patched, two), sample(model, two)
    assert last_report(patched).calls == 10
    assert error(output, full) < CLOSE
    assert error(output, full) < 0.5 * error(output.flip(0), full)


@pytest.mark.parametrize("level", BLOCK_LEVELS)
def test_bfloat16(level):
    from small_models.sampling import load_flux

    (job,) = jobs("train", 1, steps=24)
    model = load_flux("train", torch.bfloat16)
    assert error(sample(attach(model, every_third(level)), job), sample(model, job)) < CLOSE


def replaced(model, index, patch):
    clone = model.clone()
    clone.set_model_patch_replace(patch, "dit", "double_block", index)
    return clone


@pytest.mark.parametrize("level", BLOCK_LEVELS)
@pytest.mark.parametrize("index", [0, 1])
def test_a_replaced_block_is_chained(model, job, level, index):
    """Another pack's replacement, also of the first block, runs at every computed step and its effect is forecast."""
    calls = []

    def weaker(args, extra):
        calls.append(index)
        image = args["img"].clone()  # blocks write in place
        out = extra["original_block"](args)
        return {**out, "img": image + 0.5 * (out["img"] - image)}

    other = replaced(model, index, weaker)
    expected = sample(other, job)
    calls.clear()
    patched = attach(other, every_third(level))
    output = sample(patched, job)
    assert len(calls) == last_report(patched).calls == 7
    assert error(output, expected) < CLOSE
    assert error(output, expected) < error(output, sample(model, job))


@pytest.mark.parametrize("level", BLOCK_LEVELS)
def test_a_block_that_is_skipped_by_another_pack_stays_skipped(model, job, level):
    other = replaced(model, 1, lambda args, extra: {"img": args["img"], "txt": args["txt"]})
    patched = attach(other, every_third(level))
    assert error(sample(patched, job), sample(other, job)) < CLOSE
    assert last_report(patched).calls == 7


@pytest.mark.parametrize("level", BLOCK_LEVELS)
def test_an_extra_call_at_the_same_noise_level(model, guided, level):
    from comfy_extras.nodes_slg import SkipLayerGuidanceDiT

    slg = SkipLayerGuidanceDiT.execute(model, scale=0.5, start_percent=0.0, end_percent=1.0, double_layers="1").result[
        0
    ]
    softer = replace(guided, cfg=2.0)
    patched = attach(slg, every_third(level))
    output = sample(patched, softer)
    report = last_report(patched)
    assert (report.calls, report.forecasts) == (20, 28)  # two evaluations a step
    assert error(output, sample(slg, softer)) < CLOSE


class AddedControl(comfy.controlnet.ControlBase):
    """The host's ControlNet machinery with a network that returns a constant."""

    def __init__(self, where):
        super().__init__()
        self.where = where
        self.calls = 0

    def get_control(self, x_noisy, t, cond, batched_number, transformer_options):
        self.calls += 1
        if self.timestep_range is not None and not self.timestep_range[1] <= float(t[0]) <= self.timestep_range[0]:
            return None
        tokens = torch.sin(torch.arange(64.0 * 128.0)).view(1, 64, 128).repeat(x_noisy.shape[0], 1, 1)
        return {"input": [tokens] * 2, "output": [tokens] * 2 if self.where == "all" else []}

    def copy(self):
        copy = AddedControl(self.where)
        self.copy_to(copy)
        return copy


def controlled(control, caption, end=1.0):
    (tensor, extra), *_ = conditioning(caption)
    control.set_cond_hint(torch.zeros(1, 3, 8, 8), 1.0, (0.0, end))
    return [[tensor, {**extra, "control": control, "control_apply_to_uncond": True}]]


def with_positive(model, job, positive):
    import comfy.sample

    latent = comfy.sample.fix_empty_latent_channels(model, torch.zeros(1, 16, 16, 16))
    noise = comfy.sample.prepare_noise(latent, job.seed)
    how = (noise, job.steps, job.cfg, job.sampler, job.scheduler, positive, conditioning(None), latent)
    return comfy.sample.sample(model, *how, disable_pbar=True, seed=job.seed)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("where", ["all", "first"])
def test_controlnet(model, guided, level, where):
    control = AddedControl(where)
    positive = controlled(control, guided.caption)
    expected = with_positive(model, guided, positive)
    patched = attach(model, every_third(level))
    output = with_positive(patched, guided, positive)
    assert last_report(patched).calls == 10
    assert error(output, expected) < CLOSE
    assert error(output, expected) < 0.5 * error(with_positive(model, guided, conditioning(guided.caption)), expected)


@pytest.mark.parametrize("level", LEVELS)
def test_a_controlnet_that_ends_restarts_the_history(model, guided, level):
    positive = controlled(AddedControl("all"), guided.caption, end=0.5)
    patched = attach(model, every_third(level))
    output = with_positive(patched, guided, positive)
    reasons = [e.reason for e in last_report(patched).evaluations if e.reason]
    assert reasons[0] == "the conditions or the latent changed"
    assert error(output, with_positive(model, guided, positive)) < CLOSE


def test_compiled_blocks_go_on_at_level_output(flux, job):
    class Compiled(torch.nn.Module):
        def __init__(self, block):
            super().__init__()
            self._orig_mod = block

        def forward(self, *args, **kwargs):
            return self._orig_mod(*args, **kwargs)

    clone = flux.clone()
    clone.add_object_patch("diffusion_model.double_blocks.0", Compiled(flux.model.diffusion_model.double_blocks[0]))
    patched = attach(clone, every_third("module"))
    sample(patched, job)
    assert "the blocks are compiled" in last_report(patched).messages[0]
    block = attach(clone, every_third("block"))
    sample(block, job)
    assert last_report(block).messages == ()
    sample(flux, job)  # the host leaves the wrapped block in the shared network until another clone samples


def test_an_unknown_network_goes_on_at_level_output(flux, job, monkeypatch):
    from hicache_comfy import levels

    monkeypatch.setattr(levels, "architecture_of", lambda network: None)
    patched = attach(flux, every_third("module"))
    assert torch.equal(sample(patched, job), sample(attach(flux, every_third("output")), job))
    (message,) = last_report(patched).messages
    assert message == ("level module does not know the blocks of Flux: the model's output is forecast instead")


@pytest.mark.parametrize("level", BLOCK_LEVELS)
def test_blocks_that_do_not_call_their_patches_go_on_at_level_output(model, job, block_calls, level):
    """As with loaders that bring blocks of their own."""

    def without_patches(executor, x, t, c_concat=None, c_crossattn=None, control=None, options=None, **kwargs):
        return executor(x, t, c_concat, c_crossattn, control, {**options, "patches_replace": {}}, **kwargs)

    patched = attach(model, every_third(level))
    patched.add_wrapper_with_key("apply_model", "own blocks", without_patches)
    with block_calls.during():
        output = sample(patched, job)
    assert torch.equal(output, sample(attach(model, every_third("output")), job))
    report = last_report(patched)
    assert report.calls == block_calls.count == 7
    assert report.messages == (
        "this model does not run its blocks through ComfyUI's patches: the model's output is forecast instead",
    )


def tiles(apply_model, call):
    """The upper and the lower half of the latent, one after the other."""
    halves = call["input"].chunk(2, dim=-2)
    return torch.cat([apply_model(half, call["timestep"], **call["c"]) for half in halves], dim=-2)


def one_by_one(apply_model, call):
    """Each condition in a call of its own, with the options of the whole batch."""
    count = len(call["cond_or_uncond"])
    parts = {k: v.chunk(count) for k, v in call["c"].items() if isinstance(v, torch.Tensor)}
    kwargs = [{**call["c"], **{k: v[i] for k, v in parts.items()}} for i in range(count)]
    calls = zip(call["input"].chunk(count), call["timestep"].chunk(count), kwargs, strict=True)
    return torch.cat([apply_model(x, t, **how) for x, t, how in calls])


@pytest.mark.parametrize("level", BLOCK_LEVELS)
@pytest.mark.parametrize(
    ("wrapper", "message"),
    [
        (tiles, "another pack calls the network more than once for a condition"),
        (one_by_one, "another pack regroups the conditions between ComfyUI and the network"),
    ],
)
def test_packs_that_call_the_network_in_their_own_way_go_on_at_level_output(model, guided, level, wrapper, message):
    other = model.clone()
    other.set_model_unet_function_wrapper(wrapper)
    patched = attach(other, every_third(level))
    assert torch.equal(sample(patched, guided), sample(attach(other, every_third("output")), guided))
    assert last_report(patched).messages == (f"{message}: the model's output is forecast instead",)


@pytest.mark.parametrize("level", LEVELS)
def test_a_default_condition_that_masks_cover_changes_nothing(flux, job, level):
    (tensor, extra), *_ = conditioning(job.caption)
    covered = [[tensor, {**extra, "mask": torch.ones(1, 16, 16), "mask_strength": 1.0}]]
    positive = [*covered, [tensor, {**extra, "default": True}]]
    patched = attach(flux, every_third(level))
    output = with_positive(patched, job, positive)
    assert last_report(patched).calls == 7
    assert error(output, with_positive(flux, job, positive)) < CLOSE


def test_the_last_preview_is_the_result(flux, job):
    """Where the sampler steps to noise level 0, the corrected image is what it returns."""
    seen = []
    adaptive = attach(flux, presets.adaptive(1.0))  # the last gap is longer than one step
    output = sample(adaptive, job, callback=lambda k, x0, x, total: seen.append(x0))
    assert last_report(adaptive).evaluations[-1].corrected
    processed = flux.model.process_latent_out(seen[-1])
    assert torch.allclose(processed, output, atol=1e-5)


def test_a_boundary_block_taken_away_in_the_middle_computes(model, job, block_calls):
    """A patch that appears inside the network, after ours, and only at step 9."""
    seen = []

    def take_last(executor, x, t, c_concat=None, c_crossattn=None, control=None, options=None, **kwargs):
        seen.append(float(t[0]))
        if len(seen) == 10:
            *kept, _ = options["patches_replace"]["dit"].items()
            options = {**options, "patches_replace": {"dit": dict(kept)}}
        return executor(x, t, c_concat, c_crossattn, control, options, **kwargs)

    patched = attach(model, every_third("stack"))
    patched.add_wrapper_with_key("apply_model", "late", take_last)
    output = sample(patched, job)
    assert error(output, sample(model, job)) < CLOSE
    reasons = {e.step: e.reason for e in last_report(patched).evaluations if e.reason}
    assert reasons == {9: "another patch took the place of the last block"}
    assert len(seen) == 17  # the call of step 9 was made again


@pytest.mark.parametrize("level", BLOCK_LEVELS)
def test_reference_latents(qwen_image, job, level):
    """Qwen-Image-Edit: reference tokens after the image's, in the positive only."""
    guided = replace(job, cfg=2.0, steps=24)
    (tensor, extra), *_ = conditioning(guided.caption)
    reference = sample(qwen_image, replace(guided, seed=3))
    for method in ("index", "index_timestep_zero"):
        how = {"reference_latents": [reference], "reference_latents_method": method}
        positive = [[tensor, {**extra, **how}]]
        patched = attach(qwen_image, every_third(level))
        output = with_positive(patched, guided, positive)
        assert last_report(patched).calls == 10
        assert error(output, with_positive(qwen_image, guided, positive)) < CLOSE


def test_the_corrector_works_at_every_level(flux, job):
    for level in LEVELS:
        patched = attach(flux, Settings(level=level))
        output = sample(patched, replace(job, steps=30))
        assert any(e.corrected for e in last_report(patched).evaluations)
        assert error(output, sample(flux, replace(job, steps=30))) < CLOSE
