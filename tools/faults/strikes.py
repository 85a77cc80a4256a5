"""How faults are made to strike. Each is (..., stand, moment) -> the context of a run that it strikes; what the context
gives are further arguments of the run."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from .allocations import Allocations, Line, of_gpu
from .setups import STEPS, Stand

import comfy.model_management as host  # isort: skip

CALC = "calc_cond_batch"


class Broken(RuntimeError):
    """What the network or a listener raises."""


# --- in the network ---


@contextmanager
def _network(stand: Stand, call: int, during: Callable[[], None], after: Callable[[Any], Any]) -> Iterator[None]:
    """``during`` is called in the middle of the network at this call, unless that part is skipped; ``after`` gets what
    the network returns."""
    network, calls = stand.model.model.diffusion_model, []
    leaves = [module for module in network.modules() if not list(module.children())]
    middle = leaves[len(leaves) // 2]
    hooks = [
        network.register_forward_pre_hook(lambda *_: calls.append(1)),
        middle.register_forward_pre_hook(lambda *_: during() if len(calls) - 1 == call else None),
        network.register_forward_hook(lambda *given: after(given[-1]) if len(calls) - 1 == call else None),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def network_calls(stand: Stand, every: bool = True) -> range:
    """Of a run in which nothing is wrong; levels inside the network enter it at every step."""
    calls: list[int] = []
    handle = stand.model.model.diffusion_model.register_forward_pre_hook(lambda *_: calls.append(1))
    stand.run(stand.patched)
    handle.remove()
    return range(len(calls))


@contextmanager
def network_raises(error: Callable[[], Exception], stand: Stand, call: int) -> Iterator[dict[str, Any]]:
    def fail(*_: Any) -> None:
        raise error()

    with _network(stand, call, fail, fail):
        yield {}


@contextmanager
def network_never_fits(stand: Stand, call: int) -> Iterator[dict[str, Any]]:
    def refuse(*_: Any) -> None:
        raise of_gpu()

    network, calls = stand.model.model.diffusion_model, []
    count = network.register_forward_pre_hook(lambda *_: calls.append(1))
    fail = network.register_forward_hook(lambda *_: refuse() if len(calls) > call else None)
    yield {}
    count.remove()
    fail.remove()


@contextmanager
def network_returns(value: float, stand: Stand, call: int) -> Iterator[dict[str, Any]]:
    def spoil(output: Any) -> Any:
        first = output[0] if isinstance(output, list | tuple) else output
        first.view(-1)[first.numel() // 3] = value
        return output

    with _network(stand, call, lambda: None, spoil):
        yield {}


# --- in HiCache's own lines ---


def allocations(times: Callable[[list[Line]], dict[Line, int]], stand: Stand, every: bool) -> list[int]:
    """One of each line of HiCache that asks for memory, by ``times``; or all."""
    with Allocations() as asked:
        stand.run(stand.patched)
    return list(range(len(asked.lines))) if every else sorted(times(asked.lines).values())


@contextmanager
def refused(error: Callable[[], Exception], stand: Stand, which: int) -> Iterator[dict[str, Any]]:
    with Allocations(which, error):
        yield {}


# --- around them ---


def steps(stand: Stand, every: bool = True) -> range:
    return range(STEPS)


def evaluations(stand: Stand, every: bool = True) -> range:
    return range(len(stand.report.evaluations))


@contextmanager
def interrupt(stand: Stand, step: int) -> Iterator[dict[str, Any]]:
    """As the host does it: a flag is set at any time, and looked at when the sampler tells of a step."""

    def look(k: int, *_: Any) -> None:
        if k == step:
            host.interrupt_current_processing()
        host.throw_exception_if_processing_interrupted()

    yield {"callback": look}


@contextmanager
def listener_fails(stand: Stand, event: int) -> Iterator[dict[str, Any]]:
    events: list[object] = []

    def fail(heard: object) -> None:
        events.append(heard)
        if len(events) - 1 == event:
            raise Broken("the listener failed")

    stand.listener = fail
    logging.disable(logging.ERROR)  # pytest keeps what is logged, and the error in it keeps the run
    yield {}
    logging.disable(logging.NOTSET)
    stand.listener = None


class Elsewhere(torch.Tensor):
    """A tensor that says it is on another device; it is not, so that one machine is enough."""

    @property
    def device(self) -> torch.device:
        return torch.device("cpu", 0)


Change = Callable[[Tensor], Tensor]


@contextmanager
def latent_changes(there: Change, back: Callable[[Tensor, Tensor], Tensor], stand: Stand, evaluation: int) -> Any:
    """One evaluation is asked for a latent of another kind, as guidance nodes of other packs do, and then as before."""
    seen: list[int] = []

    def ask(executor: Any, model: Any, conds: Any, x: Tensor, *more: Any) -> list[Tensor]:
        seen.append(1)
        if len(seen) - 1 != evaluation:
            return executor(model, conds, x, *more)
        return [back(answer, x) for answer in executor(model, conds, there(x), *more)]

    ours = stand.patched.wrappers[CALC]
    with _first(ours, ask):
        yield {}


@contextmanager
def _first(wrappers: dict[str, list[Any]], wrapper: Any) -> Iterator[None]:
    """Puts a wrapper in front of all others for a while."""
    before = dict(wrappers)
    wrappers.clear()
    wrappers.update({"faults": [wrapper], **before})
    try:
        yield
    finally:
        wrappers.clear()
        wrappers.update(before)


def crop(x: Tensor) -> Tensor:
    return x[..., : x.shape[-1] // 2]


def pad(answer: Tensor, x: Tensor) -> Tensor:
    return torch.cat((answer, x[..., answer.shape[-1] :]), dim=-1)
