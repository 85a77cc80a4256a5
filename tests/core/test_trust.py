import pytest
import torch

from hicache_core import OUTPUT, Guidance, Session, Settings, presets
from hicache_core.basis import BASES, BasisOptions
from hicache_core.history import Anchor, History
from hicache_core.trust import TrendTrust


def after(*series):
    """The trend after directions at (position, values of the one picture...)."""
    trust = TrendTrust()
    for position, *values in series:
        trust.computed(position, torch.tensor([values], dtype=torch.float64))
    return trust.trend


def test_a_straight_path_is_trusted_whatever_the_gaps():
    assert after((0, 0.0, 0.0), (1, 1.0, 2.0), (5, 5.0, 10.0)).shares == (1.0,)


def test_before_the_second_slope_there_is_no_trend_to_follow():
    for trend in (after(), after((0, 1.0)), after((0, 1.0), (1, 1.5))):
        assert (trend.ratios, trend.shares, trend.bends) == ((None,), (0.0,), (0.0,))


@pytest.mark.parametrize(
    ("third", "ratio", "share", "bends"),
    [
        ((1.5, 2.0), 0.5, 0.5, 0.0),
        ((1.0, 7.0), 0.0, 0.0, 0.0),
        ((9.0, 2.0), 8.0, 1.0, 0.0),
        ((0.5, 2.0), -0.5, -1 / 9, 1.0),
        ((0.0, 2.0), -1.0, -0.25, 1.0),
        ((-2.0, 2.0), -3.0, -0.5625, 1.0),
    ],
)
def test_what_follows_from_the_share_of_the_last_slope_that_came_true(third, ratio, share, bends):
    trend = after((0, 0.0, 2.0), (1, 1.0, 2.0), (2, *third))
    assert trend.ratios == (ratio,)
    assert trend.shares == pytest.approx((share,))
    assert trend.bends == (bends,)


@pytest.mark.parametrize(
    ("change", "undone"),
    [(0.1, 1.0), (0.5, 1.0), (0.7, 0.6), (0.8, 0.4), (1.0, 0.0), (3.0, 0.0)],
)
def test_the_more_of_the_direction_changed_over_a_gap_the_less_of_the_drift_is_undone(change, undone):
    first = after((0, 2.0, 0.0), (3, 2.0, 2.0 * change))
    second = after((0, 1.0, 0.0), (1, 2.0, 0.0), (7, 2.0, 2.0 * change))
    assert (first.changes, second.changes) == (pytest.approx((change,)), pytest.approx((change,)))
    assert first.undo == second.undo == pytest.approx((undone,))


@pytest.mark.parametrize(("ratio", "undone"), [(0.5, 1.0), (0.0, 1.0), (-0.5, 4 / 9), (-1.0, 0.25), (-3.0, 0.0625)])
def test_where_slopes_alternate_less_of_the_drift_is_undone(ratio, undone):
    trend = after((0, 10.0), (1, 11.0), (2, 11.0 + ratio))
    assert trend.ratios == (pytest.approx(ratio),)
    assert trend.undo == (pytest.approx(undone),)


@pytest.mark.parametrize("z", [1.5, 2.0, 3.0])
def test_an_oscillation_around_a_slow_path_comes_to_rest_on_it(z):
    """dx/ds = -z x over gaps of length 1, reused: the ratio is 1 - z, and the next gap must end at x = 0."""
    xs = [1.0, 1.0 - z, (1.0 - z) ** 2]
    directions = [-z * x for x in xs]
    (share,) = after(*enumerate(directions)).shares
    forecast = directions[2] + share * (directions[2] - directions[1])
    assert xs[2] + forecast == pytest.approx(0.0, abs=1e-12)


def test_every_picture_of_a_batch_has_its_own_trend():
    trust = TrendTrust()
    for position, *values in ((0, 0.0, 0.0), (1, 1.0, 1.0), (2, 2.0, 0.0)):
        trust.computed(position, torch.tensor(values)[:, None])
    assert trust.trend.ratios == (1.0, -1.0)


def test_no_trend_and_values_that_are_not_finite_are_not_trusted():
    for trend in (after((0, 1.0), (1, 1.0), (2, 2.0)), after((0, 1.0), (1, float("nan")), (2, 2.0))):
        assert trend.shares == (0.0,)
    for trend in (after((0, 0.0), (1, 1.0)), after((0, 1.0), (1, float("nan")))):
        assert trend.undo == (0.0,)


def test_a_second_evaluation_in_a_step_takes_the_place_of_the_first():
    assert after((0, 0.0), (1, 2.0), (1, 1.0), (2, 2.0)).ratios == (0.5,)


def test_over_a_gap_that_is_forgotten_no_slope_is_compared_and_what_was_known_stays():
    trust = TrendTrust()
    for position, value in ((0, 1.0), (1, 2.0), (2, 4.0)):
        trust.computed(position, torch.tensor([[value]]))
    known = trust.trend
    assert known.ratios == (2.0,)
    trust.forget_gap()
    assert trust.tensors == ()
    trust.computed(5, torch.tensor([[-100.0]]))
    assert trust.trend == known
    trust.computed(6, torch.tensor([[-110.0]]))
    assert trust.trend.ratios == (None,)
    trust.computed(7, torch.tensor([[-115.0]]))
    assert trust.trend.ratios == (0.5,)


@pytest.mark.parametrize("basis", BASES)
def test_the_share_of_a_trend_goes_from_reuse_to_the_basis_and_by_row(basis):
    history = History("same")
    for k in range(3):
        history.add(Anchor(k, {OUTPUT: torch.full((2,), float(k * k))}, {OUTPUT: 4.0}), keep=3)
    full, none, half, back, rows = (
        history.series(4.0, BASES[basis], BasisOptions(order=2), shares).combine(OUTPUT)
        for shares in ((1.0,), (0.0,), (0.5,), (-0.5,), (0.5, -0.5))
    )
    assert torch.equal(none, torch.full((2,), 4.0))
    assert torch.allclose(half, (full + none) / 2)
    assert torch.allclose(back, none - (full - none) / 2)
    assert torch.allclose(rows, torch.stack([half[0], back[1]]))


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
            session.record(key, {0: ("same", {OUTPUT: torch.full((1, 3), sign)})})
            if session.wants_direction(was_forecast=False):
                session.correct(session.position, torch.full((1, 3), sign), Guidance("same", torch.ones(1)))
        else:
            forecasts.append(float(series[0].combine(OUTPUT)[0, 0]))
    return forecasts


@pytest.mark.parametrize(("stabilizer", "expected"), [(True, 2.0), (False, 3.0)])
def test_where_noise_is_added_forecasts_follow_no_trend(stabilizer, expected):
    settings = Settings(schedule="listed", steps=(0, 2), basis="taylor", stabilizer=stabilizer)
    session = Session(settings, [1.0, 0.8, 0.6, 0.4, 0.0], smooth=False)
    for sigma, value in ((1.0, 0.0), (0.8, None), (0.6, 2.0)):
        key = session.begin(sigma, "call")
        if value is not None:
            assert session.forecast(key, {0: "same"}) is None
            session.record(key, {0: ("same", {OUTPUT: torch.full((1, 3), value)})})
    series = session.forecast(session.begin(0.4, "call"), {0: "same"})
    assert float(series[0].combine(OUTPUT)[0, 0]) == expected


def test_a_run_does_not_extrapolate_an_oscillation():
    assert max(map(abs, zigzag(presets.speed(2.5)))) <= 1.0
    assert max(map(abs, zigzag(presets.paper(3)))) > 1.5
