"""Networks that work on pixels."""

from typing import Any

import torch

from ..model import TinyModel, randn

CONTEXT = (6, 24)
PIXELDIT = dict(
    image_model="pixeldit_t2i",
    num_groups=2,
    hidden_size=64,
    pixel_hidden_size=8,
    pixel_attn_hidden_size=32,
    pixel_num_groups=2,
    patch_depth=2,
    pixel_depth=1,
    patch_size=16,
    txt_embed_dim=24,
    txt_max_length=8,
)
PID = dict(PIXELDIT, image_model="pid", lq_latent_channels=16, lq_hidden_dim=16, lq_num_res_blocks=1, lq_interval=2)
PID15 = dict(
    PID,
    lq_conv_padding_mode="replicate",
    lq_gate_per_token=True,
    pit_lq_inject=True,
    rope_ref_h=2048,
    rope_ref_w=2048,
)
HIDREAM_O1 = dict(
    image_model="hidream_o1",
    text_config_overrides=dict(
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=32,
        rope_dims=[6, 5, 5],
    ),
    vision_config_overrides=dict(hidden_size=32, num_heads=2, intermediate_size=64, depth=1),
)
BEFORE_NOISE = 151673  # the token that carries the noise level


def upscaled(seed: int) -> dict[str, Any]:
    return {"lq_latent": randn(7, 1, 16, 1, 1), "degrade_sigma": torch.tensor([0.1])}


def tokens(seed: int) -> dict[str, Any]:
    text = torch.randint(0, 1000, (1, 7), generator=torch.Generator().manual_seed(seed))
    return {"text_input_ids": torch.cat((text, torch.tensor([[BEFORE_NOISE]])), dim=1)}


ROWS = (
    TinyModel("PixelDiT", "PixelDiTT2I", PIXELDIT, (1, 3, 32, 32), CONTEXT),
    TinyModel("PiD", "PiD", PID, (1, 3, 32, 32), CONTEXT, upscaled),
    TinyModel("PiD 1.5", "PiD", PID15, (1, 3, 32, 32), CONTEXT, upscaled, since="0.30"),  # before: other options
    TinyModel("HiDream-O1", "HiDreamO1", HIDREAM_O1, (1, 3, 64, 64), CONTEXT, tokens),
)
