"""Qwen-Image."""

from collections.abc import Callable
from typing import Any

from ..model import TinyModel, randn

LATENT, CONTEXT = (1, 16, 1, 8, 8), (6, 24)
QWEN_IMAGE = dict(
    image_model="qwen_image",
    in_channels=64,
    out_channels=16,
    num_layers=2,
    num_attention_heads=1,
    attention_head_dim=128,
    joint_attention_dim=24,
)


def edit(**options: Any) -> Callable[[int], dict[str, Any]]:
    return lambda seed: {"reference_latents": [randn(7, 1, 16, 1, 4, 8), randn(8, 1, 16, 1, 4, 4)], **options}


ROWS = (
    TinyModel("Qwen-Image", "QwenImage", QWEN_IMAGE, LATENT, CONTEXT),
    TinyModel("Qwen-Image-Edit", "QwenImage", QWEN_IMAGE, LATENT, CONTEXT, edit()),
    TinyModel(
        "Qwen-Image-Edit 2509, index_timestep_zero",
        "QwenImage",
        QWEN_IMAGE,
        LATENT,
        CONTEXT,
        edit(reference_latents_method="index_timestep_zero"),
    ),
    TinyModel(
        "Qwen-Image-Edit 2511",
        "QwenImage",
        dict(QWEN_IMAGE, default_ref_method="index_timestep_zero"),
        LATENT,
        CONTEXT,
        edit(),
    ),
    TinyModel(
        "Qwen-Image-Layered",
        "QwenImage",
        dict(QWEN_IMAGE, use_additional_t_cond=True, default_ref_method="negative_index"),
        (1, 16, 3, 8, 8),
        CONTEXT,
        edit(),
    ),
)
