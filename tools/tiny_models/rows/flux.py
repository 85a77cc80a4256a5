"""FLUX.1, FLUX.2 and the networks made of their blocks."""

from typing import Any

from ..model import TinyModel, randn

from comfy.ldm.chroma_radiance.model import ChromaRadianceParams  # isort: skip

LATENT, CONTEXT = (1, 16, 8, 8), (6, 24)
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
SCHNELL = dict(FLUX, guidance_embed=False)
FLUX2 = dict(
    FLUX,
    image_model="flux2",
    in_channels=128,
    out_channels=128,
    vec_in_dim=None,
    axes_dim=[8, 8, 8, 8],
    theta=2000,
    txt_ids_dims=[3],
    patch_size=1,
    qkv_bias=False,
    global_modulation=True,
    mlp_silu_act=True,
    ops_bias=False,
    default_ref_method="index",
    ref_index_scale=10.0,
)
CHROMA = dict(
    {key: value for key, value in FLUX.items() if key != "guidance_embed"},
    image_model="chroma",
    in_channels=64,
    out_channels=64,
    vec_in_dim=None,
    in_dim=64,
    out_dim=64,
    hidden_dim=64,
    n_layers=2,
)
RADIANCE = dict(
    CHROMA,
    image_model="chroma_radiance",
    in_channels=3,
    out_channels=3,
    patch_size=16,
    nerf_hidden_size=16,
    nerf_mlp_ratio=2,
    nerf_depth=2,
    nerf_max_freqs=4,
    nerf_tile_size=512,
    nerf_final_head_type="conv",
    nerf_embedder_dtype=None,
    use_x0=False,
)
if "use_sequential_txt_ids" in ChromaRadianceParams.__dataclass_fields__:  # later than the oldest host
    RADIANCE["use_sequential_txt_ids"] = False
LENS = dict(
    image_model="lens",
    in_channels=128,
    out_channels=32,
    num_layers=2,
    attention_head_dim=32,
    num_attention_heads=2,
    enc_hidden_dim=12,
    axes_dims_rope=(8, 12, 12),
    multi_layer_encoder_feature=True,
    selected_layer_index=(0, 1),
)


def pooled(seed: int) -> dict[str, Any]:
    return {"pooled_output": randn(seed, 1, 16), "guidance": 3.5}


def kontext(seed: int) -> dict[str, Any]:
    return {**pooled(seed), "reference_latents": [randn(7, 1, 16, 4, 8)]}


def fill(seed: int) -> dict[str, Any]:
    mask = (randn(8, 1, 1, 64, 64) > 0.0).float()
    return {**pooled(seed), "concat_latent_image": randn(7, *LATENT), "concat_mask": mask}


def flux2_edit(seed: int) -> dict[str, Any]:
    return {"guidance": 4.0, "reference_latents": [randn(7, 1, 128, 4, 4), randn(8, 1, 128, 2, 4)]}


ROWS = (
    TinyModel("FLUX.1 dev", "Flux", FLUX, LATENT, CONTEXT, pooled),
    TinyModel("FLUX.1 schnell", "FluxSchnell", SCHNELL, LATENT, CONTEXT, pooled),
    TinyModel("FLUX.1 Krea", "Flux", FLUX, LATENT, CONTEXT, lambda seed: {**pooled(seed), "guidance": 4.5}),
    TinyModel("FLUX.1 Kontext", "Flux", FLUX, LATENT, CONTEXT, kontext),
    TinyModel("FLUX.1 Fill", "FluxInpaint", dict(FLUX, in_channels=96), LATENT, CONTEXT, fill),
    TinyModel(
        "FLUX.1 Canny",
        "Flux",
        dict(FLUX, in_channels=32),
        LATENT,
        CONTEXT,
        lambda seed: {**pooled(seed), "concat_latent_image": randn(7, *LATENT)},
    ),
    TinyModel("FLUX.1 Redux", "Flux", FLUX, LATENT, (6 + 9, 24), pooled),
    TinyModel("FLUX.2 dev", "Flux2", FLUX2, (1, 128, 4, 4), CONTEXT, lambda seed: {"guidance": 4.0}),
    TinyModel("FLUX.2 dev, editing", "Flux2", FLUX2, (1, 128, 4, 4), CONTEXT, flux2_edit),
    TinyModel("FLUX.2 klein", "Flux2", dict(FLUX2, guidance_embed=False), (1, 128, 4, 4), CONTEXT),
    TinyModel("Chroma", "Chroma", CHROMA, LATENT, CONTEXT),
    TinyModel("Chroma Radiance", "ChromaRadiance", RADIANCE, (1, 3, 32, 32), CONTEXT),
    TinyModel("LongCat-Image", "LongCatImage", dict(SCHNELL, vec_in_dim=None, txt_ids_dims=[1, 2]), LATENT, CONTEXT),
    TinyModel(
        "Ovis-Image",
        "FluxSchnell",
        dict(SCHNELL, vec_in_dim=None, txt_ids_dims=[1, 2], yak_mlp=True, txt_norm=True),
        LATENT,
        CONTEXT,
    ),
    TinyModel("Lens", "Lens", LENS, (1, 128, 4, 4), CONTEXT),
)
