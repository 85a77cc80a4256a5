"""Pictures that nodes hand out, drawn with Pillow, which the host has."""

from .difference import amplified, draw_difference
from .run import draw_absence, draw_run

__all__ = ["amplified", "draw_absence", "draw_difference", "draw_run"]
