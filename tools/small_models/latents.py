"""The latent space of the small Flux: a fixed linear projection of 8x8 pixel patches to 16 channels.

The projection is the principal components of the training pictures, scaled towards unit variance, so the Flux and the
VAE can be trained at the same time: the VAE's encoder learns to imitate the projection and its decoder to undo it.
"""

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
    mean: Tensor  # (3 * PATCH**2,)
    matrix: Tensor  # (CHANNELS, 3 * PATCH**2), rows scaled

    def encode(self, pictures: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> latents (B, CHANNELS, H / PATCH, W / PATCH), about unit variance."""
        patches = pixel_unshuffle(pictures, PATCH) - self.mean[:, None, None]
        return torch.einsum("kc,bchw->bkhw", self.matrix, patches)


def fit_projection(pictures_per_split: int = 1024, seed: int = 7) -> Projection:
    """Principal components of the patches of both splits; channel k has standard deviation (var_k / var_0) ** 0.2."""
    generator = torch.Generator().manual_seed(seed)
    pictures = [draw_batch(s, pictures_per_split, SIZE, generator).pictures for s in SPLITS.values()]
    patches = pixel_unshuffle(torch.cat(pictures), PATCH).movedim(1, -1).flatten(0, -2).double()
    mean = patches.mean(dim=0)
    variances, vectors = torch.linalg.eigh(torch.cov((patches - mean).T))
    variances, vectors = variances.flip(0)[:CHANNELS], vectors.flip(1)[:, :CHANNELS].T
    vectors = vectors * vectors.sum(dim=1, keepdim=True).sign()  # eigenvectors are unique up to sign
    scale = (variances / variances[0]) ** 0.2 / variances.sqrt()
    return Projection(mean.float(), (vectors * scale[:, None]).float())
