"""One generic patch around the host's blocks, in three grains. Built for one call of the network and gone with it.

Computing, a patch lets the block run (or the patch that another pack had put there) and keeps what it added. On a
skipped step it adds the forecast of that instead. What it stores is a copy, what it returns is fresh memory: the host's
blocks and ControlNet write in place.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module

from ._core import Series
from .architectures import Architecture, BlockKind
from .conditions import Branch

Block = dict[str, Any]  # what the host hands to a patch, and what a patch returns: tensors by stream, and more


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
        self.entry: Tensor | None = None  # the image tokens that entered the stack
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
        self._series, self.entry, self.incomplete = None, None, False
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

    def fits(self, slot: str, like: Tensor) -> bool:
        """Whether the slot's forecast has the shape (conditions * batch, tokens, channels) of ``like``."""
        stored = [series.like(slot) for series in self._series or ()]
        shapes = [tuple(tensor.shape) for tensor in stored if tensor is not None]
        return bool(shapes) and (sum(s[0] for s in shapes), *shapes[0][1:]) == tuple(like.shape)

    def forecast(self, slot: str, device: torch.device) -> Tensor:
        """The forecast for all conditions of the batch, in memory of its own."""
        assert self._series is not None
        parts = [series.combine(slot, device) for series in self._series]
        return parts[0] if len(parts) == 1 else torch.cat(parts)


class BlockPatch:
    """Stands in for block ``index`` of its kind, the ``number``-th of ``count`` in the order in which they run."""

    def __init__(
        self, call: BlockCall, kind: BlockKind, index: int, theirs: Callable[..., Block] | None, number: int, count: int
    ) -> None:
        self.call, self.kind, self.theirs = call, kind, theirs
        self.layer = f"{kind.name}.{index}"
        self.block: Module = getattr(call.network, kind.attribute)[index]
        self.first, self.last = number == 0, number == count - 1

    def __call__(self, args: Block, extra: Mapping[str, Any]) -> Block:
        if self.call.forecasting and not self.matches(args):
            self.call.object_to("the shape of the hidden states changed")
        if self.call.forecasting and self.ready():
            return self.forecast(args)
        return self.record(args, extra) if self.call.recording else self.compute(args, extra)

    def compute(self, args: Block, extra: Mapping[str, Any]) -> Block:
        """The block itself, or what another pack put in its place."""
        return extra["original_block"](args) if self.theirs is None else self.theirs(args, extra)

    def slots(self) -> dict[str, str]:
        """By slot of this block, the stream that it belongs to."""
        raise NotImplementedError

    def ready(self) -> bool:
        """Whether everything that this block would add can be forecast."""
        return all(map(self.call.holds, self.slots()))

    def matches(self, args: Block) -> bool:
        """Whether what is forecast has the shape of what has arrived."""
        slots = {slot: stream for slot, stream in self.slots().items() if self.call.holds(slot)}
        return all(self.call.fits(slot, args[stream]) for slot, stream in slots.items())

    def record(self, args: Block, extra: Mapping[str, Any]) -> Block:
        raise NotImplementedError

    def forecast(self, args: Block) -> Block:
        raise NotImplementedError


class StackPatch(BlockPatch):
    """The whole stack is one slot: what it adds to the image tokens. The blocks between let everything pass."""

    SLOT = "stack"

    def slots(self) -> dict[str, str]:
        return {self.SLOT: "img"}

    def ready(self) -> bool:
        return super().ready() and (self.first or self.call.entry is not None)

    def matches(self, args: Block) -> bool:
        return not self.first or super().matches(args)

    def record(self, args: Block, extra: Mapping[str, Any]) -> Block:
        if self.first:
            self.call.entry = args["img"].clone()
        out = self.compute(args, extra)
        if self.last and self.call.entry is not None:
            entry, image = self.call.entry, out["img"][:, -self.call.entry.shape[1] :]
            if image.shape == entry.shape:
                self.call.store(self.SLOT, torch.sub(image, entry, out=entry))
        return out

    def forecast(self, args: Block) -> Block:
        if self.first:
            self.call.entry, self.call.incomplete = args["img"].clone(), True
        out = {stream: args[stream] for stream in self.kind.streams}
        if self.last:
            entry = self.call.entry
            assert entry is not None
            image = entry.add_(self.call.forecast(self.SLOT, entry.device))
            text = args["img"][:, : args["img"].shape[1] - image.shape[1]]  # Flux's single blocks carry both
            out["img"] = _finite(torch.cat((text, image), dim=1))
            self.call.incomplete = False
        return out


class ResidualPatch(BlockPatch):
    """One slot for every block and stream: what the block adds to it."""

    def slots(self) -> dict[str, str]:
        return {f"{self.layer}.{stream}": stream for stream in self.kind.streams}

    def record(self, args: Block, extra: Mapping[str, Any]) -> Block:
        before = {slot: args[stream].clone() for slot, stream in self.slots().items()}
        out = self.compute(args, extra)
        for slot, stream in self.slots().items():
            if out[stream].shape == before[slot].shape:  # else a pack adds or drops tokens
                self.call.store(slot, torch.sub(out[stream], before[slot], out=before[slot]))
        return out

    def forecast(self, args: Block) -> Block:
        return {
            stream: _finite(self.call.forecast(slot, args[stream].device).add_(args[stream]))
            for slot, stream in self.slots().items()
        }


class ModulePatch(BlockPatch):
    """The paper's slots: what attention and MLP return, before their gates. Gates are computed at every step."""

    def slots(self) -> dict[str, str]:
        return {f"{self.layer}.{slot.name}": slot.stream for slot in self.kind.slots}

    def record(self, args: Block, extra: Mapping[str, Any]) -> Block:
        found: dict[str, list[Tensor]] = {slot: [] for slot in self.slots()}
        hooks = [
            self.block.register_forward_pre_hook(partial(self._keep_layout, threading.get_ident()), with_kwargs=True)
        ]
        try:
            for slot, places in zip(self.kind.slots, found.values(), strict=True):
                keep = partial(_keep_output, threading.get_ident(), places)
                hooks.append(self.block.get_submodule(slot.module).register_forward_hook(keep))
            out = self.compute(args, extra)
        finally:
            for hook in hooks:
                hook.remove()
        if all(len(tensors) == 1 for tensors in found.values()):  # else another pack runs this block in its own way
            for slot, (tensor,) in found.items():
                self.call.store(slot, tensor)
        return out

    def _keep_layout(self, thread: int, block: Module, args: Any, kwargs: dict[str, Any]) -> None:
        if threading.get_ident() == thread:
            layout = {name: kwargs[name] for name in self.kind.layout if name in kwargs}
            for branch in self.call.branches:
                self.call.plan.layouts.setdefault(branch, {})[self.kind.name] = layout

    def forecast(self, args: Block) -> Block:
        out = {stream: args[stream] for stream in self.kind.streams}
        layout = self.call.plan.layouts.get(self.call.branches[0], {}).get(self.kind.name, {})
        gates = self.kind.gates(self.block, args, layout)
        for (slot, stream), gate in zip(self.slots().items(), gates, strict=True):
            out[stream] = torch.addcmul(out[stream], gate, self.call.forecast(slot, out[stream].device))
        return {stream: _finite(tensor) for stream, tensor in out.items()}


def _keep_output(thread: int, found: list[Tensor], module: Module, args: Any, output: Tensor) -> None:
    """Forward hook. A copy: the host multiplies some of these by their gates in place."""
    if threading.get_ident() == thread:
        found.append(output.clone())


def _finite(x: Tensor) -> Tensor:
    """float16 overflows in these networks; the host's blocks cut it off, and so does their forecast."""
    limit = torch.finfo(torch.float16).max
    return x.nan_to_num_(nan=0.0, posinf=limit, neginf=-limit) if x.dtype == torch.float16 else x


PATCHES: dict[str, type[BlockPatch]] = {"stack": StackPatch, "block": ResidualPatch, "module": ModulePatch}
