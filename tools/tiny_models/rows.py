"""The tiny models, one row each, in the order of docs/models.md."""

from typing import Any

import torch

from .model import TinyModel


def flux_extra(seed: int) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(seed)
    return {"pooled_output": torch.randn(1, 16, generator=generator), "guidance": 3.5}


FLUX = dict(
    image_model="flux",
    in_channels=16,
    out_channels=16,
    vec_in_dim=16,
    context_in_dim=24,
    hidden_size=64,
    mlp_ratio=2.0,
    num_heads=2,
    depth=2,
    depth_single_blocks=2,
    axes_dim=[8, 12, 12],
    theta=10000,
    txt_ids_dims=[],
    patch_size=2,
    qkv_bias=True,
    guidance_embed=True,
)

QWEN_IMAGE = dict(
    image_model="qwen_image",
    in_channels=64,
    out_channels=16,
    num_layers=2,
    num_attention_heads=1,
    attention_head_dim=128,
    joint_attention_dim=24,
)

WAN = dict(
    image_model="wan2.1",
    model_type="t2v",
    in_dim=16,
    out_dim=16,
    dim=64,
    ffn_dim=128,
    freq_dim=32,
    text_dim=24,
    num_heads=2,
    num_layers=3,
    patch_size=(1, 2, 2),
)

ROWS = (
    TinyModel("FLUX.1 dev", "Flux", FLUX, (1, 16, 8, 8), (6, 24), flux_extra),
    TinyModel("Qwen-Image", "QwenImage", QWEN_IMAGE, (1, 16, 1, 8, 8), (6, 24)),
    TinyModel("Wan 2.1 T2V", "WAN21_T2V", WAN, (1, 16, 3, 8, 8), (6, 24)),
)
MODELS = {row.name: row for row in ROWS}
