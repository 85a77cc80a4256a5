"""What a sampler makes of the denoised images that it is handed, found by running it on a row of numbers."""

import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from ._core import LinearSampler, euler, linear_sampler


class _Numbers:
    """In the model's place: row 0 of the latent begins at 1, and row k + 1 is handed 1 at step k, else 0."""

    def __init__(self, sigmas: Sequence[float], patcher: Any, of_directions: bool) -> None:
        self._sigmas, self._of_directions = sigmas, of_directions
        self.inner_model = SimpleNamespace(model_patcher=patcher, inner_model=patcher.model)
        self.latents: list[list[float]] = []

    def __call__(self, x: Tensor, sigma: Tensor, **unused: Any) -> Tensor:
        step = len(self.latents)
        if step >= len(self._sigmas) - 1 or not math.isclose(float(sigma[0]), self._sigmas[step], rel_tol=1e-3):
            raise LookupError(f"evaluation {step} is at {float(sigma[0])}, not at a step of its own")
        self.latents.append(x.flatten().tolist())
        handed = torch.zeros_like(x)
        handed[step + 1] = 1.0
        return x - self._sigmas[step] * handed if self._of_directions else handed


def linear_sampler_of(sampler: Any, sigmas: Sequence[float], patcher: Any) -> LinearSampler:
    """The steps of a sampler of the host at these noise levels; those of Euler where they are not linear, or where it
    does not ask once a step."""
    for of_directions in (True, False) if len(sigmas) > 1 else ():
        found = _tried(sampler, sigmas, _Numbers(sigmas, patcher, of_directions), of_directions)
        if found is not None:
            return found
    return euler(sigmas)


def _tried(sampler: Any, sigmas: Sequence[float], model: _Numbers, of_directions: bool) -> LinearSampler | None:
    how = {"extra_args": {"seed": 0}, "callback": None, "disable": True, **sampler.extra_options}
    try:
        x = torch.zeros(len(sigmas), 1, 1, 1)
        x[0] = 1.0
        with torch.random.fork_rng(devices=[]):  # whatever it draws, the run draws again
            result = sampler.sampler_function(model, x, torch.tensor(sigmas), **how)
    except Exception:  # another version of the host, or of a pack: what it does is not known then
        return None
    return linear_sampler([*model.latents, result.flatten().tolist()], of_directions)
