"""The small Qwen-Image: the host's own network at a small size, trained through the host's own forward."""

import torch
from torch import Tensor, nn

from . import host  # noqa: F401  first: makes `comfy` importable

import comfy.ops  # isort: skip
from comfy.ldm.qwen_image.model import QwenImageTransformer2DModel  # isort: skip

from .initialise import initialise
from .latents import CHANNELS
from .pictures import CODE_DIM

CONFIG = dict(  # the host does not detect this size from a checkpoint: sampling.load_qwen_image builds it from here
    image_model="qwen_image",
    in_channels=CHANNELS * 4,  # patches of 2x2
    out_channels=CHANNELS,
    num_layers=5,
    num_attention_heads=1,
    attention_head_dim=128,
    joint_attention_dim=CODE_DIM,
)


def build_qwen_image(seed: int) -> QwenImageTransformer2DModel:
    """A float32 small Qwen-Image: Xavier weights, zero modulation and zero last layers (adaLN-Zero)."""
    torch.manual_seed(seed)
    net = QwenImageTransformer2DModel(
        **CONFIG, dtype=torch.float32, device="cpu", operations=comfy.ops.disable_weight_init
    )
    initialise(net, lambda name: "_mod." in name or name.startswith(("norm_out", "proj_out")))
    return net


def training_forward(net: nn.Module, x: Tensor, sigma: Tensor, context: Tensor, *unused: Tensor) -> Tensor:
    """The velocity for latents x (B, C, H, W) at noise levels sigma (B,); no pooled output and no guidance input."""
    return net(x[:, :, None], sigma, context)[:, :, 0]
