"""Image transformers that are no Flux and no Qwen-Image."""

from typing import Any

from ..model import TinyModel, randn

LATENT, CONTEXT = (1, 16, 8, 8), (6, 24)
SD3 = dict(
    in_channels=16,
    out_channels=16,
    patch_size=2,
    depth=2,
    mlp_ratio=2.0,
    input_size=None,
    adm_in_channels=16,
    context_embedder_config={"target": "torch.nn.Linear", "params": {"in_features": 24, "out_features": 128}},
    num_patches=64,
    pos_embed_max_size=8,
    pos_embed_scaling_factor=None,
)
LUMINA2 = dict(
    image_model="lumina2",
    patch_size=2,
    in_channels=16,
    dim=64,
    cap_feat_dim=24,
    n_layers=2,
    n_refiner_layers=1,
    qk_norm=True,
    n_heads=2,
    n_kv_heads=1,
    axes_dims=[8, 12, 12],
    axes_lens=[300, 512, 512],
    rope_theta=10000.0,
    ffn_dim_multiplier=1.0,
    multiple_of=32,
)
Z_IMAGE = dict(
    LUMINA2,
    dim=256,
    n_heads=8,
    n_kv_heads=8,
    rope_theta=256.0,
    z_image_modulation=True,
    time_scale=1000.0,
    pad_tokens_multiple=32,
)
HIDREAM = dict(
    image_model="hidream",
    attention_head_dim=32,
    axes_dims_rope=[16, 8, 8],
    caption_channels=[24, 20],
    max_resolution=[128, 128],
    in_channels=16,
    llama_layers=[0, 1, 1, 1],
    num_attention_heads=2,
    num_routed_experts=4,
    num_activated_experts=2,
    num_layers=2,
    num_single_layers=2,
    out_channels=16,
    patch_size=2,
    text_emb_dim=16,
)


def pooled(seed: int) -> dict[str, Any]:
    return {"pooled_output": randn(seed, 1, 16)}


def hidream(seed: int) -> dict[str, Any]:
    return {**pooled(seed), "conditioning_llama3": randn(seed + 100, 1, 2, 6, 20)}


ROWS = (
    TinyModel("SD3", "SD3", SD3, LATENT, CONTEXT, pooled),
    TinyModel("SD3.5 medium", "SD3", dict(SD3, qk_norm="rms", x_block_self_attn_layers=[0]), LATENT, CONTEXT, pooled),
    TinyModel("Lumina 2", "Lumina2", LUMINA2, LATENT, CONTEXT),
    TinyModel("Z-Image", "ZImage", Z_IMAGE, LATENT, CONTEXT),
    TinyModel("HiDream-I1", "HiDream", HIDREAM, LATENT, CONTEXT, hidream),
)
