"""One call of the network in which our patches stand around its blocks: what it is to do, and what it recorded."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import Module

from ._core import Series
from .architectures import Architecture
from .conditions import Branch

if TYPE_CHECKING:
    from .block_patches import BlockPatch


@dataclass(frozen=True, slots=True)
class Plan:
    """What all calls of the network in one evaluation are to do: forecast from ``series``, else record.

    batch       pictures of one condition
    layouts     by branch and kind of block: what the host told the block about its tokens when it was computed
    served      the conditions that the network was called for
    objections  why a call had to compute although it should have forecast
    trouble     why what was recorded must not be used
    storage     the device that keeps what is recorded, None: where it was computed
    """

    architecture: Architecture
    patch: "type[BlockPatch]"
    batch: int
    layouts: dict[Branch, dict[str, Any]]
    series: Mapping[Branch, Series] | None = None
    recorded: dict[Branch, dict[str, Tensor]] = field(default_factory=dict)
    served: set[Branch] = field(default_factory=set)
    objections: list[str] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)
    storage: torch.device | None = None


def branches_of(options: Mapping[str, Any]) -> list[Branch]:
    """The conditions of a call of the network, in the order of its batch."""
    return list(zip(options.get("cond_or_uncond", ()), options.get("uuids", ()), strict=False))


class BlockCall:
    """One call of the network for the conditions that the host put into one batch."""

    def __init__(self, plan: Plan, network: Module, options: Mapping[str, Any]) -> None:
        self.plan = plan
        self.network = network
        self.branches = branches_of(options)
        self.entry: dict[str, Tensor] = {}  # by slot: the tokens that entered the stack
        self.incomplete = False  # the stack was entered and not left
        self._series: list[Series] | None = None
        if plan.series is not None:
            if all(branch in plan.series for branch in self.branches):
                self._series = [plan.series[branch] for branch in self.branches]
            else:
                self.object_to("a condition appeared in the middle of a step")
        self._note_who_is_served()

    def _note_who_is_served(self) -> None:
        """A second call for a condition, as of tiles, would overwrite what the first one stored."""
        if self.plan.served.intersection(self.branches) or len(set(self.branches)) < len(self.branches):
            reason = "another pack calls the network more than once for a condition"
            self.plan.trouble.append(reason)
            if self.forecasting:
                self.object_to(reason)
        self.plan.served.update(self.branches)

    @property
    def forecasting(self) -> bool:
        return self._series is not None

    @property
    def recording(self) -> bool:
        return self.plan.series is None

    def object_to(self, reason: str) -> None:
        """Compute the rest of this call, and say so."""
        self._series, self.entry, self.incomplete = None, {}, False
        self.plan.objections.append(reason)

    def patched(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options with our patches around every block, chained to those that are there."""
        replace = options.get("patches_replace", {})
        theirs = replace.get("dit", {})
        places = self.plan.architecture.places(self.network)
        ours = {
            (kind.name, index): self.plan.patch(self, kind, index, theirs.get((kind.name, index)), number, len(places))
            for number, (kind, index) in enumerate(places)
        }
        return {**options, "patches_replace": {**replace, "dit": {**theirs, **ours}}}

    def store(self, slot: str, tensor: Tensor) -> None:
        """Keep a tensor (conditions * batch, ...) that is ours, by condition."""
        for branch, part in zip(self.branches, tensor.chunk(len(self.branches)), strict=True):
            if branch in self.plan.recorded:
                self.plan.recorded[branch][slot] = part.to(self.plan.storage or part.device)

    def holds(self, slot: str) -> bool:
        return self._series is not None and all(series.like(slot) is not None for series in self._series)

    def ready(self, arrived: Mapping[str, Tensor]) -> bool:
        """Whether every slot has a forecast. One in another shape than what has arrived ends this call's forecasts."""
        held = {slot: tensor for slot, tensor in arrived.items() if self.holds(slot)}
        if not all(self._fits(slot, tensor) for slot, tensor in held.items()):
            self.object_to("the shape of the hidden states changed")
            return False
        return len(held) == len(arrived)

    def _fits(self, slot: str, like: Tensor) -> bool:
        """Whether a slot's forecast has the shape (conditions * batch, tokens, channels) of ``like``."""
        shapes = [series.anchors[-1].tensors[slot].shape for series in self._series or ()]
        return (sum(shape[0] for shape in shapes), *shapes[0][1:]) == tuple(like.shape)

    def forecast(self, slot: str, device: torch.device) -> Tensor:
        """The forecast for all conditions of the batch, in memory of its own."""
        assert self._series is not None
        if len(self._series) == 1:
            return self._series[0].combine(slot, device)
        stored = [series.anchors[-1].tensors[slot] for series in self._series]
        rows = [len(tensor) for tensor in stored]
        whole = stored[0].new_empty((sum(rows), *stored[0].shape[1:]), device=device)
        for series, part in zip(self._series, whole.split(rows), strict=True):
            series.combine(slot, device, out=part)
        return whole
