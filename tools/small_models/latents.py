"""The latent spaces of the small models: a fixed linear projection of pixel patches to a few channels.

The projection is the principal components of the training pictures, scaled towards unit variance, so a network and the
VAE can be trained at the same time: the VAE's encoder learns to imitate the projection and its decoder to undo it.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pixel_unshuffle

from .pictures import SPLITS, draw_batch

PATCH = 8
CHANNELS = 16
SIZE = 128  # pixels; 16x16 latents


@dataclass(frozen=True)
class Projection:
    mean: Tensor  # (3 * patch**2,)
    matrix: Tensor  # (channels, 3 * patch**2), rows scaled

    @property
    def patch(self) -> int:
        return math.isqrt(len(self.mean) // 3)

    def encode(self, pictures: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> latents (B, channels, H / patch, W / patch), about unit variance; videos
        (B, T, 3, H, W) -> (B, channels, T, H / patch, W / patch)."""
        patches = pixel_unshuffle(pictures, self.patch) - self.mean[:, None, None]
        latents = torch.einsum("kc,...chw->...khw", self.matrix, patches)
        return latents.movedim(1, 2) if latents.ndim == 5 else latents


def fit_projection(pictures_per_split: int = 1024, seed: int = 7) -> Projection:
    """The one of Flux and Qwen-Image."""
    generator = torch.Generator().manual_seed(seed)
    pictures = [draw_batch(s, pictures_per_split, SIZE, generator).pictures for s in SPLITS.values()]
    return principal_components(torch.cat(pictures), PATCH, CHANNELS)


def principal_components(pictures: Tensor, patch: int, channels: int) -> Projection:
    """Of the patches of pictures (..., 3, H, W); channel k has standard deviation (var_k / var_0) ** 0.2."""
    patches = pixel_unshuffle(pictures, patch).movedim(-3, -1).flatten(0, -2).double()
    mean = patches.mean(dim=0)
    variances, vectors = torch.linalg.eigh(torch.cov((patches - mean).T))
    variances, vectors = variances.flip(0)[:channels], vectors.flip(1)[:, :channels].T
    vectors = vectors * vectors.sum(dim=1, keepdim=True).sign()  # eigenvectors are unique up to sign
    scale = (variances / variances[0]) ** 0.2 / variances.sqrt()
    return Projection(mean.float(), (vectors * scale[:, None]).float())
