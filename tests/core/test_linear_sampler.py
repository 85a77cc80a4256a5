"""A sampler's steps are found from its answers to unit inputs, whatever linear recursion they are."""

import math
import random
from itertools import pairwise

import pytest

from hicache_core import LinearSampler, euler, linear_sampler
from hicache_core.linear_sampler import MEMORY, LinearStep

SIGMAS = [1.0, 0.93, 0.84, 0.72, 0.6, 0.45, 0.28, 0.1, 0.0]


def drawn(seed, of_directions, memory, steps=12):
    """A recursion of random numbers; its first steps look back at less, as there is less."""
    rng = random.Random(seed)  # noqa: S311
    lengths = [min(k, memory) + 1 for k in range(steps)]
    weights = [tuple(rng.uniform(0.1, 1.0) * rng.choice([-1, 1]) for _ in range(n)) for n in lengths]
    return LinearSampler(tuple(LinearStep(rng.uniform(0.3, 1.0), w) for w in weights), of_directions)


def answers(steps, ahead=()):
    """The latents of a sampler that is handed 1 in a row of its own at every step. ahead: (step, what of, weight)."""
    latent, latents = [1.0, *[0.0] * len(steps)], []
    for k, step in enumerate(steps):
        latents.append(latent)
        latent = [step.keep * value for value in latent]
        for i, weight in enumerate(step.weights):
            latent[1 + k - i] += weight
        for _, other, weight in (one for one in ahead if one[0] == k):
            latent[1 + other] += weight
    return [*latents, latent]


def same(found, expected):
    assert found.of_directions == expected.of_directions
    for one, other in zip(found.steps, expected.steps, strict=True):
        assert one.keep == pytest.approx(other.keep, abs=1e-6)
        assert one.weights == pytest.approx(other.weights, abs=1e-6)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("memory", range(MEMORY))
@pytest.mark.parametrize("of_directions", [True, False])
def test_it_finds_any_recursion_from_its_answers(seed, memory, of_directions):
    sampler = drawn(seed, of_directions, memory)
    found = linear_sampler(answers(sampler.steps), of_directions)
    same(found, sampler)
    assert found.memory == memory


def test_what_looks_back_further_is_refused():
    assert linear_sampler(answers(drawn(0, True, MEMORY).steps), True) is None


@pytest.mark.parametrize(("step", "other"), [(3, 4), (0, 11)])
def test_what_depends_on_what_comes_later_is_refused(step, other):
    assert linear_sampler(answers(drawn(0, False, 1).steps, ahead=[(step, other, 0.01)]), False) is None


def test_rounding_is_neither_a_memory_nor_a_look_ahead():
    exact = drawn(0, False, 1)
    noisy = answers(exact.steps, ahead=[(3, 5, 1e-6), (7, 2, -1e-6)])
    same(linear_sampler(noisy, False), exact)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("row", [0, 2])
def test_what_is_no_number_is_refused(value, row):
    latents = answers(drawn(0, False, 1).steps)
    latents[6] = [value if i == row else one for i, one in enumerate(latents[6])]
    assert linear_sampler(latents, False) is None


def test_little_of_the_first_latent_is_not_nothing_and_large_weights_round_more():
    """A run from noise level 700 keeps a share of 0.000003, which float32 knows as well as any."""
    steps = [LinearStep(0.01, (0.99,))] * 6
    same(linear_sampler(answers(steps), False), LinearSampler(tuple(steps)))
    steps = [LinearStep(1.0, (-100.0 / (k + 1),)) for k in range(6)]
    noisy = answers(steps, ahead=[(0, 5, 1e-4), (4, 2, 1e-4)])
    assert linear_sampler(noisy, True).memory == 0


def test_a_step_that_keeps_nothing_of_the_latent_is_found_and_so_is_the_next():
    steps = [LinearStep(0.5, (0.5,)), LinearStep(0.0, (1.0,)), LinearStep(0.0, (0.7, 0.3))]
    same(linear_sampler(answers(steps), False), LinearSampler(tuple(steps)))


def test_a_step_that_ignores_what_it_is_handed_has_a_weight_all_the_same():
    steps = [LinearStep(0.5, (0.5,)), LinearStep(1.0, (0.0,))]
    same(linear_sampler(answers(steps), False), LinearSampler(tuple(steps)))


def test_euler_is_what_is_found_of_eulers_method():
    moves = [b - a for a, b in pairwise(SIGMAS)]
    found = linear_sampler(answers([LinearStep(1.0, (move,)) for move in moves]), True)
    same(found, euler(SIGMAS))
    assert (found.memory, len(found.steps)) == (0, 8)


@pytest.mark.parametrize("sigmas", [[], [1.0]])
def test_a_run_of_no_steps(sigmas):
    assert (euler(sigmas).steps, euler(sigmas).memory) == ((), 0)
    assert linear_sampler([[1.0]], True).steps == ()
