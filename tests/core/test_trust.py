import pytest
import torch

from hicache_core import OUTPUT, Session, presets
from hicache_core.basis import BASES, BasisOptions
from hicache_core.history import Anchor, History
from hicache_core.trust import TrendTrust


def after(*series):
    """The trust after directions at (position, value...)."""
    trust = TrendTrust()
    for position, *values in series:
        trust.computed(position, torch.tensor(values, dtype=torch.float64))
    return trust.value


def test_a_straight_path_is_trusted_whatever_the_gaps():
    assert after((0, 0.0, 0.0), (1, 1.0, 2.0), (5, 5.0, 10.0)) == pytest.approx(1.0)


def test_nothing_is_known_before_the_second_slope():
    assert after() == after((0, 1.0)) == after((0, 1.0), (1, -5.0)) == 1.0


@pytest.mark.parametrize(
    ("third", "trust"),
    [((1.5, 2.0), 0.5), ((1.0, 7.0), 0.0), ((-3.0, 2.0), 0.0), ((9.0, 2.0), 1.0)],
)
def test_it_is_the_share_of_the_last_slope_that_came_true(third, trust):
    assert after((0, 0.0, 2.0), (1, 1.0, 2.0), (2, *third)) == trust


def test_no_trend_and_values_that_are_not_finite_are_not_trusted():
    assert after((0, 1.0), (1, 1.0), (2, 2.0)) == 0.0
    assert after((0, 1.0), (1, float("nan")), (2, 2.0)) == 0.0


def test_a_second_evaluation_in_a_step_takes_the_place_of_the_first():
    assert after((0, 0.0), (1, 2.0), (1, 1.0), (2, 2.0)) == 0.5


@pytest.mark.parametrize("basis", BASES)
def test_without_trust_every_basis_is_reuse(basis):
    history = History("same")
    for k in range(3):
        history.add(Anchor(k, {OUTPUT: torch.full((2,), float(k * k))}, {OUTPUT: 4.0}), keep=3)
    options = BasisOptions(order=2)
    full, half, none = (history.series(4.0, BASES[basis], options, t).weights[OUTPUT] for t in (1.0, 0.5, 0.0))
    assert none == [0.0, 0.0, 1.0]
    assert half == pytest.approx([(f + n) / 2 for f, n in zip(full, none, strict=True)])
    assert sum(half) == pytest.approx(1.0)


def zigzag(settings):
    """Forecasts of a run whose computed directions alternate."""
    sigmas = [1.0 - k / 20 for k in range(21)]
    session = Session(settings, sigmas, smooth=True)
    forecasts, sign = [], 1.0
    for sigma in sigmas[:-1]:
        key = session.begin(sigma, "call")
        series = session.forecast(key, {0: "same"})
        if series is None:
            sign = -sign
            session.record(key, {0: ("same", {OUTPUT: torch.full((3,), sign)})})
        else:
            forecasts.append(float(series[0].combine(OUTPUT)[0]))
        if session.wants_directions:
            session.correct(torch.full((3,), sign), was_forecast=series is not None)
    return forecasts


def test_a_run_does_not_extrapolate_an_oscillation():
    assert set(map(abs, zigzag(presets.speed(2.5)))) == {1.0}
    assert max(map(abs, zigzag(presets.paper(3)))) > 1.5
