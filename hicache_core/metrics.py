"""Picture distances in torch."""

import torch
from torch import Tensor
from torch.nn.functional import conv2d


def psnr(a: Tensor, b: Tensor, peak: float = 1.0) -> float:
    """Peak signal-to-noise ratio of two tensors of one shape in dB; ``inf`` if they are equal."""
    error = (a.double() - b.double()).square().mean()
    return float(10.0 * torch.log10(peak * peak / error))


def ssim(a: Tensor, b: Tensor, peak: float = 1.0) -> float:
    """Mean structural similarity of pictures (..., H, W) with H, W >= 11.

    Gaussian windows of standard deviation 1.5 and radius 5, K1 = 0.01, K2 = 0.03, population covariance (Wang et al.,
    Image quality assessment, 2004).
    """
    a, b = (t.double().reshape(-1, 1, *t.shape[-2:]) for t in (a, b))
    mean_a, mean_b = _blur(a), _blur(b)
    var_a, var_b = _blur(a * a) - mean_a**2, _blur(b * b) - mean_b**2
    covariance = _blur(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    structure = (2 * covariance + c2) / (var_a + var_b + c2)
    return float((luminance * structure).mean())


def _blur(x: Tensor) -> Tensor:
    """Separable Gaussian blur of (N, 1, H, W) over the positions where the window fits."""
    taps = torch.arange(-5, 6, dtype=x.dtype, device=x.device)
    window = torch.exp(-0.5 * (taps / 1.5) ** 2)
    window = window / window.sum()
    return conv2d(conv2d(x, window.view(1, 1, -1, 1)), window.view(1, 1, 1, -1))
