"""The few numbers a session needs from what was computed, brought from the device in one transfer."""

import math
from collections import defaultdict
from collections.abc import Hashable, Mapping
from typing import Generic, Literal, TypeVar, cast

import torch
from torch import Tensor

from .history import Series, Slot

K = TypeVar("K", bound=Hashable)
Question = Literal["magnitude", "error", "trend"]
Answers = Mapping[K, Mapping[Slot, float]]


def magnitude(tensor: Tensor) -> Tensor:
    """Largest absolute value, in the tensor's dtype; nan or inf where any value is."""
    if tensor.device.type == "cpu":  # whose maximum norm is slow
        low, high = torch.aminmax(tensor)
        return torch.maximum(high, -low)
    return cast("Tensor", torch.linalg.vector_norm(tensor, ord=math.inf))


def l2_norm(tensor: Tensor, dim: int | None = None) -> Tensor:
    """Of all values or along an axis, in float32 or wider; one pass over memory, and no copy of a narrow dtype."""
    wide = torch.promote_types(tensor.dtype, torch.float32)
    return cast("Tensor", torch.linalg.vector_norm(tensor, dim=dim, dtype=wide))


def relative_error(actual: Tensor, predicted: Tensor) -> Tensor:
    """L2 norm of the difference, in units of that of ``actual``."""
    return l2_norm(predicted - actual) / l2_norm(actual).clamp_min(1e-15)


def token_norm(newer: Tensor, older: Tensor, gap: float) -> Tensor:
    """Mean over the tokens of the L2 norm over the channels of (newer - older) / gap.

    Channels are the last axis of hidden states (B, tokens, channels) and the second of latents (B, channels, ...).
    """
    axis = -1 if newer.ndim == 3 else 1
    return l2_norm(newer - older, axis).mean() / gap


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


class Questions(Generic[K]):
    """What is asked of computed tensors, by branch and slot: scalars that stay on their device until all are asked."""

    def __init__(self) -> None:
        self._asked: dict[tuple[Question, K, Slot], Tensor] = {}

    def magnitude(self, branch: K, tensors: Mapping[Slot, Tensor]) -> None:
        self._asked |= {("magnitude", branch, s): magnitude(t) for s, t in tensors.items()}

    def error(self, branch: K, tensors: Mapping[Slot, Tensor], series: Series) -> None:
        """How far off a forecast of them would have been."""
        self._asked |= {
            ("error", branch, s): relative_error(t, series.combine(s, t.device)) for s, t in tensors.items()
        }

    def trend(self, branch: K, tensors: Mapping[Slot, Tensor], older: Mapping[Slot, Tensor], gap: float) -> None:
        self._asked |= {("trend", branch, s): token_norm(t, older[s].to(t.device), gap) for s, t in tensors.items()}

    def answers(self) -> tuple[Answers[K], Answers[K], Answers[K]]:
        """Magnitudes, errors and trends, in one transfer; nothing for a branch where nothing was asked."""
        found: dict[Question, dict[K, dict[Slot, float]]] = {
            what: defaultdict(dict) for what in ("magnitude", "error", "trend")
        }
        for (what, branch, slot), value in fetch(self._asked).items():
            found[what][branch][slot] = value
        return found["magnitude"], found["error"], found["trend"]
