"""Video networks that are no Wan and no Hunyuan."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ..model import TinyModel, randn

import comfy.ops  # isort: skip
from comfy.ldm.anima.model import LLMAdapter  # isort: skip

CONTEXT = (6, 24)
AUDIO_VIDEO = (1, 16, 3, 4, 4), (1, 8, 6, 16)
MOCHI = dict(
    image_model="mochi_preview",
    depth=2,
    patch_size=2,
    num_heads=2,
    hidden_size_x=64,
    hidden_size_y=32,
    mlp_ratio_x=12288 / 64,  # the host insists on 12288
    mlp_ratio_y=2.0,
    learn_sigma=False,
    in_channels=12,
    qk_norm=True,
    qkv_bias=False,
    out_bias=True,
    patch_embed_bias=True,
    posenc_preserve_area=True,
    timestep_mlp_bias=True,
    attend_to_padding=False,
    timestep_scale=1000.0,
    use_t5=True,
    t5_feat_dim=64,
    t5_token_length=6,
)
LTXV = dict(
    image_model="ltxv",
    in_channels=16,
    cross_attention_dim=64,
    attention_head_dim=32,
    num_attention_heads=2,
    caption_channels=24,
    num_layers=2,
)
COSMOS = dict(
    image_model="cosmos",
    max_img_h=240,
    max_img_w=240,
    max_frames=128,
    in_channels=16,
    out_channels=16,
    patch_spatial=2,
    patch_temporal=1,
    model_channels=64,
    block_config="FA-CA-MLP",
    concat_padding_mask=True,
    pos_emb_cls="rope3d",
    pos_emb_learnable=False,
    pos_emb_interpolation="crop",
    block_x_format="THWBD",
    affline_emb_norm=True,
    use_adaln_lora=True,
    adaln_lora_dim=16,
    num_blocks=2,
    num_heads=2,
    crossattn_emb_channels=24,
    extra_per_block_abs_pos_emb=True,
    extra_per_block_abs_pos_emb_type="learnable",
)
PREDICT2 = dict(
    image_model="cosmos_predict2",
    max_img_h=240,
    max_img_w=240,
    max_frames=128,
    in_channels=16,
    out_channels=16,
    patch_spatial=2,
    patch_temporal=1,
    model_channels=64,
    concat_padding_mask=True,
    crossattn_emb_channels=24,
    pos_emb_cls="rope3d",
    pos_emb_learnable=True,
    pos_emb_interpolation="crop",
    use_adaln_lora=True,
    adaln_lora_dim=16,
    num_blocks=2,
    num_heads=2,
    extra_per_block_abs_pos_emb=False,
    rope_enable_fps_modulation=False,
)
KANDINSKY5 = dict(
    image_model="kandinsky5",
    model_dim=64,
    time_dim=32,
    ff_dim=128,
    visual_embed_dim=132,
    in_text_dim=24,
    in_text_dim2=16,
    num_text_blocks=1,
    num_visual_blocks=2,
    axes_dims=(8, 12, 12),
)
SEEDVR2 = dict(
    image_model="seedvr2",
    vid_dim=64,
    txt_in_dim=24,
    heads=2,
    head_dim=32,
    rope_dim=32,
    num_layers=2,
    mm_layers=1,
    expand_ratio=2,
    norm_eps=1e-5,
    mlp_type="swiglu",
    vid_out_norm=True,
)

LTXAV = dict(
    LTXV,
    image_model="ltxav",
    audio_in_channels=128,
    audio_cross_attention_dim=32,
    audio_attention_head_dim=16,
    audio_num_attention_heads=2,
    connector_attention_head_dim=12,
    connector_num_attention_heads=2,
    connector_num_layers=1,
    audio_positional_embedding_max_pos=[20],
)
LTX23 = dict(LTXAV, apply_gated_attention=True, cross_attention_adaln=True)
MINIMAX = dict(
    image_model="minimax_h3",
    hidden_size=64,
    num_layers=2,
    token_refiner_num_layers=1,
    num_attention_heads=2,
    attention_head_dim=32,
    ffn_hidden_size=128,
    latents_dim=16,
    audio_latents_dim=16,
    text_dim=24,
    timestep_input_dim=32,
    time_embed_hidden_size=64,
    time_embed_dim=32,
    rope_inv_freq_len=4,
)
ANIMA = dict(PREDICT2, image_model="anima")
COGVIDEOX = dict(
    image_model="cogvideox",
    num_attention_heads=3,
    attention_head_dim=32,
    time_embed_dim=32,
    num_layers=2,
    in_channels=16,
    patch_size=2,
    text_embed_dim=24,
    sample_width=8,
    sample_height=8,
    sample_frames=9,
    max_text_seq_length=6,
    use_rotary_positional_embeddings=True,
    use_learned_positional_embeddings=False,
)
COGVIDEOX_2B = dict(COGVIDEOX, use_rotary_positional_embeddings=False, use_learned_positional_embeddings=True)


def attention_mask(seed: int) -> dict[str, Any]:
    return {"attention_mask": torch.ones(1, CONTEXT[0], dtype=torch.long)}


def kept_frame(seed: int) -> dict[str, Any]:
    mask = torch.ones(1, 1, 3, 8, 8)
    mask[:, :, 0] = 0.0
    return {"concat_mask": mask}


def pooled(seed: int) -> dict[str, Any]:
    return {"pooled_output": randn(seed, 1, 16)}


def small_adapter(network: nn.Module) -> None:
    small = dict(source_dim=24, target_dim=24, model_dim=32, num_layers=1, num_heads=2)
    network.llm_adapter = LLMAdapter(**small, dtype=network.dtype, operations=comfy.ops.manual_cast).eval()


def t5_tokens(seed: int) -> dict[str, Any]:
    ids = torch.randint(0, 32128, (7,), generator=torch.Generator().manual_seed(seed))
    return {"t5xxl_ids": ids, "t5xxl_weights": torch.ones(7)}


def latent_picture(channels: int, frames: int) -> Callable[[int], dict[str, Any]]:
    return lambda seed: {"concat_latent_image": randn(7, 1, channels, frames, 8, 8)}


ROWS = (
    TinyModel("Mochi", "GenmoMochi", MOCHI, (1, 12, 2, 8, 8), (6, 64), attention_mask),
    TinyModel("LTX-Video", "LTXV", LTXV, (1, 16, 3, 4, 4), CONTEXT, attention_mask),
    TinyModel("Cosmos T2V", "CosmosT2V", COSMOS, (1, 16, 3, 8, 8), CONTEXT),
    TinyModel("Cosmos I2V", "CosmosI2V", dict(COSMOS, in_channels=17), (1, 16, 3, 8, 8), CONTEXT, kept_frame),
    TinyModel("Cosmos-Predict2 T2I", "CosmosT2IPredict2", PREDICT2, (1, 16, 1, 8, 8), CONTEXT),
    TinyModel(
        "Cosmos-Predict2 I2V",
        "CosmosI2VPredict2",
        dict(PREDICT2, in_channels=17, extra_per_block_abs_pos_emb=True, rope_enable_fps_modulation=True),
        (1, 16, 3, 8, 8),
        CONTEXT,
        lambda seed: {**kept_frame(seed), "frame_rate": 16},
    ),
    TinyModel("Kandinsky 5 T2V", "Kandinsky5", KANDINSKY5, (1, 16, 3, 8, 8), CONTEXT, pooled),
    TinyModel(
        "Kandinsky 5 T2I", "Kandinsky5Image", dict(KANDINSKY5, visual_embed_dim=64), (1, 16, 8, 8), CONTEXT, pooled
    ),
    TinyModel(
        "SeedVR2", "SeedVR2", SEEDVR2, (1, 16, 3, 8, 8), CONTEXT, lambda seed: {"condition": randn(7, 1, 17, 3, 8, 8)}
    ),
    TinyModel("LTX-2", "LTXAV", LTXAV, AUDIO_VIDEO, (6, 48)),
    TinyModel("LTX-2.3", "LTXAV", LTX23, AUDIO_VIDEO, (256, 24)),
    TinyModel("MiniMax H3", "MiniMaxH3", MINIMAX, ((1, 16, 2, 4, 4), (1, 16, 2, 5)), CONTEXT),
    TinyModel("Anima", "Anima", ANIMA, (1, 16, 1, 8, 8), CONTEXT, t5_tokens, setup=small_adapter),
    TinyModel("CogVideoX 2B", "CogVideoX_T2V", COGVIDEOX_2B, (1, 16, 3, 8, 8), CONTEXT),
    TinyModel("CogVideoX 5B", "CogVideoX_T2V", COGVIDEOX, (1, 16, 3, 8, 8), CONTEXT),
    TinyModel(
        "CogVideoX 1.5 I2V",
        "CogVideoX_I2V",
        dict(COGVIDEOX, in_channels=32, patch_size_t=2, ofs_embed_dim=32),
        (1, 16, 4, 8, 8),
        CONTEXT,
        latent_picture(16, 1),
    ),
    TinyModel(
        "CogVideoX inpainting",
        "CogVideoX_Inpaint",
        dict(COGVIDEOX, in_channels=48),
        (1, 16, 3, 8, 8),
        CONTEXT,
        latent_picture(32, 3),
    ),
)
