"""The small SDXL: the host's own U-Net at a small size, trained through the host's own forward."""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from . import host  # noqa: F401  first: makes `comfy` importable

import comfy.model_base  # isort: skip
import comfy.model_sampling  # isort: skip
import comfy.ops  # isort: skip
from comfy.ldm.modules.diffusionmodules.openaimodel import Timestep, UNetModel  # isort: skip

from .initialise import initialise
from .pictures import CODE_DIM

SIDE = 16  # latent cells; the host tells the network a picture of 8 * SIDE pixels a side unless a node says otherwise
CONFIG = dict(  # the host does not detect this size from a checkpoint: sampling.load_sdxl builds it from here
    image_size=32,
    use_checkpoint=False,
    use_spatial_transformer=True,
    legacy=False,
    in_channels=4,
    out_channels=4,
    model_channels=64,
    num_res_blocks=[2, 1, 1],
    channel_mult=[1, 1, 1],
    transformer_depth=[0, 0, 1, 1],
    transformer_depth_output=[0, 0, 0, 1, 1, 1, 1],
    transformer_depth_middle=1,
    use_linear_in_transformer=True,
    context_dim=CODE_DIM,
    num_classes="sequential",
    adm_in_channels=CODE_DIM + 6 * 256,
    use_temporal_attention=False,
    use_temporal_resblock=False,
    num_heads=-1,
    num_head_channels=64,  # as in the full size
)
ZERO = ("out.2.weight", "out_layers.3.weight", "proj_out.weight")  # as in the full size


def build_sdxl(seed: int) -> UNetModel:
    """A float32 small U-Net: Xavier weights; every residual branch and the last layer start at zero."""
    torch.manual_seed(seed)
    net = UNetModel(**CONFIG, dtype=torch.float32, device="cpu", operations=comfy.ops.disable_weight_init)
    initialise(net, lambda name: name.endswith(ZERO))
    return net


class EpsilonSampling(comfy.model_sampling.ModelSamplingDiscrete, comfy.model_sampling.EPS):
    """As comfy.model_base.model_sampling makes it for SDXL."""


@cache
def model_sampling() -> Any:
    return EpsilonSampling()


@cache
def _adm() -> Any:
    """What comfy.model_base.SDXL.encode_adm needs of its model."""
    stub = nn.Module()
    stub.embedder, stub.noise_augmentor = Timestep(256), None
    return stub


def training_forward(
    net: nn.Module, x: Tensor, sigma: Tensor, context: Tensor, pooled: Tensor, *unused: Tensor
) -> Tensor:
    """The noise in x (B, C, H, W) = picture + sigma * noise; no guidance input."""
    sampling, size = model_sampling(), 8 * x.shape[-1]
    y = comfy.model_base.SDXL.encode_adm(_adm(), pooled_output=pooled, width=size, height=size)
    return net(sampling.calculate_input(sigma, x), sampling.timestep(sigma).float(), context=context, y=y)
