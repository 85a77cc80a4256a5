"""Procedural pictures the small models are trained on: one shape with a gradient on a textured background.

A picture is described by four words (shape, colour, background, texture) and a texture strength. The two
splits share no shape, no colour and no texture, so what is tuned on one can be reported on the other.
"""

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

import torch
from torch import Tensor

CODE_DIM = 32  # context_in_dim and vec_in_dim of the small Flux, and so on
GUIDANCE_RANGE = (1.0, 5.0)  # the guidance input is trained to mean texture strength


@dataclass(frozen=True)
class Split:
    shapes: tuple[str, ...]
    colours: dict[str, tuple[float, float, float]]
    textures: tuple[str, ...]


TRAIN = Split(
    shapes=("circle", "square", "triangle", "star", "ring", "cross"),
    colours={
        "red": (0.88, 0.16, 0.14),
        "orange": (0.96, 0.55, 0.12),
        "yellow": (0.97, 0.86, 0.20),
        "green": (0.20, 0.68, 0.26),
        "blue": (0.14, 0.36, 0.86),
        "violet": (0.56, 0.22, 0.76),
        "white": (0.95, 0.95, 0.93),
        "black": (0.08, 0.08, 0.10),
    },
    textures=("plain", "stripes", "checks"),
)
TEST = Split(
    shapes=("hexagon", "heart", "crescent", "diamond", "pill", "flower"),
    colours={
        "crimson": (0.70, 0.06, 0.22),
        "brown": (0.46, 0.28, 0.14),
        "olive": (0.48, 0.50, 0.10),
        "teal": (0.06, 0.52, 0.52),
        "navy": (0.08, 0.12, 0.42),
        "pink": (0.96, 0.56, 0.70),
        "mint": (0.60, 0.92, 0.72),
        "grey": (0.50, 0.50, 0.52),
    },
    textures=("flat", "waves", "dots"),
)
SPLITS = {"train": TRAIN, "test": TEST}


@dataclass(frozen=True)
class Caption:
    shape: str
    colour: str
    background: str
    texture: str

    @property
    def words(self) -> tuple[str, str, str, str]:
        return (self.shape, self.colour, self.background, self.texture)


def captions(split: Split) -> list[Caption]:
    """Every caption of a split whose shape can be told from its background."""
    words = product(split.shapes, split.colours, split.colours, split.textures)
    return [Caption(*w) for w in words if w[1] != w[2]]


@cache
def place_codes(words: int = 4) -> Tensor:
    """What tells the places of a caption's words apart, shape (words, CODE_DIM), as positions in a text encoder do."""
    return torch.stack([word_code(f"place {place}") for place in range(words)])


@cache
def word_code(word: str) -> Tensor:
    """The fixed code vector of a word, shape (CODE_DIM,), unit variance."""
    return torch.randn(CODE_DIM, generator=torch.Generator().manual_seed(zlib.crc32(word.encode())))


def encode_captions(batch: list[Caption], placed: bool = False) -> tuple[Tensor, Tensor]:
    """Context (B, 4, CODE_DIM), one token a word, and pooled output (B, CODE_DIM).

    placed: whether the tokens also say which word they are, for networks that give them no positions.
    """
    context = torch.stack([torch.stack([word_code(w) for w in c.words]) for c in batch])
    return context + place_codes() if placed else context, context.sum(dim=1) / 2.0


def _polygon(x: Tensor, y: Tensor, sides: int) -> Tensor:
    """Signed distance-like field of a regular polygon of apothem 1 - 1/(2 sides)."""
    step = 2.0 * math.pi / sides
    angle = torch.atan2(y, x)
    folded = torch.remainder(angle + step / 2, step) - step / 2
    return torch.hypot(x, y) * torch.cos(folded) - math.cos(math.pi / sides)


def _star(x: Tensor, y: Tensor, points: int, inner: float) -> Tensor:
    """A field that is negative inside a star with tips at radius 1 and notches at radius inner."""
    half = math.pi / points
    angle = (torch.remainder(torch.atan2(y, x) + math.pi / 2 + half, 2 * half) - half).abs()
    r = torch.hypot(x, y)
    along, across = 1.0 - inner * math.cos(half), inner * math.sin(half)
    return ((r * torch.cos(angle) - 1.0) * across + r * torch.sin(angle) * along) / math.hypot(along, across)


def _shape_field(shape: str, x: Tensor, y: Tensor) -> Tensor:
    """A field that is negative inside the shape, in units of its radius; x, y of shape (H, W)."""
    r, angle = torch.hypot(x, y), torch.atan2(y, x)
    fields = {
        "circle": lambda: r - 0.9,
        "square": lambda: torch.maximum(x.abs(), y.abs()) - 0.78,
        "triangle": lambda: _polygon(x, y, 3) * 0.9,
        "star": lambda: _star(x, y, points=5, inner=0.42),
        "ring": lambda: (r - 0.70).abs() - 0.24,
        "cross": lambda: torch.minimum(
            torch.maximum(x.abs() - 0.9, y.abs() - 0.3), torch.maximum(x.abs() - 0.3, y.abs() - 0.9)
        ),
        "hexagon": lambda: _polygon(x, y, 6),
        "heart": lambda: torch.hypot(x, 1.1 * y - 0.25 + 0.75 * x.abs().sqrt()) - 0.8,
        "crescent": lambda: torch.maximum(r - 0.92, 0.66 - torch.hypot(x - 0.42, y)),
        "diamond": lambda: 1.4 * x.abs() + 0.9 * y.abs() - 0.9,
        "pill": lambda: torch.hypot((x.abs() - 0.5).clamp(min=0.0), y) - 0.42,
        "flower": lambda: r - (0.72 + 0.20 * torch.cos(6 * angle)),
    }
    return fields[shape]()


def _texture(texture: str, u: Tensor, v: Tensor, period: float) -> Tensor:
    """A pattern in [-1, 1] over pixel coordinates u, v of shape (H, W)."""
    k = 2.0 * math.pi / period
    patterns = {
        "plain": lambda: torch.zeros_like(u),
        "flat": lambda: torch.zeros_like(u),
        "stripes": lambda: torch.sin(k * u),
        "checks": lambda: torch.sin(k * u / 1.5) * torch.sin(k * v / 1.5),
        "waves": lambda: torch.sin(k * u + 1.5 * torch.sin(k * v / 3)),
        "dots": lambda: (torch.cos(k * u / 1.5) + torch.cos(k * v / 1.5)) / 2,
    }
    return patterns[texture]()


@dataclass(frozen=True)
class Scene:
    """Where everything is, in pixels and radians. A moving shape has tensors (T, 1, 1, 1) in its first four fields."""

    cx: Any
    cy: Any
    radius: Any
    turn: Any
    shade_angle: float
    pattern_angle: float
    period: float
    phase: float


def random_scene(size: int, generator: torch.Generator, spread: float) -> Scene:
    """Position, size and angles from generator; ``spread`` scales how far they stray from the middle."""
    px, py, radius, turn, shade_angle, pattern_angle, period, phase = torch.rand(8, generator=generator).tolist()
    return Scene(
        cx=size * (0.5 + 0.16 * spread * (px - 0.5)),
        cy=size * (0.5 + 0.16 * spread * (py - 0.5)),
        radius=size * (0.32 + 0.08 * spread * (radius - 0.5)),
        turn=spread * (turn - 0.5) * math.pi / 4,
        shade_angle=shade_angle * 2.0 * math.pi,
        pattern_angle=math.pi * (0.5 + spread * (pattern_angle - 0.5)),
        period=size * (0.105 + 0.05 * spread * (period - 0.5)),
        phase=20 * phase,
    )


def draw_scene(split: Split, caption: Caption, guidance: float, size: int, scene: Scene) -> Tensor:
    """One anti-aliased picture (3, size, size) in [0, 1], or (T, 3, size, size) of a shape that moves."""
    axis = torch.arange(size, dtype=torch.float32) + 0.5
    v, u = torch.meshgrid(axis, axis, indexing="ij")
    dx, dy = (u - scene.cx) / scene.radius, (v - scene.cy) / scene.radius
    cos, sin = _cos_sin(scene.turn)
    x, y = dx * cos + dy * sin, dy * cos - dx * sin
    alpha = (0.5 - _shape_field(caption.shape, x, y) * scene.radius).clamp(0.0, 1.0)

    b, s = scene.pattern_angle, scene.shade_angle
    tu, tv = u * math.cos(b) + v * math.sin(b) + scene.phase, v * math.cos(b) - u * math.sin(b)
    pattern = _texture(caption.texture, tu, tv, scene.period)
    shade = ((u - size / 2) * math.cos(s) + (v - size / 2) * math.sin(s)) / size  # in about [-0.7, 0.7]

    colour = torch.tensor(split.colours[caption.colour])[:, None, None]
    background = torch.tensor(split.colours[caption.background])[:, None, None]
    back = background * 0.8 + 0.1 + 0.22 * shade + 0.04 * guidance * pattern
    front = colour + 0.28 * (x - y).clamp(-1.2, 1.2) / 2.4 - 0.05
    return (back + (front - back) * alpha).clamp(0.0, 1.0)


def _cos_sin(angle: Any) -> tuple[Any, Any]:
    return (angle.cos(), angle.sin()) if isinstance(angle, Tensor) else (math.cos(angle), math.sin(angle))


def draw(
    split: Split, caption: Caption, guidance: float, size: int, generator: torch.Generator, spread: float = 1.0
) -> Tensor:
    """One picture (3, size, size) in [0, 1] of a random scene."""
    return draw_scene(split, caption, guidance, size, random_scene(size, generator, spread))


@dataclass(frozen=True)
class Batch:
    pictures: Tensor  # (B, 3, H, W) in [0, 1], of videos (B, T, 3, H, W)
    captions: list[Caption]
    guidance: Tensor  # (B,)


def draw_batch(
    split: Split,
    count: int,
    size: int,
    generator: torch.Generator,
    spread: float = 1.0,
    strength: tuple[float, float] = GUIDANCE_RANGE,
    draw: Callable[..., Tensor] = draw,
) -> Batch:
    """count random pictures of the split with their captions and texture strengths, each drawn by ``draw``."""
    every = captions(split)
    picks = torch.randint(len(every), (count,), generator=generator).tolist()
    low, high = strength
    guidance = low + (high - low) * torch.rand(count, generator=generator)
    chosen = [every[i] for i in picks]
    pictures = [draw(split, c, g, size, generator, spread) for c, g in zip(chosen, guidance.tolist(), strict=True)]
    return Batch(torch.stack(pictures), chosen, guidance)
