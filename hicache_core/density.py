"""How much each step of a run matters: where network calls are best spent.

Computed steps lie at even distances in

    Phi(sigma) = (noise / (signal + floor)) ** (1 / rho)

so the density of step k is Phi(sigma_{k-1}) - Phi(sigma_k). The coarse structure of a picture stands out of the noise
first, when there is as little signal as ``floor``, and everything after depends on it: so the first steps are dense.
The schedules that searches found for real models lie near to that (docs/schedule.md).

Where noise is added to the picture, noise / signal is the noise level itself. Some signal is there from the beginning,
so there is no floor, and rho is larger.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

RHO, ADDED_RHO = 2.5, 4.0  # where noise replaces the picture, and where it is added to it
FLOOR, CELLS = 0.003, 128 * 128  # the floor of latents with that many cells
GAIN, LEFT = 1.5, 0.1  # how much an early error weighs; what the corrector leaves of it


def floor_of(shape: Sequence[int], flow: bool) -> float:
    """The floor for latents of this shape (batch, channels, ...): the more cells, the earlier structure is decided.

    All cells count, whatever the sides: those of a video's frames too, for what the frames share is seen in all of
    them. flow: what the noise levels mean, as in ``step_density``.
    """
    return FLOOR * (CELLS / max(1, math.prod(shape[2:]))) ** 0.85 if flow else 0.0


def step_moves(sigmas: Sequence[float], flow: bool, floor: float = FLOOR) -> tuple[float, ...]:
    """How far an error of its direction, in every step, leads the finished picture off, in units of its size.

    A step moves the latent by its length in noise levels. What that does to the picture weighs the more, the less of
    the picture was to be seen when it happened.
    """
    scaled = [_in_flow(sigma, flow) for sigma in sigmas]
    return tuple(LEFT * abs(a - b) / (1.0 - a + floor) ** GAIN for a, b in pairwise(scaled))


def step_density(
    sigmas: Sequence[float], flow: bool, floor: float = FLOOR, rho: float | None = None
) -> tuple[float, ...]:
    """The density of every step, without unit; that of the first one, which nothing precedes, is 0.

    sigmas: noise levels, one more than steps. flow: noise replaces the picture, x = (1 - sigma) clean + sigma noise;
    otherwise it is added to it, x = clean + sigma noise. rho: None for ours.
    """
    scaled = [_in_flow(sigma, flow) for sigma in sigmas[:-1]]
    rho = rho or (RHO if flow else ADDED_RHO)
    phi = [(sigma / (1.0 - sigma + floor)) ** (1.0 / rho) for sigma in scaled]
    return tuple(abs(a - b) for a, b in pairwise([*phi[:1], *phi]))


def _in_flow(sigma: float, flow: bool) -> float:
    """The noise level of the same picture in the scale of a flow model, from 0 to 1."""
    return min(1.0, sigma) if flow else sigma / (1.0 + sigma)
