"""Networks for shapes: their latents are sets of tokens."""

from typing import Any

from ..model import TinyModel, randn

LATENT, CONTEXT = (1, 16, 24), (6, 24)
HUNYUAN3D = dict(
    image_model="hunyuan3d2",
    in_channels=16,
    context_in_dim=24,
    hidden_size=64,
    mlp_ratio=2.0,
    num_heads=2,
    depth=2,
    depth_single_blocks=2,
    qkv_bias=True,
    guidance_embed=False,
)
HUNYUAN3D_21 = dict(
    image_model="hunyuan3d2_1",
    in_channels=16,
    context_dim=24,
    hidden_size=64,
    num_heads=2,
    depth=4,
    qkv_bias=False,
    guidance_cond_proj_dim=None,
    num_moe_layers=2,
    num_experts=4,
)
TRIPOSPLAT = dict(
    image_model="triposplat",
    q_token_length=24,
    in_channels=16,
    out_channels=16,
    model_channels=64,
    cond_channels=24,
    num_blocks=2,
    num_refiner_blocks=1,
    num_head_channels=32,
    cam_channels=5,
    cond2_channels=16,
    mlp_ratio=2,
)


def photo(seed: int) -> dict[str, Any]:
    return {"reference_latents": [randn(7, 1, 16, 2, 2)]}


ROWS = (
    TinyModel("Hunyuan3D 2.0", "Hunyuan3Dv2", HUNYUAN3D, LATENT, CONTEXT),
    TinyModel("Hunyuan3D 2.0 turbo", "Hunyuan3Dv2", dict(HUNYUAN3D, guidance_embed=True), LATENT, CONTEXT),
    TinyModel("Hunyuan3D 2.0 mini", "Hunyuan3Dv2mini", HUNYUAN3D, LATENT, CONTEXT),
    TinyModel("Hunyuan3D 2.1", "Hunyuan3Dv2_1", HUNYUAN3D_21, LATENT, CONTEXT, since="0.24"),  # before: CFG only
    TinyModel("TripoSplat", "TripoSplat", TRIPOSPLAT, ((1, 24, 16), (1, 1, 5)), CONTEXT, photo),
)
