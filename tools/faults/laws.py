"""What must hold after every fault."""

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from .rows import Fault
from .setups import Stand

HEAVY = ("model", "parent", "cached_patcher_init", "clone_base_uuid", "patches_uuid")  # of a ModelPatcher: the network


def strike(stand: Stand, fault: Fault, moments: list[int]) -> None:
    """Lets the fault strike at every moment, one after the other, always the same patched MODEL."""
    held, before = Held(stand), state(stand)
    for moment in moments:
        result = _struck(stand, fault, moment)
        if result is not None and fault.law is not None:
            fault.law(result, stand.reports[-1], stand, moment)
        assert state(stand) == before, f"something of moment {moment} is left"
        assert torch.equal(stand.short_run(stand.patched), stand.expected_next), (
            f"moment {moment} lives on in the next run"
        )
    assert torch.equal(stand.run(stand.model), stand.plain), "the model without the patch is not what it was"
    held.end()


def _struck(stand: Stand, fault: Fault, moment: int) -> Tensor | None:
    """What the run gives, None if it fails as it must. Either way it has a report."""
    reports, result = len(stand.reports), None
    with fault.strike(stand, moment) as how:
        try:
            result = stand.run(stand.patched, **how)
        except BaseException as error:
            if type(error) is not fault.ends:
                raise
        else:
            assert fault.ends is None, f"moment {moment} passed unnoticed"
    assert len(stand.reports) == reports + 1, "the run has no report"
    return result


class Held:
    """Weak references to everything that the runs of a stand keep, and the law that no value kept is not finite."""

    def __init__(self, stand: Stand) -> None:
        self._references: list[weakref.ref[Any]] = []
        wrappers = stand.patched.wrappers["calc_cond_batch"]
        self._wrappers, self._before = wrappers, dict(wrappers)
        wrappers["held"] = [self._look]

    def _look(self, executor: Any, *args: Any, **kwargs: Any) -> Any:
        session = args[4]["transformer_options"]["hicache"].session
        kept = list(_kept(session))
        assert all(tensor.isfinite().all() for tensor in kept), "a value that is not finite is kept"
        self._references += map(weakref.ref, (session, *kept))
        del session, kept  # an error keeps this frame alive
        return executor(*args, **kwargs)

    def end(self) -> None:
        self._wrappers.clear()
        self._wrappers.update(self._before)
        gc.collect()
        assert self._references
        assert [r() for r in self._references if r() is not None] == [], "something of a run is alive"


def _kept(session: Any) -> Iterator[Tensor]:
    for history in session._histories.values():
        for anchor in history.anchors:
            yield from anchor.tensors.values()


def state(stand: Stand) -> Any:
    """Everything that could be left behind: what the two MODELs carry and what is on the network, by identity."""
    network = stand.model.model.diffusion_model
    modules = [
        (len(m._forward_hooks), len(m._forward_pre_hooks), sorted(k for k in vars(m) if k == "forward"))
        for m in network.modules()
    ]
    weights = [(p.data_ptr(), p._version) for p in network.parameters()]
    carried = [_fingerprint({k: v for k, v in vars(m).items() if k not in HEAVY}) for m in (stand.model, stand.patched)]
    return carried, modules, weights


def _fingerprint(value: Any) -> Any:
    """Containers by content, numbers and words by value, everything else by identity."""
    if isinstance(value, dict):
        return {key: _fingerprint(of) for key, of in value.items()}
    if isinstance(value, list | tuple):
        return [_fingerprint(each) for each in value]
    return value if isinstance(value, int | float | str | bool | None) else id(value)
