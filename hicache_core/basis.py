"""Families of forecasts, each a function from anchor positions to weights.

Every forecast here is a linear combination of stored anchors: F(target) = sum_i weights[i] * anchors[i]. So a family is
a function of plain floats; no tensor is touched, nothing is rounded to the network's dtype, and scipy can check it.

Notation (glossary: docs/forecast.md): anchors at positions t_1 < ... < t_m, newest last; x = target - t_m >= 0;
D_i the i-th difference at t_m; c the contraction; O the order.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import torch

MAX_ORDER = 4
WINDOW, RIDGE = 10, 0.1  # Spectrum's own: anchors and penalty

Weights = list[float]

ANALYTIC = "analytic"  # hermite, with a contraction for every layer from the size of its trend (history.TrendScale)


@dataclass(frozen=True, slots=True)
class BasisOptions:
    """What a family may depend on besides positions.

    order         highest difference used
    contraction   c of hermite and dual_taylor
    first_ready   differences are formed only at anchors at or after this position; ``-inf`` for all
    """

    order: int = 2
    contraction: float = 0.7
    first_ready: float = -math.inf


WeightFunction = Callable[[Sequence[float], float, BasisOptions], Weights]


@dataclass(frozen=True, slots=True)
class Basis:
    """A family of forecasts.

    weights   of anchors at ascending positions for a target behind them; they sum to 1
    about     one line for the artist
    window    newest anchors that it uses, None for one more than the order
    """

    weights: WeightFunction
    about: str
    window: int | None = None

    def __call__(self, positions: Sequence[float], target: float, options: BasisOptions) -> Weights:
        return self.weights(positions, target, options)

    def anchors(self, order: int) -> int:
        """How many anchors a history must hold."""
        return order + 1 if self.window is None else self.window


def recursive_differences(positions: Sequence[float], order: int, first_ready: float = -math.inf) -> list[Weights]:
    """The paper's differences D_0 .. D_k, k <= order, at the newest anchor, each as weights over the anchors.

    D_0 = F and D_{i+1} = (D_i at t_m - D_i at t_{m-1}) / (t_m - t_{m-1}). Every order is divided by the same newest
    gap, so from order 2 on these are not divided differences, except up to the factor i! where all gaps are 1. At an
    anchor before ``first_ready`` only D_0 exists, and a difference exists only where both of its operands do (HiCache,
    arXiv 2508.16984, and the way its reference implementation fills the differences).
    """
    count = len(positions)
    table: list[Weights] = [_unit(0, count)]
    for m in range(1, count):
        row = [_unit(m, count)]
        if positions[m] >= first_ready:
            gap = positions[m] - positions[m - 1]
            for i in range(min(order, len(table))):
                row.append([(a - b) / gap for a, b in zip(row[i], table[i], strict=True)])
        table = row
    return table


def divided_differences(positions: Sequence[float], order: int) -> list[Weights]:
    """Newton's divided differences F[t_m], F[t_m, t_{m-1}], ... as weights over the anchors.

    F[t_m, ..., t_{m-i}] = (F[t_m, ..., t_{m-i+1}] - F[t_{m-1}, ..., t_{m-i}]) / (t_m - t_{m-i}).
    """
    count = len(positions)
    column = [_unit(m, count) for m in range(count)]
    newest = [column[-1]]
    for i in range(1, min(order, count - 1) + 1):
        column = [
            [(a - b) / (positions[m] - positions[m - i]) for a, b in zip(column[m - i + 1], column[m - i], strict=True)]
            for m in range(i, count)
        ]
        newest.append(column[-1])
    return newest


def hermite_values(z: float, order: int) -> list[float]:
    """Physicists' Hermite polynomials H_0(z) .. H_order(z): H_{n+1} = 2 z H_n - 2 n H_{n-1}."""
    values = [1.0, 2.0 * z]
    for n in range(1, order):
        values.append(2.0 * z * values[n] - 2.0 * n * values[n - 1])
    return values[: order + 1]


def reuse(positions: Sequence[float], target: float, options: BasisOptions) -> Weights:
    """The newest anchor, unchanged."""
    return _unit(len(positions) - 1, len(positions))


def taylor(positions: Sequence[float], target: float, options: BasisOptions) -> Weights:
    """TaylorSeer: sum_i x^i / i! D_i."""
    return _series(positions, target, options, lambda i, x: x**i)


def hermite(positions: Sequence[float], target: float, options: BasisOptions) -> Weights:
    """HiCache: sum_i c^i H_i(c x) / i! D_i, with x positive because the differences run forward.

    At order 1 the coefficient is 2 c^2 x, so c = 1/sqrt(2) is TaylorSeer; at order 2 it is c^2 (2 c^2 x^2 - 1).
    """
    c = options.contraction
    return _series(positions, target, options, lambda i, x: c**i * hermite_values(c * x, i)[i])


def dual_taylor(positions: Sequence[float], target: float, options: BasisOptions) -> Weights:
    """TaylorSeer with HiCache's dual scaling, the paper's ablation: sum_i c^(2 i) x^i / i! D_i."""
    c = options.contraction
    return _series(positions, target, options, lambda i, x: c ** (2 * i) * x**i)


def lagrange(positions: Sequence[float], target: float, options: BasisOptions) -> Weights:
    """The polynomial of degree ``order`` through the newest order + 1 anchors, in Newton's form."""
    total = _unit(len(positions) - 1, len(positions))
    product = 1.0
    for i, difference in enumerate(divided_differences(positions, options.order)[1:]):
        product *= target - positions[-1 - i]
        total = [t + product * d for t, d in zip(total, difference, strict=True)]
    return total


def chebyshev(positions: Sequence[float], target: float, options: BasisOptions) -> Weights:
    """Ridge regression on Chebyshev polynomials T_0 .. T_order over a long window, as in Spectrum (arXiv 2603.01623).

    Positions from the oldest anchor to the target are mapped to -1 .. 1. The constant is not penalised, so that the
    weights sum to 1 and a constant stays constant.
    """
    low, high = positions[0], max(target, positions[-1])
    if high <= low or options.order == 0:
        return _unit(len(positions) - 1, len(positions))
    unit = torch.tensor([2.0 * (p - low) / (high - low) - 1.0 for p in (*positions, target)], dtype=torch.float64)
    terms = [torch.ones_like(unit), unit]
    for _ in range(1, options.order):
        terms.append(2.0 * unit * terms[-1] - terms[-2])
    table = torch.stack(terms, dim=1)
    anchors, goal = table[:-1], table[-1]
    penalty = RIDGE * torch.diag(torch.tensor([0.0] + [1.0] * options.order, dtype=torch.float64))
    weights = torch.mv(anchors, torch.mv(torch.inverse(torch.mm(anchors.T, anchors) + penalty), goal))
    return cast("list[float]", weights.tolist())


def spectrum(positions: Sequence[float], target: float, options: BasisOptions) -> Weights:
    """Half Chebyshev ridge, half a straight line through the newest two anchors, as Spectrum blends them."""
    line = lagrange(positions, target, BasisOptions(order=min(1, options.order)))
    return [0.5 * (a + b) for a, b in zip(chebyshev(positions, target, options), line, strict=True)]


BASES: dict[str, Basis] = {
    "hermite": Basis(hermite, "HiCache, damped by the contraction"),
    "taylor": Basis(taylor, "TaylorSeer"),
    "dual_taylor": Basis(dual_taylor, "TaylorSeer with HiCache's scaling"),
    "lagrange": Basis(lagrange, "the polynomial through the computed steps"),
    "reuse": Basis(reuse, "the last computed step, unchanged", window=1),
    ANALYTIC: Basis(hermite, "hermite with a contraction for every layer, from how fast it changes"),
    "chebyshev": Basis(chebyshev, "a smooth curve near the last ten computed steps", window=WINDOW),
    "spectrum": Basis(spectrum, "half chebyshev, half a straight line", window=WINDOW),
}


def _unit(index: int, count: int) -> Weights:
    return [1.0 if i == index else 0.0 for i in range(count)]


def _series(
    positions: Sequence[float], target: float, options: BasisOptions, term: Callable[[int, float], float]
) -> Weights:
    """sum_i term(i, x) / i! D_i over the recursive differences; without a difference this is reuse."""
    x = target - positions[-1]
    differences = recursive_differences(positions, options.order, options.first_ready)
    total = differences[0]
    for i, difference in enumerate(differences[1:], start=1):
        coefficient = term(i, x) / math.factorial(i)
        total = [t + coefficient * d for t, d in zip(total, difference, strict=True)]
    return total
