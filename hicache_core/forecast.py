"""The tensor arithmetic of a forecast."""

import math
from collections.abc import Sequence
from typing import cast, overload

import torch
from torch import Tensor


def weighted_sum(
    weights: Sequence[float],
    anchors: Sequence[Tensor],
    shares: Sequence[float] = (1.0,),
    device: torch.device | None = None,
) -> Tensor:
    """sum_i weights[i] * anchors[i], accumulated in float32 and returned in the anchors' dtype, always fresh memory.

    anchors: tensors of one shape and dtype, newest last; float64 anchors are accumulated in float64. shares: of the way
    from the newest anchor to that sum, one for all rows or one for every row. device: where the sum is made, that of
    the newest anchor by default; anchors from elsewhere come there one at a time.
    """
    if len(weights) != len(anchors) or not weights:
        raise ValueError(f"weighted_sum got {len(weights)} weights for {len(anchors)} anchors.")
    newest = anchors[-1].to(device=device)
    wide = torch.promote_types(newest.dtype, torch.float32)
    *older, last = blend(weights, by_row(shares, newest, wide))
    terms = [(w, a) for w, a in zip(older, anchors[:-1], strict=True) if isinstance(w, Tensor) or w]
    if isinstance(last, float) and len(terms) < 2 and math.isclose(last + sum(cast("float", w) for w, _ in terms), 1.0):
        # One pass over memory, and rounded once as below.
        return torch.lerp(terms[0][1].to(newest.device), newest, last) if terms else newest.clone()
    total = _product(newest, last, wide)
    for weight, anchor in terms[:-1]:
        _add(total, weight, anchor)
    return _add(total, *terms[-1], result=newest.dtype) if terms else total.to(newest.dtype)


def _product(x: Tensor, factor: float | Tensor, wide: torch.dtype) -> Tensor:
    """In dtype ``wide``, in one pass: a number would leave the dtype as it is, a tensor with an axis does not."""
    return x * (factor if isinstance(factor, Tensor) or x.dtype == wide else x.new_full((1,), factor, dtype=wide))


def _add(total: Tensor, weight: float | Tensor, anchor: Tensor, result: torch.dtype | None = None) -> Tensor:
    """total + weight * anchor: in its place, or rounded to another dtype in the same pass."""
    anchor = anchor.to(total.device)
    if isinstance(weight, Tensor):
        total.addcmul_(anchor.to(total.dtype), weight)
        return total.to(result or total.dtype)
    out = total if result in (None, total.dtype) else torch.empty_like(total, dtype=result)
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
