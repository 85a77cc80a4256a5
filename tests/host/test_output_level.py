"""Forecasts at the model's output, in the workflows an artist builds."""

import math
from dataclasses import replace
from pathlib import Path
from statistics import mean

import comfy.sample
import comfy.samplers
import pytest
import torch
from small_models import sampling
from small_models.sampling import conditioning, sample

from hicache_comfy import attach, guided_output, last_report
from hicache_comfy.samplers import SAMPLERS, rule_of
from hicache_core import Session, Settings, presets

REPO = Path(__file__).parents[2]
CLOSE = 0.25  # relative RMS error; another seed of the same caption is beyond 0.6


def error(a, b):
    return float((a - b).norm() / b.norm())


def compare(flux, job, settings):
    """(relative error against the full run, report) of one job."""
    patched = attach(flux, settings)
    return error(sample(patched, job), sample(flux, job)), last_report(patched)


def test_another_seed_is_not_close(flux, job):
    assert error(sample(flux, replace(job, seed=5)), sample(flux, job)) > 0.6


@pytest.mark.parametrize("basis", ["hermite", "taylor", "dual_taylor", "lagrange", "reuse"])
def test_every_basis_stays_close(flux, job, basis):
    wrong, report = compare(flux, job, replace(presets.speed(2.0), basis=basis, order=1))
    assert wrong < CLOSE
    assert report.speedup_calls == 2.0


@pytest.mark.parametrize(
    "sampler",
    ["euler", "heun", "dpm_2", "lms", "dpmpp_2m", "deis", "res_multistep", "uni_pc", "ddim"],
)
def test_samplers(flux, job, network_calls, sampler):
    settings = Settings(schedule="interval", interval=2, order=1, contraction=0.7)
    with network_calls.during():
        patched = attach(flux, settings)
        output = sample(patched, replace(job, sampler=sampler))
    report = last_report(patched)
    assert report.calls == network_calls.count
    assert report.forecasts >= 4
    assert error(output, sample(flux, replace(job, sampler=sampler))) < CLOSE


def test_lcm_is_computed_and_says_so(flux, job, caplog):
    lcm = replace(job, sampler="lcm", steps=6)
    patched = attach(flux, presets.speed(2.0))
    assert torch.equal(sample(patched, lcm), sample(flux, lcm))
    assert last_report(patched).calls == 6
    assert last_report(patched).messages == (
        "every step is computed, because this sampler feeds the denoised image back whole",
    )
    assert "feeds the denoised image back whole" in caplog.text


@pytest.mark.parametrize("sampler", ["euler_cfg_pp", "dpmpp_2m_cfg_pp"])
def test_cfg_pp_is_computed_and_says_so(flux, job, sampler):
    guidance = replace(job, sampler=sampler, cfg=1.5, steps=6)
    patched = attach(flux, presets.speed(2.0))
    assert torch.equal(sample(patched, guidance), sample(flux, guidance))
    (message,) = last_report(patched).messages
    assert message == "every step is computed, because CFG++ samplers amplify what a forecast gets wrong"


def test_guidance_forecasts_both_conditions(flux, job):
    wrong, report = compare(flux, replace(job, cfg=3.0, steps=40), presets.speed(2.0))
    assert wrong < CLOSE
    # Two histories and, of one at a time, what is compared with its forecast; the corrector and the stabilizer.
    assert report.bytes_held == (2 * 2 + 1 + 4) * 16**3 * 4


def test_a_batch_keeps_its_pictures_apart(flux, job):
    wrong, _ = compare(flux, replace(job, batch=3), presets.speed(2.0))
    assert wrong < CLOSE


def test_bfloat16(job):
    wrong, report = compare(sampling.load_flux("train", torch.bfloat16), job, presets.speed(2.0))
    assert wrong < CLOSE
    assert report.calls == 8


@pytest.mark.parametrize(("start", "stop"), [(0.0, 0.5), (0.5, 1.0), (0.3, 0.7)])
def test_percent_ranges_limit_forecasts(flux, job, start, stop):
    settings = replace(presets.speed(8.0), start_percent=start, end_percent=stop, warmup_steps=1, order=0)
    _, report = compare(flux, job, settings)
    sampling_model = flux.get_model_object("model_sampling")
    high, low = sampling_model.percent_to_sigma(start), sampling_model.percent_to_sigma(stop)
    forecast = [e.sigma for e in report.evaluations if e.action == "forecast"]
    assert forecast
    assert all(low - 1e-5 <= sigma <= high + 1e-5 for sigma in forecast)


def ranged(caption, start, end):
    (tensor, extra), *_ = conditioning(caption)
    return [[tensor, {**extra, "start_percent": start, "end_percent": end}]]


def guided(model, job, positive, denoise_mask=None, denoise=1.0, latent=None):
    """KSampler with a positive of our own and CFG 1."""
    latent = torch.zeros(1, 16, 16, 16) if latent is None else latent
    return comfy.sample.sample(
        model,
        comfy.sample.prepare_noise(latent, job.seed),
        job.steps,
        1.0,
        job.sampler,
        job.scheduler,
        positive,
        conditioning(None),
        latent,
        denoise=denoise,
        noise_mask=denoise_mask,
        disable_pbar=True,
        seed=job.seed,
    )


def test_a_condition_that_changes_mid_run_is_computed_first(flux, job):
    every = sampling.captions(sampling.SPLITS["train"])
    positive = ranged(every[0], 0.0, 0.5) + ranged(every[-1], 0.5, 1.0)
    patched = attach(flux, Settings(schedule="interval", interval=7))
    output = guided(patched, job, positive)
    actions = [(e.action, e.reason) for e in last_report(patched).evaluations]
    assert ("refused", "the conditions or the latent changed") in actions
    assert error(output, guided(flux, job, positive)) < 0.5


def test_image_to_image_and_inpainting(flux, job):
    latent = sample(flux, job)
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., 8:] = 1.0
    for how in ({"denoise": 0.6}, {"denoise_mask": mask}):
        patched = attach(flux, presets.speed(2.0))
        outputs = [guided(m, job, conditioning(job.caption), latent=latent, **how) for m in (patched, flux)]
        assert last_report(patched).forecasts == 8
        assert error(*outputs) < CLOSE


def in_two_parts(model, job, positive):
    """As two KSampler (Advanced) nodes do: the first leaves its noise in, the second adds none."""
    empty = torch.zeros(1, 16, 16, 16)
    noise = comfy.sample.prepare_noise(empty, job.seed)
    latent, reports = empty, []
    for first, last in ((0, 10), (10, job.steps)):
        how = {"start_step": first, "last_step": last, "disable_noise": first > 0, "force_full_denoise": first > 0}
        added = noise if first == 0 else torch.zeros_like(noise)
        conditions = (1.0, "euler", "simple", positive, positive)
        latent = comfy.sample.sample(model, added, job.steps, *conditions, latent, **how, disable_pbar=True)
        reports.append(last_report(model))
    return latent, reports


def test_a_run_in_two_parts_is_two_runs_of_their_own_steps(flux, job):
    positive = conditioning(job.caption)
    patched = attach(flux, presets.speed(2.0))
    output, (head, tail) = in_two_parts(patched, job, positive)
    assert [len(report.evaluations) for report in (head, tail)] == [10, 6]
    assert [report.calls for report in (head, tail)] == [5, 6]  # so short a run is computed whole
    assert [e.step for e in tail.evaluations] == list(range(6))
    expected, _ = in_two_parts(flux, job, positive)
    assert torch.allclose(expected, sample(flux, job), atol=1e-4)
    assert error(output, expected) < CLOSE


def test_what_a_mask_keeps_has_no_say_in_how_the_rest_is_corrected(flux, job, monkeypatch):
    latent, directions, shifts = sample(flux, job), [], []
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., 8:] = 1.0
    correct, corrected = Session.correct, guided_output._corrected

    def watch(self, position, direction, guidance):
        directions.append(direction.clone())
        return correct(self, position, direction, guidance)

    def look(run, asked, seen, x, denoised, was_forecast):
        result = corrected(run, asked, seen, x, denoised, was_forecast)
        shifts.extend([] if result is denoised else [denoised - result])
        return result

    monkeypatch.setattr(Session, "correct", watch)
    monkeypatch.setattr(guided_output, "_corrected", look)
    guided(attach(flux, presets.speed(2.0)), job, conditioning(job.caption), latent=latent, denoise_mask=mask)
    assert min(len(directions), len(shifts)) > job.steps // 4
    assert all(not t[..., :8].any() for t in (*directions, *shifts))
    assert all(d[..., 8:].all() for d in directions)
    assert all(s[..., 8:].any() for s in shifts)


def test_an_extra_call_at_the_same_noise_level_has_a_history_of_its_own(flux, job):
    """Skip-layer guidance asks for the positive once more with layers skipped."""
    from comfy_extras.nodes_slg import SkipLayerGuidanceDiT

    slg = SkipLayerGuidanceDiT.execute(flux, scale=0.5, start_percent=0.0, end_percent=1.0, double_layers="1").result[0]
    guidance = replace(job, cfg=2.0, steps=40)
    patched = attach(slg, presets.speed(2.0))
    output = sample(patched, guidance)
    report = last_report(patched)
    assert report.forecasts == report.calls == guidance.steps  # two evaluations a step
    assert error(output, sample(slg, guidance)) < CLOSE


def test_a_second_model_inside_the_guider_runs_unchanged(flux, job):
    """A CALC_COND_BATCH wrapper without a session, as when another sampler calls the patched model's options."""
    from hicache_comfy.evaluation import calc_cond_batch

    seen = []
    calc_cond_batch(lambda *args: seen.append(args), None, [], torch.zeros(1), torch.ones(1), {})
    assert len(seen) == 1


@pytest.mark.newest
@pytest.mark.parametrize(
    "sampler", ["euler", "ddim", "dpmpp_2m", "deis", "res_multistep", "uni_pc", "uni_pc_bh2", "lms", "ipndm_v"]
)
def test_the_corrector_brings_pictures_closer(flux, sampler):
    """On average, in decibels, not every picture (docs/benchmarks/samplers_flux.md)."""
    gains: list[float] = []
    for how in (replace(one, sampler=sampler, steps=40) for one in sampling.jobs("train", 3, steps=16)):
        wrong, report = compare(flux, how, presets.speed(5.0))
        plainly, plain_report = compare(flux, how, replace(presets.speed(5.0), corrector=False))
        gains.append(20.0 * math.log10(plainly / wrong))
        assert report.calls == plain_report.calls
        assert sum(e.corrected for e in report.evaluations) >= 4
        assert not any(e.corrected for e in plain_report.evaluations)
    assert mean(gains) > 0.5


@pytest.mark.parametrize("sampler", ["heun", "euler_ancestral", "dpm_2"])
def test_no_corrector_where_a_step_asks_twice_or_adds_noise(flux, job, sampler):
    _, report = compare(flux, replace(job, sampler=sampler), presets.speed(2.0))
    assert not any(e.corrected for e in report.evaluations)


def test_previews_show_the_networks_own_picture(flux, job):
    """The corrected denoised image is for the sampler's arithmetic only; at the last step it is the result."""
    own, shown = [], []
    patched = attach(flux, presets.speed(2.5))

    def listen(executor, *args, **kwargs):
        own.append(executor(*args, **kwargs))
        return own[-1]

    patched.add_wrapper_with_key("predict_noise", "listen", listen)
    sample(patched, job, callback=lambda step, x0, *_: shown.append(x0.clone()))
    assert any(e.corrected for e in last_report(patched).evaluations)
    assert len(shown) == len(own) == job.steps
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(shown[:-1], own, strict=False))


STOCHASTIC = ["euler_ancestral", "dpmpp_2s_ancestral", "dpmpp_sde", "dpmpp_2m_sde", "dpmpp_3m_sde"]


@pytest.mark.filterwarnings("ignore:Should have:UserWarning")  # torchsde, about the last bit of a noise level
@pytest.mark.parametrize("sampler", STOCHASTIC)
def test_samplers_that_add_noise(flux, job, sampler):
    """The noise comes from the seed, so it is the same in both runs; a forecast must not bring it back."""
    wrong, report = compare(flux, replace(job, sampler=sampler, steps=24), presets.speed(2.0))
    assert report.forecasts >= 10
    assert wrong < 0.4


def test_every_sampler_of_the_table_exists_in_this_host():
    from comfy.extra_samplers import uni_pc
    from comfy.k_diffusion import sampling as k_diffusion

    newer = {"sample_ar_video", "sample_lcm_upscale"}  # not a function of these modules in every host
    assert [n for n in SAMPLERS if n not in newer and not hasattr(k_diffusion, n) and not hasattr(uni_pc, n)] == []


def samplers_of(row):
    """The names in the first cell of a row of docs/samplers.md."""
    lines = (REPO / "docs" / "samplers.md").read_text("utf-8").splitlines()
    (line,) = (line for line in lines if line.startswith(f"| {row}"))
    return set(line.split("|")[1].replace(",", " ").split())


def test_the_documents_name_the_samplers_of_the_table():
    rules = {name: rule_of(comfy.samplers.sampler_object(name)) for name in comfy.samplers.SAMPLER_NAMES}
    correctable = {name for name, rule in rules.items() if rule.correctable}
    assert samplers_of("euler") == correctable
    assert samplers_of("heun") == {name for name, rule in rules.items() if rule.deterministic} - correctable
    assert {name for name, rule in rules.items() if rule.obstacle} == {"lcm", *(n for n in rules if "cfg_pp" in n)}
    for text in ("nodes/settings.py", "web/docs/HiCacheSettings.md"):
        page = " ".join((REPO / text).read_text("utf-8").replace('"', " ").split())
        assert "amplers that add noise, heun and dpm_2 run without" in page
    once_and_no_noise = {name for name, rule in rules.items() if rule.deterministic} - {"heun", "dpm_2"}
    assert correctable == once_and_no_noise


def test_two_guidance_nodes_on_the_same_condition_keep_their_histories(flux, job):
    """Two skip-layer guidances, the first for a part of the run only."""
    from comfy_extras.nodes_slg import SkipLayerGuidanceDiT

    def skip(model, layers, end):
        how = {"scale": 0.5, "start_percent": 0.0, "end_percent": end, "double_layers": layers}
        return SkipLayerGuidanceDiT.execute(model, **how).result[0]

    twice = skip(skip(flux, "0", 0.4), "1", 1.0)
    seen = []
    patched = attach(twice, presets.speed(2.0), on_report=seen.append)
    guidance = replace(job, cfg=2.0, steps=40)
    output = sample(patched, guidance)
    assert seen[0].forecasts > 0
    assert error(output, sample(twice, guidance)) < CLOSE
