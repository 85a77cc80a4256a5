"""One variant through the server: its pictures, its sampler's seconds, its network calls."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import mean
from typing import Any

import numpy as np
import torch
from comfy_client import ComfyClient
from comfy_client.client import Prompt
from PIL import Image
from torch import Tensor

from hicache_core.metrics import psnr

from .variants import READOUT, Variant, node_id, variant_prompt


@dataclass(frozen=True)
class Run:
    variant: Variant
    images: list[Image.Image]
    seconds: float
    sigmas: list[list[float]]  # by picture: the noise levels at which the network was called

    @property
    def calls(self) -> float:
        """Network calls a picture."""
        return mean(map(len, self.sigmas))

    def computed_steps(self, baseline: "Run") -> list[bool]:
        """By step of the first picture; ``baseline`` computed every step of its own schedule."""
        same_schedule = self.variant.steps == baseline.variant.steps
        schedule = baseline.sigmas[0] if same_schedule else self.sigmas[0]
        return [sigma in self.sigmas[0] for sigma in schedule]

    def psnrs(self, reference: "Run") -> list[float]:
        return [psnr(pixels(a), pixels(b)) for a, b in zip(self.images, reference.images, strict=True)]


def pixels(image: Image.Image) -> Tensor:
    """(H, W, 3) in [0, 1]."""
    return torch.from_numpy(np.array(image.convert("RGB"))) / 255.0


class Watch:
    """Follows a prompt's events: the time spent in one node, and its progress."""

    def __init__(self, node: str, on_step: Callable[[int], object]) -> None:
        self.seconds = 0.0
        self._node, self._on_step = node, on_step
        self._started: float | None = None
        self._value = 0

    def __call__(self, kind: str, event: dict[str, Any]) -> None:
        if kind == "executing":
            self._switch_to(event["node"])
        if kind == "progress" and event["node"] == self._node:
            self._progress_to(event["value"])

    def _switch_to(self, node: str | None) -> None:
        now = time.perf_counter()
        if self._started is not None:
            self.seconds += now - self._started
        self._started = now if node == self._node else None

    def _progress_to(self, value: int) -> None:
        """Values count from 1 to the number of steps, anew for every picture."""
        self._on_step(value - self._value if value > self._value else value)
        self._value = value


async def measure(client: ComfyClient, example: Prompt, variant: Variant, on_step: Callable[[int], object]) -> Run:
    prompt = variant_prompt(example, variant)
    watch = Watch(node_id(prompt, "KSampler"), on_step)
    entry = await client.run(prompt, watch)
    return Run(variant, await client.images(entry), watch.seconds, entry["outputs"][READOUT]["sigmas"])
