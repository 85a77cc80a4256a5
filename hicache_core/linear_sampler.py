"""Samplers whose steps are linear in what they are handed: what every step makes of it.

    x_{k+1} = keep_k x_k + sum_i weights_k[i] y_{k-i}

y_k is the denoised image of step k, or, for samplers that look back at directions instead, (x_k - denoised) / sigma_k.
Euler has one weight a step, dpmpp_2m and res_multistep two, deis three and uni_pc up to four. The weights follow from
the sampler's own code, run once on a row of numbers (``linear_sampler``).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

MEMORY = 4  # of what they are handed, at most, does a step look at
ROUNDING = 2e-5  # of a weight, from a sampler that works in float32; relative, where a step has large ones
NOTHING = 1e-12  # of the first latent: less is none of it. What is left of it is exact, however small (noise level 700)


@dataclass(frozen=True, slots=True)
class LinearStep:
    """keep: share of the latent that stays. weights: of what was handed over, the newest first; one at least."""

    keep: float
    weights: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class LinearSampler:
    """of_directions: whether its steps look back at directions instead of denoised images."""

    steps: tuple[LinearStep, ...]
    of_directions: bool = False

    @property
    def memory(self) -> int:
        """How many of the things that it was handed before a step looks back at."""
        return max((len(step.weights) for step in self.steps), default=1) - 1


def euler(sigmas: Sequence[float]) -> LinearSampler:
    """Euler's method at these noise levels."""
    moves = (after - before for before, after in pairwise(sigmas))
    return LinearSampler(tuple(LinearStep(1.0, (move,)) for move in moves), of_directions=True)


def linear_sampler(latents: Sequence[Sequence[float]], of_directions: bool) -> LinearSampler | None:
    """A sampler from its answers to unit inputs; None where a step looks too far back, or ahead, or at no number.

    latents: by step, and once more for the result, what the latent owes to the first latent, and then to what was
    handed over at every step.
    """
    steps: list[LinearStep] = []
    for k in range(len(latents) - 1):
        (start, *before), (end, *after) = latents[k], latents[k + 1]
        keep = end / start if abs(start) > NOTHING else 0.0
        weights = [a - keep * b for b, a in zip(before, after, strict=True)]
        rounding = ROUNDING * max(1.0, *map(abs, weights))
        oldest = max(0, k + 1 - MEMORY)
        unknown = not all(map(math.isfinite, (keep, *weights)))
        if unknown or any(abs(weight) > rounding for weight in (*weights[:oldest], *weights[k + 1 :])):
            return None
        steps.append(LinearStep(keep, _trimmed(weights[oldest : k + 1][::-1], rounding)))
    return LinearSampler(tuple(steps), of_directions)


def _trimmed(weights: Sequence[float], rounding: float) -> tuple[float, ...]:
    """Without those at the end that are nothing but rounding."""
    last = max((i for i, weight in enumerate(weights) if abs(weight) > rounding), default=0)
    return tuple(weights[: last + 1])
