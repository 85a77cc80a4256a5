"""Where a run starts and ends, and what part of the latent it may change."""

from dataclasses import replace

import torch

from .conditions import no_picture
from .workflow import Composition, Workflow, call, ksampler_in_two_parts, split_sigmas

GROUP = "Parts of a run and of a picture"


def _picture(w: Workflow) -> dict[str, object]:
    """A latent that is not empty."""
    return {"samples": w.noise(5)}


def _mask(w: Workflow, soft: bool) -> torch.Tensor:
    """1 to the left, 0 to the right; or falling from one to the other. (1, 1, height, width)."""
    shape = w.shape
    width = shape[-1]
    line = torch.linspace(1.0, 0.0, width) if soft else (torch.arange(width) < width // 2).float()
    return line.expand(1, 1, shape[-2], width)


def _inpainted(w: Workflow) -> Workflow:
    return replace(w, latent={**_picture(w), "noise_mask": _mask(w, soft=False)})


def _differential(w: Workflow) -> Workflow:
    model = call("nodes_differential_diffusion", "DifferentialDiffusion", w.model)
    return replace(w, model=model, latent={**_picture(w), "noise_mask": _mask(w, soft=True)})


ROWS = (
    Composition("image to image", GROUP, lambda w: replace(w, latent=_picture(w), denoise=0.6)),
    Composition("inpainting with a noise mask", GROUP, _inpainted, no_picture),
    Composition("DifferentialDiffusion", GROUP, _differential, no_picture),
    Composition(
        "KSampler (Advanced), two parts",
        GROUP,
        lambda w: replace(w, steps=16, sampler=ksampler_in_two_parts),
        alters=False,
    ),
    Composition("SplitSigmas", GROUP, lambda w: replace(w, steps=16, sampler=split_sigmas), alters=False),
)
