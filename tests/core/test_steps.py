import pytest

from hicache_core.steps import StepCursor, step_range

SIGMAS = [1.0, 0.8, 0.5, 0.2, 0.0]


def positions(asked, sigmas=SIGMAS):
    cursor = StepCursor(sigmas)
    return [cursor.locate(sigma)[0] for sigma in asked]


def test_listed_levels_are_whole_positions():
    assert positions([1.0, 0.8, 0.5, 0.2]) == [0.0, 1.0, 2.0, 3.0]


def test_levels_between_are_fractions():
    assert positions([1.0, 0.9, 0.8, 0.65, 0.5]) == pytest.approx([0.0, 0.5, 1.0, 1.5, 2.0])


def test_the_same_level_twice_is_the_same_position():
    assert positions([1.0, 0.8, 0.8, 0.5, 0.5]) == [0.0, 1.0, 1.0, 2.0, 2.0]


def test_float32_rounding_does_not_matter():
    assert positions([0.800000011920929, 0.5000000001]) == [1.0, 2.0]


def test_a_rise_starts_over():
    cursor = StepCursor(SIGMAS)
    found = [cursor.locate(sigma) for sigma in (1.0, 0.5, 0.8, 0.5)]
    assert found == [(0.0, False), (2.0, False), (1.0, True), (2.0, False)]


def test_a_rise_to_a_level_further_on_goes_there():
    """Restarts are in the list: 1.0 0.8 0.5 0.8 0.5 0.2."""
    assert positions([1.0, 0.8, 0.5, 0.8, 0.5, 0.2], [1.0, 0.8, 0.5, 0.8, 0.5, 0.2, 0.0]) == [0, 1, 2, 3, 4, 5]


def test_levels_outside_the_list_stay_at_its_ends():
    assert positions([2.0]) == [0.0]
    assert positions([0.0]) == [4.0]


def test_step_range_of_noise_levels():
    steps = step_range(SIGMAS, start_sigma=0.8, end_sigma=0.5)
    assert (steps.total, steps.first, steps.stop) == (4, 1, 3)
    assert [k in steps for k in range(4)] == [False, True, True, False]


def test_everything_is_in_an_open_range():
    steps = step_range(SIGMAS, float("inf"), 0.0)
    assert (steps.first, steps.stop) == (0, 4)


def test_no_noise_levels():
    assert step_range([], float("inf"), 0.0).total == 0
