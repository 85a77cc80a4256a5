"""A sheet to draw on in points, at any scale."""

import math
from functools import lru_cache

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

PAPER, INK, QUIET, RULE = "#ffffff", "#1b222c", "#5b6675", "#d5dbe3"
COMPUTED, FORECAST, REFUSED, ERROR, WARNING = "#2563eb", "#7dd3fc", "#f59e0b", "#b91c1c", "#b45309"
SMOOTH = 8  # a dot is drawn so many times larger


@lru_cache(32)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


class Sheet:
    """Coordinates, sizes and widths are in points; ``scale`` pixels each."""

    def __init__(self, width: float, height: float, scale: float) -> None:
        self.width, self.height, self._scale = width, height, scale
        self._image = Image.new("RGB", (round(width * scale), round(height * scale)), PAPER)
        self._pen = ImageDraw.Draw(self._image)

    def box(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        """Filled, at least one pixel in both directions."""
        left, top = round(x * self._scale), round(y * self._scale)
        right = max(left, round((x + width) * self._scale) - 1)
        self._pen.rectangle((left, top, right, max(top, round((y + height) * self._scale) - 1)), colour)

    def dot(self, x: float, y: float, radius: float, colour: str) -> None:
        """With a smooth edge at every scale."""
        across, down, far = x * self._scale, y * self._scale, SMOOTH * radius * self._scale
        size = math.ceil(2 * far / SMOOTH) + 2  # pixels a side, around it
        left, top = round(across - size / 2), round(down - size / 2)
        across, down = SMOOTH * (across - left), SMOOTH * (down - top)
        mask = Image.new("L", (SMOOTH * size, SMOOTH * size))
        ImageDraw.Draw(mask).ellipse((across - far, down - far, across + far - 1, down + far - 1), 255)
        self._image.paste(colour, (left, top), mask.resize((size, size), Image.Resampling.BOX))

    def text(self, x: float, y: float, text: str, size: int = 12, colour: str = INK, anchor: str = "lm") -> float:
        """Returns the width. The anchors are Pillow's."""
        font = _font(round(size * self._scale))
        self._pen.text((x * self._scale, y * self._scale), text, colour, font, anchor)
        return self._pen.textlength(text, font) / self._scale

    def wrapped(self, text: str, width: float, size: int = 12) -> list[str]:
        """The text in lines that are no wider, broken at spaces."""
        lines = [""]
        for word in text.split():
            longer = f"{lines[-1]} {word}".strip()
            if lines[-1] and self._pen.textlength(longer, _font(round(size * self._scale))) > width * self._scale:
                lines.append(word)
            else:
                lines[-1] = longer
        return lines

    def paste(self, picture: Image.Image, x: float, y: float) -> None:
        """A picture whose pixels are pixels of the sheet."""
        self._image.paste(picture, (round(x * self._scale), round(y * self._scale)))

    def as_image(self) -> Tensor:
        """The host's IMAGE: (1, H, W, 3), 0 to 1."""
        return to_image(self._image)


def to_image(picture: Image.Image) -> Tensor:
    pixels = torch.frombuffer(bytearray(picture.convert("RGB").tobytes()), dtype=torch.uint8)
    return pixels.view(1, picture.height, picture.width, 3) / 255.0
