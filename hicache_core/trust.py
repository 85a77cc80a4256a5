"""How far a trend may be trusted: as far as the one before it was borne out.

Between computed steps at p0 < p1 the guided direction v had the slope a = (v1 - v0) / (p1 - p0); the next computed
step, at p2, shows the slope b = (v2 - v1) / (p2 - p1). The multiple of a that comes nearest to b,

    trust = <b, a> / <a, a>, cut to 0 .. 1,

is the share of their trend that the next forecasts keep; the rest is reuse. On a smooth path it is near 1. Where
guidance makes the path stiff, the network pulls back what a forecast let drift: slopes alternate, and extrapolating
them, or correcting for what is being pulled back already, feeds the oscillation.
"""

from torch import Tensor


class TrendTrust:
    """The newest computed direction and the slope that led to it; ``value`` is 1 until two slopes are known."""

    def __init__(self) -> None:
        self.value = 1.0
        self._newest: tuple[float, Tensor] | None = None
        self._slope: Tensor | None = None

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        held = (self._slope, self._newest[1] if self._newest else None)
        return tuple(tensor for tensor in held if tensor is not None)

    def computed(self, position: float, direction: Tensor) -> None:
        """Take in a computed direction; it must not be written to afterwards. Reads one number from the device.

        One that is not behind the last (a second evaluation in a step) only takes its place.
        """
        if self._newest is not None and position > self._newest[0]:
            before, anchor = self._newest
            slope = (direction - anchor).div_(position - before)
            if self._slope is not None:
                self.value = _cut(float((slope * self._slope).sum() / self._slope.square().sum()))
            self._slope = slope
        self._newest = (position, direction)


def _cut(ratio: float) -> float:
    """nan, from slopes that are zero or not finite, is no trust."""
    return min(1.0, ratio) if ratio > 0.0 else 0.0
