"""The tiny models, one row each, by family."""

from . import audio, flux, hunyuan, image, lumina, pixel, qwen, shapes, unet, video, wan

FAMILIES = (flux, qwen, hunyuan, wan, video, image, lumina, pixel, unet, shapes, audio)
ROWS = tuple(row for family in FAMILIES for row in family.ROWS)
MODELS = {row.name: row for row in ROWS}
