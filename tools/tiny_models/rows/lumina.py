"""Lumina 2, Z-Image and their kin."""

from typing import Any

from ..model import TinyModel, randn

LATENT, CONTEXT = (1, 16, 8, 8), (6, 24)
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
OMNI = dict(Z_IMAGE, siglip_feat_dim=20)
PIXEL = dict(
    Z_IMAGE,
    image_model="zimage_pixel",
    patch_size=8,
    in_channels=3,
    decoder_in_channels=3 * 8 * 8,
    decoder_hidden_size=32,
    decoder_num_res_blocks=1,
    decoder_max_freqs=4,
    use_x0=True,
)


def pooled(seed: int) -> dict[str, Any]:
    return {"pooled_output": randn(seed, 1, 16)}


def edited(seed: int) -> dict[str, Any]:
    return {"reference_latents": [randn(7, 1, 16, 4, 8)], "reference_latents_text_embeds": [randn(8, 1, 5, 24)]}


ROWS = (
    TinyModel("Lumina 2", "Lumina2", LUMINA2, LATENT, CONTEXT),
    TinyModel("NewBie", "Lumina2", dict(LUMINA2, clip_text_dim=16), LATENT, CONTEXT, pooled),
    TinyModel("Z-Image", "ZImage", Z_IMAGE, LATENT, CONTEXT),
    TinyModel("Z-Image Omni", "ZImage", OMNI, LATENT, CONTEXT, edited),
    TinyModel("Z-Image, pixel space", "ZImagePixelSpace", PIXEL, (1, 3, 32, 32), CONTEXT),
)
