"""One generic patch around the host's blocks, in three grains. Built for one call of the network and gone with it.

Computing, a patch lets the block run (or the patch that another pack had put there) and keeps what it added. On a
skipped step it adds the forecast of that instead. What it stores is a copy, and what it adds to is fresh memory: the
host's blocks and ControlNet write in place.
"""

import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module

from .architectures import BlockKind, Modules
from .block_call import BlockCall

Block = dict[str, Any]  # what the host hands to a patch, and what a patch returns: tensors by stream, and more


def read_stream(block: Block, stream: str) -> Tensor:
    """ "img" is a tensor, "img.1" the second of a pair."""
    key, _, part = stream.partition(".")
    return block[key][int(part)] if part else block[key]


def write_streams(streams: Mapping[str, Tensor]) -> Block:
    block: Block = {}
    for stream, tensor in streams.items():
        key, _, part = stream.partition(".")
        block[key] = (*block.get(key, ()), tensor) if part else tensor
    return block


class BlockPatch:
    """Stands in for block ``index`` of its kind, the ``number``-th of ``count`` in the order in which they run."""

    def __init__(
        self, call: BlockCall, kind: BlockKind, index: int, theirs: Callable[..., Block] | None, number: int, count: int
    ) -> None:
        self.call, self.kind, self.theirs = call, kind, theirs
        self.index, self.layer = index, f"{kind.name}.{index}"
        self.first, self.last = number == 0, number == count - 1

    def __call__(self, args: Block, extra: Mapping[str, Any]) -> Block:
        if self.call.forecasting and self.ready(args):
            return write_streams({**self.streams(args), **self.forecast(args)})
        return self.record(args, extra) if self.call.recording else self.compute(args, extra)

    def compute(self, args: Block, extra: Mapping[str, Any]) -> Block:
        """The block itself, or what another pack put in its place."""
        return extra["original_block"](args) if self.theirs is None else self.theirs(args, extra)

    def streams(self, args: Block) -> dict[str, Tensor]:
        return {stream: read_stream(args, stream) for stream in self.kind.streams}

    def slots(self, args: Block) -> dict[str, str]:
        """By slot of this block, the stream that it belongs to. A stream without tokens has none."""
        raise NotImplementedError

    def ready(self, args: Block) -> bool:
        """Whether everything that this block would add can be forecast."""
        return self.call.ready({slot: read_stream(args, stream) for slot, stream in self.slots(args).items()})

    def record(self, args: Block, extra: Mapping[str, Any]) -> Block:
        raise NotImplementedError

    def forecast(self, args: Block) -> dict[str, Tensor]:
        """What takes the place of the streams, in fresh memory; a stream left out passes."""
        raise NotImplementedError


class StackPatch(BlockPatch):
    """One slot for every stream that leaves the stack: what all blocks add to it. Those between let everything pass."""

    def slots(self, args: Block) -> dict[str, str]:
        result = self.call.plan.architecture.result
        return {f"stack.{stream}": stream for stream in result if read_stream(args, stream).numel()}

    def __call__(self, args: Block, extra: Mapping[str, Any]) -> Block:
        """Nothing is asked of a block between the first and the last, which have to answer for it."""
        if self.call.incomplete and not (self.first or self.last):
            return args
        return super().__call__(args, extra)

    def ready(self, args: Block) -> bool:
        """What arrives at the first block has the shape of a forecast; at the last, text may stand in front of it."""
        if self.first:
            return super().ready(args)
        return self.call.incomplete and all(map(self.call.holds, self.slots(args)))

    def record(self, args: Block, extra: Mapping[str, Any]) -> Block:
        if self.first:
            self.call.entry = self._entry(args)
        out = self.compute(args, extra)
        if self.last:
            for slot, stream in self.slots(args).items():
                self._store_residual(slot, read_stream(out, stream))
        return out

    def _entry(self, args: Block) -> dict[str, Tensor]:
        return {slot: read_stream(args, stream).clone() for slot, stream in self.slots(args).items()}

    def _store_residual(self, slot: str, result: Tensor) -> None:
        entry = self.call.entry.get(slot)
        if entry is not None:
            result = result[:, -entry.shape[1] :]  # where blocks carry both, the text is in front
            if result.shape == entry.shape:
                self.call.store(slot, torch.sub(result, entry, out=entry))

    def forecast(self, args: Block) -> dict[str, Tensor]:
        if self.first:
            self.call.entry, self.call.incomplete = self._entry(args), True
        if not self.last:
            return {}
        self.call.incomplete = False
        return {stream: self._leave(slot, read_stream(args, stream)) for slot, stream in self.slots(args).items()}

    def _leave(self, slot: str, passed: Tensor) -> Tensor:
        entry = self.call.entry[slot]
        result = entry.add_(self.call.forecast(slot, entry.device))
        text = passed[:, : passed.shape[1] - result.shape[1]]
        return _finite(torch.cat((text, result), dim=1))


class ResidualPatch(BlockPatch):
    """One slot for every block and stream: what the block adds to it. Of the last block, what leaves the stack."""

    def slots(self, args: Block) -> dict[str, str]:
        wanted = [s for s in self.kind.streams if not self.last or s in self.call.plan.architecture.result]
        return {f"{self.layer}.{stream}": stream for stream in wanted if read_stream(args, stream).numel()}

    def record(self, args: Block, extra: Mapping[str, Any]) -> Block:
        slots = self.slots(args)
        before = {slot: read_stream(args, stream).clone() for slot, stream in slots.items()}
        out = self.compute(args, extra)
        for slot, stream in slots.items():
            after = read_stream(out, stream)
            if after.shape == before[slot].shape:  # else a pack adds or drops tokens
                self.call.store(slot, torch.sub(after, before[slot], out=before[slot]))
        return out

    def forecast(self, args: Block) -> dict[str, Tensor]:
        streams = {slot: (stream, read_stream(args, stream)) for slot, stream in self.slots(args).items()}
        return {
            stream: _finite(self.call.forecast(slot, tensor.device).add_(tensor))
            for slot, (stream, tensor) in streams.items()
        }


class ModulePatch(BlockPatch):
    """The paper's slots: what attention and MLP return, before their gates. Gates are computed at every step."""

    @property
    def block(self) -> Module:
        return getattr(self.call.network, self.kind.attribute)[self.index]

    @property
    def modules(self) -> Modules:
        assert self.kind.modules is not None  # level module is chosen only where every row has them
        return self.kind.modules

    def slots(self, args: Block) -> dict[str, str]:
        return {f"{self.layer}.{slot.name}": slot.stream for slot in self.modules.slots}

    def record(self, args: Block, extra: Mapping[str, Any]) -> Block:
        found: dict[str, list[Tensor]] = {slot: [] for slot in self.slots(args)}
        hooks = [
            self.block.register_forward_pre_hook(partial(self._keep_layout, threading.get_ident()), with_kwargs=True)
        ]
        try:
            for slot, places in zip(self.modules.slots, found.values(), strict=True):
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
            layout = {name: kwargs[name] for name in self.modules.layout if name in kwargs}
            for branch in self.call.branches:
                self.call.plan.layouts.setdefault(branch, {})[self.kind.name] = layout

    def forecast(self, args: Block) -> dict[str, Tensor]:
        out = self.streams(args)
        layout = self.call.plan.layouts.get(self.call.branches[0], {}).get(self.kind.name, {})
        gates = self.modules.gates(self.block, args, layout)
        for (slot, stream), gate in zip(self.slots(args).items(), gates, strict=True):
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
