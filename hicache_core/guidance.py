"""Whether guidance did the same all along a gap: only then do the directions at its ends tell of those between.

Guidance makes one direction of those of several conditions. What it does is measured by where the guided denoised
image lies between theirs (``guidance_weights``): with plain CFG that is the scale. A scale that changes evenly, as some
nodes let it, is the same thing at all steps; one that jumps is not, and neither are conditions that come or go.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

SAMPLE = 4096  # values of an image that are looked at
CHANGE = 0.1  # of the largest weight: more is not even


@dataclass(frozen=True, slots=True)
class Guidance:
    """What guidance did at a step. conditions: what was active. weights: ``guidance_weights``, on their device."""

    conditions: Hashable
    weights: Tensor


def guidance_weights(guided: Tensor, images: Sequence[Tensor]) -> Tensor:
    """Where ``guided`` lies between the denoised images of conditions, (max(1, images - 1),); does not wait.

    From the last image towards each of the others, in units of the way to it; from 0, where there is but one image.
    """
    few = [_sample(image) for image in images]
    origin = few.pop() if len(few) > 1 else torch.zeros_like(few[0])
    way = _sample(guided) - origin
    return torch.stack([way.dot(one - origin) / (one - origin).square().sum() for one in few])


def _sample(image: Tensor) -> Tensor:
    flat = image.flatten()
    return flat[:: max(1, len(flat) // SAMPLE)].float()


class GuidanceWatch:
    """The guidance of the last computed step and of all since."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, Guidance]] = []

    def see(self, position: float, guidance: Guidance) -> None:
        self._seen.append((position, guidance))

    def was_steady(self) -> bool:
        """Whether guidance changed evenly, if at all, from the computed step on; reads a few numbers, at once."""
        if len(self._seen) < 2 or len({guidance.conditions for _, guidance in self._seen}) > 1:
            return len(self._seen) < 2
        rows = cast("list[list[float]]", torch.stack([guidance.weights for _, guidance in self._seen]).tolist())
        positions = [position for position, _ in self._seen]
        return all(_even(positions, weights) for weights in zip(*rows, strict=True))

    def restart(self) -> None:
        """Keep only the newest step, a computed one."""
        del self._seen[:-1]


def _even(positions: Sequence[float], weights: Sequence[float]) -> bool:
    """Whether they lie on a line. Weights that are no number, of images that are all alike, say nothing."""
    first, last = weights[0], weights[-1]
    span = (positions[-1] - positions[0]) or 1.0
    line = (first + (last - first) * (position - positions[0]) / span for position in positions)
    off = (abs(weight - expected) for weight, expected in zip(weights, line, strict=True))
    return not max(off) > CHANGE * max(map(abs, weights))
