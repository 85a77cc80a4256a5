"""The tiny models, one row each, by family."""

from . import flux, hunyuan, image, qwen, unet, video, wan

ROWS = (*flux.ROWS, *qwen.ROWS, *hunyuan.ROWS, *wan.ROWS, *video.ROWS, *image.ROWS, *unet.ROWS)
MODELS = {row.name: row for row in ROWS}
