"""Densities that the engine's is compared with: from noise levels, flow and automatic floor, one number a step."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from hicache_core.density import ADDED_RHO, RHO, step_density

Density = Callable[[Sequence[float], bool, float], Sequence[float]]


def of_constants(rho: float, factor: float) -> Density:
    """As in hicache_core/density.py, with other constants; where noise is added, rho is larger in the same ratio."""

    def density(sigmas: Sequence[float], flow: bool, floor: float) -> Sequence[float]:
        return step_density(sigmas, flow, factor * floor, rho if flow else rho / RHO * ADDED_RHO)

    return density


def former(sigmas: Sequence[float], flow: bool, floor: float) -> Sequence[float]:
    """The density before: sqrt(move of the latent * change of the log of signal to noise)."""
    signals = [1.0 - sigma if flow else 1.0 for sigma in sigmas[:-1]]
    ratios = [math.log((signal + 0.02) / max(sigma, 1e-6)) for signal, sigma in zip(signals, sigmas, strict=False)]
    changes = [abs(b - a) for a, b in pairwise(ratios)]
    moves = [abs(a - b) / (signal + a) for signal, (a, b) in zip(signals, pairwise(sigmas), strict=True)]
    return [math.sqrt(m * c) for m, c in zip(moves, [*changes[:1], *changes], strict=True)]


def even(sigmas: Sequence[float], flow: bool, floor: float) -> Sequence[float]:
    return [1.0] * (len(sigmas) - 1)
