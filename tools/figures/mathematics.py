"""What the weights of hicache_core do to numbers."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from hicache_core.basis import BASES, BasisOptions, hermite_values

INK = "#222222"
SHOWN = (
    ("reuse", "reuse", BasisOptions(order=0), "#bbbbbb"),
    ("taylor", "taylor", BasisOptions(order=2), "#e08214"),
    ("lagrange", "lagrange", BasisOptions(order=2), "#b2182b"),
    ("dual_taylor", "dual_taylor, c 0.5", BasisOptions(order=2, contraction=0.5), "#8073ac"),
    ("hermite", "hermite, c 0.5", BasisOptions(order=2, contraction=0.5), "#2166ac"),
    ("chebyshev", "chebyshev", BasisOptions(order=2), "#1b7837"),
)


def plain(axis: Any, title: str, **labels: str) -> None:
    axis.set(**labels)
    axis.set_title(title, loc="left", fontsize=11)
    axis.spines[["top", "right"]].set_visible(False)


def feature(t: float) -> float:
    """A smooth course with one bend, for the eye."""
    return math.sin(t / 9.0) + 0.3 * math.cos(t / 4.0)


def grid(first: float, last: float, count: int = 120) -> list[float]:
    return [first + (last - first) * k / (count - 1) for k in range(count)]


def forecasts(name: str, options: BasisOptions, anchors: Sequence[float], at: Sequence[float]) -> list[float]:
    values = [feature(t) for t in anchors]
    weights = [BASES[name](anchors, t, options) for t in at]
    return [sum(w * v for w, v in zip(row, values, strict=True)) for row in weights]


def bases(path: Path) -> None:
    """Left: one course, forecast over a gap from three anchors. Right: how far the second difference is trusted."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    anchors, gap = (2.0, 9.0, 16.0), grid(16.0, 23.0)
    left.plot(grid(0.0, 23.0), [feature(t) for t in grid(0.0, 23.0)], color=INK, label="the course")
    for name, label, options, color in SHOWN:
        left.plot(gap, forecasts(name, options, anchors, gap), color=color, label=label)
    left.plot(anchors, [feature(t) for t in anchors], "o", color=INK)
    plain(left, "Forecasts over a gap of 7, order 2", xlabel="step")
    left.legend(frameon=False, fontsize=9)
    coefficients: list[tuple[str, Callable[[float], float], str]] = [
        ("taylor: x² / 2", lambda x: x * x / 2.0, "#e08214"),
        ("dual_taylor, c 0.5", lambda x: 0.5**4 * x * x / 2.0, "#8073ac"),
        ("hermite, c 0.5", lambda x: 0.5**2 * hermite_values(0.5 * x, 2)[2] / 2.0, "#2166ac"),
        ("hermite, c 0.7", lambda x: 0.7**2 * hermite_values(0.7 * x, 2)[2] / 2.0, "#67a9cf"),
    ]
    for label, coefficient, color in coefficients:
        right.plot(grid(0.0, 6.0), [coefficient(x) for x in grid(0.0, 6.0)], color=color, label=label)
    right.axhline(0.0, color="#dddddd", linewidth=0.8, zorder=0)
    plain(right, "Coefficient of the second difference", xlabel="x, steps since the newest anchor")
    right.legend(frameon=False, fontsize=9)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def differences(path: Path) -> None:
    """t^2 from anchors at uneven distances: the published recursion against divided differences."""
    figure, axis = plt.subplots(figsize=(6.5, 4), layout="constrained")
    anchors, ahead = (0.0, 3.0, 5.0), grid(5.0, 10.0)
    axis.plot(grid(0.0, 10.0), [t * t for t in grid(0.0, 10.0)], color=INK, label="t²")
    for name, label, color in (
        ("taylor", "recursive differences (taylor)", "#e08214"),
        ("lagrange", "divided differences (lagrange)", "#b2182b"),
    ):
        rows = [BASES[name](anchors, t, BasisOptions(order=2)) for t in ahead]
        course = [sum(w * t * t for w, t in zip(row, anchors, strict=True)) for row in rows]
        axis.plot(ahead, course, "--", color=color, label=label)
    axis.plot(anchors, [t * t for t in anchors], "o", color=INK)
    plain(axis, "A parabola forecast from steps 0, 3 and 5", xlabel="step")
    axis.legend(frameon=False, fontsize=9)
    figure.savefig(path, dpi=110)
    plt.close(figure)
