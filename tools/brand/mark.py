"""The mark: steps of a run as bars, high ones computed, low ones forecast, and a curve that runs on behind the last."""

import math
from dataclasses import dataclass

from PIL import ImageDraw

INK, BLUE, SKY, WHITE = "#0f172a", "#2563eb", "#7dd3fc", "#ffffff"
STEPS, COMPUTED = 7, (0, 2, 5)
LOW = 0.26  # height of a forecast step, as a share of the whole
GAP = 0.26  # between two bars, as a share of a bar with its gap
LINE = 0.052  # how thick the curve is, as a share of the width
POINTS = 1000  # of the curve


@dataclass(frozen=True)
class Mark:
    """In pixels, y downwards: ``bottom`` is the ground on which the bars stand."""

    draw: ImageDraw.ImageDraw
    left: float
    bottom: float
    width: float

    def paint(self) -> None:
        for step in range(STEPS):
            self._bar(step)
        for point in range(POINTS + 1):
            self._dot(point / POINTS * (STEPS - 1), LINE / 2, WHITE)
        for step in COMPUTED:
            self._dot(step, 1.3 * LINE, WHITE)
            self._dot(step, 0.8 * LINE, BLUE)

    @property
    def _pitch(self) -> float:
        return self.width / (STEPS - GAP)

    def _bar(self, step: int) -> None:
        level, colour = (curve(step), BLUE) if step in COMPUTED else (LOW, SKY)
        x, half = self._x(step), self._pitch * (1 - GAP) / 2
        box = (x - half, self.bottom - level * self.width, x + half, self.bottom)
        self.draw.rounded_rectangle(box, radius=0.4 * half, fill=colour)

    def _dot(self, step: float, share: float, colour: str) -> None:
        x, y, r = self._x(step), self.bottom - curve(step) * self.width, share * self.width
        self.draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)

    def _x(self, step: float) -> float:
        return self.left + self._pitch * (step + (1 - GAP) / 2)


def curve(step: float) -> float:
    """Height over the ground, as a share of the width."""
    return 0.66 + 0.226 * math.sin(2 * math.pi * step / (STEPS - 1))
