"""HunyuanVideo and HunyuanImage."""

from typing import Any

import torch
from torch import nn

from ..model import TinyModel, randn, vision

import comfy.ops  # isort: skip
from comfy.ldm.hunyuan_video.model import ByT5Mapper  # isort: skip

VIDEO = dict(
    image_model="hunyuan_video",
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
    theta=256,
    patch_size=[1, 2, 2],
    qkv_bias=True,
    guidance_embed=True,
    byt5=False,
    meanflow=False,
    use_cond_type_embedding=False,
    vision_in_dim=None,
    meanflow_sum=False,
)
VIDEO15 = dict(
    VIDEO,
    in_channels=32 + 32 + 1,
    out_channels=32,
    vec_in_dim=None,
    patch_size=[1, 1, 1],
    guidance_embed=False,
    byt5=True,
    use_cond_type_embedding=True,
    vision_in_dim=20,
    meanflow_sum=True,
)
IMAGE = dict(
    VIDEO,
    in_channels=64,
    out_channels=64,
    vec_in_dim=None,
    axes_dim=[16, 16],
    patch_size=[1, 1],
    guidance_embed=False,
    byt5=True,
)
REFINER = dict(VIDEO, in_channels=64 + 64, out_channels=64, vec_in_dim=None, patch_size=[1, 1, 1], guidance_embed=False)
LATENT, CONTEXT = (1, 16, 3, 8, 8), (6, 24)
LATENT15 = (1, 32, 3, 4, 4)


def pooled(seed: int) -> dict[str, Any]:
    return {"pooled_output": randn(seed, 1, 16), "guidance": 6.0}


def after_first_frame(frames: int, size: int) -> torch.Tensor:
    mask = torch.ones(1, 1, frames, size, size)
    mask[:, :, 0] = 0.0
    return mask


def first_frame(seed: int) -> dict[str, Any]:
    return {**pooled(seed), "concat_latent_image": randn(7, *LATENT), "concat_mask": after_first_frame(3, 8)}


def replaced_frame(seed: int) -> dict[str, Any]:
    return {**pooled(seed), "guiding_frame_index": 0}


def small_byt5(network: nn.Module) -> None:
    network.byt5_in = ByT5Mapper(
        in_dim=12,
        out_dim=16,
        hidden_dim=16,
        out_dim1=64,
        use_res=False,
        dtype=network.dtype,
        operations=comfy.ops.manual_cast,
    ).eval()


def byt5(seed: int) -> dict[str, Any]:
    return {"conditioning_byt5small": randn(seed + 100, 1, 5, 12)}


def video15_i2v(seed: int) -> dict[str, Any]:
    return {
        **byt5(seed),
        "clip_vision_output": vision(last_hidden_state=randn(9, 1, 5, 20)),
        "concat_latent_image": randn(7, *LATENT15),
        "concat_mask": after_first_frame(3, 4),
    }


def upscaled(seed: int) -> dict[str, Any]:
    return {**byt5(seed), "concat_latent_image": randn(7, 1, 66, 3, 4, 4), "noise_augmentation": 0.7}


def refined(seed: int) -> dict[str, Any]:
    return {"concat_latent_image": randn(7, 1, 32, 1, 4, 4)}  # the host makes 64 channels of it


ROWS = (
    TinyModel("HunyuanVideo T2V", "HunyuanVideo", VIDEO, LATENT, CONTEXT, pooled),
    TinyModel("HunyuanVideo I2V", "HunyuanVideoI2V", dict(VIDEO, in_channels=33), LATENT, CONTEXT, first_frame),
    TinyModel("HunyuanVideo I2V v2", "HunyuanVideo", VIDEO, LATENT, CONTEXT, replaced_frame),
    TinyModel("SkyReels I2V", "HunyuanVideoSkyreelsI2V", dict(VIDEO, in_channels=32), LATENT, CONTEXT, first_frame),
    TinyModel("HunyuanVideo 1.5 T2V", "HunyuanVideo15", VIDEO15, LATENT15, CONTEXT, byt5, setup=small_byt5),
    TinyModel("HunyuanVideo 1.5 I2V", "HunyuanVideo15", VIDEO15, LATENT15, CONTEXT, video15_i2v, setup=small_byt5),
    TinyModel(
        "HunyuanVideo 1.5 SR",
        "HunyuanVideo15_SR_Distilled",
        dict(VIDEO15, in_channels=98, meanflow=True),
        LATENT15,
        CONTEXT,
        upscaled,
        setup=small_byt5,
    ),
    TinyModel("HunyuanImage 2.1", "HunyuanImage21", IMAGE, (1, 64, 4, 4), CONTEXT, byt5, setup=small_byt5),
    TinyModel(
        "HunyuanImage 2.1 distilled",
        "HunyuanImage21",
        dict(IMAGE, meanflow=True, guidance_embed=True),
        (1, 64, 4, 4),
        CONTEXT,
        byt5,
        setup=small_byt5,
    ),
    TinyModel("HunyuanImage 2.1 refiner", "HunyuanImage21Refiner", REFINER, (1, 64, 1, 4, 4), CONTEXT, refined),
)
