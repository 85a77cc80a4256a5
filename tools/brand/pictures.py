"""Icon and banner, drawn large and made small so that edges are smooth."""

from PIL import Image, ImageDraw, ImageFont

from .mark import INK, SKY, WHITE, Mark

LARGER = 4
ICON, BANNER = (400, 400), (1260, 540)


def icon() -> Image.Image:
    """A square with round corners, transparent behind them."""
    image = _canvas(ICON, (0, 0, 0, 0))
    draw, side = ImageDraw.Draw(image), image.width
    draw.rounded_rectangle((0, 0, side - 1, side - 1), radius=0.2 * side, fill=INK)
    Mark(draw, left=0.15 * side, bottom=0.835 * side, width=0.7 * side).paint()
    return _reduced(image)


def banner() -> Image.Image:
    image = _canvas(BANNER, INK)
    draw, side = ImageDraw.Draw(image), image.height
    Mark(draw, left=0.24 * side, bottom=0.755 * side, width=0.56 * side).paint()
    _write(draw, 0.98 * side, 0.49 * side, "HiCache", 0.225 * side, WHITE)
    _write(draw, 0.99 * side, 0.615 * side, "for ComfyUI", 0.085 * side, SKY)
    _write(draw, 0.99 * side, 0.752 * side, "Compute some steps, forecast the others", 0.058 * side, WHITE)
    return _reduced(image).convert("RGB")


def _canvas(size: tuple[int, int], colour: str | tuple[int, int, int, int]) -> Image.Image:
    return Image.new("RGBA", (LARGER * size[0], LARGER * size[1]), colour)


def _reduced(image: Image.Image) -> Image.Image:
    return image.resize((image.width // LARGER, image.height // LARGER), Image.Resampling.LANCZOS)


def _write(draw: ImageDraw.ImageDraw, x: float, y: float, text: str, size: float, colour: str) -> None:
    """With the foot of the letters at y. Pillow brings the font: the same on every machine."""
    draw.text((x, y), text, font=ImageFont.load_default(size), fill=colour, anchor="ls")
