"""What HiCache holds at level output for a picture of 1024 x 1024, whatever the network."""

from dataclasses import replace

from tiny_models import model as tiny
from tiny_models.rows import flux as flux_rows

from hicache_comfy import attach, last_report
from hicache_core import presets


def held(cfg: float) -> int:
    """Bytes after a run at this CFG: of the cheapest network there is, on a latent of 128 x 128."""
    blocks = dict(flux_rows.FLUX, depth=1, depth_single_blocks=1, patch_size=8)
    row = replace(flux_rows.ROWS[0], unet=blocks, latent=(1, 16, 128, 128))
    patched = attach(row.build(), presets.speed(4.0))
    tiny.sample(patched, row, steps=24, cfg=cfg)
    return last_report(patched).bytes_held
