"""Undoing the drift that forecasts left in the latent, at no network call: predict, evaluate, correct.

When a step k is computed after forecast steps j, the directions v(j) that were forecast can be compared with a line
through the computed ones at both ends, u(j), or a parabola through the one before as well. The path that the sampler
would have taken along u is the intended one. How far off it the latent is at step k, its drift, follows from the
sampler's own arithmetic (linear_sampler.py); for Euler it is

    drift = sum_j (sigma_{j+1} - sigma_j) (u(j) - v(j)).

The corrector hands the sampler the denoised image with which step k ends on the intended path. The network saw the
drifted latent and pulls back by itself: it is taken to change the denoised image by a quarter of the drift.

A sampler that looks back at what it was handed before would carry the correction on into the steps behind, as if it
had been part of the picture. Those steps are handed what cancels that, whether they are computed or forecast.

Directions are those after guidance, d = (x - denoised) / sigma, so every guidance is covered.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import zip_longest

import torch
from torch import Tensor

from .forecast import by_row
from .linear_sampler import LinearSampler, LinearStep
from .trust import FULL, Trend

RESPONSE = 0.25  # of the denoised image to a change of the latent
SMALLEST = 0.1  # weight of a step that a correction is divided by, in those of the gap before it

Term = Tensor | float  # 0.0 where there is nothing
Curve = tuple[Tensor, Sequence[float]]  # a direction, and how much of it every step of the gap follows


class _Drift:
    """What a change of the directions since a computed step makes of the latent, by the sampler's arithmetic.

    moved   change of the latent
    handed  changes of what the sampler was handed, the newest first
    """

    def __init__(self, sampler: LinearSampler) -> None:
        self._of_directions, self._memory = sampler.of_directions, sampler.memory
        self.moved: Term = 0.0
        self.handed: list[Term] = []

    def follow(self, step: LinearStep, sigma: float, direction: Term) -> None:
        """Take one step with this change of the direction."""
        self.handed.insert(0, direction if self._of_directions else self.moved - sigma * direction)
        kept = self.moved if step.keep == 1.0 else step.keep * self.moved
        self.moved = _weighed(step.weights, self.handed, kept)
        del self.handed[self._memory :]

    def add(self, other: "_Drift", factor: Term) -> None:
        self.moved = self.moved + other.moved * factor
        self.handed = [ours + theirs * factor for ours, theirs in zip(self.handed, other.handed, strict=True)]

    def scale(self, factor: Term) -> None:
        self.moved, self.handed = self.moved * factor, [change * factor for change in self.handed]


class DriftCorrector:
    """The last two computed directions and what has been forecast since. sigmas: noise levels of the run."""

    def __init__(self, sigmas: Sequence[float], sampler: LinearSampler) -> None:
        self._sigmas, self._sampler = list(sigmas), sampler
        self._anchors: deque[tuple[int, Tensor]] = deque(maxlen=2)
        self._followed, self._gap = _Drift(sampler), list[int]()  # the forecasts since, and their steps
        self._extra: list[Term] = []  # handed over beside what was intended, the newest first

    @property
    def pending(self) -> bool:
        """Whether there is something to make up for."""
        return bool(self._gap) or any(isinstance(term, Tensor) for term in self._extra)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        held = (self._followed.moved, *self._followed.handed, *self._extra, *(d for _, d in self._anchors))
        return tuple(term for term in held if isinstance(term, Tensor))

    @property
    def most_held(self) -> int:
        """How many tensors it holds at most."""
        return 3 + 2 * self._sampler.memory

    def forecast(self, step: int, x: Tensor, denoised: Tensor, sigma: float) -> Tensor | None:
        """Note that ``step`` goes along (x - denoised) / sigma, which was forecast; what to add to ``denoised``."""
        if step >= len(self._sampler.steps):
            return None
        self._followed.follow(self._sampler.steps[step], sigma, (x - denoised).div_(sigma))
        self._gap.append(step)
        return self._hand_over(step, 0.0, self._extra)

    def computed(self, step: int, direction: Tensor, trend: Trend = FULL) -> Tensor | None:
        """What to add to the denoised image (B, ...) of ``step``, None for nothing.

        The direction becomes the corrector's own and must not be written to. trend: how much of the drift to undo and
        which curve to compare with, by picture.
        """
        drift = self._drift(step, direction, trend)
        usual = [abs(self._sampler.steps[j].weights[0]) for j in self._gap]
        self.forget_gap()
        if self._anchors and self._anchors[-1][0] >= step:
            self._anchors.pop()
        self._anchors.append((step, direction))
        if step >= len(self._sampler.steps):
            return None
        if drift is None or abs(self._sampler.steps[step].weights[0]) < SMALLEST * sum(usual) / len(usual):
            return self._hand_over(step, 0.0, self._extra)
        past = [ours - theirs for ours, theirs in zip_longest(self._extra, drift.handed, fillvalue=0.0)]
        return self._hand_over(step, drift.moved, past)

    def forget_gap(self) -> None:
        """What was forecast since the last computed step is not to be corrected."""
        self._followed, self._gap = _Drift(self._sampler), []

    def _hand_over(self, step: int, drift: Term, past: list[Term]) -> Tensor | None:
        """What to add for the step to end on the intended path, ``drift`` off the latent.

        past: handed over before beside what was intended, the newest first.
        """
        law, sigma = self._sampler.steps[step], self._sigmas[step]
        newest, *older = law.weights
        carried = _weighed(older, past, -law.keep * drift)
        extra = carried / -newest if newest else 0.0
        self._extra = [extra, *past][: self._sampler.memory]
        if self._sampler.of_directions:
            added = -sigma * extra - (1.0 - RESPONSE) * drift
        else:
            added = extra + RESPONSE * drift
        return added if isinstance(added, Tensor) else None

    def _drift(self, step: int, direction: Tensor, trend: Trend) -> _Drift | None:
        if not (self._anchors and self._gap and self._anchors[-1][0] < step and any(trend.undo)):
            return None
        drift = self._followed
        drift.scale(-1.0)
        for tensor, curve in self._curves(step, direction, trend):
            followed = _Drift(self._sampler)
            for j, share in zip(self._gap, curve, strict=True):
                followed.follow(self._sampler.steps[j], self._sigmas[j], share)
            drift.add(followed, tensor)
        drift.scale(by_row(trend.undo, direction))
        return drift

    def _curves(self, step: int, direction: Tensor, trend: Trend) -> Iterator[Curve]:
        """u(j): what it is made of."""
        start, before = self._anchors[-1]
        way = [(j - start) / (step - start) for j in self._gap]
        yield before, [1.0 - w for w in way]
        yield direction, way
        if len(self._anchors) == 2 and any(trend.bends):
            first, oldest = self._anchors[0]
            curvature = ((direction - before) / (step - start)).sub_(before - oldest, alpha=1.0 / (start - first))
            bent = curvature.mul_(by_row(trend.bends, curvature))
            yield bent, [(j - start) * (j - step) / (step - first) for j in self._gap]


def _weighed(weights: Sequence[float], terms: Sequence[Term], total: Term = 0.0) -> Term:
    """``total`` and their sum, in one pass for each; what has no weight, or no term, counts nothing."""
    for weight, term in zip(weights, terms, strict=False):
        if isinstance(total, Tensor) and isinstance(term, Tensor):
            total = torch.add(total, term, alpha=weight)
        elif isinstance(total, Tensor) or total:
            total = total + term * weight
        else:
            total = term * weight
    return total
