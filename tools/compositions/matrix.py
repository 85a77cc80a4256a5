"""The cells of the matrix."""

import torch
from tiny_models.model import TinyModel

from hicache_core import Settings

from .laws import SPEED, exact_when_frozen, outcome, unchanged_at_speed_one
from .workflow import Composition, Workflow, basic


def workflow_of(row: TinyModel, composition: Composition, dtype: torch.dtype = torch.float32) -> Workflow | str:
    """The composed workflow, or why the host has none."""
    start = basic(row, model_of(row, dtype))
    return composition.lacks(start) or composition.build(start)


_MODELS: dict[tuple[str, torch.dtype], object] = {}


def model_of(row: TinyModel, dtype: torch.dtype = torch.float32) -> object:
    """A fresh clone of the row's model, which is built once."""
    key = (row.name, dtype)
    if key not in _MODELS:
        _MODELS[key] = row.build(dtype)
    return _MODELS[key].clone()


def cell(row: TinyModel, composition: Composition, settings: Settings = SPEED) -> str:
    """"pass", "unchanged: why" or "n/a: why"; raises Broken."""
    workflow = workflow_of(row, composition)
    if isinstance(workflow, str):
        return f"n/a: {workflow}"
    result = outcome(workflow, settings)
    exact_when_frozen(workflow)
    unchanged_at_speed_one(workflow)
    return result
