"""The tensor arithmetic of a forecast."""

from collections.abc import Sequence

import torch
from torch import Tensor


def weighted_sum(weights: Sequence[float], anchors: Sequence[Tensor], shares: Sequence[float] = (1.0,)) -> Tensor:
    """sum_i weights[i] * anchors[i], accumulated in float32 and returned in the anchors' dtype, always fresh memory.

    anchors: tensors of one shape, dtype and device, newest last; float64 anchors are accumulated in float64. shares: of
    the way from the newest anchor to that sum, one for all rows or one for every row.
    """
    if len(weights) != len(anchors) or not weights:
        raise ValueError(f"weighted_sum got {len(weights)} weights for {len(anchors)} anchors.")
    newest = anchors[-1]
    wide = torch.promote_types(newest.dtype, torch.float32)
    total = newest.to(wide)
    share = by_row(shares, total)
    total = total * (weights[-1] * share + (1.0 - share))
    for weight, anchor in zip(weights[:-1], anchors[:-1], strict=True):
        if isinstance(share, Tensor):
            total.add_(anchor * share, alpha=weight)
        elif weight:
            total.add_(anchor, alpha=weight * share)
    return total.to(newest.dtype)


def by_row(values: Sequence[float], like: Tensor) -> float | Tensor:
    """What to multiply ``like`` (B, ...) with for a factor of its own in every row.

    A number where all are the same, or where there is not one for every row: then the smallest.
    """
    if len(set(values)) == 1 or len(values) != len(like):
        return min(values)
    return like.new_tensor(values).view(-1, *[1] * (like.ndim - 1))
