"""The cells of the matrix."""

from functools import cache, lru_cache
from typing import Any

import torch
from tiny_models.model import TinyModel
from tiny_models.rows import MODELS
from torch import Tensor

from hicache_core import Settings

from .laws import (
    SPEED,
    Seen,
    close_when_standing_still,
    exact_when_frozen,
    observe,
    outcome,
    unchanged_at_speed_one,
)
from .rows import COMPOSITIONS
from .workflow import Composition, Workflow, basic

REPRESENTATIVES = ("FLUX.1 dev", "Qwen-Image-Edit", "Wan 2.1 T2V", "HunyuanVideo T2V", "SD3", "SDXL")

VARIANTS = ("FLUX.1 Kontext", "FLUX.1 Fill", "SD 1.5 inpainting")  # of a class, that take pictures beside their latent


@cache
def columns() -> tuple[str, ...]:
    """The first model of every class of the host, the representatives and the variants."""
    first: dict[Any, str] = {}
    for name, row in MODELS.items():
        if row.in_this_host:
            model = built(name, torch.float32).model
            first.setdefault((type(model), type(model.diffusion_model)), name)
    wanted = {*first.values(), *REPRESENTATIVES, *VARIANTS}
    return tuple(name for name in MODELS if name in wanted)


@lru_cache(maxsize=8)  # more would be carried along by all that follows
def built(name: str, dtype: torch.dtype) -> Any:
    return MODELS[name].build(dtype)


def network_of(name: str) -> Any:
    return built(name, torch.float32).model.diffusion_model


@cache
def _text_to_image(name: str, dtype: torch.dtype) -> Tensor:
    """The result that a composition must alter."""
    return basic(MODELS[name], built(name, dtype).clone()).run()


def laws_of(row: TinyModel, composition: Composition) -> tuple[str, ...]:
    """Speed 1 in a third of the cells."""
    index = list(MODELS).index(row.name) + COMPOSITIONS.index(composition)
    return ("frozen", "speed 1") if index % 3 == 0 else ("frozen",)


def cell(
    row: TinyModel,
    composition: Composition,
    settings: Settings = SPEED,
    dtype: torch.dtype = torch.float32,
    laws: tuple[str, ...] | None = None,
) -> str:
    """One of "pass", "unchanged: why" and "n/a: why"; raises Broken.

    laws: which are held beside that of the calls; ``laws_of`` the cell, if None.
    """
    laws = laws_of(row, composition) if laws is None else laws
    start = basic(row, built(row.name, dtype).clone())
    reason = composition.lacks(start)
    if reason:
        return f"n/a: {reason}"
    workflow = composition.build(start)
    ordinary = _text_to_image(row.name, dtype)
    plain = _plain(workflow)
    if isinstance(plain, str):
        return f"n/a: {plain}"
    if composition.alters and _equal(plain.latent, ordinary):
        return "n/a: it changes nothing on this model"
    result = outcome(workflow, plain, settings)
    if "frozen" in laws:
        exact_when_frozen(workflow)
    if "still" in laws:
        close_when_standing_still(workflow, settings.level)
    if "speed 1" in laws:
        unchanged_at_speed_one(workflow, plain)
    return result


def _plain(workflow: Workflow) -> Seen | str:
    """The run without HiCache, or how the host fails at it."""
    try:
        seen = observe(workflow)
    except Exception as error:
        return f"the host itself fails: {type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
    return seen if torch.isfinite(seen.latent).all() else "the host's own result is not finite"


def _equal(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.equal(a, b)
