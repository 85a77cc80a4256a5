"""The density that schedules spend their calls by."""

import math

import pytest

from hicache_core.density import step_density, step_moves
from hicache_core.schedule import spread


def simple(steps, shift=1.15):
    """ComfyUI's "simple" noise levels of Flux: even in time, shifted towards pure noise."""
    times = [1.0 - k / steps for k in range(steps)]
    return [*(math.exp(shift) / (math.exp(shift) + 1.0 / t - 1.0) for t in times), 0.0]


def karras(steps, low=0.03, high=14.6, rho=7.0):
    """The noise levels of an epsilon model."""
    ends = high ** (1 / rho), low ** (1 / rho)
    return [*((ends[0] + k / (steps - 1) * (ends[1] - ends[0])) ** rho for k in range(steps)), 0.0]


def test_it_is_the_geometric_mean_of_how_far_a_step_moves_and_what_changed_before_it():
    sigmas = [0.9, 0.7, 0.4, 0.1, 0.0]
    density = step_density(sigmas, flow=True)
    move = 0.4 - 0.1
    change = math.log((0.6 + 0.02) / 0.4) - math.log((0.3 + 0.02) / 0.7)
    assert density[2] == pytest.approx(math.sqrt(move * change))
    assert step_moves(sigmas, flow=True)[2] == pytest.approx(move)
    assert step_moves([9.0, 4.0], flow=False) == pytest.approx((0.5,))


@pytest.mark.parametrize("steps", [1, 2, 4, 20, 50, 1000])
@pytest.mark.parametrize(("levels", "flow"), [(simple, True), (karras, False)])
def test_every_step_of_a_usual_run_has_some(levels, flow, steps):
    if levels is karras and steps == 1:
        pytest.skip("Karras's formula needs two steps")
    density = step_density(levels(steps), flow)
    assert len(density) == steps
    assert all(math.isfinite(d) and d > 0.0 for d in density)


def test_a_repeated_noise_level_has_none_and_a_rise_is_no_error():
    density = step_density([0.8, 0.6, 0.6, 0.7, 0.2, 0.0], flow=True)
    assert density[1] == 0.0
    assert all(d >= 0.0 for d in density)


def test_the_end_of_a_flow_run_is_where_steps_are_long_and_change_most():
    """So its last steps are computed, and at five times the speed a gap in the middle is eight steps."""
    assert [0, *(1 + k for k in spread(step_density(simple(50), flow=True)[1:], 9))] == [
        0, 7, 16, 24, 31, 37, 41, 44, 47, 49,
    ]  # fmt: skip


def test_no_steps_have_no_density():
    assert step_density([], flow=True) == step_density([1.0], flow=True) == ()
