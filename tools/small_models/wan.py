"""The small Wan: the host's own video network at a small size, trained through the host's own forward."""

import torch
from torch import Tensor, nn

from . import host  # noqa: F401  first: makes `comfy` importable

import comfy.ops  # isort: skip
from comfy.ldm.wan.model import WanModel  # isort: skip

from .initialise import initialise
from .latents import CHANNELS
from .pictures import CODE_DIM

SIDE = 8  # latent cells
CONFIG = dict(  # sampling.load_wan builds it from here
    image_model="wan2.1",
    model_type="t2v",
    in_dim=CHANNELS,
    out_dim=CHANNELS,
    dim=128,
    ffn_dim=512,
    freq_dim=256,
    text_dim=CODE_DIM,
    num_heads=2,
    num_layers=5,
    patch_size=(1, 2, 2),
)
ZERO = ("modulation", "head.head.weight", "time_projection.1.weight")


def build_wan(seed: int) -> WanModel:
    """A float32 small Wan: Xavier weights, zero modulation and zero last layer (adaLN-Zero)."""
    torch.manual_seed(seed)
    net = WanModel(**CONFIG, dtype=torch.float32, device="cpu", operations=comfy.ops.disable_weight_init)
    initialise(net, lambda name: name.endswith(ZERO))
    return net


def training_forward(net: nn.Module, x: Tensor, sigma: Tensor, context: Tensor, *unused: Tensor) -> Tensor:
    """The velocity for latents x (B, C, T, H, W) at noise levels sigma (B,); no pooled output and no guidance input."""
    return net(x, 1000.0 * sigma, context)
