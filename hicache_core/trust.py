"""How far a trend may be trusted, by what became of the one before it.

Between computed steps at p0 < p1 the guided direction v had the slope a = (v1 - v0) / (p1 - p0); the next computed
step, at p2, shows the slope b = (v2 - v1) / (p2 - p1). The multiple of a that comes nearest to b,

    r = <b, a> / <a, a>,

is measured for every picture of a batch, and with it how much of the direction changed, q = |v2 - v1| / |v1|. On a
smooth path r is near 1. Where guidance makes the path stiff the network pulls back what a forecast let drift: slopes
alternate, r is negative, and extrapolating them feeds the oscillation. Where q is 1 the gap was too long to tell
anything about the path within it, and a correction would feed it too. What follows:

    share   of the trend that forecasts follow    min(r, 1);  r < 0: -(r / (1 - r))^2;  unknown: 0
    undo    share of the drift that is corrected  2 (1 - q) within 0 .. 1;  r < 0: times (1 / (1 - r))^2
    bends   the path between computed steps is a parabola instead of a line: where r < 0

The negative share is where an oscillation comes to rest: if reusing v multiplies the distance from the slow path by r
in each gap, as a step z = 1 - r times too long does, going ((z - 1) / z)^2 of the way back lands on it.
"""

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from .measure import l2_norm

ALTERNATION = 2.0  # the power of 1 / (1 - r) that is undone where slopes alternate
DOUBT = 2.0  # how fast trust in the line through a gap goes, the more of the direction changed


@dataclass(frozen=True, slots=True)
class Trend:
    """By picture of the batch.

    ratios   what of the last slope came true, None while there is none to compare
    changes  how much of the direction changed over the last gap, 0 while there was none
    """

    ratios: tuple[float | None, ...] = (None,)
    changes: tuple[float, ...] = (0.0,)

    @property
    def shares(self) -> tuple[float, ...]:
        return tuple(map(_share, self.ratios))

    @property
    def undo(self) -> tuple[float, ...]:
        return tuple(map(_undo, self.ratios, self.changes))

    @property
    def bends(self) -> tuple[float, ...]:
        return tuple(float(r is not None and r < 0.0) for r in self.ratios)


FULL, NONE = Trend((1.0,)), Trend((0.0,))


class TrendTrust:
    """The newest computed direction and the slope that led to it; ``trend`` is what they tell."""

    def __init__(self) -> None:
        self.trend = Trend()
        self._newest: tuple[float, Tensor] | None = None
        self._slope: Tensor | None = None

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        held = (self._slope, self._newest[1] if self._newest else None)
        return tuple(tensor for tensor in held if tensor is not None)

    def forget_gap(self) -> None:
        """The last computed direction and the next one belong to different guidance: no slope leads from one to the
        other. What is known of the trend stays."""
        self._newest = self._slope = None

    def computed(self, position: float, direction: Tensor) -> None:
        """Take in a computed direction (B, ...); it must not be written to afterwards. Reads 2 B numbers, at once.

        One that is not behind the last (a second evaluation in a step) only takes its place.
        """
        if self._newest is not None and position > self._newest[0]:
            before, anchor = self._newest
            slope = (direction - anchor).div_(position - before)
            self.trend = _trend(slope, self._slope, anchor, position - before)
            self._slope = slope
        self._newest = (position, direction)


def _trend(slope: Tensor, before: Tensor | None, anchor: Tensor, gap: float) -> Trend:
    """From the newest slope, the one before it, and the direction and the positions that the newest one started at."""
    slope = slope.flatten(1).float()
    changes = gap * l2_norm(slope, 1) / l2_norm(anchor.flatten(1), 1)
    if before is None:
        return Trend((None,) * len(slope), tuple(_numbers(changes)))
    before = before.flatten(1).float()
    ratios = (slope * before).sum(1) / l2_norm(before, 1).square()
    numbers = _numbers(torch.cat((ratios, changes)))
    return Trend(tuple(numbers[: len(slope)]), tuple(numbers[len(slope) :]))


def _numbers(values: Tensor) -> list[float]:
    return cast("list[float]", values.tolist())


def _share(ratio: float | None) -> float:
    """No trust in nan, from slopes that are zero or not finite."""
    if ratio is None or not math.isfinite(ratio):
        return 0.0
    return min(1.0, ratio) if ratio >= 0.0 else -((ratio / (1.0 - ratio)) ** 2)


def _undo(ratio: float | None, change: float) -> float:
    """Nothing where the change is not a number, from directions that are zero or not finite."""
    if not math.isfinite(change):
        return 0.0
    line = max(0.0, min(1.0, DOUBT * (1.0 - change)))
    return line / (1.0 - ratio) ** ALTERNATION if ratio is not None and ratio < 0.0 else line
