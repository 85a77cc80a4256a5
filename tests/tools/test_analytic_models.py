"""The models without weights are what their formulas say: dense linear algebra, closed forms, the host's samplers."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from analytic_models.mixture import COARSE, SMALLEST, Mixture
from analytic_models.model import PROMPTS, Job, build, conditioning, jobs, noise_of, sample_together
from small_models.sampling import noise_levels

SIDES = pytest.mark.parametrize("side", [SMALLEST, SMALLEST + 1, SMALLEST + 2])  # odd and even
FLOW = pytest.mark.parametrize("flow", [True, False])


def covariance(mixture):
    """Of the cells of one channel, (cells, cells), in float64."""
    cells = torch.eye(mixture.side**2, dtype=torch.float64).reshape(-1, mixture.side, mixture.side)
    modes = torch.fft.rfft2(cells, norm="ortho") * mixture.power
    return torch.fft.irfft2(modes, s=cells.shape[-2:], norm="ortho").flatten(1)


def layouts(mixture):
    """(layouts, cells) of one channel, in float64."""
    modes = torch.zeros(mixture.layouts, mixture.side, mixture.side // 2 + 1, dtype=torch.complex128)
    modes[:, : COARSE + 1, : COARSE + 1] = mixture.coarse[:, 0, : COARSE + 1]
    modes[:, mixture.side - COARSE :, : COARSE + 1] = mixture.coarse[:, 0, COARSE + 1 :]
    return torch.fft.irfft2(modes, s=(mixture.side, mixture.side), norm="ortho").flatten(1)


def posterior_mean(mixture, x, signal, noise, prior):
    """What Bayes' rule says of all cells together: no modes, no sums left out."""
    within, means = covariance(mixture), layouts(mixture)
    total = signal**2 * within + noise**2 * torch.eye(len(within), dtype=torch.float64)
    missed = x.double().flatten(1)[:, None] - signal * means  # (B, layouts, cells)
    explained = torch.linalg.solve(total, missed.mT).mT
    weights = torch.softmax(prior - 0.5 * (missed * explained).sum(-1), 1)
    return torch.einsum("bk,bkc->bc", weights, means + signal * explained @ within).reshape(x.shape), weights


@FLOW
@SIDES
@pytest.mark.parametrize("noise", [0.98, 0.7, 0.2])
def test_the_denoised_image_is_the_posterior_mean(side, flow, noise):
    mixture = Mixture(side, layouts=3, channels=1)
    signal = 1.0 - noise if flow else 1.0
    noise = noise if flow else 10.0 * noise
    generator = torch.Generator().manual_seed(1)
    x = signal * layouts(mixture)[:2].reshape(2, 1, side, side).float()
    x = x + noise * torch.randn(x.shape, generator=generator)
    prior = mixture.prior(torch.tensor([[1.0, 1.0, 1.0], [0.0, 1.0, 1.0]]))
    ours = x - noise * mixture.direction(x, signal, noise, prior, flow)
    expected, weights = posterior_mean(mixture, x, signal, noise, prior.double())
    assert torch.allclose(ours.double(), expected, rtol=1e-4, atol=1e-4)
    assert weights[1, 0] == 0.0  # a layout that the prompt does not mean


def test_between_two_layouts_it_is_not_sure():
    """Where the weights are none of 0 and 1, or the test above would say little of them."""
    mixture = Mixture(8, layouts=3, channels=1)
    x = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(2))
    _, weights = posterior_mean(mixture, x, 0.02, 0.98, torch.zeros(1, 3))
    assert 0.05 < weights.min() < weights.max() < 0.9


@SIDES
def test_power_is_1_in_the_mean_over_all_modes(side):
    """A cell's own variance, then: the diagonal of the covariance."""
    within = covariance(Mixture(side, layouts=1))
    assert torch.allclose(within, within.T)
    assert torch.allclose(within.diagonal(), torch.ones(side**2, dtype=torch.float64), rtol=1e-5)


def test_noise_carried_to_the_picture_has_the_spectrum():
    mixture = Mixture(16, layouts=1, channels=1)
    white = torch.randn(4000, 1, 16, 16, generator=torch.Generator().manual_seed(3))
    drawn = torch.fft.rfft2(mixture.carried(white, (0.0, 1.0), (1.0, 0.0)), norm="ortho").abs().square().mean((0, 1))
    assert torch.allclose(drawn / mixture.power, torch.ones_like(drawn), atol=0.12)


def test_what_is_too_small_is_refused():
    with pytest.raises(ValueError, match=r"side is 6: it must be 7 or more, so that layouts fit in\."):
        Mixture(SMALLEST - 1)


def runs(model, steps, sampler, flow):
    """A run of the host, and where the exact path and the last step lead, which is one of Euler's with any sampler."""
    mixture = model.model.diffusion_model.mixture
    job = Job(seed=7, steps=steps, sampler=sampler, scheduler="simple" if flow else "karras")
    first, *_, last, _ = noise_levels(model, job.steps, job.scheduler)
    before, after = (((1.0 - sigma) if flow else 1.0, sigma) for sigma in (first, last))
    start = noise_of(mixture, [job]) * (1.0 if flow else (1.0 + first**2) ** 0.5)  # as the host scales it
    arrived = mixture.carried(start, before, after)
    exact = arrived - last * mixture.direction(arrived, *after, torch.zeros(1, 1), flow)
    return sample_together(model, [job]), exact


@FLOW
@pytest.mark.parametrize(("sampler", "order"), [("euler", 1), ("heun", 2)])
def test_fine_runs_converge_to_the_exact_path(sampler, order, flow):
    model = build(Mixture(16, layouts=1, channels=2), flow)
    errors = []
    for steps in (100, 200, 400):
        sampled, exact = runs(model, steps, sampler, flow)
        errors.append(float((sampled - exact).norm() / exact.norm()))
    assert errors[-1] < (0.006 if order == 1 else 5e-5)
    assert [a / b for a, b in pairwise(errors)] == pytest.approx([2.0**order] * 2, rel=0.1)


@FLOW
def test_conditions_choose_layouts(flow):
    mixture = Mixture(16, layouts=8, channels=1)
    model = build(mixture, flow)
    means = layouts(mixture).float()
    work = [replace(job, steps=30) for job in jobs(PROMPTS)]
    for job, picture in zip(work, sample_together(model, work), strict=True):
        distance = torch.linalg.solve(covariance(mixture), (picture.double().flatten() - means).T).T
        nearest = int(((picture.flatten() - means) * distance).sum(1).argmin())
        assert nearest % PROMPTS == job.prompt


def test_no_prompt_is_every_layout():
    rows = conditioning(Mixture(8, layouts=8), [None, 1])[0][0][:, 0]
    assert rows.tolist() == [[1.0] * 8, [0.0, 1.0, 0.0, 0.0] * 2]


def test_guidance_changes_the_picture():
    model = build(Mixture(16, layouts=8))
    one, three = (sample_together(model, [replace(job, steps=10, cfg=cfg) for job in jobs(2)]) for cfg in (1.0, 3.0))
    assert (one - three).norm() > 0.05 * one.norm()


def test_together_is_one_by_one():
    model, work = build(Mixture(16, layouts=8)), jobs(3, steps=8, cfg=3.0)
    alone = torch.cat([sample_together(model, [job]) for job in work])
    assert torch.allclose(sample_together(model, work), alone, rtol=1e-4, atol=1e-4)


def test_what_is_not_masked_stays():
    model, work = build(Mixture(16, layouts=8)), jobs(2, steps=6)
    other = sample_together(model, work[::-1])
    mask = torch.zeros(1, 16, 16)
    mask[..., 8:] = 1.0
    inpainted = sample_together(model, work, latent=other, noise_mask=mask)
    assert torch.allclose(inpainted[..., :8], other[..., :8], atol=1e-5)
    assert not torch.allclose(inpainted[..., 8:], other[..., 8:], atol=0.1)
