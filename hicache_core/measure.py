"""The few numbers a session needs from what was computed, brought from the device in one transfer."""

import math
from collections import defaultdict
from collections.abc import Hashable, Mapping
from typing import TypeVar, cast

import torch
from torch import Tensor

K = TypeVar("K", bound=Hashable)


def magnitude(tensor: Tensor) -> Tensor:
    """Largest absolute value, in the tensor's dtype; nan or inf where any value is."""
    return cast("Tensor", torch.linalg.vector_norm(tensor, ord=math.inf))


def relative_error(actual: Tensor, predicted: Tensor) -> Tensor:
    """Relative RMS error, float32."""
    square = (predicted - actual).float().square().mean()
    return (square / actual.float().square().mean().clamp_min(1e-30)).sqrt()


def token_norm(newer: Tensor, older: Tensor, gap: float) -> Tensor:
    """Mean over the tokens of the L2 norm over the channels of (newer - older) / gap, float32.

    Channels are the last axis of hidden states (B, tokens, channels) and the second of latents (B, channels, ...).
    """
    axis = -1 if newer.ndim == 3 else 1
    norms = cast("Tensor", torch.linalg.vector_norm((newer - older).float(), dim=axis))
    return norms.mean() / gap


def fetch(scalars: Mapping[K, Tensor]) -> dict[K, float]:
    """The values of one-element tensors, with one transfer from each device that they are on."""
    devices: dict[torch.device, list[K]] = defaultdict(list)
    for name, scalar in scalars.items():
        devices[scalar.device].append(name)
    values: dict[K, float] = {}
    for names in devices.values():
        mixed = torch.cat([scalars[name].view(1) for name in names])  # in the widest of their dtypes
        together = cast("list[float]", mixed.tolist())
        values.update(zip(names, together, strict=True))
    return values
