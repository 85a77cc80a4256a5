"""From noise levels to step positions."""

import math
from collections.abc import Sequence

from .density import FLOOR, step_density, step_moves
from .schedule import StepRange

TOLERANCE = 1e-5  # relative; noise levels pass through float32


class StepCursor:
    """Maps the noise levels a sampler asks for, in order, to positions in its list of noise levels.

    A position is the index of the first equal noise level at or after the last one, or a fraction between two indices
    for a level between them. A rise to a level that does not come again starts over from the front.
    """

    def __init__(self, sigmas: Sequence[float]) -> None:
        self._sigmas = list(sigmas)
        self._index = 0
        self._last = math.inf

    def locate(self, sigma: float) -> tuple[float, bool]:
        """The position of ``sigma`` and whether the noise level rose."""
        rose = sigma > self._last * (1.0 + TOLERANCE)
        if rose:
            self._index = self._next_equal(sigma)
        self._last = sigma
        while self._index < len(self._sigmas) - 1 and self._sigmas[self._index] > sigma * (1.0 + TOLERANCE):
            self._index += 1
        return self._position(sigma), rose

    def _next_equal(self, sigma: float) -> int:
        """The next index with this noise level, 0 if there is none."""
        ahead = range(self._index, len(self._sigmas))
        return next((k for k in ahead if abs(self._sigmas[k] - sigma) <= TOLERANCE * sigma), 0)

    def _position(self, sigma: float) -> float:
        here = self._sigmas[self._index]
        if self._index == 0 or here >= sigma * (1.0 - TOLERANCE):
            return float(self._index)
        before = self._sigmas[self._index - 1]
        return self._index - (sigma - here) / (before - here)


def step_range(
    sigmas: Sequence[float], start_sigma: float, end_sigma: float, flow: bool = True, floor: float = FLOOR
) -> StepRange:
    """The steps whose noise level lies between start_sigma and end_sigma, of ``len(sigmas) - 1`` steps.

    flow, floor: what the noise levels mean (density.py).
    """
    total = max(0, len(sigmas) - 1)
    first = next((k for k in range(total) if sigmas[k] <= start_sigma * (1.0 + TOLERANCE)), total)
    stop = next((k for k in range(first, total) if sigmas[k] < end_sigma * (1.0 - TOLERANCE)), total)
    return StepRange(total, first, stop, step_density(sigmas, flow, floor), step_moves(sigmas, flow, floor))
