"""Image transformers that are no Flux and no Qwen-Image."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..model import TinyModel, randn

LATENT, CONTEXT = (1, 16, 8, 8), (6, 24)
VIDEO_LATENT = (1, 16, 1, 8, 8)  # of image models with the VAE of Wan
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

AURA = dict(
    in_channels=4,
    out_channels=4,
    dim=64,
    n_layers=4,
    n_double_layers=2,
    n_heads=2,
    global_conddim=64,
    cond_seq_dim=24,
    max_seq=64,
)
PIXART = dict(
    image_model="pixart_alpha",
    in_channels=4,
    hidden_size=48,
    depth=2,
    num_heads=2,
    mlp_ratio=2.0,
    caption_channels=24,
    model_max_length=6,
    micro_condition=True,
)
PIXART_LATENT = (1, 4, 4, 64)  # the host divides by the mean of both sides / 64, rounded
HUNYUAN_DIT = dict(
    image_model="hydit",
    hidden_size=64,
    depth=4,
    num_heads=2,
    mlp_ratio=2.0,
    text_states_dim=24,
    text_states_dim_t5=16,
    text_len=6,
    text_len_t5=8,
)
OMNIGEN2 = dict(
    image_model="omnigen2",
    patch_size=2,
    in_channels=16,
    hidden_size=64,
    num_layers=2,
    num_refiner_layers=1,
    num_attention_heads=2,
    num_kv_heads=1,
    multiple_of=32,
    axes_dim_rope=[8, 12, 12],
    axes_lens=[1024, 1664, 1664],
    text_feat_dim=24,
    timestep_scale=1000.0,
)
BOOGU = dict(
    {key: value for key, value in OMNIGEN2.items() if key != "text_feat_dim"},
    image_model="boogu",
    num_double_stream_layers=2,
    instruction_feat_dim=24,
)
IDEOGRAM4 = dict(
    image_model="ideogram4",
    in_channels=128,
    num_layers=2,
    num_attention_heads=2,
    attention_head_dim=32,
    intermediate_size=128,
    adaln_dim=32,
    llm_features_dim=24,
    mrope_section=[6, 5, 5],
)
KREA2 = dict(
    image_model="krea2",
    features=64,
    txtdim=16,
    heads=2,
    kvheads=1,
    multiplier=2,
    layers=2,
    patch=2,
    channels=16,
    txtlayers=2,
    txtheads=2,
    txtkvheads=2,
)
MAGE_FLOW = dict(
    image_model="mage_flow",
    in_channels=128,
    num_layers=2,
    attention_head_dim=32,
    num_attention_heads=2,
    joint_attention_dim=24,
    axes_dims_rope=(8, 12, 12),
)
JOY_IMAGE = dict(
    image_model="joyimage",
    patch_size=[1, 2, 2],
    in_channels=16,
    hidden_size=64,
    num_attention_heads=2,
    text_dim=24,
    mlp_width_ratio=2.0,
    num_layers=2,
    rope_dim_list=[8, 12, 12],
)
ERNIE = dict(
    image_model="ernie",
    hidden_size=64,
    num_attention_heads=2,
    num_layers=2,
    ffn_hidden_size=128,
    text_in_dim=24,
    rope_axes_dim=(8, 12, 12),
)


def pooled(seed: int) -> dict[str, Any]:
    return {"pooled_output": randn(seed, 1, 16)}


def hidream(seed: int) -> dict[str, Any]:
    return {**pooled(seed), "conditioning_llama3": randn(seed + 100, 1, 2, 6, 20)}


def hunyuan_dit(seed: int) -> dict[str, Any]:
    return {
        "attention_mask": torch.tensor([[1, 1, 1, 1, 1, 0]]),
        "conditioning_mt5xl": randn(seed + 100, 1, 8, 16),
        "attention_mask_mt5xl": torch.tensor([[1, 1, 1, 1, 1, 1, 0, 0]]),
    }


def attention_mask(seed: int) -> dict[str, Any]:
    return {"attention_mask": torch.ones(1, CONTEXT[0], dtype=torch.long)}


def edited(seed: int) -> dict[str, Any]:
    return {**attention_mask(seed), "reference_latents": [randn(7, 1, 16, 4, 8), randn(8, 1, 16, 4, 4)]}


def wide(*references: Tensor, **options: Any) -> Callable[[int], dict[str, Any]]:
    return lambda seed: {"reference_latents": list(references), **options}


ROWS = (
    TinyModel("SD3", "SD3", SD3, LATENT, CONTEXT, pooled),
    TinyModel("SD3.5 medium", "SD3", dict(SD3, qk_norm="rms", x_block_self_attn_layers=[0]), LATENT, CONTEXT, pooled),
    TinyModel("AuraFlow", "AuraFlow", AURA, (1, 4, 8, 8), CONTEXT),
    TinyModel("PixArt alpha", "PixArtAlpha", PIXART, PIXART_LATENT, CONTEXT),
    TinyModel(
        "PixArt sigma",
        "PixArtSigma",
        dict(PIXART, image_model="pixart_sigma", micro_condition=False),
        PIXART_LATENT,
        CONTEXT,
    ),
    TinyModel("HunyuanDiT", "HunyuanDiT", HUNYUAN_DIT, (1, 4, 8, 8), CONTEXT, hunyuan_dit),
    TinyModel(
        "HunyuanDiT 1.1",
        "HunyuanDiT1",
        dict(HUNYUAN_DIT, image_model="hydit1", size_cond=True, use_style_cond=True),
        (1, 4, 8, 8),
        CONTEXT,
        hunyuan_dit,
    ),
    TinyModel("HiDream-I1", "HiDream", HIDREAM, LATENT, CONTEXT, hidream),
    TinyModel(
        "HiDream-E1",
        "HiDream",
        HIDREAM,
        LATENT,
        CONTEXT,
        lambda seed: {**hidream(seed), "concat_latent_image": randn(7, *LATENT)},
    ),
    TinyModel("OmniGen2", "Omnigen2", OMNIGEN2, LATENT, CONTEXT, attention_mask),
    TinyModel("OmniGen2, editing", "Omnigen2", OMNIGEN2, LATENT, CONTEXT, edited),
    TinyModel("Boogu", "Boogu", BOOGU, LATENT, CONTEXT, attention_mask),
    TinyModel("Boogu, editing", "Boogu", BOOGU, LATENT, CONTEXT, edited),
    TinyModel("Ideogram 4", "Ideogram4", IDEOGRAM4, (1, 128, 4, 4), CONTEXT),
    TinyModel("Krea 2", "Krea2", KREA2, VIDEO_LATENT, (6, 32)),
    TinyModel(
        "Krea 2, editing",
        "Krea2",
        KREA2,
        VIDEO_LATENT,
        (6, 32),
        wide(randn(7, 1, 16, 1, 4, 8), reference_latents_method="index_timestep_zero"),
    ),
    TinyModel("Mage-Flow", "MageFlow", MAGE_FLOW, (1, 128, 4, 4), CONTEXT),
    TinyModel("Mage-Flow, editing", "MageFlow", MAGE_FLOW, (1, 128, 4, 4), CONTEXT, wide(randn(7, 1, 128, 2, 4))),
    TinyModel("JoyImage", "JoyImage", JOY_IMAGE, VIDEO_LATENT, CONTEXT),
    TinyModel("JoyImage, editing", "JoyImage", JOY_IMAGE, VIDEO_LATENT, CONTEXT, wide(randn(7, 1, 16, 1, 4, 8))),
    TinyModel("ERNIE-Image", "ErnieImage", ERNIE, (1, 128, 4, 4), CONTEXT),
)
