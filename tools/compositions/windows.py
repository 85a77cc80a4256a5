"""Context windows: long videos, and large batches, a part at a time."""

from dataclasses import replace
from typing import Any

import torch
from comfy.nested_tensor import NestedTensor

from .workflow import Composition, Workflow, call, empty

GROUP = "Context windows"
FRAMES = 9


def _windowed(w: Workflow, schedule: str, dim: int, length: int, overlap: int, **more: Any) -> Workflow:
    how = {
        "context_stride": 1,
        "closed_loop": False,
        "fuse_method": "pyramid",
        "freenoise": False,
        **more,
        "context_length": length,
        "context_overlap": overlap,
        "context_schedule": schedule,
        "dim": dim,
    }
    return replace(w, model=call("nodes_context_windows", "ContextWindowsManualNode", w.model, **how))


def _frames(schedule: str, **more: Any) -> Composition:
    def build(w: Workflow) -> Workflow:
        return _windowed(_longer(w), schedule, dim=2, length=4, overlap=1, **more)

    return Composition(", ".join((f"{schedule} over frames", *more)), GROUP, build, _no_frames)


def _longer(w: Workflow) -> Workflow:
    """More frames than a window, in every part of the latent."""
    factor = FRAMES / w.shape[2]
    parts = [torch.zeros(*p.shape[:2], round(p.shape[2] * factor), *p.shape[3:]) for p in w.parts]
    return replace(w, latent={"samples": NestedTensor(parts) if len(parts) > 1 else parts[0]})


def _no_frames(w: Workflow) -> str:
    return "" if len(w.shape) == 5 and w.shape[2] > 1 else "no video model"


def _batch(w: Workflow) -> Workflow:
    return _windowed(replace(w, latent={"samples": empty(w.row, 4)}), "standard_static", 0, length=2, overlap=0)


ROWS = (
    _frames("standard_static"),
    _frames("standard_static", freenoise=True),
    _frames("batched"),
    _frames("standard_uniform"),
    _frames("looped_uniform", closed_loop=True),
    Composition("standard_static over a batch", GROUP, _batch),
)
