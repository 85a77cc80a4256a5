"""A weighted sum in one pass over memory, by a kernel that torch compiles while it runs; on NVIDIA's and AMD's GPUs.

Without it a sum of three anchors of bfloat16 moves three times as many bytes as it must: torch has no operation that
adds more than two tensors, and what lies between two operations is float32. Before a kernel is used, its sum of a few
numbers is compared with the same in float64. Where anything is wrong, it is not used again in this process.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor
from torch.cuda import jiterator

KINDS = ("cuda",)  # of devices; AMD's have this name too
MOST = 8  # tensors that torch hands to such a kernel
ALIGNED = 64  # bytes: eight of the widest numbers, the most that torch reads at once
SAMPLE = 4099  # numbers: several blocks of threads, and a rest that does not fill one

Kernel = Callable[..., Tensor]
Place = tuple[torch.device, torch.dtype, int]  # the last: how many anchors
log = logging.getLogger("hicache")
_lock = threading.Lock()  # torch keeps compiled kernels in a table that threads must not extend at once
_kernels: dict[Place, Kernel] = {}
_without: set[Place] = set()
refusals: list[str] = []  # why they are without


def sum_in_one_pass(weights: Sequence[float], anchors: Sequence[Tensor]) -> Tensor | None:
    """sum_i weights[i] * anchors[i] in fresh memory, added in float32 (of float64 in float64) and rounded once; None
    where there is no such kernel for these tensors, or no memory for it.

    anchors: of one shape and dtype.
    """
    device, dtype, count = anchors[0].device, anchors[0].dtype, len(anchors)
    if device.type not in KINDS or count > MOST or not all(_is_plain(anchor, device) for anchor in anchors):
        return None
    place = (device, dtype, count)
    with _lock:
        if place in _without:
            return None
        try:
            if place not in _kernels:
                _kernels[place] = _tried(*place)
            return _launch(_kernels[place], weights, anchors)
        except Exception as error:
            if "out of memory" not in str(error).lower():  # torch and the driver say it in errors of several classes
                _without.add(place)
                _note(error)
            return None


def _is_plain(anchor: Tensor, device: torch.device) -> bool:
    """Whether torch takes the kernel that was tried: for other strides and addresses it makes others."""
    return anchor.device == device and anchor.is_contiguous() and anchor.data_ptr() % ALIGNED == 0


def _tried(device: torch.device, dtype: torch.dtype, count: int) -> Kernel:
    """A kernel that has shown that it adds as it should. Waits for the device."""
    weights = [(-1.0) ** i * (1.0 + 0.3 * i) for i in range(count)]
    phases = torch.arange(SAMPLE, dtype=torch.float64, device="cpu")
    anchors = [torch.sin(phases + i).to(device, dtype) for i in range(count)]
    kernel = cast("Kernel", jiterator._create_jit_fn(code(count), **{f"w{i}": 0.0 for i in range(count)}))
    found = _launch(kernel, weights, anchors).cpu().double()
    exact = torch.tensor(weights, dtype=torch.float64, device="cpu") @ torch.stack(anchors).cpu().double()
    wide = torch.finfo(torch.promote_types(dtype, torch.float32)).eps
    if not torch.allclose(found, exact, rtol=0.51 * torch.finfo(dtype).eps, atol=99 * wide):
        raise ArithmeticError(f"torch's run-time kernel for {dtype} adds wrongly on {device}")
    return kernel


def _note(error: Exception) -> None:
    """Keep why there is no kernel, and log it once. Torch puts the program in front of what its compiler said."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    reason = next((line for line in lines if "error:" in line), lines[0]).strip()
    if reason not in refusals:
        refusals.append(reason)
        log.info("HiCache: forecasts from three or more computed steps take longer than they could: %s", reason)


def _launch(kernel: Kernel, weights: Sequence[float], anchors: Sequence[Tensor]) -> Tensor:
    return kernel(*anchors, **{f"w{i}": float(weight) for i, weight in enumerate(weights)})


def code(count: int) -> str:
    """The sum for one element, in CUDA. T is the type that torch computes in: float for float16 and bfloat16."""
    inputs = ", ".join([f"T x{i}" for i in range(count)] + [f"T w{i}" for i in range(count)])
    terms = " + ".join(f"w{i} * x{i}" for i in range(count))
    return f"template <typename T> T weighted_sum({inputs}) {{ return {terms}; }}"
