import math

import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from hicache_core.metrics import psnr, ssim


@pytest.fixture
def pictures():
    generator = torch.Generator().manual_seed(0)
    a = torch.rand(3, 40, 56, generator=generator)
    return a, (a + 0.1 * torch.randn(a.shape, generator=generator)).clamp(0.0, 1.0)


@pytest.mark.parametrize("peak", [1.0, 2.0])
def test_psnr_agrees_with_scikit_image(pictures, peak):
    a, b = pictures
    expected = peak_signal_noise_ratio(a.double().numpy(), b.double().numpy(), data_range=peak)
    assert psnr(a, b, peak) == pytest.approx(expected, rel=1e-12)


def test_equal_pictures(pictures):
    a, _ = pictures
    assert psnr(a, a) == math.inf
    assert ssim(a, a) == pytest.approx(1.0)


@pytest.mark.parametrize("peak", [1.0, 2.0])
def test_ssim_agrees_with_scikit_image(pictures, peak):
    a, b = pictures
    _, full = structural_similarity(
        a.double().numpy(),
        b.double().numpy(),
        channel_axis=0,
        data_range=peak,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    assert ssim(a, b, peak) == pytest.approx(full[:, 5:-5, 5:-5].mean(), rel=1e-9)
