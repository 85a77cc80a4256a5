"""Every diffusion network of the host: the tiny model is a fair stand-in, and HiCache holds its promises on it."""

import comfy.sample
import comfy.samplers
import comfy.supported_models
import pytest
import torch
from packaging.version import Version
from tiny_models.model import TinyModel, comfyui_version, sample
from tiny_models.rows import MODELS, ROWS

from hicache_comfy import attach, last_report
from hicache_core import presets

NEVER_SAMPLED = {
    "RT_DETR_v4": "finds objects in a picture",
    "SAM3": "cuts objects out of a picture",
    "SAM31": "cuts objects out of a picture",
    "DepthAnything3": "tells depth from a picture",
}


class Watch:
    """What goes into the network and comes out of it while a model samples."""

    def __init__(self, row, model, **how):
        self.calls, self.states = [], []
        handle = model.model.diffusion_model.register_forward_hook(self._called, with_kwargs=True)
        try:
            self.result = flat(sample(model, row, callback=self._stepped, **how))
        finally:
            handle.remove()

    def _called(self, _, args, kwargs, output):
        self.calls.append((*args[:2], args[2:], kwargs, flat(output)))

    def _stepped(self, step, denoised, x, steps):
        self.states.append(flat(x).std())


def flat(latent):
    """All numbers of a latent in one row, of a nested one too."""
    parts = latent.unbind() if getattr(latent, "is_nested", False) else latent
    return torch.cat([part.flatten().float() for part in parts])


def change(new, old):
    return ((new - old).norm() / old.norm()).item()


@pytest.fixture(scope="module", params=ROWS, ids=[row.name for row in ROWS])
def row(request):
    """Module scope: pytest runs all tests of one model before it goes on to the next."""
    if not request.param.in_this_host:
        pytest.skip(f"ComfyUI {comfyui_version.__version__} does not have this model")
    return request.param


@pytest.fixture(scope="module")
def model(row):
    return row.build()


@pytest.fixture(scope="module")
def run(row, model):
    with torch.no_grad():
        return Watch(row, model)


def test_it_samples(run):
    assert len(run.calls) == len(run.states) == 8
    assert run.result.isfinite().all()
    assert 0.01 < run.states[-1] < 10.0 * max(run.states[0], 1.0)


def test_every_input_has_a_say(row, model, run):
    """At the last step, where the latent is no longer all noise."""
    network, first_sigma = model.model.diffusion_model, run.calls[0][1]
    x, sigma, rest, options, out = run.calls[-1]
    (other,) = Watch(row, model, positive=row.conditioning(3), last_step=1).calls
    other_text = {**other[3], "transformer_options": options["transformer_options"]}
    x_mirrored = [part.flip(-1) for part in x] if isinstance(x, list) else x.flip(-1)
    assert change(flat(network(x_mirrored, sigma, *rest, **options)), out) > 1e-3
    assert change(flat(network(x, first_sigma, *rest, **options)), out) > 1e-3
    assert change(flat(network(x, sigma, *rest, **other_text)), out) > 1e-3


def test_speed_one_is_bit_identical(row, run):
    """In a second build, so builds are held to each other too."""
    patched = attach(row.build(), presets.speed(1.0))
    assert torch.equal(Watch(row, patched).result, run.result)
    assert last_report(patched).calls == 8


def test_half_of_the_calls_are_forecast(row):
    """In the precision that artists run."""
    patched = attach(row.build(torch.bfloat16), presets.speed(2.0))
    faster = Watch(row, patched)
    report = last_report(patched)
    assert len(faster.calls) == report.calls == report.forecasts == 4
    assert not report.messages
    assert faster.result.isfinite().all()


def test_frames_that_are_sampled_one_after_the_other_are_computed():
    """The sampler of Causal Forcing lets the network fill a cache, frame by frame, at every call."""
    row = MODELS["Causal Forcing"]
    if not row.in_this_host:
        pytest.skip("this host has no causal video models")
    model = row.build()
    patched = attach(model, presets.speed(2.0))

    def frames(model):
        sigmas = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), "simple", 8)
        latent, sampler = row.empty_latent(), comfy.samplers.ksampler("ar_video", {"num_frame_per_block": 1})
        noise = comfy.sample.prepare_noise(latent, 0)
        conds = row.conditioning(1), row.conditioning(2)
        return comfy.sample.sample_custom(model, noise, 1.0, sampler, sigmas, *conds, latent, disable_pbar=True, seed=0)

    assert torch.equal(frames(patched), frames(model))
    report = last_report(patched)
    assert report.forecasts == 0
    assert report.messages == (
        "every step is computed, because this sampler fills a cache at every call of the network",
    )


def test_what_sample_is_told_reaches_the_sampler():
    row = MODELS["FLUX.1 dev"]
    model = row.build()
    told = Watch(row, model, batch=2, cfg=3.0, steps=5, seed=1, start_step=2, noise_mask=torch.ones(1, 1, 8, 8))
    assert len(told.calls) == len(told.states) == 3
    assert told.result.numel() == 2 * row.empty_latent().numel()
    assert told.calls[0][0].shape[0] == 4  # both pictures, with and without the prompt
    kept = sample(model, row, latent=torch.ones(1, 16, 8, 8), denoise=0.01, steps=1)
    assert (kept - 1.0).abs().mean() < 0.3


def test_every_model_of_the_host_has_a_row():
    classes = {config.__name__ for config in comfy.supported_models.models}
    assert classes - NEVER_SAMPLED.keys() <= {row.config for row in ROWS}
    assert classes >= {row.config for row in ROWS if row.in_this_host}
    assert len(MODELS) == len(ROWS)


@pytest.mark.skipif(Version(comfyui_version.__version__) < Version("0.30"), reason="rows are of ComfyUI 0.30")
def test_no_row_is_skipped_in_the_newest_host():
    assert [row.name for row in ROWS if not row.in_this_host] == []


def test_a_row_that_the_host_does_not_know_is_not_in_it():
    unknown = TinyModel("nothing", "NoSuchConfig", {}, (1, 4, 8, 8), (6, 24))
    assert not unknown.in_this_host
    assert not TinyModel("later", "Flux", {}, (1, 4, 8, 8), (6, 24), since="99").in_this_host
