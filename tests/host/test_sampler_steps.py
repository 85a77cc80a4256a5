"""The steps that are found of the host's samplers, against what the samplers do."""

from dataclasses import replace
from types import SimpleNamespace

import comfy.model_sampling
import comfy.samplers
import pytest
import torch
from small_models.sampling import sample

from hicache_comfy import attach, last_report
from hicache_comfy.sampler_steps import linear_sampler_of
from hicache_core import euler, presets

FLOW = [1.0, 0.97, 0.94, 0.9, 0.85, 0.79, 0.71, 0.6, 0.45, 0.25, 0.12, 0.0]
NOISE = [14.6, 9.1, 5.4, 3.1, 1.7, 0.9, 0.5, 0.27, 0.13, 0.06, 0.03, 0.0]
# The kind of a sampler's steps, and how far they look back.
LINEAR = {
    "euler": (True, 0),
    "ddim": (True, 0),
    "dpmpp_2m": (False, 1),
    "res_multistep": (False, 1),
    "gradient_estimation": (True, 1),
    "deis": (True, 2),
    "lms": (True, 3),
    "ipndm": (True, 3),
    "ipndm_v": (True, 3),
    "uni_pc": (False, 3),
    "uni_pc_bh2": (False, 3),
}
ASK_TWICE = ("heun", "dpm_2", "dpm_fast", "heunpp2")
ADD_NOISE = ("euler_ancestral", "dpmpp_2s_ancestral", "dpmpp_sde", "dpmpp_2m_sde", "dpmpp_3m_sde", "lcm", "ddpm")


class Flow(comfy.model_sampling.ModelSamplingDiscreteFlow, comfy.model_sampling.CONST):
    pass


class Added(comfy.model_sampling.ModelSamplingDiscrete, comfy.model_sampling.EPS):
    pass


def patcher(sigmas):
    sampling = Flow() if sigmas[0] <= 1.0 else Added()
    return SimpleNamespace(
        model=SimpleNamespace(model_sampling=sampling), get_model_object=lambda name: {"model_sampling": sampling}[name]
    )


class Bent:
    """A denoiser that is not linear in anything, and what it answered."""

    def __init__(self, sigmas):
        ours = patcher(sigmas)
        self.inner_model = SimpleNamespace(model_patcher=ours, inner_model=ours.model)
        self.answers = []

    def __call__(self, x, sigma, **unused):
        self.answers.append((0.7 * torch.tanh(x) + 0.2 * torch.sin(3.0 * x) * sigma[0].cos()).clone())
        return self.answers[-1]


def whole_run(name, sigmas, x, **options):
    """(what the host's sampler makes of x, the denoised images that it was handed)."""
    sampler, model = comfy.samplers.sampler_object(name), Bent(sigmas)
    how = {"extra_args": {"seed": 0}, "callback": None, "disable": True, **sampler.extra_options, **options}
    return sampler.sampler_function(model, x.clone(), torch.tensor(sigmas), **how), model.answers


def replayed(found, sigmas, x, answers):
    handed = []
    for step, sigma, denoised in zip(found.steps, sigmas, answers, strict=False):
        handed.insert(0, (x - denoised) / sigma if found.of_directions else denoised)
        x = step.keep * x + sum(w * y for w, y in zip(step.weights, handed, strict=False))
    return x


def found_of(name, sigmas, **options):
    sampler = comfy.samplers.sampler_object(name)
    sampler.extra_options = {**sampler.extra_options, **options}
    return linear_sampler_of(sampler, sigmas, patcher(sigmas))


def sampled_at(start, name):
    """The noise levels that the host hands to this sampler."""
    return [*start[:-2], start[-1]] if name in comfy.samplers.KSampler.DISCARD_PENULTIMATE_SIGMA_SAMPLERS else start


every_linear = pytest.mark.parametrize("name", LINEAR)
every_range = pytest.mark.parametrize("levels", [FLOW, NOISE, FLOW[3:9], NOISE[2:]], ids=lambda levels: str(levels[0]))


@every_range
@every_linear
def test_the_steps_that_are_found_make_the_run_of_the_host(name, levels):
    sigmas = sampled_at(levels, name)
    x = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1)) * sigmas[0]
    result, answers = whole_run(name, sigmas, x)
    found = found_of(name, sigmas)
    assert len(found.steps) == len(answers) == len(sigmas) - 1
    assert (replayed(found, sigmas, x, answers) - result).norm() < 1e-4 * result.norm()


@every_linear
def test_kinds_and_memories(name):
    for levels in (FLOW, NOISE):
        found = found_of(name, sampled_at(levels, name))
        assert (found.of_directions, found.memory) == LINEAR[name]


@pytest.mark.parametrize("steps", [1, 2, 3])
@every_linear
def test_runs_of_few_steps(name, steps):
    sigmas = [*FLOW[1 : 1 + steps], 0.0]
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    try:
        result, answers = whole_run(name, sigmas, x)
    except Exception:
        pytest.skip("the host's own sampler takes more steps")
    assert (replayed(found_of(name, sigmas), sigmas, x, answers) - result).norm() < 1e-4 * result.norm()


@pytest.mark.parametrize("name", ["euler", "dpmpp_2m", "res_multistep", "uni_pc"])
def test_noise_levels_of_any_size(name):
    """As in video models of the EDM kind; uni_pc makes nan of levels below 0.001, and steps of nan are none."""
    sigmas = [(700.0 ** (1 / 7) + k / 19 * (0.002 ** (1 / 7) - 700.0 ** (1 / 7))) ** 7 for k in range(20)] + [0.0]
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1)) * sigmas[0]
    result, answers = whole_run(name, sigmas, x)
    found = found_of(name, sigmas)
    assert found.of_directions is LINEAR[name][0]
    assert (replayed(found, sigmas, x, answers) - result).norm() < 1e-3 * result.norm()


def test_steps_that_are_no_numbers_are_not_taken():
    sigmas = [*FLOW[:-1], 1e-4, 0.0]
    assert not whole_run("uni_pc", sigmas, torch.ones(1, 4, 8, 8))[0].isfinite().all()
    assert found_of("uni_pc", sigmas) == euler(sigmas)


def test_no_steps():
    assert found_of("euler", [1.0]).steps == found_of("dpmpp_2m", [1.0]).steps == ()
    assert linear_sampler_of(comfy.samplers.sampler_object("euler"), [], patcher(FLOW)).steps == ()


@pytest.mark.parametrize("name", [n for n in (*ASK_TWICE, *ADD_NOISE) if n in comfy.samplers.SAMPLER_NAMES])
@pytest.mark.filterwarnings("ignore:Should have:UserWarning")  # torchsde, about the last bit of a noise level
def test_of_samplers_that_add_noise_or_ask_twice_eulers_steps_are_taken(name):
    for sigmas in (FLOW, NOISE):
        assert found_of(name, sigmas) == euler(sigmas)


@pytest.mark.parametrize("name", ["euler", "heun", "euler_ancestral", "dpmpp_2m", "ddpm", "lcm", "no such sampler"])
@pytest.mark.parametrize("options", [{}, {"s_churn": 2.0}, {"s_churn": 1e-4, "s_noise": 1.1}, {"no_such_option": 1}])
def test_it_draws_nothing_and_raises_nothing(name, options):
    known = name in comfy.samplers.SAMPLER_NAMES
    sampler = comfy.samplers.sampler_object(name) if known else SimpleNamespace()
    if known:
        sampler.extra_options = {**sampler.extra_options, **options}
    torch.manual_seed(3)
    before = torch.get_rng_state()
    found = linear_sampler_of(sampler, FLOW, patcher(FLOW)) if known else euler(FLOW)
    assert torch.equal(torch.get_rng_state(), before)
    assert len(found.steps) == len(FLOW) - 1


def test_with_noise_between_steps_eulers_steps_are_taken():
    assert found_of("euler", NOISE, s_churn=2.0) == euler(NOISE)


def test_options_of_the_sampler_have_their_say():
    assert found_of("lms", FLOW, order=2).memory == 1
    assert found_of("ipndm", FLOW, max_order=3).memory == 2


def test_no_network_call_and_no_change_of_what_is_given(flux, network_calls):
    sigmas = list(FLOW)
    with network_calls.during():
        found = linear_sampler_of(comfy.samplers.sampler_object("uni_pc"), sigmas, flux)
    assert network_calls.count == 0
    assert sigmas == FLOW
    assert found.memory == 3


@pytest.mark.parametrize("name", ["dpmpp_2m", "deis", "uni_pc"])
def test_a_run_without_forecasts_is_the_hosts_to_the_bit(flux, job, name):
    how = replace(job, sampler=name)
    patched = attach(flux, presets.speed(1.0))
    assert torch.equal(sample(patched, how), sample(flux, how))
    assert last_report(patched).forecasts == 0


def test_euler_is_what_is_found():
    found = found_of("euler", FLOW)
    for one, other in zip(found.steps, euler(FLOW).steps, strict=True):
        assert one.keep == pytest.approx(other.keep, abs=1e-6)
        assert one.weights == pytest.approx(other.weights, abs=1e-6)
