"""Two pictures and where they differ, side by side."""

import torch
from PIL import Image
from torch import Tensor

from .sheet import INK, QUIET, Sheet

GAP, HEAD = 12, 44  # points


def amplified(a: Tensor, b: Tensor, factor: float) -> Tensor:
    """IMAGE of the absolute difference, ``factor`` times as strong, black where they are equal."""
    return ((a - b).abs() * factor).clamp(0.0, 1.0)


def draw_difference(a: Tensor, b: Tensor, factor: float, captions: list[str], scale: int = 1) -> Tensor:
    """IMAGE (B, H, W, 3): for each pair of a, b, IMAGE (B, H, W, C) with C >= 3, both and their difference.

    captions: one line for each pair.
    """
    pairs = zip(a[..., :3], b[..., :3], amplified(a, b, factor)[..., :3], captions, strict=True)
    return torch.cat([_row(left, right, difference, factor, text, scale) for left, right, difference, text in pairs])


def _row(a: Tensor, b: Tensor, difference: Tensor, factor: float, caption: str, scale: int) -> Tensor:
    height, width = a.shape[0] / scale, a.shape[1] / scale
    sheet = Sheet(3 * width + 4 * GAP, height + HEAD + 2 * GAP + 16, scale)
    sheet.text(GAP, HEAD / 2, caption, 14, INK)
    titles = ("first", "second", f"difference, {factor:g} times")
    for index, (picture, title) in enumerate(zip((a, b, difference), titles, strict=True)):
        x = GAP + index * (width + GAP)
        sheet.paste(_picture(picture), x, HEAD)
        sheet.text(x + width / 2, HEAD + height + GAP + 4, title, 12, QUIET, "mm")
    return sheet.as_image()


def _picture(image: Tensor) -> Image.Image:
    return Image.fromarray((image.clamp(0.0, 1.0) * 255.0).round().byte().cpu().numpy())
