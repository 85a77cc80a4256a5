"""Settings, schedules, bases and whole runs drawn by chance: what docs/schedule.md and docs/forecast.md promise."""

import json
import math
from dataclasses import asdict, fields, replace
from itertools import pairwise

import numpy as np
import torch
from hypothesis import event, example, given
from hypothesis import strategies as st

from hicache_core import (
    CACHE_DEVICES,
    LEVELS,
    OUTPUT,
    RANGES,
    Guidance,
    LinearSampler,
    Session,
    Settings,
    SettingsError,
    look_ahead,
)
from hicache_core.basis import BASES, MAX_ORDER, BasisOptions
from hicache_core.density import FLOOR
from hicache_core.forecast import blend, weighted_sum
from hicache_core.linear_sampler import MEMORY, LinearStep
from hicache_core.pace import Pace
from hicache_core.schedule import FEWEST, POLICIES, SHORT, Plan
from hicache_core.settings import MOST_STEPS, parse_steps
from hicache_core.steps import step_range

# --- what can be drawn ---

CHOICES = {
    "schedule": st.sampled_from(list(POLICIES)),
    "level": st.sampled_from(LEVELS),
    "basis": st.sampled_from(list(BASES)),
    "cache_device": st.sampled_from(CACHE_DEVICES),
    "corrector": st.booleans(),
    "stabilizer": st.booleans(),
    "steps": st.lists(st.integers(0, 80), max_size=20).map(tuple),
}
NUMBERS = {
    name: st.integers(low, high) if isinstance(low, int) else st.floats(low, high)
    for name, (low, high) in RANGES.items()
}
VALID = CHOICES | NUMBERS
HUGE = st.sampled_from([10**400, -(10**400), 10**5000, 1e308, -1e308, 5e-324, math.nan, math.inf, -math.inf])
WILD = st.one_of(
    HUGE,
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.binary(),
    st.complex_numbers(),
    st.lists(st.integers(-3, 3)),
    st.lists(st.integers(-3, 3)).map(tuple),
    st.just("x" * 10_000),
    st.just(object()),
)


def names(of, least=0):
    return st.lists(st.sampled_from(sorted(of)), min_size=least, unique=True)


@st.composite
def kept_settings(draw):
    """Settings within their ranges."""
    values = {name: draw(VALID[name]) for name in draw(names(VALID))}
    first, last = sorted((values.get("start_percent", 0.0), values.get("end_percent", 1.0)))
    values |= {"start_percent": first, "end_percent": last}
    if values.get("schedule") == "listed":
        values["steps"] = values.get("steps") or (0,)
    return Settings(**values)


@st.composite
def any_values(draw):
    """Of some settings, at least one of them anything at all."""
    values = {name: draw(VALID[name]) for name in draw(names(VALID))}
    return values | {name: draw(WILD) for name in draw(names({f.name for f in fields(Settings)}, least=1))}


@st.composite
def noise_levels(draw):
    """Of a run of up to 80 steps: as flow models have them, or up to 80, falling evenly, by powers or by chance."""
    steps, top, power = draw(st.integers(0, 80)), draw(st.sampled_from([1.0, 14.6, 80.0])), draw(st.floats(0.3, 7.0))
    if draw(st.booleans()):
        levels = [top * (1.0 - k / (steps or 1)) ** power for k in range(steps + 1)]
    else:
        levels = sorted((top * u for u in draw(st.lists(st.floats(1e-4, 1.0), max_size=20))), reverse=True)
        levels = [*levels, draw(st.sampled_from([0.0, 1e-4]))]
    return levels[draw(st.integers(0, 3)) :] or [0.0]


STEPS = st.builds(
    LinearStep, st.floats(0.0, 1.0), st.lists(st.floats(-1.0, 1.0), min_size=1, max_size=MEMORY).map(tuple)
)
POSITIONS = st.lists(st.floats(0.25, 12.0), min_size=1, max_size=10).map(lambda gaps: list(np.cumsum(gaps)))
SHARES = st.floats(-1.0, 1.0)


# --- settings ---


def tried(make, *values, **named):
    """(what it makes, "") or (None, the refusal)."""
    try:
        return make(*values, **named), ""
    except SettingsError as refused:
        return None, str(refused)


def is_a_sentence(text):
    return text.endswith(".") and "\n" not in text and len(text) < 300


@given(any_values())
@example({"speed": 10**400})
@example({"order": 10**5000})
@example({"steps": ("x" * 10_000,)})
def test_settings_are_refused_with_one_sentence_or_they_hold(values):
    settings, refusal = tried(Settings, **values)
    event("refused" if refusal else "taken")
    if refusal:
        assert refusal.split()[0] in {*values, "steps"}  # a schedule that is listed needs them
        assert is_a_sentence(refusal)
    else:
        assert Settings(**asdict(settings)) == settings
        assert replace(settings) == settings
        for name, (low, high) in RANGES.items():
            assert low <= getattr(settings, name) <= high


@given(st.one_of(WILD, st.from_regex(r"[0-9 ,-]{0,40}", fullmatch=True)))
@example("9" * 5000)
@example("0-9999," * 3000)
@example("\u0663, \uff18-\uff19")  # digits of other scripts are digits
@example("\u00b2")
def test_any_text_is_a_list_of_steps_or_is_refused_with_one_sentence(text):
    steps, refusal = tried(parse_steps, text)
    if refusal:
        assert refusal.startswith("steps ")
        assert is_a_sentence(refusal)
    else:
        assert list(steps) == sorted(set(steps))
        assert all(0 <= step < MOST_STEPS for step in steps)


@given(st.lists(st.integers(0, MOST_STEPS - 1), max_size=30), st.integers(1, 40))
def test_steps_that_are_written_down_are_read_back(steps, width):
    steps = sorted(set(steps))
    written = [f"{k} - {min(k + width, MOST_STEPS - 1)}" for k in steps]
    expected = {j for k in steps for j in range(k, min(k + width, MOST_STEPS - 1) + 1)}
    assert parse_steps(" , ".join(map(str, steps))) == tuple(steps)
    assert parse_steps(",".join(written)) == tuple(sorted(expected))


# --- schedules ---


@given(kept_settings(), noise_levels(), st.booleans(), st.floats(0.0, 1.2), st.floats(0.0, 1.2), st.floats(1e-4, 10.0))
def test_every_plan_keeps_its_promises(settings, sigmas, flow, high, low, floor):
    start, end = sigmas[0] * max(high, low), sigmas[0] * min(high, low)
    steps = step_range(sigmas, start, end, flow, settings.signal_floor or floor)
    plan = POLICIES[settings.schedule](settings, steps)
    outside = {k for k in range(steps.total) if k not in steps}
    assert plan.computed <= set(range(steps.total))
    assert outside <= plan.computed
    assert set(range(min(settings.warmup_steps, steps.total))) <= plan.computed
    assert "\n" not in plan.message
    preview = look_ahead(settings, sigmas, start, end, flow, floor)
    session = Session(settings, sigmas, start, end, flow=flow, floor=floor)
    assert preview.computed == tuple(sorted(plan.computed)) == tuple(sorted(session.plan.computed))
    assert len(plan.computed) <= preview.fewest <= preview.most <= steps.total
    PROMISES[settings.schedule](settings, steps, plan, outside)


def keeps_budget(settings, steps, plan, outside):
    """Calls = steps / speed; where that is out of reach as few as can be, and the plan says so."""
    wanted = max(1, round(steps.total / settings.speed))
    fixed = len(outside | set(range(min(settings.warmup_steps, steps.total))))
    if plan.message.startswith("speed"):
        assert len(plan.computed) > wanted
        assert len(plan.computed) <= max(FEWEST, fixed + 1) or steps.total <= SHORT
    elif steps.total:
        assert len(plan.computed) == min(wanted, steps.total)


def keeps_interval(settings, steps, plan, outside):
    inside = sorted(plan.computed - outside - set(range(settings.warmup_steps)))
    assert all((k - settings.warmup_steps + 1) % settings.interval == 0 for k in inside)


def keeps_listed(settings, steps, plan, outside):
    head = set(range(min(settings.warmup_steps, steps.total)))
    assert plan.computed == outside | head | {k for k in settings.steps if k < steps.total}
    if any(k >= steps.total for k in settings.steps):
        assert str(max(settings.steps)) in plan.message


def keeps_adaptive(settings, steps, plan, outside):
    assert (plan.controller is None) == (settings.tolerance <= 0.0)


PROMISES = {
    "budget": keeps_budget,
    "interval": keeps_interval,
    "listed": keeps_listed,
    "adaptive": keeps_adaptive,
}


@given(kept_settings(), noise_levels(), st.lists(st.floats(0.0, 1e9), min_size=1, max_size=20) | st.just([0.0]))
def test_the_adaptive_pace_never_leaves_a_gap_above_its_limit(settings, sigmas, errors):
    """Nothing is known of the error of the first steps, and anything can be of the others."""
    settings = replace(settings, schedule="adaptive", tolerance=max(settings.tolerance, 1e-9))
    unknown = min(settings.warmup_steps, settings.anchors)
    steps = step_range(sigmas, math.inf, 0.0, floor=settings.signal_floor or FLOOR)
    pace, computed = Pace(POLICIES["adaptive"](settings, steps), steps.total), []
    for step in range(steps.total):
        if pace.must_compute(step):
            pace.computed(step, errors[step % len(errors)] if len(computed) >= unknown else None)
            computed.append(step)
    assert computed[: settings.warmup_steps] == list(range(min(settings.warmup_steps, steps.total)))
    assert all(b - a <= settings.max_gap for a, b in pairwise([*computed, steps.total] if computed else [0]))
    preview = look_ahead(settings, sigmas)
    assert len(computed) <= preview.most
    assert any(errors) or len(computed) == preview.fewest


# --- bases ---


@given(st.sampled_from(sorted(BASES)), POSITIONS, st.floats(0.0, 30.0), st.integers(0, MAX_ORDER), st.floats(0.0, 1.0))
def test_weights_are_finite_and_sum_to_one(name, positions, ahead, order, contraction):
    options = BasisOptions(order, contraction, first_ready=positions[len(positions) // 2])
    weights = BASES[name](positions, positions[-1] + ahead, options)
    assert len(weights) == len(positions)
    assert all(map(math.isfinite, weights))
    assert abs(math.fsum(weights) - 1.0) <= 1e-9 * max(1.0, *map(abs, weights))


# Which polynomials a forecast follows exactly: (basis, order, contraction) -> degree. Recursive differences of order 2
# and more are not divided differences (docs/forecast.md), so only lines are exact there.
EXACT = {
    **{("lagrange", order, 0.5): order for order in range(MAX_ORDER + 1)},
    **{(name, 0, 0.5): 0 for name in BASES},
    ("taylor", 1, 0.5): 1,
    ("hermite", 1, math.sqrt(0.5)): 1,
    ("dual_taylor", 1, 1.0): 1,
    ("reuse", 4, 0.5): 0,
}


@given(
    st.sampled_from(sorted(EXACT)),
    POSITIONS,
    st.floats(0.0, 20.0),
    st.lists(st.floats(-3.0, 3.0), min_size=MAX_ORDER + 1, max_size=MAX_ORDER + 1),
)
def test_forecasts_are_exact_on_polynomials(kind, positions, ahead, coefficients):
    name, order, contraction = kind
    degree = min(EXACT[kind], len(positions) - 1)
    target = positions[-1] + ahead
    values = np.polynomial.polynomial.polyval([*positions, target], coefficients[: degree + 1])
    weights = BASES[name](positions, target, BasisOptions(order, contraction))
    scale = 1e-9 * (1.0 + float(np.abs(weights) @ np.abs(values[:-1])))
    assert abs(float(np.dot(weights, values[:-1])) - values[-1]) <= scale


@given(
    st.lists(st.floats(-50.0, 50.0), min_size=1, max_size=6),
    st.lists(SHARES, min_size=1, max_size=3),
    st.sampled_from([torch.float32, torch.float64, torch.bfloat16]),
    st.integers(0, 2**31),
)
def test_the_sum_is_the_sum(weights, shares, dtype, seed):
    rows = len(shares)
    anchors = torch.randn(len(weights), rows, 4, generator=torch.Generator().manual_seed(seed)).to(dtype)
    found = weighted_sum(weights, list(anchors), shares)
    exact = anchors.double()
    blended = torch.tensor([blend(weights, share) for share in shares], dtype=torch.float64)
    expected = torch.einsum("rw,wrc->rc", blended, exact)
    size = torch.einsum("rw,wrc->rc", blended.abs() + 1.0, exact.abs())
    assert found.dtype == dtype
    assert ((found.double() - expected).abs() <= 4.0 * torch.finfo(dtype).eps * size + 1e-6 * size).all()


# --- whole runs ---


@given(
    kept_settings(),
    noise_levels(),
    st.integers(0, 2**31),
    st.lists(st.sampled_from(["", "nan", "inf", "zero", "huge", "other conditions"]), min_size=1, max_size=9),
    st.lists(STEPS, min_size=1, max_size=9),
    st.booleans(),
    st.lists(st.sampled_from([6.0, 6.0, 1.0, math.nan]), min_size=1, max_size=9),
)
def test_a_run_of_anything_gives_finite_forecasts_and_stays_within_its_bytes(
    settings, sigmas, seed, happenings, laws, of_directions, scales
):
    """A network that returns noise, and now and then worse. No sampler asks twice in a row for a noise level."""
    sigmas = [a for a, b in pairwise(sigmas) if a > b * 1.001] + sigmas[-1:]
    generator = torch.Generator().manual_seed(seed)
    sampler = LinearSampler(tuple(laws[k % len(laws)] for k in range(len(sigmas) - 1)), of_directions)
    session = Session(settings, sigmas, sampler=sampler, hindsight=seed % 2 == 0)
    most, same = sum(session.most_held(24, 24, 24)), set(happenings) <= {"", "zero", "huge"}
    for step, sigma in enumerate(sigmas[:-1]):
        key = session.begin(sigma, "call")
        what = happenings[step % len(happenings)]
        series = session.forecast(key, {0: what == "other conditions"})
        output = torch.randn(2, 3, generator=generator) * {"zero": 0.0, "huge": 1e30}.get(what, 1.0)
        if series is not None:
            output = series[0].combine(OUTPUT)
            assert output.isfinite().all()
        elif session.wants_anchors:
            output[0, 0] = {"nan": math.nan, "inf": math.inf}.get(what, float(output[0, 0]))
            session.make_room(key, [0])
            session.record(key, {0: (what == "other conditions", {OUTPUT: output.clone()})})
        if session.wants_direction(series is not None):
            guidance = Guidance(what == "other conditions", torch.tensor([scales[step % len(scales)]]))
            if series is None:
                session.correct(session.position, output, guidance)
            else:
                session.follow(session.position, output * sigma, torch.zeros_like(output), sigma, guidance)
    report = session.finish()
    assert report.calls + report.forecasts == len(report.evaluations) == len(sigmas[:-1])
    assert report.bytes_held <= most or not same
    json.dumps(report.as_dict()["messages"], allow_nan=False)
    steps = step_range(sigmas, math.inf, 0.0, floor=settings.signal_floor or FLOOR)
    planned = POLICIES[settings.schedule](settings, steps)
    forecast = {e.step for e in report.evaluations if e.action == "forecast"}
    assert not forecast & planned.computed
    assert isinstance(planned, Plan)
    event(f"{min(3, len(forecast))} forecasts or more")
