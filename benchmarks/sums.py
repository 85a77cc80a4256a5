"""weighted_sum against copying as many bytes, which is the least that any way of adding can take.

Beside it ways that the pack does not use, so that one run tells what they would bring: a pass for each of its steps, a
bag of an embedding for each token, and chunks that stay in a processor's cache. What does not depend on the weights is
made before. Every way is compared with a sum in float64.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from typing import Any

import timed
import torch
import torch.nn.functional as F
from small_models import host  # noqa: F401  first: makes `comfy` importable
from torch import Tensor

from hicache_core.forecast import weighted_sum

import comfy.model_management  # isort: skip

Shape = tuple[int, ...]
Way = Callable[[int], Tensor]  # by the number of a set of inputs
FULL: tuple[Shape, ...] = ((1, 4096, 3072), (1, 14040, 1536), (1, 16, 128, 128))
SMALL: tuple[Shape, ...] = ((1, 4096, 768), (1, 16, 128, 128))
WEIGHTS = {1: [1.0], 2: [-1.3, 2.3], 3: [0.7, -2.0, 2.3], 10: [0.1] * 9 + [0.2]}
SETS = 4  # of inputs, so that none is still in a cache
REPEATS = {True: 40, False: 20}  # on a GPU, on a CPU
ASLEEP = 4_000_000  # cycles, 2 ms: longer than it takes to queue any of the ways
CHUNK = 1 << 17  # numbers, half a megabyte in float32


def rows(shape: Shape, dtype: torch.dtype) -> list[dict[str, Any]]:
    """By number of anchors: milliseconds of the copy, of weighted_sum, and of others for comparison."""
    return [_row(shape, dtype, weights) for weights in WEIGHTS.values()]


def _row(shape: Shape, dtype: torch.dtype, weights: list[float]) -> dict[str, Any]:
    device = comfy.model_management.get_torch_device()
    stacks = _sets(torch.randn((len(weights), *shape), device=device).to(dtype))
    half = (len(weights) + 1) * stacks[0][0].nbytes // 2  # a copy of so much reads and writes as much as the sum must
    buffers = _sets(torch.randint(0, 255, (2, half), dtype=torch.uint8, device=device))
    exact = torch.einsum("m,m...->...", torch.tensor(weights, device=device).double(), stacks[0].double())
    milliseconds: dict[str, float | str] = {"copy": _time(lambda k: buffers[k][0].copy_(buffers[k][1]))}
    errors = {}
    for name, way in _ways(weights, stacks).items():
        try:
            run = way()
            errors[name] = float((run(0).double() - exact).norm() / exact.norm())
            milliseconds[name] = _time(run)
        except Exception as error:  # a way that this torch or device does not have: what it says is the result
            milliseconds[name] = (str(error) or type(error).__name__).splitlines()[0]
    return {
        "shape": list(shape),
        "dtype": str(dtype).removeprefix("torch."),
        "anchors": len(weights),
        "megabytes": 2 * half / 1e6,
        "milliseconds": milliseconds,
        "errors": errors,
    }


def _sets(first: Tensor) -> list[Tensor]:
    return [first, *(first.clone() for _ in range(SETS - 1))]


def _ways(weights: Sequence[float], stacks: Sequence[Tensor]) -> dict[str, Callable[[], Way]]:
    sets = [list(stack) for stack in stacks]
    ways: dict[str, Callable[[], Way]] = {
        "weighted_sum": lambda: partial(_of_set, weighted_sum, weights, sets),
        "and to a place": lambda: partial(_of_set, to_a_place(stacks), weights, sets),
        "step by step": lambda: partial(_of_set, step_by_step, weights, sets),
        "one bag a token": lambda: one_bag_a_token(weights, stacks),
    }
    return ways if timed.on_cuda() else ways | {"in chunks": lambda: partial(_of_set, in_chunks, weights, sets)}


def _of_set(add: Callable[..., Tensor], weights: Sequence[float], sets: Sequence[Sequence[Tensor]], k: int) -> Tensor:
    return add(weights, sets[k])


def to_a_place(stacks: Sequence[Tensor]) -> Callable[..., Tensor]:
    """weighted_sum with ``out``, as where several conditions share a batch."""
    out = torch.empty_like(stacks[0][0])
    return lambda weights, anchors: weighted_sum(weights, anchors, out=out)


def step_by_step(weights: Sequence[float], anchors: Sequence[Tensor]) -> Tensor:
    """As HiCache 0.1 began: widen, multiply, add, round; one pass for each."""
    total = anchors[-1].to(torch.float32) * weights[-1]
    for weight, anchor in zip(weights[:-1], anchors[:-1], strict=True):
        total.add_(anchor, alpha=weight)
    return total.to(anchors[-1].dtype)


def one_bag_a_token(weights: Sequence[float], stacks: Sequence[Tensor]) -> Way:
    """Tokens as rows of an embedding, all anchors in one buffer; it adds in float32. Its weights must have the rows'
    dtype: of a narrow one, each is split into parts that together are as exact as float32."""
    stack = stacks[0]
    tokens = stack[0].numel() // stack.shape[-1]
    parts = _parts(torch.tensor(weights, device=stack.device), stack.dtype)
    anchors = torch.arange(len(weights), device=stack.device).repeat(len(parts))
    index = (torch.arange(tokens, device=stack.device)[:, None] + tokens * anchors).int()
    shares = torch.cat(parts).expand(tokens, -1).contiguous()
    tables = [one.view(-1, one.shape[-1]) for one in stacks]
    return lambda k: F.embedding_bag(index, tables[k], mode="sum", per_sample_weights=shares).view(stack.shape[1:])


def _parts(values: Tensor, dtype: torch.dtype) -> list[Tensor]:
    """Tensors of ``dtype`` whose sum is ``values``."""
    parts = [values.to(dtype)]
    while len(parts) < 3 and dtype != values.dtype:
        parts.append((values - sum(part.float() for part in parts)).to(dtype))
    return parts


def in_chunks(weights: Sequence[float], anchors: Sequence[Tensor]) -> Tensor:
    """All anchors of a part before the next part, which leaves the running sum in the cache."""
    result, flat = torch.empty_like(anchors[-1]), [anchor.view(-1) for anchor in anchors]
    wide = torch.empty(CHUNK, dtype=torch.float32)
    for start in range(0, result.numel(), CHUNK):
        *older, newest = [anchor[start : start + CHUNK] for anchor in flat]
        target = result.view(-1)[start : start + CHUNK]
        total = target if target.dtype == wide.dtype else wide[: len(target)]
        torch.mul(newest.to(wide.dtype), weights[-1], out=total)
        for weight, anchor in zip(weights, older, strict=False):
            total.add_(anchor.to(wide.dtype), alpha=weight)
        if total is not target:
            target.copy_(total)
    return result


def _time(work: Callable[[int], Any]) -> float:
    """Median milliseconds, after a round through all sets."""
    for k in range(SETS):
        work(k)
    return median(_once(work, k % SETS) for k in range(REPEATS[timed.on_cuda()]))


def _once(work: Callable[[int], Any], k: int) -> float:
    if not timed.on_cuda():
        started = time.process_time()
        work(k)
        return 1e3 * (time.process_time() - started)
    torch.cuda._sleep(ASLEEP)  # keeps the device busy until everything is queued: no launch is timed
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    first.record()
    work(k)
    last.record()
    last.synchronize()
    return first.elapsed_time(last)
