"""Two pictures and where they differ, side by side."""

import torch
from PIL import Image
from torch import Tensor

from .sheet import INK, QUIET, Sheet

GAP, HEAD, FOOT = 12, 40, 28  # points
LEAST = 170  # points of a column at least, so that a title fits below it, and the caption above all three
SEEN = (240, 480)  # points of a picture at most, across and down: texts grow with what they belong to


def amplified(a: Tensor, b: Tensor, factor: float) -> Tensor:
    """IMAGE of the absolute difference, ``factor`` times as strong, black where they are equal."""
    return ((a - b).abs() * factor).clamp(0.0, 1.0)


def draw_difference(a: Tensor, b: Tensor, factor: float, captions: list[str]) -> Tensor:
    """IMAGE (B, H, W, 3): for each pair of a, b, IMAGE (B, H, W, C) with C >= 3, both and their difference.

    captions: one line for each pair. Pictures keep their pixels; the sheet is scaled around them.
    """
    pairs = zip(a[..., :3], b[..., :3], amplified(a, b, factor)[..., :3], captions, strict=True)
    titles = ("first", "second", f"difference, {factor:g} times")
    return torch.cat([_row(dict(zip(titles, three, strict=True)), caption) for *three, caption in pairs])


def _row(pictures: dict[str, Tensor], caption: str) -> Tensor:
    """pictures: (H, W, 3), by title."""
    height, width = next(iter(pictures.values())).shape[:2]
    scale = max(1.0, width / SEEN[0], height / SEEN[1])
    tall, wide = height / scale, width / scale
    column = max(wide, LEAST)
    sheet = Sheet(3 * column + 4 * GAP, HEAD + tall + FOOT, scale)
    sheet.text(GAP, HEAD / 2, caption, 14, INK)
    for index, (title, picture) in enumerate(pictures.items()):
        middle = GAP + index * (column + GAP) + column / 2
        sheet.paste(_picture(picture), middle - wide / 2, HEAD)
        sheet.text(middle, HEAD + tall + FOOT / 2, title, 12, QUIET, "mm")
    return sheet.as_image()


def _picture(image: Tensor) -> Image.Image:
    return Image.fromarray((image.clamp(0.0, 1.0) * 255.0).round().byte().cpu().numpy())
