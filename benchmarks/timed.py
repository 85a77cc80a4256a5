"""A sampling run, timed step by step: on the device by its events, on a CPU in seconds of the processor."""

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from small_models import host  # noqa: F401  first: makes `comfy` importable

import comfy.model_management  # isort: skip

from hicache_comfy import attach, last_report
from hicache_core import Settings

Result = dict[str, Any]


def on_cuda() -> bool:
    return comfy.model_management.get_torch_device().type == "cuda"


class Clock:
    """Marks in time: events of the device, or seconds of the processor, which may be shared."""

    def __init__(self) -> None:
        self._marks: list[Any] = []

    def mark(self, *_: Any) -> None:
        if on_cuda():
            self._marks.append(torch.cuda.Event(enable_timing=True))
            self._marks[-1].record()
        else:
            self._marks.append(time.process_time())

    def seconds(self) -> list[float]:
        """Between the marks."""
        if not on_cuda():
            return [b - a for a, b in pairwise(self._marks)]
        torch.cuda.synchronize()
        return [a.elapsed_time(b) / 1e3 for a, b in pairwise(self._marks)]


def run(model: Any, settings: Settings | None, sample: Callable[[Any, Callable[..., None]], Any]) -> Result:
    """One run: ``sample`` is given the MODEL and a step callback. Steps are marked in the callback, so each holds one
    call of the model and one step of the sampler; the first has no mark before it."""
    patched, clock = model if settings is None else attach(model, settings), Clock()
    total = time.perf_counter if on_cuda() else time.process_time
    if on_cuda():
        torch.cuda.reset_peak_memory_stats()
        torch.cuda.synchronize()
    started = total()
    sample(patched, clock.mark)
    each = clock.seconds()
    result = {"seconds": total() - started, "calls": len(each) + 1, "computed": each}
    result["peak"] = torch.cuda.max_memory_allocated() if on_cuda() else None
    report = last_report(patched)
    if report is None:
        return result
    actions = [evaluation.action == "forecast" for evaluation in report.evaluations[1:]]
    by_action = {
        name: [seconds for seconds, action in zip(each, actions, strict=True) if action == forecast]
        for name, forecast in (("computed", False), ("forecast", True))
    }
    return result | by_action | {"calls": report.calls, "held": report.bytes_held, "messages": list(report.messages)}
