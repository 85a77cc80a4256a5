"""Undoing the drift that forecasts left in the latent, at no network call: predict, evaluate, correct.

When a step k is computed after forecast steps j, the directions v(j) that were forecast can be compared with a line
through the computed ones at both ends, u(j), or a parabola through the one before as well. An Euler-like sampler moved
the latent by (sigma_{j+1} - sigma_j) v(j) where it should have moved it by (sigma_{j+1} - sigma_j) u(j), so it has
drifted by

    drift = sum_j (sigma_{j+1} - sigma_j) (u(j) - v(j))

and stepping along v_k + drift / (sigma_{k+1} - sigma_k) instead of v_k undoes that, as in Adams-Moulton methods and
UniPC's corrector. The network sees the drifted latent too and pulls back by itself: of a drift, the step k leaves the
share 1 - (1 - D) (sigma_k - sigma_{k+1}) / sigma_k if a change of the latent changes the denoised image by D times as
much. D is between 0 and 1, and 1/2 is assumed; at a last step to noise level 0 that leaves half of the drift to undo.

Directions are those after guidance, d = (x - denoised) / sigma, so every guidance is covered.
"""

from collections import deque
from collections.abc import Sequence

from torch import Tensor

from .forecast import by_row
from .trust import FULL, Trend


class DriftCorrector:
    """The last two computed directions and what has been forecast since. sigmas: noise levels of the run."""

    def __init__(self, sigmas: Sequence[float]) -> None:
        self._sigmas = list(sigmas)
        self._anchors: deque[tuple[int, Tensor]] = deque(maxlen=2)
        self._moved: Tensor | None = None  # sum_j (sigma_{j+1} - sigma_j) v(j)
        self._moves: list[tuple[int, float]] = []  # (j, sigma_{j+1} - sigma_j)

    @property
    def pending(self) -> bool:
        """Whether there are forecasts to make up for."""
        return bool(self._moves)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        held = (self._moved, *(direction for _, direction in self._anchors))
        return tuple(tensor for tensor in held if tensor is not None)

    def forecast(self, step: int, x: Tensor, denoised: Tensor, sigma: float) -> None:
        """Note that ``step`` goes along (x - denoised) / sigma, which was forecast."""
        move = self._move(step)
        self._moves.append((step, move))
        if self._moved is None:
            self._moved = (x - denoised).mul_(move / sigma)
        else:  # two passes, and no memory for the direction
            self._moved.add_(x, alpha=move / sigma).sub_(denoised, alpha=move / sigma)

    def computed(self, step: int, direction: Tensor, trend: Trend = FULL) -> Tensor | None:
        """What to add to the computed direction (B, ...) of ``step``, None if nothing was forecast since the last one.

        The direction becomes the corrector's own and must not be written to. trend: how much of the drift to undo and
        which curve to compare with, by picture.
        """
        drift, move = self._drift(step, direction, trend), self._move(step)
        if self._anchors and self._anchors[-1][0] == step:
            self._anchors.pop()
        self._anchors.append((step, direction))
        self._moved, self._moves = None, []
        if drift is None or move >= 0.0 or not any(trend.undo):
            return None
        left = 1.0 + 0.5 * move / self._sigmas[step]
        return drift.mul_(by_row(trend.undo, drift)).mul_(left / move)

    def _drift(self, step: int, direction: Tensor, trend: Trend) -> Tensor | None:
        if not self._anchors or self._moved is None:
            return None
        start, before = self._anchors[-1]
        towards = sum(move * (j - start) / (step - start) for j, move in self._moves)
        away = sum(move for _, move in self._moves) - towards
        drift = (before * away).add_(direction, alpha=towards).sub_(self._moved)
        if len(self._anchors) == 2 and any(trend.bends):
            first, oldest = self._anchors[0]
            curvature = ((direction - before) / (step - start)).sub_(before - oldest, alpha=1.0 / (start - first))
            sag = sum(move * (j - start) * (j - step) for j, move in self._moves) / (step - first)
            drift.add_(curvature.mul_(by_row(trend.bends, curvature)), alpha=sag)
        return drift

    def _move(self, step: int) -> float:
        """How far the noise level moves in this step; 0 behind the last."""
        return self._sigmas[step + 1] - self._sigmas[step] if step + 1 < len(self._sigmas) else 0.0
