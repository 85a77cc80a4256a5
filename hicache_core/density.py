"""How much each step of a run matters: where network calls are best spent.

    density_k = sqrt(move_k * change_k)

move_k is how far step k moves the latent, (sigma_k - sigma_{k+1}) / (signal_k + sigma_k): an error in its direction
weighs that much. change_k is how far the log of the signal-to-noise ratio went since step k - 1: new detail appears at
an even rate in it, and the direction changes with that. Equal shares of this density between computed steps are to
leave equal drifts; docs/schedule.md has how near that comes.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

SOFTEN = 0.02  # keeps the log-ratio of a flow model finite at pure noise


def step_moves(sigmas: Sequence[float], flow: bool) -> tuple[float, ...]:
    """How far every step moves the latent along its direction, in units of the latent's own size."""
    return tuple(abs(a - b) / (_signal(a, flow) + a) for a, b in pairwise(sigmas))


def step_density(sigmas: Sequence[float], flow: bool) -> tuple[float, ...]:
    """The density of every step, without unit; zero for a step that neither moves nor changes anything.

    sigmas: noise levels, one more than steps. flow: noise replaces the picture, x = (1 - sigma) clean + sigma noise;
    otherwise it is added to it, x = clean + sigma noise.
    """
    ratios = [_log_ratio(sigma, flow) for sigma in sigmas[:-1]]
    changes = [abs(b - a) for a, b in pairwise(ratios)]
    return tuple(
        math.sqrt(m * c) for m, c in zip(step_moves(sigmas, flow), [*changes[:1], *changes] or [1.0], strict=False)
    )


def _signal(sigma: float, flow: bool) -> float:
    return max(0.0, 1.0 - sigma) if flow else 1.0


def _log_ratio(sigma: float, flow: bool) -> float:
    return math.log((_signal(sigma, flow) + SOFTEN) / max(sigma, 1e-6))
