"""The latent spaces of the small SDXL and the small Wan, whose pictures are small: a projection and how to undo it.

    python dev.py exec -- python -m small_models.pixels

writes them to files, so that latents mean the same on every machine, and prints what they cost.
"""

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import conv2d, pad, pixel_shuffle, pixel_unshuffle, unfold

from .latents import Projection, principal_components
from .pictures import SPLITS, Split, draw_batch
from .videos import SIZE, draw_videos

MODELS = Path(__file__).parent / "models"
SPREAD = 0.35  # as in training
STRENGTH = (3.0, 3.0)


@dataclass(frozen=True)
class Pixels:
    """A projection and the affine map that undoes it best, from 3x3 neighbouring latents to a patch of pixels."""

    projection: Projection
    weight: Tensor  # (3 * patch**2, channels, 3, 3)
    bias: Tensor  # (3 * patch**2,)

    def encode(self, pictures: Tensor) -> Tensor:
        return self.projection.encode(pictures)

    def decode(self, latents: Tensor) -> Tensor:
        """(B, channels, h, w) -> pictures (B, 3, H, W) in [0, 1], (B, channels, T, h, w) -> videos (B, T, 3, H, W)."""
        if latents.ndim == 5:
            return torch.stack([self.decode(video.movedim(1, 0)) for video in latents])
        patches = conv2d(_padded(latents), self.weight, self.bias)
        return pixel_shuffle(patches, self.projection.patch).clamp(0.0, 1.0)


def _padded(latents: Tensor) -> Tensor:
    return pad(latents, (1, 1, 1, 1), mode="replicate")


def fit(pictures: Tensor, patch: int, channels: int) -> Pixels:
    """The principal components of pictures (B, 3, H, W), and the least-squares way back."""
    projection = principal_components(pictures, patch, channels)
    neighbours = unfold(_padded(projection.encode(pictures)), 3).movedim(1, -1).flatten(0, 1).double()
    targets = pixel_unshuffle(pictures, patch).flatten(2).movedim(1, -1).flatten(0, 1).double()
    inputs = torch.cat([neighbours, torch.ones(len(neighbours), 1, dtype=torch.float64)], dim=1)
    solution = torch.linalg.lstsq(inputs, targets).solution.T.float()
    return Pixels(
        projection, solution[:, :-1].unflatten(1, (channels, 3, 3)).contiguous(), solution[:, -1].contiguous()
    )


def fit_sdxl(per_split: int = 1024, seed: int = 8) -> Pixels:
    """4x4 pixels to 4 channels."""
    generator = torch.Generator().manual_seed(seed)
    drawn = [draw_batch(s, per_split, SIZE, generator, SPREAD, STRENGTH).pictures for s in SPLITS.values()]
    return fit(torch.cat(drawn), 4, 4)


def fit_wan(per_split: int = 512, seed: int = 9) -> Pixels:
    """8x8 pixels to 16 channels, one latent frame a frame."""
    generator = torch.Generator().manual_seed(seed)
    drawn = [draw_videos(s, per_split, SIZE, generator, SPREAD, STRENGTH, 4).pictures for s in SPLITS.values()]
    return fit(torch.cat(drawn).flatten(0, 1), 8, 16)


FITS = {"sdxl": fit_sdxl, "wan": fit_wan}
DRAWS = {"sdxl": draw_batch, "wan": draw_videos}


def file_of(model: str) -> Path:
    return MODELS / model / f"small_{model}_pixels.safetensors"


@cache
def load_pixels(model: str) -> Pixels:
    """The written one of "sdxl" or "wan"."""
    saved = load_file(file_of(model))
    return Pixels(Projection(saved["mean"], saved["matrix"]), saved["weight"], saved["bias"])


def write(model: str) -> Path:
    fitted, path = FITS[model](), file_of(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    projection = {"mean": fitted.projection.mean, "matrix": fitted.projection.matrix}
    save_file({**projection, "weight": fitted.weight, "bias": fitted.bias}, path)
    return path


def fidelity(model: str, split: Split) -> float:
    """The PSNR in dB of 64 drawn pictures or videos after a way through the latents."""
    generator = torch.Generator().manual_seed(5)
    drawn = DRAWS[model](split, 64, SIZE, generator, SPREAD, STRENGTH).pictures
    space = load_pixels(model)
    return -10.0 * math.log10((space.decode(space.encode(drawn)) - drawn).square().mean())


def main() -> None:
    for model in FITS:
        print(write(model), *(f"{name} {fidelity(model, split):.1f} dB" for name, split in SPLITS.items()))


if __name__ == "__main__":
    main()
