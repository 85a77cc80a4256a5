"""The only tensor arithmetic of a forecast."""

from collections.abc import Sequence

import torch
from torch import Tensor


def weighted_sum(weights: Sequence[float], anchors: Sequence[Tensor]) -> Tensor:
    """sum_i weights[i] * anchors[i], accumulated in float32 and returned in the anchors' dtype, always fresh memory.

    anchors: tensors of one shape, dtype and device; float64 anchors are accumulated in float64.
    """
    if len(weights) != len(anchors) or not weights:
        raise ValueError(f"weighted_sum got {len(weights)} weights for {len(anchors)} anchors.")
    dtype = anchors[0].dtype
    wide = torch.promote_types(dtype, torch.float32)
    total = anchors[-1].to(wide) * weights[-1]
    for weight, anchor in zip(weights[:-1], anchors[:-1], strict=True):
        if weight:
            total.add_(anchor, alpha=weight)
    return total.to(dtype)
