"""What can be done to conditionings: combined, averaged, in areas, under masks, for a part of the run."""

from dataclasses import replace
from typing import Any

import torch
from tiny_models.model import Conditioning

import nodes

from .workflow import Composition, Workflow, call

GROUP = "Conditionings"
PIXELS = 8  # of a ConditioningSetArea for one of the latent


def _positive(w: Workflow, conditioning: Conditioning) -> Workflow:
    return replace(w, positive=conditioning)


def _second(w: Workflow) -> Conditioning:
    return w.row.conditioning(3)


def _combined(a: Conditioning, b: Conditioning) -> Conditioning:
    return nodes.ConditioningCombine().combine(a, b)[0]


def _averaged(w: Workflow) -> Workflow:
    return _positive(w, nodes.ConditioningAverage().addWeighted(w.positive, _second(w), 0.4)[0])


def _size(w: Workflow) -> tuple[int, int]:
    height, width = w.shape[-2:]
    return height, width


def _area(w: Workflow, conditioning: Conditioning, x: int) -> Conditioning:
    """One half of the picture, from column ``x`` of the latent."""
    height, width = _size(w)
    return nodes.ConditioningSetArea().append(
        conditioning, width // 2 * PIXELS, height * PIXELS, x * PIXELS, 0, strength=1.0
    )[0]


def _areas(w: Workflow) -> Workflow:
    _, width = _size(w)
    return _positive(w, _combined(_area(w, w.positive, 0), _area(w, _second(w), width // 2)))


def _area_over_all(w: Workflow) -> Workflow:
    return _positive(w, _combined(w.positive, _area(w, _second(w), 0)))


def _half(w: Workflow) -> torch.Tensor:
    """A mask of the left half, soft at its edge, (1, height, width)."""
    height, width = _size(w)
    mask = torch.zeros(1, height, width)
    mask[..., : width // 2] = 1.0
    mask[..., width // 2] = 0.5
    return mask


def _masks(w: Workflow, bounds: str = "default") -> Workflow:
    left, right = _half(w), 1.0 - _half(w)
    masked = nodes.ConditioningSetMask().append
    return _positive(w, _combined(masked(w.positive, left, bounds, 1.0)[0], masked(_second(w), right, bounds, 0.7)[0]))


def _ranged(conditioning: Conditioning, start: float, end: float) -> Conditioning:
    return nodes.ConditioningSetTimestepRange().set_range(conditioning, start, end)[0]


def _one_after_the_other(w: Workflow) -> Workflow:
    return _positive(w, _combined(_ranged(w.positive, 0.0, 0.5), _ranged(_second(w), 0.5, 1.0)))


def _appears(w: Workflow) -> Workflow:
    return _positive(w, _combined(w.positive, _ranged(_second(w), 0.4, 1.0)))


def _negative_ends(w: Workflow) -> Workflow:
    return replace(w, negative=_combined(w.negative, _ranged(_second(w), 0.0, 0.4)))


def _default(w: Workflow) -> Workflow:
    """A default condition takes what the mask of the other leaves."""
    masked = nodes.ConditioningSetMask().append(w.positive, _half(w), "default", 1.0)[0]
    return _positive(w, call("nodes_hooks", "ConditioningSetDefaultAndCombine", masked, _second(w)))


def _zeroed(w: Workflow) -> Workflow:
    return replace(w, negative=nodes.ConditioningZeroOut().zero_out(w.positive)[0])


def no_picture(w: Workflow) -> str:
    if len(w.parts) > 1:
        return "its latent has several parts"
    return "" if len(w.shape) >= 4 else "its latent has no height and width"


def _no_bounds(w: Workflow) -> str:
    return no_picture(w) or ("" if len(w.shape) == 4 else "the host finds the bounds of masks in pictures only")


def _row(name: str, build: Any, **more: Any) -> Composition:
    return Composition(name, GROUP, build, **more)


ROWS = (
    _row("ConditioningCombine", lambda w: _positive(w, _combined(w.positive, _second(w)))),
    _row("ConditioningAverage", _averaged),
    _row("ConditioningConcat", lambda w: _positive(w, nodes.ConditioningConcat().concat(w.positive, _second(w))[0])),
    _row("ConditioningZeroOut", _zeroed),
    _row("two areas", _areas, lacks=no_picture),
    _row("an area over the whole", _area_over_all, lacks=no_picture),
    _row("two masks", _masks, lacks=no_picture),
    _row("masks, area set to their bounds", lambda w: _masks(w, "mask bounds"), lacks=_no_bounds),
    _row("a mask and a default condition", _default, lacks=no_picture),
    _row("ranges, one after the other", _one_after_the_other),
    _row("a range that begins mid-run", _appears),
    _row("a negative's range that ends mid-run", _negative_ends),
)
