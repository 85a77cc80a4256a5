"""Laws of every basis, and oracles: numpy's Hermite polynomials and scipy's Krogh interpolator."""

import math

import numpy as np
import pytest
from scipy.interpolate import KroghInterpolator

from hicache_core.basis import (
    BASES,
    MAX_ORDER,
    RIDGE,
    BasisOptions,
    divided_differences,
    hermite,
    hermite_values,
    recursive_differences,
    taylor,
)

POSITIONS = [
    [0.0],
    [0.0, 1.0],
    [0.0, 1.0, 2.0],
    [0.0, 3.0, 5.0],
    [0.0, 1.0, 2.0, 9.0, 16.0],
    [0.5, 2.0, 2.25, 7.0, 11.0],
]
TARGETS = [0.0, 0.5, 1.0, 3.0, 6.0]  # distances from the newest anchor


@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("order", range(MAX_ORDER + 1))
def test_weights_sum_to_one_so_a_constant_stays_constant(name, positions, order):
    for x in TARGETS:
        weights = BASES[name](positions, positions[-1] + x, BasisOptions(order=order))
        assert len(weights) == len(positions)
        assert math.fsum(weights) == pytest.approx(1.0, abs=1e-9 * max(map(abs, weights)))


@pytest.mark.parametrize("name", BASES)
def test_one_anchor_is_reused(name):
    assert BASES[name]([4.0], 9.0, BasisOptions(order=3)) == [1.0]


@pytest.mark.parametrize("order", range(MAX_ORDER + 1))
@pytest.mark.parametrize("positions", [p for p in POSITIONS if len(p) >= 2])
def test_lagrange_is_the_interpolating_polynomial(positions, order):
    newest = positions[-(order + 1) :]
    values = np.random.default_rng(order).normal(size=len(positions))
    oracle = KroghInterpolator(newest, values[-len(newest) :])
    for x in TARGETS:
        weights = BASES["lagrange"](positions, positions[-1] + x, BasisOptions(order=order))
        expected = float(oracle(positions[-1] + x))
        assert np.dot(weights, values) == pytest.approx(expected, rel=1e-9, abs=1e-9 * np.abs(weights).max())


def test_hermite_values_are_the_physicists_polynomials():
    for z in (-1.5, 0.0, 0.3, 2.0):
        expected = [np.polynomial.hermite.hermval(z, np.eye(8)[n]) for n in range(8)]
        assert hermite_values(z, 7) == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert hermite_values(3.0, 5) == [1.0, 6.0, 34.0, 180.0, 876.0, 3816.0]  # by hand


def test_recursive_differences_divide_every_order_by_the_newest_gap():
    squares = np.array([0.0, 9.0, 25.0])  # t^2 at 0, 3, 5
    recursive = [np.dot(w, squares) for w in recursive_differences([0.0, 3.0, 5.0], 2)]
    divided = [np.dot(w, squares) for w in divided_differences([0.0, 3.0, 5.0], 2)]
    assert recursive == pytest.approx([25.0, 8.0, 2.5])
    assert divided == pytest.approx([25.0, 8.0, 1.0])  # f'' / 2, exactly


def test_on_a_unit_grid_they_differ_by_a_factorial():
    positions = [0.0, 1.0, 2.0, 3.0]
    both = zip(recursive_differences(positions, 3), divided_differences(positions, 3), strict=True)
    for i, (r, d) in enumerate(both):
        assert r == pytest.approx([math.factorial(i) * w for w in d])


def test_differences_exist_only_from_first_ready_on():
    """The paper's fill-in with warm-up 3 and N = 7: D1 from step 2, D2 from step 9, D3 from step 16."""
    steps = [0.0, 1.0, 2.0, 9.0, 16.0]
    orders = [len(recursive_differences(steps[: n + 1], 4, first_ready=2.0)) - 1 for n in range(5)]
    assert orders == [0, 0, 1, 2, 3]


def test_old_anchors_do_not_matter():
    steps = [0.0, 1.0, 2.0, 9.0, 16.0]
    for name in (name for name, basis in BASES.items() if basis.anchors(2) <= 3):
        full = BASES[name](steps, 20.0, BasisOptions(order=2, first_ready=2.0))
        newest = BASES[name](steps[-3:], 20.0, BasisOptions(order=2, first_ready=2.0))
        assert full == pytest.approx([0.0, 0.0, *newest])


def test_closed_forms_of_hermite():
    steps, x = [0.0, 1.0, 2.0], 3.0
    for c in (0.3, 0.5, 1.0):
        d = recursive_differences(steps, 2)
        first, second = 2 * c**2 * x, c**2 * (2 * c**2 * x**2 - 1)
        expected = [d[0][i] + first * d[1][i] + second * d[2][i] for i in range(3)]
        assert hermite(steps, 2.0 + x, BasisOptions(order=2, contraction=c)) == pytest.approx(expected)


def test_hermite_at_order_1_and_half_root_2_is_taylor():
    steps = [0.0, 2.0, 5.0]
    damped = hermite(steps, 9.0, BasisOptions(order=1, contraction=math.sqrt(0.5)))
    assert damped == pytest.approx(taylor(steps, 9.0, BasisOptions(order=1)))


def test_dual_taylor_scales_taylor_by_the_squared_contraction():
    steps = [0.0, 2.0, 5.0]
    d = recursive_differences(steps, 2)
    weights = BASES["dual_taylor"](steps, 9.0, BasisOptions(order=2, contraction=0.5))
    assert weights == pytest.approx([d[0][i] + 0.25 * 4 * d[1][i] + 0.0625 * 8 * d[2][i] for i in range(3)])


@pytest.mark.parametrize("order", [1, 2, 4])
def test_chebyshev_is_a_ridge_regression_without_a_penalty_on_the_constant(order):
    positions, target = [0.0, 1.0, 2.0, 4.0, 7.0, 11.0], 15.0
    values = np.random.default_rng(order).normal(size=len(positions))
    unit = np.array([*positions, target]) / target * 2.0 - 1.0
    terms = np.stack([np.polynomial.chebyshev.chebval(unit, np.eye(order + 1)[i]) for i in range(order + 1)], axis=1)
    # the penalty as further equations for an ordinary least-squares solver
    extra = math.sqrt(RIDGE) * np.eye(order + 1)[1:]
    fit = np.linalg.lstsq(np.vstack([terms[:-1], extra]), np.append(values, np.zeros(order)), rcond=None)[0]
    weights = BASES["chebyshev"](positions, target, BasisOptions(order=order))
    assert np.dot(weights, values) == pytest.approx(terms[-1] @ fit)


def test_spectrum_is_half_chebyshev_and_half_a_line():
    positions, options = [0.0, 1.0, 3.0, 6.0], BasisOptions(order=4)
    ridge = BASES["chebyshev"](positions, 9.0, options)
    assert BASES["spectrum"](positions, 9.0, options) == pytest.approx(
        [(a + b) / 2 for a, b in zip(ridge, [0.0, 0.0, -1.0, 2.0], strict=True)]
    )


def test_a_basis_says_how_many_anchors_it_needs():
    needed = {name: basis.anchors(2) for name, basis in BASES.items()}
    assert {name: n for name, n in needed.items() if n != 3} == {"reuse": 1, "chebyshev": 10, "spectrum": 10}
