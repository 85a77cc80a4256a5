"""The density that schedules spend their calls by."""

import math
from itertools import pairwise

import pytest

from hicache_core.cheapest import cheapest
from hicache_core.density import ADDED_RHO, FLOOR, RHO, floor_of, step_density, step_moves


def simple(steps, mu=1.15):
    """ComfyUI's "simple" noise levels of Flux: even in time, shifted towards pure noise."""
    return shifted(steps, math.exp(mu))


def shifted(steps, shift):
    """Even in time, after a flow model's shift."""
    times = [1.0 - k / steps for k in range(steps + 1)]
    return [shift * t / (1.0 + (shift - 1.0) * t) for t in times]


def karras(steps, low=0.03, high=14.6, rho=7.0):
    """The noise levels of an epsilon model."""
    ends = high ** (1 / rho), low ** (1 / rho)
    return [*((ends[0] + k / max(1, steps - 1) * (ends[1] - ends[0])) ** rho for k in range(steps)), 0.0]


def phi(sigma, floor=FLOOR):
    return (sigma / (1.0 - sigma + floor)) ** (1.0 / RHO)


def plan(sigmas, calls, floor=FLOOR):
    return cheapest(step_density(sigmas, True, floor), calls)


@pytest.mark.parametrize("floor", [0.001, FLOOR, 0.1, 3.0])
def test_computed_steps_are_evenly_spaced_in_phi(floor):
    """To within a step, where none of them is full."""
    sigmas = shifted(400, 3.0)
    values = [phi(sigmas[k], floor) for k in plan(sigmas, 12, floor)]
    gaps = [a - b for a, b in pairwise(values)]
    widest = max(a - b for a, b in pairwise([phi(sigma, floor) for sigma in sigmas[:-1]]))
    assert max(gaps) - min(gaps) <= 2.0 * widest


@pytest.mark.parametrize("floor", [0.001, FLOOR, 0.1])
def test_a_flows_shift_does_not_change_at_which_noise_levels_steps_are_computed(floor):
    """To within the steps that there are."""
    runs = [shifted(400, shift) for shift in (1.0, 3.0, 7.0)]
    plans = [[phi(sigmas[k], floor) for k in plan(sigmas, 12, floor)] for sigmas in runs]
    widest = max(max(step_density(sigmas, True, floor)) for sigmas in runs)
    for one, other in pairwise(plans):
        assert one == pytest.approx(other, abs=widest)


@pytest.mark.parametrize("calls", [5, 12, 100])
def test_where_the_floor_does_not_matter_a_flows_shift_changes_no_step(calls):
    """It multiplies all noise to signal ratios by the same."""
    plans = [plan(shifted(400, shift), calls, 1e-6) for shift in (1.0, 3.0, 7.0)]
    assert all(abs(a - b) <= 1 for one in plans for a, b in zip(one, plans[0], strict=True))


@pytest.mark.parametrize("steps", [1, 2, 4, 20, 50, 1000])
@pytest.mark.parametrize(("levels", "flow"), [(simple, True), (karras, False)])
def test_every_step_of_a_usual_run_but_the_first_has_some(levels, flow, steps):
    density, moves = step_density(levels(steps), flow), step_moves(levels(steps), flow)
    assert len(density) == len(moves) == steps
    assert density[0] == 0.0
    assert all(math.isfinite(d) and d > 0.0 for d in (*density[1:], *moves))


def test_where_noise_is_added_steps_are_even_in_a_root_of_the_noise_level():
    """clean + sigma noise is (1 - s) clean + s noise times 1 + sigma, where s = sigma / (1 + sigma)."""
    sigmas = karras(20)
    roots = [sigma ** (1.0 / ADDED_RHO) for sigma in sigmas[:-1]]
    assert step_density(sigmas, False, 0.0)[1:] == pytest.approx([a - b for a, b in pairwise(roots)])
    moves = step_moves([sigma / (1.0 + sigma) for sigma in sigmas], True, 0.0)
    assert step_moves(sigmas, False, 0.0) == pytest.approx(moves)


def test_a_repeated_noise_level_has_none_and_a_rise_is_no_error():
    sigmas = [0.8, 0.6, 0.6, 0.7, 0.2, 0.0]
    density, moves = step_density(sigmas, flow=True), step_moves(sigmas, flow=True)
    assert density[0] == density[2] == moves[1] == 0.0
    assert all(d >= 0.0 for d in (*density, *moves))
    assert density[3] == pytest.approx(phi(0.7) - phi(0.6))


def test_noise_levels_above_those_of_a_flow_are_no_error():
    assert all(map(math.isfinite, (*step_density([1.2, 1.0, 0.5], True), *step_moves([1.2, 1.0, 0.5], True))))


def test_the_first_steps_of_flux_come_first_and_gaps_grow_where_steps_are_short():
    """At five times the speed; the searched schedules of FLUX.1 begin like that."""
    steps = plan(simple(50), 10, 0.003)
    gaps = [b - a for a, b in pairwise(steps)]
    assert len(steps) == 10
    assert steps[:3] == [0, 1, 2]
    assert max(gaps) > 3 * gaps[0]
    assert gaps.index(max(gaps)) > 4


@pytest.mark.parametrize("calls", [5, 10, 20])
def test_a_smaller_floor_computes_more_of_the_early_steps(calls):
    early = [sum(k < 10 for k in plan(simple(50), calls, floor)) for floor in (0.0003, 0.003, 0.03, 0.3, 3.0)]
    assert early == sorted(early, reverse=True)
    assert early[0] > early[-1]


def test_the_floor_of_a_latent():
    assert floor_of((1, 16, 128, 128), True) == FLOOR
    assert floor_of((4, 4, 128, 128), True) == FLOOR  # neither pictures of a batch nor channels count
    assert floor_of((1, 16, 64, 256), True) == floor_of((1, 16, 256, 64), True) == FLOOR
    assert floor_of((1, 16, 1, 128, 128), True) == FLOOR
    assert floor_of((1, 16, 4, 64, 64), True) == FLOOR  # frames do
    floors = [floor_of((1, 16, side, side), True) for side in (16, 64, 128, 256, 512)]
    assert floors == sorted(floors, reverse=True)
    assert len(set(floors)) == 5


@pytest.mark.parametrize("shape", [(1, 4, 16, 16), (1, 4, 128, 128), (1, 16, 81, 60, 104)])
def test_where_noise_is_added_there_is_no_floor(shape):
    assert floor_of(shape, False) == 0.0


@pytest.mark.parametrize("shape", [(), (1,), (1, 8), (1, 8, 0), (1, 8, 1)])
def test_a_latent_without_cells_counts_as_one(shape):
    assert floor_of(shape, True) == floor_of((1, 8, 1), True) > 0.0


def test_no_steps_have_no_density():
    assert step_density([], flow=True) == step_density([1.0], flow=True) == ()
    assert step_moves([], flow=True) == step_moves([1.0], flow=True) == ()
