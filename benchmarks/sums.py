"""weighted_sum against copying as many bytes, which is the least that any way of adding can take."""

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import torch
from small_models import host  # noqa: F401  first: makes `comfy` importable
from torch import Tensor

from hicache_core.forecast import weighted_sum

import comfy.model_management  # isort: skip

Shape = tuple[int, ...]
FULL: tuple[Shape, ...] = ((1, 4096, 3072), (1, 14040, 1536), (1, 16, 128, 128))
SMALL: tuple[Shape, ...] = ((1, 4096, 768), (1, 16, 128, 128))
WEIGHTS = {1: [1.0], 2: [-1.3, 2.3], 3: [0.7, -2.0, 2.3], 10: [0.1] * 9 + [0.2]}
SETS = 4  # of inputs, so that none is still in a cache
REPEATS = 40


def rows(shape: Shape, dtype: torch.dtype) -> list[dict[str, Any]]:
    """By number of anchors: milliseconds of the copy, of weighted_sum, and of others for comparison."""
    return [_row(shape, dtype, weights) for weights in WEIGHTS.values()]


def _row(shape: Shape, dtype: torch.dtype, weights: list[float]) -> dict[str, Any]:
    device = comfy.model_management.get_torch_device()
    sets = [[torch.randn(shape, device=device).to(dtype) for _ in weights] for _ in range(SETS)]
    half = (len(weights) + 1) * sets[0][0].nbytes // 2  # a copy of so much reads and writes as much as the sum must
    buffers = [torch.randint(0, 255, (2, half), dtype=torch.uint8, device=device) for _ in range(SETS)]
    milliseconds = {
        "copy": _time(lambda k: buffers[k][0].copy_(buffers[k][1])),
        "weighted_sum": _time(lambda k: weighted_sum(weights, sets[k])),
        "step by step": _time(lambda k: step_by_step(weights, sets[k])),
    }
    if device.type == "cuda":
        milliseconds["one kernel"] = _fused(weights, sets)
    return {
        "shape": list(shape),
        "dtype": str(dtype).removeprefix("torch."),
        "anchors": len(weights),
        "megabytes": 2 * half / 1e6,
        "milliseconds": milliseconds,
    }


def step_by_step(weights: Sequence[float], anchors: Sequence[Tensor]) -> Tensor:
    """As HiCache 0.1 began: widen, multiply, add, round; one pass for each."""
    total = anchors[-1].to(torch.float32) * weights[-1]
    for weight, anchor in zip(weights[:-1], anchors[:-1], strict=True):
        total.add_(anchor, alpha=weight)
    return total.to(anchors[-1].dtype)


def _fused(weights: Sequence[float], sets: Sequence[Sequence[Tensor]]) -> float | str:
    """What a kernel of its own could reach, by torch's run-time compiler; what it says if it cannot."""
    if len(weights) > 8:
        return "more inputs than it takes"
    names = [f"x{i}" for i in range(len(weights))]
    terms = " + ".join(f"T({weight}) * {name}" for weight, name in zip(weights, names, strict=True))
    code = f"template <typename T> T combine({', '.join(f'T {name}' for name in names)}) {{ return {terms}; }}"
    try:
        kernel = torch.cuda.jiterator._create_jit_fn(code)
        return _time(lambda k: kernel(*sets[k]))
    except (RuntimeError, AttributeError) as error:
        return str(error).splitlines()[0]


def _time(work: Callable[[int], Any]) -> float:
    """Median milliseconds, after a round through all sets."""
    for k in range(SETS):
        work(k)
    return median(_once(work, k % SETS) for k in range(REPEATS))


def _once(work: Callable[[int], Any], k: int) -> float:
    if comfy.model_management.get_torch_device().type != "cuda":
        started = time.process_time()
        work(k)
        return 1e3 * (time.process_time() - started)
    torch.cuda._sleep(200_000)  # keeps the device busy until everything is queued: no launch is timed
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    first.record()
    work(k)
    last.record()
    last.synchronize()
    return first.elapsed_time(last)
