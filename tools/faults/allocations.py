"""Memory that is asked for by HiCache's own lines, and how to refuse it."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from hicache_comfy import attach  # isort: skip
from hicache_core import Settings  # isort: skip

OURS = tuple(str(Path(sys.modules[part.__module__].__file__ or "").parent) for part in (attach, Settings))
TORCH = str(Path(torch.__file__).parent)
NUMBERS = "sampler_steps.py"
Line = tuple[str, int]  # file and line


class Allocations(TorchDispatchMode):
    """Lists the lines of HiCache that asked for memory, in order; ``refuse`` raises at the one with that index.

    A line asks for memory if an operation that it calls itself, not through the host, returns storage that none of
    its inputs has.
    """

    def __init__(self, refuse: int | None = None, error: Callable[[], Exception] = MemoryError) -> None:
        super().__init__()
        self.lines: list[Line] = []
        self._refuse, self._error = refuse, error

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        line = _line_of_ours()
        if line is not None and _storages(result) - _storages((args, kwargs)):
            self.lines.append(line)
            if len(self.lines) - 1 == self._refuse:
                raise self._error()
        return result


def _line_of_ours() -> Line | None:
    """The line that called torch, if it is HiCache's and is about tensors of the run, not about a row of numbers."""
    frame = next(f for f in _frames() if not f.f_code.co_filename.startswith((TORCH, __file__)))
    ours = frame.f_code.co_filename.startswith(OURS) and not frame.f_code.co_filename.endswith(NUMBERS)
    return (frame.f_code.co_filename, frame.f_lineno) if ours else None


def _frames() -> Iterator[FrameType]:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back


def _storages(tree: Any) -> set[int]:
    return {t.untyped_storage().data_ptr() for t in tree_leaves(tree) if isinstance(t, torch.Tensor)}


def first_times(lines: list[Line]) -> dict[Line, int]:
    """By line, the index of its first allocation."""
    return {line: k for k, line in reversed(list(enumerate(lines)))}


def last_times(lines: list[Line]) -> dict[Line, int]:
    """By line, the index of its last allocation."""
    return {line: k for k, line in enumerate(lines)}


def of_gpu() -> Exception:
    return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def of_cpu() -> Exception:
    return RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory")
