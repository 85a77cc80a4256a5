"""Procedural videos the small Wan is trained on: a picture whose shape moves, turns and grows or shrinks."""

from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from .pictures import Batch, Caption, Scene, Split, draw_batch, draw_scene, random_scene

FRAMES = 16
SIZE = 64  # pixels
ROOM = 0.8  # of a picture's radius, so that a shape that moves stays inside the picture


def moving(scene: Scene, size: int, frames: int, generator: torch.Generator) -> Scene:
    """The scene with a shape that goes through its place, angle and size at an even pace, in a random direction."""
    dx, dy, turn, growth = (2.0 * torch.rand(4, generator=generator) - 1.0).tolist()
    time = torch.linspace(-1.0, 1.0, frames)[:, None, None, None]
    return replace(
        scene,
        cx=scene.cx + 0.14 * size * dx * time,
        cy=scene.cy + 0.14 * size * dy * time,
        radius=ROOM * scene.radius * torch.exp(0.22 * growth * time),
        turn=scene.turn + 0.7 * turn * time,
    )


def draw_video(
    split: Split,
    caption: Caption,
    guidance: float,
    size: int,
    generator: torch.Generator,
    spread: float = 1.0,
    frames: int = FRAMES,
) -> Tensor:
    """One video (frames, 3, size, size) in [0, 1] over a background that stands still."""
    scene = moving(random_scene(size, generator, spread), size, frames, generator)
    return draw_scene(split, caption, guidance, size, scene)


def draw_videos(
    split: Split,
    count: int,
    size: int,
    generator: torch.Generator,
    spread: float,
    strength: tuple[float, float],
    frames: int = FRAMES,
) -> Batch:
    """Like draw_batch, with pictures (count, frames, 3, size, size)."""
    return draw_batch(split, count, size, generator, spread, strength, partial(draw_video, frames=frames))
