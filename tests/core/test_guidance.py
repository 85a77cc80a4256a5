"""Whether guidance did the same all along a gap."""

import math

import pytest
import torch

from hicache_core import Guidance, guidance_weights
from hicache_core.guidance import SAMPLE, GuidanceWatch


def image(seed, *shape):
    return torch.randn(shape or (2, 4, 8, 8), generator=torch.Generator().manual_seed(seed))


def steady(rows, positions=None, conditions=None):
    """A watch's answer for the weights of successive steps."""
    watch = GuidanceWatch()
    for i, row in enumerate(rows):
        seen = Guidance(conditions[i] if conditions else "same", torch.tensor([float(value) for value in row]))
        watch.see(positions[i] if positions else i, seen)
    return watch.was_steady()


def test_the_weight_of_plain_cfg_is_its_scale():
    positive, negative = image(1), image(2)
    guided = negative + 4.5 * (positive - negative)
    assert guidance_weights(guided, [positive, negative]).tolist() == pytest.approx([4.5], rel=1e-4)


def test_a_single_image_is_measured_from_zero():
    assert guidance_weights(image(1), [image(1)]).tolist() == pytest.approx([1.0])
    assert guidance_weights(3.0 * image(1), [image(1)]).tolist() == pytest.approx([3.0])


def test_of_three_images_there_are_two_weights_that_move_with_each():
    a, b, origin = image(1), image(2), image(3)

    def weights(first, second):
        return guidance_weights(origin + first * (a - origin) + second * (b - origin), [a, b, origin])

    assert weights(2.0, 1.0).shape == (2,)
    assert (weights(3.0, 1.0) - weights(2.0, 1.0))[0] == pytest.approx(1.0, rel=1e-4)
    assert (weights(2.0, 2.0) - weights(2.0, 1.0))[1] == pytest.approx(1.0, rel=1e-4)


def test_large_and_half_precision_images_are_sampled():
    positive, negative = (image(seed, 1, 4, SAMPLE, 3).half() for seed in (1, 2))
    guided = (negative.float() + 3.0 * (positive.float() - negative.float())).half()
    assert guidance_weights(guided, [positive, negative]).tolist() == pytest.approx([3.0], rel=1e-2)


def test_images_that_are_all_alike_say_nothing():
    weights = guidance_weights(image(1), [image(1), image(1)])
    assert math.isnan(weights.item())


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], True),
        ([[6]], True),
        ([[6], [1]], True),  # two points are on a line
        ([[6], [6], [6]], True),
        ([[6], [6.2], [5.9], [6]], True),
        ([[6], [4], [2], [0]], True),
        ([[6], [6], [1], [1]], False),
        ([[6], [1], [6]], False),
        ([[1, 6], [1, 6], [1, 1], [1, 1]], False),
        ([[0, 0], [0, 0], [0, 0]], True),
        ([[-3], [-3], [3]], False),
        ([[math.nan], [6], [1], [6]], True),
        ([[math.nan]] * 3, True),
        ([[math.nan, 6], [math.nan, 6], [math.nan, 1]], False),
    ],
)
def test_guidance_is_steady_where_it_changes_evenly(rows, expected):
    assert steady(rows) == expected


def test_even_means_even_in_the_positions():
    assert steady([[6], [5], [2]], positions=[0, 1, 4])
    assert not steady([[6], [4], [2]], positions=[0, 1, 9])
    assert steady([[6], [6], [6]], positions=[3, 3, 3])


@pytest.mark.parametrize(
    ("conditions", "expected"), [("aaa", True), ("aab", False), ("aba", False), ("ab", False), ("a", True)]
)
def test_conditions_that_come_or_go_are_not_steady(conditions, expected):
    assert steady([[6]] * len(conditions), conditions=conditions) == expected


def test_weights_of_another_number_come_with_other_conditions():
    assert not steady([[6], [6, 1]], conditions="ab")


def test_after_a_restart_the_newest_step_still_counts():
    watch = GuidanceWatch()
    watch.see(0, Guidance("same", torch.tensor([6.0])))
    watch.restart()
    for position in (1, 2):
        watch.see(position, Guidance("same", torch.tensor([1.0])))
    assert not watch.was_steady()


def test_after_a_restart_only_the_newest_step_counts():
    watch = GuidanceWatch()
    for position, weight in enumerate((6.0, 6.0, 1.0)):
        watch.see(position, Guidance("same", torch.tensor([weight])))
    assert not watch.was_steady()
    watch.restart()
    assert watch.was_steady()
    for position in (3, 4):
        watch.see(position, Guidance("same", torch.tensor([1.0])))
    assert watch.was_steady()
