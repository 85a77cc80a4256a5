"""Pictures that nodes hand out, drawn with Pillow, which the host has."""

from .difference import amplified, draw_difference
from .run import draw_run

__all__ = ["amplified", "draw_difference", "draw_run"]
