"""Networks that are U-Nets."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..model import TinyModel, randn, vision

LATENT, CONTEXT = (1, 4, 8, 8), (6, 24)
SD15 = dict(
    image_size=32,
    use_checkpoint=False,
    use_spatial_transformer=True,
    legacy=False,
    in_channels=4,
    out_channels=4,
    model_channels=32,
    num_res_blocks=[1, 1],
    channel_mult=[1, 2],
    transformer_depth=[1, 1],
    transformer_depth_output=[1, 1, 1, 1],
    transformer_depth_middle=1,
    use_linear_in_transformer=False,
    context_dim=24,
    adm_in_channels=None,
    use_temporal_attention=False,
    use_temporal_resblock=False,
    num_heads=2,
    num_head_channels=-1,
)
SDXL = dict(
    SD15,
    use_linear_in_transformer=True,
    num_classes="sequential",
    adm_in_channels=16 + 6 * 256,
    num_heads=-1,
    num_head_channels=16,
)
SD21 = dict(SD15, use_linear_in_transformer=True, num_heads=-1, num_head_channels=16)
REFINER = dict(SDXL, adm_in_channels=16 + 5 * 256)
KOALA = dict(SDXL, transformer_depth=[0, 1], transformer_depth_output=[0, 0, 1, 1], transformer_depth_middle=-2)
VEGA = dict(SDXL, transformer_depth=[0, 1], transformer_depth_output=[0, 0, 1, 1], transformer_depth_middle=-1)
LOTUS = dict(SD21, num_classes="sequential", adm_in_channels=4)
X4 = dict(SD21, in_channels=7, disable_self_attentions=[True, False], num_classes=1000)
SVD = dict(
    VEGA,
    in_channels=8,
    adm_in_channels=3 * 256,
    extra_ff_mix_layer=True,
    use_spatial_context=True,
    merge_strategy="learned_with_images",
    merge_factor=0.0,
    video_kernel_size=[3, 1, 1],
    use_temporal_resblock=True,
    use_temporal_attention=True,
    disable_temporal_crossattention=False,
)
SV3D_P = dict(SVD, adm_in_channels=256 + 2 * 512)
CASCADE_C = dict(
    stable_cascade_stage="c",
    c_cond=32,
    c_hidden=[32, 32],
    nhead=[2, 2],
    blocks=[[1, 1], [1, 1]],
    c_clip_text=24,
    c_clip_text_pooled=16,
    c_clip_img=768,
)
CASCADE_B = dict(
    stable_cascade_stage="b",
    c_cond=32,
    c_hidden=[32, 32],
    nhead=[-1, 2],
    blocks=[[1, 1], [1, 1]],
    block_repeat=[[1, 1], [1, 1]],
    level_config=["CT", "CTA"],
    dropout=[0.0, 0.0],
    c_clip=16,
)


def pooled(seed: int) -> dict[str, Any]:
    return {"pooled_output": randn(seed, 1, 16)}


def edited(seed: int) -> dict[str, Any]:
    return {"concat_latent_image": randn(7, *LATENT)}


def edited_xl(seed: int) -> dict[str, Any]:
    return {**pooled(seed), **edited(seed)}


def inpainted(seed: int) -> dict[str, Any]:
    return {**edited(seed), "concat_mask": (randn(8, 1, 1, 8, 8) > 0.0).float()}


def unclip(channels: int) -> Callable[[int], dict[str, Any]]:
    def extra(seed: int) -> dict[str, Any]:
        seen = vision(image_embeds=randn(seed + 100, 1, channels))
        return {"unclip_conditioning": [{"clip_vision_output": seen, "strength": 1.0, "noise_augmentation": 0.1}]}

    return extra


def upscaled(seed: int) -> dict[str, Any]:
    return {"concat_image": randn(7, 1, 3, 8, 8), "noise_augmentation": 0.2}


def orbit(seed: int) -> dict[str, Any]:
    return {**edited(seed), "elevation": [10.0, 10.0, 10.0], "azimuth": [0.0, 120.0, 240.0]}


def prior(seed: int) -> dict[str, Any]:
    return {**pooled(seed), "stable_cascade_prior": randn(7, 1, 16, 2, 2)}


def v_prediction21() -> dict[str, Tensor]:
    """By what the host tells SD 2.1 for 768 pixels from the one for 512."""
    return {"output_blocks.11.1.transformer_blocks.0.norm1.bias": randn(0, 64)}


def sdxl(name: str, **keys: Tensor) -> TinyModel:
    """SDXL as the host takes it for, from keys in the checkpoint."""
    return TinyModel(name, "SDXL", SDXL, LATENT, CONTEXT, pooled, checkpoint=lambda: dict(keys))


def zero123() -> dict[str, Tensor]:
    return {"cc_projection.weight": randn(0, 24, 28) / 28**0.5, "cc_projection.bias": 0.1 * randn(1, 24)}


ROWS = (
    TinyModel("SD 1.5", "SD15", SD15, LATENT, CONTEXT),
    TinyModel("SD 1.5 inpainting", "SD15", dict(SD15, in_channels=9), LATENT, CONTEXT, inpainted),
    TinyModel("InstructPix2Pix", "SD15_instructpix2pix", dict(SD15, in_channels=8), LATENT, CONTEXT, edited),
    TinyModel("SD 2.1", "SD20", SD21, LATENT, CONTEXT, checkpoint=v_prediction21),
    TinyModel(
        "SD 2.1 unCLIP L",
        "SD21UnclipL",
        dict(SD21, num_classes="sequential", adm_in_channels=1536),
        LATENT,
        CONTEXT,
        unclip(768),
        checkpoint=v_prediction21,
    ),
    TinyModel(
        "SD 2.1 unCLIP H",
        "SD21UnclipH",
        dict(SD21, num_classes="sequential", adm_in_channels=2048),
        LATENT,
        CONTEXT,
        unclip(1024),
        checkpoint=v_prediction21,
    ),
    TinyModel("SD x4 upscaler", "SD_X4Upscaler", X4, LATENT, CONTEXT, upscaled),
    TinyModel("Lotus", "LotusD", LOTUS, LATENT, CONTEXT, picture=True),
    TinyModel("Zero123", "Stable_Zero123", dict(SD15, in_channels=8), LATENT, (1, 28), edited, checkpoint=zero123),
    sdxl("SDXL"),
    sdxl("SDXL v-prediction", v_pred=torch.tensor([]), ztsnr=torch.tensor([])),
    sdxl("CosXL", **{"edm_vpred.sigma_max": torch.tensor(120.0)}),
    sdxl("Playground 2.5", edm_mean=torch.tensor([0.0]), edm_std=torch.tensor([1.0])),
    TinyModel("CosXL Edit", "SDXL_instructpix2pix", dict(SDXL, in_channels=8), LATENT, CONTEXT, edited_xl),
    TinyModel("SDXL refiner", "SDXLRefiner", REFINER, LATENT, CONTEXT, pooled),
    TinyModel("SSD-1B", "SSD1B", VEGA, LATENT, CONTEXT, pooled),
    TinyModel("Segmind Vega", "Segmind_Vega", VEGA, LATENT, CONTEXT, pooled),
    TinyModel("KOALA 700M", "KOALA_700M", KOALA, LATENT, CONTEXT, pooled),
    TinyModel("KOALA 1B", "KOALA_1B", KOALA, LATENT, CONTEXT, pooled),
    TinyModel("SVD", "SVD_img2vid", SVD, (3, 4, 8, 8), (1, 24), edited),
    TinyModel("SV3D u", "SV3D_u", dict(SVD, adm_in_channels=256), (3, 4, 8, 8), (1, 24), edited),
    TinyModel("SV3D p", "SV3D_p", SV3D_P, (3, 4, 8, 8), (1, 24), orbit),
    TinyModel("Stable Cascade C", "Stable_Cascade_C", CASCADE_C, (1, 16, 8, 8), CONTEXT, pooled),
    TinyModel("Stable Cascade B", "Stable_Cascade_B", CASCADE_B, (1, 4, 16, 16), CONTEXT, prior),
)
