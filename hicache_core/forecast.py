"""The tensor arithmetic of a forecast."""

from collections.abc import Sequence
from typing import overload

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
    wide = torch.promote_types(anchors[-1].dtype, torch.float32)
    newest = anchors[-1].to(device=device, dtype=wide)
    *older, last = blend(weights, by_row(shares, newest))
    total = newest * last
    for weight, anchor in zip(older, anchors[:-1], strict=True):
        if isinstance(weight, Tensor):
            total.addcmul_(anchor.to(total.device, wide), weight)
        elif weight:
            total.add_(anchor.to(total.device), alpha=weight)
    return total.to(anchors[-1].dtype)


@overload
def blend(weights: Sequence[float], share: float) -> list[float]: ...
@overload
def blend(weights: Sequence[float], share: float | Tensor) -> list[float] | list[float | Tensor]: ...
def blend(weights: Sequence[float], share: float | Tensor) -> list[float] | list[float | Tensor]:
    """The weights of ``share`` of the way from the newest anchor to the sum with these weights."""
    if isinstance(share, float) and share == 1.0:
        return list(weights)
    return [*(share * w for w in weights[:-1]), share * weights[-1] + (1.0 - share)]


def by_row(values: Sequence[float], like: Tensor) -> float | Tensor:
    """What to multiply ``like`` (B, ...) with for a factor of its own in every row.

    A number where all are the same, or where there is not one for every row: then the smallest. Does not wait for the
    device.
    """
    if len(set(values)) == 1 or len(values) != len(like):
        return min(values)
    rows = torch.tensor(values, dtype=like.dtype).to(like.device, non_blocking=True)
    return rows.view(-1, *[1] * (like.ndim - 1))
