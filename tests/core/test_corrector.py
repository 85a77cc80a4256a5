"""The corrector's law: where directions follow a line, a computed step ends where the full run would be, whatever the
sampler makes of what it is handed, and so does everything after it."""

import random
from itertools import pairwise

import pytest
import torch

from hicache_core import OUTPUT, Guidance, LinearSampler, Session, Settings, euler
from hicache_core.corrector import RESPONSE, DriftCorrector
from hicache_core.linear_sampler import LinearStep
from hicache_core.trust import Trend

SIGMAS = [1.0, 0.93, 0.84, 0.72, 0.6, 0.45, 0.28, 0.1, 0.0]
GUIDANCE = Guidance("same", torch.ones(1))
EULER = euler(SIGMAS)
PARABOLA = Trend((-1e-12,))


def multistep(seed, of_directions, memory):
    """Random, but of order one: it stays on a straight path from noise to picture."""
    rng, steps = random.Random(seed), []  # noqa: S311
    for k, (now, after) in enumerate(pairwise(SIGMAS)):
        keep, whole = (1.0, after - now) if of_directions else (after / now, 1.0 - after / now)
        older = [rng.uniform(-0.4, 0.4) * whole for _ in range(min(k, memory))]
        steps.append(LinearStep(keep, (whole - sum(older), *older)))
    return LinearSampler(tuple(steps), of_directions)


SAMPLERS = {
    "euler": EULER,
    **{
        f"memory {memory} of {'directions' if of_directions else 'images'}, {seed}": multistep(
            seed, of_directions, memory
        )
        for memory in range(4)
        for of_directions in (True, False)
        for seed in range(2)
    },
}
every_sampler = pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)


class Latent:
    """Where a sampler is, and what it remembers."""

    def __init__(self, sampler):
        self.sampler, self.x, self.handed = sampler, torch.tensor([[0.5, 0.25]] * 2, dtype=torch.float64), []

    def copy(self):
        other = Latent(self.sampler)
        other.x, other.handed = self.x, list(self.handed)
        return other

    def go(self, step, denoised):
        given = (self.x - denoised) / SIGMAS[step] if self.sampler.of_directions else denoised
        self.handed.insert(0, given)
        law = self.sampler.steps[step]
        self.x = law.keep * self.x + sum(w * y for w, y in zip(law.weights, self.handed, strict=False))


def direction(step, bend=0.0):
    """A line in the step, or a parabola, the same wherever the latent is."""
    return (
        torch.tensor([[2.0, -1.0], [1.0, 3.0]], dtype=torch.float64)
        + step * torch.tensor([[0.3, 0.7], [-0.5, 0.2]], dtype=torch.float64)
        + bend * step**2 * torch.tensor([[0.1, -0.2], [0.05, 0.1]], dtype=torch.float64)
    )


def run(sampler, computed, trend=None, bend=0.0, corrects=True):
    """Yields (step, where the run is behind it, where the full run is, where the forecasts since the last computed step
    lead from the full run).

    Forecasts reuse the last direction. The network answers what the latent is off with RESPONSE of it.
    """
    corrector = DriftCorrector(SIGMAS, sampler)
    full, got, forecast = Latent(sampler), Latent(sampler), Latent(sampler)
    for k, sigma in enumerate(SIGMAS[:-1]):
        true = direction(k, bend)
        if k in computed:
            denoised = full.x - sigma * true + RESPONSE * (got.x - full.x)
            added = corrector.computed(k, true, *([trend] if trend else []))
            last = true
        else:
            denoised = got.x - sigma * last
            added = corrector.forecast(k, got.x, denoised, sigma)
            forecast.go(k, forecast.x - sigma * last)
        got.go(k, denoised if added is None or not corrects else denoised + added)
        full.go(k, full.x - sigma * true)
        if k in computed:
            forecast = full.copy()
        yield k, got.x, full.x, forecast.x


def close(a, b):
    return torch.allclose(a, b, rtol=0.0, atol=1e-11)


@every_sampler
@pytest.mark.parametrize("computed", [(0, 4, 7), (0, 1, 3, 6, 7), (0, 5, 6, 7), (0, 2, 5), (0, 3, 4, 7)])
def test_a_computed_step_ends_where_the_full_run_is_and_forecasts_lead_on_from_there(sampler, computed):
    """No later step sees anything of a correction, neither a computed nor a forecast one."""
    for k, got, full, forecast in run(sampler, computed):
        assert close(got, full if k in computed else forecast)


@every_sampler
def test_a_parabola_takes_three_computed_steps_to_follow(sampler):
    for k, got, full, _ in run(sampler, (0, 1, 4, 6, 7), PARABOLA, bend=1.0):
        assert close(got, full) or k in (2, 3, 5)
    off = [k for k, got, full, _ in run(sampler, (0, 1, 4, 7), bend=1.0) if not close(got, full)]
    assert 4 in off


@every_sampler
def test_every_picture_has_a_curve_of_its_own(sampler):
    parabolas, lines, mixed = (
        [got for _, got, *_ in run(sampler, (0, 1, 4), trend, bend=1.0)][4]
        for trend in (Trend((-1.0, -1.0), (0.0, 0.0)), Trend((1.0, 1.0), (0.0, 0.0)), Trend((-1.0, 1.0), (0.0, 0.0)))
    )
    assert not close(parabolas, lines)
    assert close(mixed, torch.stack([parabolas[0], lines[1]]))


@every_sampler
def test_every_picture_is_corrected_by_its_own_share(sampler):
    """All of it, half of it, none of it."""
    ends = [
        {k: (got, full) for k, got, full, _ in run(sampler, (0, 4), trend, corrects=trend is not None)}[4]
        for trend in (None, Trend((1.0, 1.0), (0.0, 1.0)), Trend((1.0, 1.0), (0.75, 0.0)))
    ]
    (alone, full), (first, _), (second, _) = ends
    assert not close(alone, full)
    assert close(first[0], full[0])
    assert close(first[1], alone[1])
    assert close(second[0], (alone[0] + full[0]) / 2)
    assert close(second[1], full[1])


@every_sampler
def test_where_nothing_of_a_gap_is_undone_nothing_is_added(sampler):
    with_corrector = run(sampler, (0, 3, 5), Trend((1.0, 1.0), (1.0, 1.0)))
    without = run(sampler, (0, 3, 5), corrects=False)
    assert all(close(a, b) for (_, a, *_), (_, b, *_) in zip(with_corrector, without, strict=True))


@every_sampler
def test_a_gap_that_is_forgotten_is_not_corrected_but_the_next_one_is(sampler):
    corrector = DriftCorrector(SIGMAS, sampler)
    corrector.computed(0, direction(0))
    corrector.forecast(1, *along(1, direction(0)))
    corrector.forget_gap()
    assert not corrector.pending
    assert corrector.computed(2, direction(2)) is None
    corrector.forecast(3, *along(3, direction(2)))
    assert corrector.computed(4, direction(4)) is not None


def along(step, towards):
    """x, denoised and sigma of a sampler that goes along this direction."""
    x = torch.tensor([[0.5, 0.25]] * 2, dtype=torch.float64)
    return x, x - SIGMAS[step] * towards, SIGMAS[step]


@every_sampler
def test_there_is_nothing_to_undo_without_forecasts(sampler):
    corrector = DriftCorrector(SIGMAS, sampler)
    assert [corrector.computed(k, direction(k)) for k in range(8)] == [None] * 8
    assert not corrector.pending


@every_sampler
def test_a_forecast_before_any_computed_step_cannot_be_undone(sampler):
    corrector = DriftCorrector(SIGMAS, sampler)
    assert corrector.forecast(0, *along(0, direction(0))) is None
    assert corrector.computed(1, direction(1)) is None
    assert not corrector.pending


@every_sampler
def test_what_is_handed_in_is_not_written_to(sampler):
    corrector, given = DriftCorrector(SIGMAS, sampler), [direction(k) for k in range(8)]
    taken = [along(k, given[k]) for k in range(8)]
    for k in range(8):
        if k in (0, 3, 6):
            corrector.computed(k, given[k], PARABOLA)
        else:
            corrector.forecast(k, *taken[k])
    assert all(torch.equal(tensor, direction(k)) for k, tensor in enumerate(given))
    for k, (x, denoised, _) in enumerate(taken):
        assert all(map(torch.equal, (x, denoised), along(k, direction(k))))


@every_sampler
def test_what_is_added_is_not_what_is_kept(sampler):
    """The host may write to the denoised image."""
    corrector = DriftCorrector(SIGMAS, sampler)
    corrector.computed(0, direction(0))
    corrector.forecast(1, *along(1, direction(0)))
    corrector.forecast(2, *along(2, direction(0)))
    added = corrector.computed(3, direction(3))
    assert all(added.data_ptr() != tensor.data_ptr() for tensor in corrector.tensors)


def test_forecast_directions_of_euler_add_up():
    corrector = DriftCorrector(SIGMAS, EULER)
    for k in range(4):
        corrector.forecast(k, *along(k, direction(k)))
    expected = sum((SIGMAS[k + 1] - SIGMAS[k]) * direction(k) for k in range(4))
    (moved,) = corrector.tensors
    assert close(moved, expected)


SHORT = {  # the noise levels, with a short step 3
    "no move": [1.0, 0.8, 0.6, 0.4, 0.4, 0.2, 0.1, 0.05, 0.0],
    "a tenth of a tenth": [1.0, 0.8, 0.6, 0.4, 0.398, 0.2, 0.1, 0.05, 0.0],
}


def after_a_gap(sigmas, of_directions=True):
    """What is added at step 3, after two forecasts, and at step 4."""
    steps = [LinearStep(1.0 if of_directions else b / a, (b - a,)) for a, b in pairwise(sigmas)]
    corrector = DriftCorrector(sigmas, LinearSampler(tuple(steps), of_directions))
    corrector.computed(0, direction(0))
    for k in (1, 2):
        corrector.forecast(k, *along(k, direction(0)))
    return [corrector.computed(k, direction(k)) for k in (3, 4)]


@pytest.mark.parametrize("sigmas", SHORT.values(), ids=SHORT)
@pytest.mark.parametrize("of_directions", [True, False])
def test_a_step_that_hardly_moves_is_not_corrected(sigmas, of_directions):
    assert after_a_gap(sigmas, of_directions) == [None, None]


def test_a_step_that_moves_the_other_way_is_corrected_if_it_moves_enough():
    added, _ = after_a_gap([1.0, 0.8, 0.6, 0.4, 0.6, 0.3, 0.2, 0.1, 0.0])
    assert added.isfinite().all()
    assert after_a_gap([1.0, 0.8, 0.6, 0.4, 0.405, 0.3, 0.2, 0.1, 0.0]) == [None, None]


def test_a_gap_that_does_not_move_leaves_nothing_to_correct():
    added, _ = after_a_gap([1.0, 0.8, 0.8, 0.8, 0.6, 0.3, 0.2, 0.1, 0.0])
    assert added is None or not added.any()
    added, _ = after_a_gap([1.0, 0.8, 0.8, 0.8, 0.8, 0.3, 0.2, 0.1, 0.0])
    assert added is None or not added.any()


@every_sampler
def test_several_evaluations_in_one_step_are_no_error(sampler):
    corrector = DriftCorrector(SIGMAS, sampler)
    corrector.computed(2, direction(2))
    corrector.forecast(2, *along(2, direction(1)))
    assert corrector.computed(2, direction(2)) is None
    corrector.forecast(2, *along(2, direction(1)))
    corrector.forecast(3, *along(3, direction(1)))
    added = [corrector.computed(4, direction(4)), corrector.computed(4, direction(4), PARABOLA)]
    assert all(one is None or one.isfinite().all() for one in added)


@every_sampler
def test_steps_behind_the_last_are_not_corrected(sampler):
    corrector = DriftCorrector(SIGMAS, sampler)
    corrector.computed(6, direction(6))
    corrector.forecast(7, *along(7, direction(6)))
    assert corrector.forecast(8, *along(7, direction(6))) is None
    assert corrector.computed(8, direction(8)) is None


@every_sampler
def test_no_more_is_held_than_it_says(sampler):
    corrector, most = DriftCorrector(SIGMAS, sampler), 0
    assert corrector.tensors == ()
    for k in range(8):
        if k in (0, 1, 5):
            corrector.computed(k, direction(k))
        else:
            corrector.forecast(k, *along(k, direction(0)))
        most = max(most, len(corrector.tensors))
    assert most <= corrector.most_held == 3 + 2 * sampler.memory


@pytest.mark.parametrize(("sampler", "setting"), [(None, True), (EULER, False)])
def test_a_session_corrects_only_where_sampler_and_settings_allow(sampler, setting):
    session = Session(Settings(corrector=setting, stabilizer=False), SIGMAS, sampler=sampler)
    session.begin(1.0, "main")
    assert not any(map(session.wants_direction, (False, True)))


def test_nobody_looks_at_the_direction_of_a_forecast_step_without_a_corrector():
    session = Session(Settings(), SIGMAS)
    session.begin(1.0, "main")
    assert session.wants_direction(was_forecast=False)
    assert not session.wants_direction(was_forecast=True)


def corrected_steps(session, guidance=lambda step: GUIDANCE):
    """The computed steps that are corrected, of a run along a line."""
    corrected = []
    for k, sigma in enumerate(SIGMAS[:-1]):
        key = session.begin(sigma, "main")
        forecast = session.forecast(key, {0: "same"}) is not None
        if not forecast and session.wants_anchors:
            session.record(key, {0: ("same", {OUTPUT: direction(k)})})
        if session.wants_direction(forecast):
            if forecast:
                session.follow(session.position, direction(k) * sigma, direction(0), sigma, guidance(k))
            elif session.correct(session.position, direction(k), guidance(k)) is not None:
                corrected.append(k)
    return corrected


@pytest.mark.parametrize("last", [6, 7])
def test_the_last_computed_step_makes_up_for_a_gap_of_any_length(last):
    """Also for a single step, after which nothing is forecast any more."""
    settings = Settings(schedule="listed", steps=(0, 3, 5, last), stabilizer=False)
    session = Session(settings, SIGMAS, sampler=EULER)
    assert corrected_steps(session) == [k for k in (3, 5, last) if k != last or last == 7]


@pytest.mark.parametrize("stabilizer", [True, False])
def test_a_gap_whose_guidance_jumps_is_not_corrected_but_the_next_one_is(stabilizer):
    settings = Settings(schedule="listed", steps=(0, 2, 5, 7), stabilizer=stabilizer)
    jump = [Guidance("same", torch.tensor([6.0 if k < 4 else 1.0])) for k in range(8)]
    ends = [Guidance("both" if k < 4 else "one", torch.tensor([6.0])) for k in range(8)]
    evenly = [Guidance("same", torch.tensor([6.0 - k / 2])) for k in range(8)]
    for guidance, expected in ((jump, [2, 7]), (ends, [2, 7]), (evenly, [2, 5, 7])):
        session = Session(settings, SIGMAS, sampler=EULER)
        assert corrected_steps(session, guidance.__getitem__) == expected


def test_a_session_told_to_stop_corrects_no_more_and_says_why_once():
    session = Session(Settings(schedule="listed", steps=(0, 3, 5, 7)), SIGMAS, sampler=EULER)
    for _ in range(2):
        session.stop_correcting("tiles")
    assert corrected_steps(session) == []
    assert session.finish().messages == ("tiles",)
