"""The runs in one picture: a row of pictures for each variant, its timeline, its differences from the baseline."""

from functools import cache
from statistics import mean

from PIL import Image, ImageChops, ImageDraw, ImageFont

from .measure import Run
from .table import decibels

CELL, DIFFERENCE, GAP = 192, 96, 12  # sides of the pictures, and between them
MARGIN, LABEL, HEADER, FOOTER, ROW_GAP = 44, 250, 168, 40, 44
TIMELINE = 14
AMPLIFY = 5

INK, QUIET, PAPER = "#1b222c", "#5b6675", "#ffffff"
COMPUTED, FORECAST, BORDER = "#2166ac", "#e6eef6", "#9db8d2"
TITLE = "HiCache on the small Flux"


@cache
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    try:
        return ImageFont.truetype("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf", size)
    except OSError:
        return ImageFont.load_default(size=size)


def draw_figure(runs: list[Run], captions: list[str], machine: str) -> Image.Image:
    """The first run is the baseline."""
    heights = [_height(run, runs[0]) for run in runs]
    columns = max(len(captions), 3)  # the texts and the timelines need as much
    size = (_column(columns) - GAP + MARGIN, HEADER + sum(heights) + FOOTER)
    figure = Image.new("RGB", size, PAPER)
    _draw_header(figure, captions)
    top = HEADER
    for run, height in zip(runs, heights, strict=True):
        _draw_row(figure, top, run, runs[0])
        top += height
    pen = ImageDraw.Draw(figure)
    pen.text((size[0] - MARGIN, size[1] - FOOTER), machine, QUIET, font(14), anchor="rt")
    return figure


def _column(index: int) -> int:
    return MARGIN + LABEL + index * (CELL + GAP)


def _height(run: Run, baseline: Run) -> int:
    difference = 0 if run is baseline else GAP + DIFFERENCE
    return CELL + GAP + TIMELINE + difference + ROW_GAP


def _draw_header(figure: Image.Image, captions: list[str]) -> None:
    pen, x = ImageDraw.Draw(figure), MARGIN
    pen.text((MARGIN, 36), TITLE, INK, font(32, bold=True))
    for fill, border, meaning in (COMPUTED, COMPUTED, "computed step"), (FORECAST, BORDER, "forecast step"):
        pen.rectangle((x, 96, x + TIMELINE - 1, 96 + TIMELINE - 1), fill, border)
        pen.text((x + TIMELINE + 8, 96 + TIMELINE / 2), meaning, QUIET, font(16), anchor="lm")
        x += TIMELINE + 36 + round(pen.textlength(meaning, font(16)))
    for index, caption in enumerate(captions):
        shape, colour, background, texture = caption.split()
        corner = (_column(index), HEADER - 10)
        pen.text(corner, f"{shape}, {texture}\n{colour} and {background}", QUIET, font(14), anchor="ld")


def _draw_row(figure: Image.Image, top: int, run: Run, baseline: Run) -> None:
    _draw_label(figure, top, run, baseline)
    for index, image in enumerate(run.images):
        figure.paste(image.resize((CELL, CELL), Image.Resampling.LANCZOS), (_column(index), top))
    _draw_timeline(figure, top + CELL + GAP, run.computed_steps(baseline))
    if run is not baseline:
        _draw_differences(figure, top + CELL + GAP + TIMELINE + GAP, run, baseline)


def _draw_differences(figure: Image.Image, top: int, run: Run, baseline: Run) -> None:
    pen, middle = ImageDraw.Draw(figure), top + DIFFERENCE / 2
    for index, (image, full) in enumerate(zip(run.images, baseline.images, strict=True)):
        small = difference(image, full).resize((DIFFERENCE, DIFFERENCE), Image.Resampling.LANCZOS)
        figure.paste(small, (_column(index), top))
    for index, value in enumerate(run.psnrs(baseline)):
        pen.text((_column(index) + DIFFERENCE + 10, middle), decibels(value), QUIET, font(15), anchor="lm")
    meaning = f"difference x{AMPLIFY} and PSNR\nto the {baseline.variant.name}"
    pen.text((MARGIN, middle), meaning, QUIET, font(16), anchor="lm", spacing=8)


def difference(image: Image.Image, full: Image.Image) -> Image.Image:
    """AMPLIFY |image - full|, clipped to white."""
    return ImageChops.difference(image.convert("RGB"), full.convert("RGB")).point(lambda v: min(255, AMPLIFY * v))


def _draw_label(figure: Image.Image, top: int, run: Run, baseline: Run) -> None:
    pen = ImageDraw.Draw(figure)
    pen.text((MARGIN, top), run.variant.name, INK, font(23, bold=True))
    plural = "s" * (len(run.images) > 1)
    lines = [f"{run.calls:g} network calls", f"{run.seconds:.1f} s for {len(run.images)} picture{plural}"]
    if run is not baseline:
        lines += [f"{baseline.seconds / run.seconds:.2f}x as fast", f"mean PSNR {decibels(mean(run.psnrs(baseline)))}"]
    pen.multiline_text((MARGIN, top + 40), "\n".join(lines), QUIET, font(16), spacing=8)


def _draw_timeline(figure: Image.Image, top: int, computed: list[bool]) -> None:
    """One cell a step, from the noise on the left to the picture on the right."""
    pen = ImageDraw.Draw(figure)
    left, right = _column(0), figure.width - MARGIN
    edges = [left + round(i * (right - left + 4) / len(computed)) for i in range(len(computed) + 1)]
    for is_computed, start, end in zip(computed, edges, edges[1:], strict=False):
        fill, border = (COMPUTED, COMPUTED) if is_computed else (FORECAST, BORDER)
        pen.rectangle((start, top, end - 5, top + TIMELINE - 1), fill, border)
