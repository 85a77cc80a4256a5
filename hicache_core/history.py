"""What one forecast series remembers: the newest anchors of one slot, their positions and their magnitudes."""

import math
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor

from .basis import Basis, BasisOptions
from .forecast import weighted_sum


@dataclass(frozen=True, slots=True)
class Anchor:
    """A computed tensor, owned by the session, at a step position; ``magnitude`` is its largest absolute value."""

    position: float
    tensor: Tensor
    magnitude: float


@dataclass(slots=True)
class History:
    """The anchors of one slot. ``signature`` is what must stay equal for them to belong to one smooth series."""

    signature: Hashable
    anchors: deque[Anchor] = field(default_factory=deque[Anchor])

    @property
    def newest(self) -> float:
        """Position of the newest anchor; ``-inf`` without one."""
        return self.anchors[-1].position if self.anchors else -math.inf

    @property
    def nbytes(self) -> int:
        return sum(anchor.tensor.nbytes for anchor in self.anchors)

    def add(self, anchor: Anchor, keep: int) -> None:
        """Append an anchor and drop the oldest beyond ``keep``; one at the same position replaces the last."""
        if self.newest >= anchor.position:
            self.anchors.pop()
        self.anchors.append(anchor)
        while len(self.anchors) > keep:
            self.anchors.popleft()

    def weights(self, target: float, basis: Basis, options: BasisOptions) -> list[float]:
        return basis([anchor.position for anchor in self.anchors], target, options)

    def bound(self, weights: list[float]) -> float:
        """How large the forecast can be, in units of the newest anchor: sum_i |w_i| max_i / max_m; needs no tensor."""
        newest = self.anchors[-1].magnitude
        total = sum(abs(w) * a.magnitude for w, a in zip(weights, self.anchors, strict=True))
        return total / newest if newest > 0.0 else (math.inf if total > 0.0 else 1.0)

    def combine(self, weights: list[float]) -> Tensor:
        return weighted_sum(weights, [anchor.tensor for anchor in self.anchors])


def measure(actual: list[Tensor], predicted: list[Tensor | None]) -> tuple[list[float], float | None]:
    """Largest absolute value of every tensor and the largest relative RMS error of the predictions, in one transfer."""
    scalars = [t.abs().amax().float() for t in actual]
    errors = [
        ((p - a).float().square().mean() / a.float().square().mean().clamp_min(1e-30)).sqrt()
        for a, p in zip(actual, predicted, strict=True)
        if p is not None
    ]
    values = cast("list[float]", torch.stack([*scalars, *errors]).tolist())
    return values[: len(actual)], max(values[len(actual) :], default=None)
