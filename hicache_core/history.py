"""What one forecast series remembers: the newest anchors of one branch, their positions and their magnitudes.

A branch is one condition of one call of the network. Its anchors hold one tensor per slot: the output alone, or one
for every place inside the network where something is forecast.
"""

import math
from collections import deque
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from .basis import Basis, BasisOptions, Weights
from .forecast import blend, weighted_sum

Slot = str  # "output", "double_block.3.img_mlp": what stands before the last dot is the layer
OUTPUT: Slot = "output"


def layer_of(slot: Slot) -> str:
    """Slots of one layer share an analytic contraction."""
    return slot.rpartition(".")[0]


@dataclass(frozen=True, slots=True)
class Anchor:
    """Computed tensors by slot, owned by the session, at a step position, with the largest absolute value of each once
    they are known."""

    position: float
    tensors: Mapping[Slot, Tensor]
    magnitudes: dict[Slot, float] = field(default_factory=dict[Slot, float])


def _layout(tensors: Mapping[Slot, Tensor]) -> dict[Slot, Hashable]:
    return {slot: (tuple(t.shape), t.dtype) for slot, t in tensors.items()}


@dataclass(slots=True)
class TrendScale:
    """RMS of the size of a layer's first difference, exponentially averaged: q^2 <- (1 - beta) q^2 + beta |D_1|^2.

    |D_1| is the mean over the tokens of the L2 norm over the channels; the first one starts the average.
    """

    mean_square: float | None = None
    beta: float = 0.01

    def update(self, norm: float) -> None:
        square = norm * norm
        old = square if self.mean_square is None else self.mean_square
        self.mean_square = (1.0 - self.beta) * old + self.beta * square

    @property
    def contraction(self) -> float:
        """HiCache-Analytic (arXiv 2508.16984): c = min(1, 1.28 / (sqrt(2) q + 1e-6))."""
        q = 1.0 if self.mean_square is None else math.sqrt(self.mean_square)
        return min(1.0, 1.28 / (math.sqrt(2.0) * q + 1e-6))


@dataclass(slots=True)
class History:
    """The anchors of one branch. ``signature`` is what must stay equal for them to belong to one smooth series."""

    signature: Hashable
    anchors: deque[Anchor] = field(default_factory=deque[Anchor])
    trends: dict[str, TrendScale] = field(default_factory=dict[str, TrendScale])

    @property
    def newest(self) -> float:
        """Position of the newest anchor; ``-inf`` without one."""
        return self.anchors[-1].position if self.anchors else -math.inf

    def continues(self, tensors: Mapping[Slot, Tensor]) -> bool:
        """Whether these are the slots, shapes and dtypes of the newest anchor; devices may differ."""
        return bool(self.anchors) and _layout(self.anchors[-1].tensors) == _layout(tensors)

    def make_room(self, position: float, keep: int) -> None:
        """Drop what an anchor at ``position`` will push out, so that at most ``keep`` are ever held."""
        while len(self.anchors) >= keep and self.newest < position:
            self.anchors.popleft()

    def add(self, anchor: Anchor, keep: int) -> None:
        """Append an anchor and drop the oldest beyond ``keep``; one at the same position replaces the last.

        An anchor with other slots, shapes or dtypes starts a new series.
        """
        if not self.continues(anchor.tensors):
            self.anchors.clear()
            self.trends.clear()
        if self.newest >= anchor.position:
            self.anchors.pop()
        self.anchors.append(anchor)
        while len(self.anchors) > keep:
            self.anchors.popleft()

    def settle(self, magnitudes: Mapping[Slot, float], norms: Mapping[Slot, float]) -> None:
        """Note what the device said of the newest anchor. Where it is not finite, the series begins anew.

        norms: of the newest first differences.
        """
        self.anchors[-1].magnitudes.update(magnitudes)
        if not all(map(math.isfinite, magnitudes.values())):
            self.anchors.clear()
        for slot, norm in norms.items():
            self.follow_trend(slot, norm)

    def follow_trend(self, slot: Slot, norm: float) -> None:
        """Take the norm of the newest first difference of a slot into the average of its layer."""
        self.trends.setdefault(layer_of(slot), TrendScale()).update(norm)

    def series(self, target: float, basis: Basis, options: BasisOptions, shares: Sequence[float] = (1.0,)) -> "Series":
        """The forecasts of every slot at position ``target``; each layer with its own contraction where it has one.

        shares: of the way from the newest anchor that the forecasts go, by row.
        """
        positions = [anchor.position for anchor in self.anchors]
        common = basis(positions, target, options)
        by_layer = {
            layer: basis(positions, target, replace(options, contraction=trend.contraction))
            for layer, trend in self.trends.items()
        }
        if len(set(shares)) == 1:  # the same for all rows: then it is settled here, once for all slots
            common, by_layer = blend(common, shares[0]), {layer: blend(w, shares[0]) for layer, w in by_layer.items()}
            shares = (1.0,)
        weights = {slot: by_layer.get(layer_of(slot), common) for slot in self.anchors[-1].tensors}
        return Series(tuple(self.anchors), weights, tuple(shares))


class Histories(dict[Hashable, History]):
    """All histories of a run by key. span: computed positions after which one without a new anchor is forgotten."""

    def __init__(self, span: int) -> None:
        super().__init__()
        self._recorded: deque[float] = deque(maxlen=span)

    def clear(self) -> None:
        super().clear()
        self._recorded.clear()

    def forget_abandoned(self, position: float) -> None:
        """Note a computed position. Context windows that move leave histories behind at every step."""
        if position not in self._recorded:
            self._recorded.append(position)
        if len(self._recorded) == self._recorded.maxlen:
            for key in [key for key, history in self.items() if history.newest <= self._recorded[0]]:
                del self[key]


@dataclass(frozen=True, slots=True)
class Series:
    """The forecasts of a branch at one position. Safe to read from any thread.

    weights  over the anchors, by slot
    shares   of the way from the newest anchor that a forecast goes, by row of the tensors; one for all rows
    """

    anchors: tuple[Anchor, ...]
    weights: Mapping[Slot, Weights]
    shares: tuple[float, ...] = (1.0,)

    @property
    def bound(self) -> float:
        """How large a forecast can be, in units of the newest anchor: the worst slot's sum_i |w_i| max_i / max_m."""
        ways = {min(self.shares), max(self.shares)}
        return max((self._bound(slot, share) for slot in self.weights for share in ways), default=math.inf)

    def _bound(self, slot: Slot, share: float) -> float:
        newest = self.anchors[-1].magnitudes[slot]
        weights = blend(self.weights[slot], share)
        total = sum(abs(w) * a.magnitudes[slot] for w, a in zip(weights, self.anchors, strict=True))
        return total / newest if newest > 0.0 else (math.inf if total > 0.0 else 1.0)

    def like(self, slot: Slot) -> Tensor | None:
        """A stored tensor with the shape of the slot's forecast, None without such a slot. Do not write to it."""
        return self.anchors[-1].tensors.get(slot)

    def combine(self, slot: Slot, device: torch.device | None = None, out: Tensor | None = None) -> Tensor:
        """The forecast of a slot, made on ``device`` (by default where the newest anchor is): in memory of its own, or
        in ``out`` on that device."""
        tensors = [anchor.tensors[slot] for anchor in self.anchors]
        return weighted_sum(self.weights[slot], tensors, self.shares, device, out)
