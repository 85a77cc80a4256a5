"""The tensor arithmetic of a forecast."""

import math
from collections.abc import Sequence
from typing import cast, overload

import torch
from torch import Tensor

from .kernel import sum_in_one_pass


def weighted_sum(
    weights: Sequence[float],
    anchors: Sequence[Tensor],
    shares: Sequence[float] = (1.0,),
    device: torch.device | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """sum_i weights[i] * anchors[i], accumulated in float32 and returned in the anchors' dtype: in fresh memory, or in
    ``out``, which has their shape and dtype and is on ``device``.

    anchors: tensors of one shape and dtype, newest last; float64 anchors are accumulated in float64. shares: of the way
    from the newest anchor to that sum, one for all rows or one for every row. device: where the sum is made, that of
    the newest anchor by default; anchors from elsewhere come there one at a time.
    """
    if len(weights) != len(anchors) or not weights:
        raise ValueError(f"weighted_sum got {len(weights)} weights for {len(anchors)} anchors.")
    newest = anchors[-1].to(device=device)
    *older, last = blend(weights, shares[0] if len(shares) == 1 else by_row(shares, newest, _wide(newest.dtype)))
    terms = [(w, a) for w, a in zip(older, anchors[:-1], strict=True) if isinstance(w, Tensor) or w]
    if isinstance(last, float):
        total = _in_one_pass([*(cast("float", w) for w, _ in terms), last], [*(a for _, a in terms), newest], out)
        if total is not None:
            return total
    return _in_passes(newest, last, terms, out)


def _in_one_pass(weights: Sequence[float], anchors: Sequence[Tensor], out: Tensor | None) -> Tensor | None:
    """None where it takes more. A kernel has memory of its own: with ``out`` its sum is copied there."""
    *older, newest = anchors
    if len(older) < 2 and math.isclose(sum(weights), 1.0):
        if older:
            return torch.lerp(older[0].to(newest.device), newest, weights[-1], out=out)
        return newest.clone() if out is None else out.copy_(newest)
    total = sum_in_one_pass(weights, anchors)
    return total if out is None or total is None else out.copy_(total)


def _in_passes(
    newest: Tensor, last: float | Tensor, terms: Sequence[tuple[float | Tensor, Tensor]], out: Tensor | None
) -> Tensor:
    """One pass for each anchor, newest first."""
    wide = _wide(newest.dtype)
    total = _product(newest, last, wide, out if newest.dtype == wide else None)
    if out is None:
        out = total if newest.dtype == wide else torch.empty_like(newest)
    for weight, anchor in terms[:-1]:
        _add(total, weight, anchor, total)
    return _add(total, *terms[-1], out) if terms else out.copy_(total)


def _wide(dtype: torch.dtype) -> torch.dtype:
    """What sums are accumulated in."""
    return torch.promote_types(dtype, torch.float32)


def _product(x: Tensor, factor: float | Tensor, wide: torch.dtype, out: Tensor | None) -> Tensor:
    """In dtype ``wide``, in one pass: a number would leave the dtype as it is, a tensor with an axis does not."""
    if not isinstance(factor, Tensor) and x.dtype != wide:
        factor = x.new_full((1,), factor, dtype=wide)
    return torch.mul(x, factor, out=out)


def _add(total: Tensor, weight: float | Tensor, anchor: Tensor, out: Tensor) -> Tensor:
    """total + weight * anchor, rounded to the dtype of ``out`` in the same pass; ``total`` may be ``out``."""
    anchor = anchor.to(total.device)
    if isinstance(weight, Tensor):
        return out.copy_(total.addcmul_(anchor.to(total.dtype), weight))
    return torch.add(total, anchor, alpha=weight, out=out)


@overload
def blend(weights: Sequence[float], share: float) -> list[float]: ...
@overload
def blend(weights: Sequence[float], share: float | Tensor) -> list[float] | list[float | Tensor]: ...
def blend(weights: Sequence[float], share: float | Tensor) -> list[float] | list[float | Tensor]:
    """The weights of ``share`` of the way from the newest anchor to the sum with these weights."""
    if isinstance(share, float) and share == 1.0:
        return list(weights)
    return [*(share * w for w in weights[:-1]), share * weights[-1] + (1.0 - share)]


def by_row(values: Sequence[float], like: Tensor, dtype: torch.dtype | None = None) -> float | Tensor:
    """What to multiply ``like`` (B, ...) with for a factor of its own in every row, in its dtype or another one.

    A number where all are the same, or where there is not one for every row: then the smallest. Does not wait for the
    device.
    """
    if len(set(values)) == 1 or len(values) != len(like):
        return min(values)
    rows = torch.tensor(values, dtype=dtype or like.dtype).to(like.device, non_blocking=True)
    return rows.view(-1, *[1] * (like.ndim - 1))
