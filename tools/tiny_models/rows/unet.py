"""Networks that are U-Nets."""

from typing import Any

from ..model import TinyModel, randn

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


def pooled(seed: int) -> dict[str, Any]:
    return {"pooled_output": randn(seed, 1, 16)}


ROWS = (
    TinyModel("SD 1.5", "SD15", SD15, LATENT, CONTEXT),
    TinyModel("SDXL", "SDXL", SDXL, LATENT, CONTEXT, pooled),
)
