"""The corrector's law: where directions follow a line, a computed Euler step ends where the full run would be."""

import pytest
import torch

from hicache_core import OUTPUT, Session, Settings
from hicache_core.corrector import DriftCorrector

SIGMAS = [1.0, 0.93, 0.84, 0.72, 0.6, 0.45, 0.28, 0.1, 0.0]


def direction(step):
    """A line in the step, the same wherever the latent is."""
    return torch.tensor([2.0, -1.0]) + step * torch.tensor([0.3, 0.7])


@pytest.mark.parametrize("computed", [(0, 4), (0, 1, 3, 6), (0, 5, 7)])
def test_a_computed_step_undoes_the_drift_of_reused_directions(computed):
    """With a network that changes its denoised image by half of what the latent is off."""
    corrector, last = DriftCorrector(SIGMAS), {}
    true = got = torch.tensor([0.5, 0.25])
    for k in range(computed[-1] + 1):
        move = SIGMAS[k + 1] - SIGMAS[k]
        if k in computed:
            last["direction"] = direction(k)
            addition = corrector.computed(k, direction(k))
            pull = 0.5 * (got - true) / SIGMAS[k]
            got = got + move * (direction(k) + pull + (0.0 if addition is None else addition))
            assert torch.allclose(got, true + move * direction(k), atol=1e-6)
        else:
            corrector.forecast(k, *along(k, last["direction"]))
            got = got + move * last["direction"]
        true = true + move * direction(k)
    assert not corrector.pending


def along(step, direction):
    """x, denoised and sigma of a sampler that goes along this direction."""
    x = torch.tensor([0.5, 0.25])
    return x, x - SIGMAS[step] * direction, SIGMAS[step]


def test_there_is_nothing_to_undo_without_forecasts():
    corrector = DriftCorrector(SIGMAS)
    assert corrector.computed(0, direction(0)) is None
    assert corrector.computed(1, direction(1)) is None


def test_a_forecast_before_any_computed_step_cannot_be_undone():
    corrector = DriftCorrector(SIGMAS)
    corrector.forecast(0, *along(0, direction(0)))
    assert corrector.computed(1, direction(1)) is None
    assert not corrector.pending


def test_what_is_handed_in_is_not_written_to():
    corrector, given = DriftCorrector(SIGMAS), [direction(k) for k in range(4)]
    corrector.computed(0, given[0])
    taken = [along(1, given[1]), along(2, given[2])]
    corrector.forecast(1, *taken[0])
    corrector.forecast(2, *taken[1])
    corrector.computed(3, given[3])
    assert all(torch.equal(tensor, direction(k)) for k, tensor in enumerate(given))
    for k, (x, denoised, _) in enumerate(taken, 1):
        assert all(map(torch.equal, (x, denoised), along(k, direction(k))))


def test_forecast_directions_add_up():
    corrector = DriftCorrector(SIGMAS)
    for k in range(4):
        corrector.forecast(k, *along(k, direction(k)))
    expected = sum((SIGMAS[k + 1] - SIGMAS[k]) * direction(k) for k in range(4))
    (moved,) = corrector.tensors
    assert torch.allclose(moved, expected, atol=1e-6)


def test_a_step_that_does_not_move_is_not_corrected():
    corrector = DriftCorrector([1.0, 0.8, 0.6, 0.6, 0.4, 0.0])
    corrector.computed(0, direction(0))
    corrector.forecast(1, *along(1, direction(1)))
    assert corrector.computed(2, direction(2)) is None


def test_bytes_held():
    corrector = DriftCorrector(SIGMAS)
    assert corrector.tensors == ()
    corrector.computed(0, direction(0))
    corrector.forecast(1, *along(1, direction(1)))
    assert sum(t.nbytes for t in corrector.tensors) == 2 * 2 * 4


@pytest.mark.parametrize(("allowed", "setting"), [(False, True), (True, False)])
def test_a_session_corrects_only_where_sampler_and_settings_allow(allowed, setting):
    session = Session(Settings(corrector=setting, stabilizer=False), SIGMAS, correct_drift=allowed)
    session.begin(1.0, "main")
    assert not any(map(session.wants_direction, (False, True)))


def test_nobody_looks_at_the_direction_of_a_forecast_step_without_a_corrector():
    session = Session(Settings(), SIGMAS)
    session.begin(1.0, "main")
    assert session.wants_direction(was_forecast=False)
    assert not session.wants_direction(was_forecast=True)


@pytest.mark.parametrize("last", [6, 7])
def test_the_last_computed_step_makes_up_for_a_gap_of_any_length(last):
    """Also for a single step, after which nothing is forecast any more."""
    settings = Settings(schedule="listed", steps=(0, 3, 5, last), stabilizer=False)
    session = Session(settings, SIGMAS, correct_drift=True)
    corrected = []
    for k, sigma in enumerate(SIGMAS[:-1]):
        key = session.begin(sigma, "main")
        forecast = session.forecast(key, {0: "same"}) is not None
        if not forecast and session.wants_anchors:
            session.record(key, {0: ("same", {OUTPUT: direction(k)[None]})})
        if session.wants_direction(forecast):
            if forecast:
                session.follow(direction(k)[None] * sigma, torch.zeros(1, 2))
            elif session.correct(direction(k)[None]) is not None:
                corrected.append(k)
    assert corrected == [k for k in (3, 5, last) if k != last or last == 7]
