"""The cells of the matrix."""

from functools import cache
from typing import Any

import torch
from tiny_models.model import TinyModel
from tiny_models.rows import MODELS
from torch import Tensor

from hicache_core import Settings

from .laws import SPEED, Seen, check, exact_when_frozen, observe, outcome, unchanged_at_speed_one
from .workflow import Composition, Workflow, basic

REPRESENTATIVES = ("FLUX.1 dev", "Qwen-Image-Edit", "Wan 2.1 T2V", "HunyuanVideo T2V", "SD3", "SDXL")


@cache
def _built(name: str, dtype: torch.dtype) -> Any:
    return MODELS[name].build(dtype)


@cache
def _text_to_image(name: str, dtype: torch.dtype) -> Tensor:
    """The result that a composition must alter."""
    return basic(MODELS[name], _built(name, dtype).clone()).run()


def cell(
    row: TinyModel,
    composition: Composition,
    settings: Settings = SPEED,
    dtype: torch.dtype = torch.float32,
    laws: tuple[str, ...] = ("frozen", "speed 1"),
) -> str:
    """"pass", "unchanged: why" or "n/a: why"; raises Broken."""
    start = basic(row, _built(row.name, dtype).clone())
    reason = composition.lacks(start)
    if reason:
        return f"n/a: {reason}"
    workflow = composition.build(start)
    plain = _plain(workflow)
    if isinstance(plain, str):
        return f"n/a: {plain}"
    if composition.alters and _equal(plain.latent, _text_to_image(row.name, dtype)):
        return "n/a: it changes nothing on this model"
    result = outcome(workflow, plain, settings)
    if "frozen" in laws:
        exact_when_frozen(workflow)
    if "speed 1" in laws:
        unchanged_at_speed_one(workflow, plain)
    return result


def _plain(workflow: Workflow) -> Seen | str:
    """The run without HiCache, or how the host fails at it."""
    try:
        seen = observe(workflow)
    except Exception as error:
        return f"the host itself fails: {type(error).__name__}: {str(error).splitlines()[0]}"
    check(bool(torch.isfinite(seen.latent).all()), "the host's own result is finite")
    return seen


def _equal(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.equal(a, b)
