"""One run, driven as the host drives it, on plain tensors."""

import gc
import math
import weakref
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from hicache_core import OUTPUT, Guidance, LinearSampler, Session, Settings, Timeline, euler, presets
from hicache_core.density import FLOOR
from hicache_core.linear_sampler import LinearStep

SIGMAS = [1.0 - k / 20 for k in range(21)]
SHAPE = ((2, 3), torch.float32, "cpu")
GUIDANCE = Guidance("same", torch.ones(1))
HALVES = (range(10), range(10, 20))


def line(position, sigma):
    return torch.full((2, 3), 3.0 + 0.5 * position)


def evaluate(session, sigma, network=line, call="main", signature=SHAPE):
    """One evaluation; returns (output, whether the network ran)."""
    key = session.begin(sigma, call)
    forecast = session.forecast(key, {0: signature})
    if forecast is not None:
        return forecast[0].combine(OUTPUT), False
    output = network(SIGMAS.index(sigma) if sigma in SIGMAS else math.nan, sigma)
    if session.wants_anchors:
        session.make_room(key, [0])
        session.record(key, {0: (signature, {OUTPUT: output.clone()})})
    return output, True


def go_on(session, direction, was_forecast):
    """The sampler goes along this direction."""
    if was_forecast:
        x, denoised = direction * session.sigma, torch.zeros_like(direction)
        session.follow(session.position, x, denoised, session.sigma, GUIDANCE)
    else:
        session.correct(session.position, direction.clone(), GUIDANCE)


def run(session, network=line, **how):
    return [evaluate(session, sigma, network, **how) for sigma in SIGMAS[:-1]]


def computed(report):
    return [e.step for e in report.evaluations if e.action != "forecast"]


def test_it_follows_the_interval_schedule_and_forecasts_a_line_exactly():
    settings = Settings(schedule="interval", interval=5, warmup_steps=3, basis="taylor", stabilizer=False)
    session = Session(settings, SIGMAS)
    outputs = run(session)
    report = session.finish()
    assert computed(report) == [0, 1, 2, 7, 12, 17]
    assert [ran for _, ran in outputs] == [e.action == "computed" for e in report.evaluations]
    for k, (output, _) in enumerate(outputs):
        assert torch.allclose(output, line(k, 0.0))


def test_speed_one_computes_everything_and_stores_nothing():
    session = Session(presets.speed(1.0), SIGMAS)
    run(session)
    report = session.finish()
    assert (report.calls, report.forecasts, report.bytes_held) == (20, 0, 0)
    assert report.speedup_calls == 1.0


def test_the_report_counts_calls_bytes_and_seconds():
    ticks = iter(range(1000))
    session = Session(replace(presets.speed(2.0), order=2), SIGMAS, timeline=Timeline(clock=lambda: float(next(ticks))))
    run(session)
    report = session.finish()
    assert (report.calls, report.forecasts, report.speedup_calls) == (10, 10, 2.0)
    assert report.bytes_held == 3 * 6 * 4  # three anchors of order 2
    assert [e.seconds for e in report.evaluations] == [1.0] * 20
    assert report.speedup_seconds == pytest.approx(1.0)
    assert [e.sigma for e in report.evaluations] == SIGMAS[:-1]


def test_a_forecast_never_writes_to_an_anchor():
    session = Session(Settings(schedule="interval", interval=3, basis="reuse"), SIGMAS)
    for sigma in SIGMAS[:-1]:
        output, ran = evaluate(session, sigma, lambda position, sigma: torch.ones(2, 3))
        assert torch.equal(output, torch.ones(2, 3))
        if not ran:
            output.fill_(math.nan)


def test_a_changed_signature_computes_and_starts_a_new_history():
    session = Session(Settings(schedule="interval", interval=10, warmup_steps=3), SIGMAS)
    for sigma in SIGMAS[:5]:
        evaluate(session, sigma)
    _, ran = evaluate(session, SIGMAS[5], signature="another")
    assert ran
    _, ran = evaluate(session, SIGMAS[6], signature="another")
    assert ran  # one anchor is too few
    report = session.finish()
    assert [e.action for e in report.evaluations[3:]] == ["forecast", "forecast", "refused", "refused"]
    assert report.evaluations[5].reason == "the conditions or the latent changed"
    assert report.evaluations[6].reason == "too few computed evaluations to forecast from"


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_an_anchor_that_is_not_finite_is_never_used(bad):
    def network(position, sigma):
        return torch.full((2, 3), bad if position == 2 else 1.0)

    session = Session(Settings(schedule="interval", interval=6, warmup_steps=3, order=2), SIGMAS)
    outputs = run(session, network)
    report = session.finish()
    assert [e.action for e in report.evaluations[:7]] == ["computed"] * 3 + ["refused"] * 3 + ["forecast"]
    assert all(output.isfinite().all() for k, (output, _) in enumerate(outputs) if k != 2)


def test_an_exploding_forecast_is_refused_without_reading_it():
    def network(position, sigma):
        return torch.full((2, 3), 1000.0 if position == 1 else 1.0)

    settings = Settings(schedule="interval", interval=8, warmup_steps=3, basis="lagrange", order=2, stabilizer=False)
    session = Session(settings, SIGMAS)
    run(session, network)
    report = session.finish()
    assert report.evaluations[3].action == "refused"
    assert report.evaluations[3].reason == "the forecast could explode"


def test_repeated_calls_at_one_noise_level_keep_histories_of_their_own():
    session = Session(Settings(schedule="interval", interval=4, basis="reuse"), SIGMAS)
    for sigma in SIGMAS[:-1]:
        first, _ = evaluate(session, sigma, lambda position, sigma: torch.full((2, 3), 1.0))
        second, _ = evaluate(session, sigma, lambda position, sigma: torch.full((2, 3), 2.0))
        assert (first[0, 0], second[0, 0]) == (1.0, 2.0)


def test_different_calls_keep_histories_of_their_own():
    session = Session(Settings(schedule="interval", interval=4, basis="reuse"), SIGMAS)
    for sigma in SIGMAS[:-1]:
        for call in (1.0, 2.0):
            output, _ = evaluate(session, sigma, lambda p, s, call=call: torch.full((2, 3), call), call=call)
            assert output[0, 0] == call


def test_all_conditions_are_forecast_or_none():
    """A second condition that appears late makes the step computed; the first one's history goes on."""
    session = Session(Settings(schedule="interval", interval=10), SIGMAS)
    for sigma in SIGMAS[:5]:
        evaluate(session, sigma)
    key = session.begin(SIGMAS[5], "main")
    assert session.forecast(key, {0: SHAPE, 1: SHAPE}) is None


def test_a_rise_of_the_noise_level_starts_over():
    session = Session(Settings(schedule="interval", interval=10, warmup_steps=3, order=2), SIGMAS)
    for sigma in SIGMAS[:6]:
        evaluate(session, sigma)
    ran = [evaluate(session, sigma)[1] for sigma in SIGMAS[3:8]]
    assert ran == [True, True, True, False, False]


def test_nothing_is_forecast_outside_the_noise_range():
    session = Session(presets.speed(10.0), SIGMAS, start_sigma=0.7, end_sigma=0.3)
    run(session)
    forecast = [e.sigma for e in session.finish().evaluations if e.action == "forecast"]
    assert forecast
    assert all(0.3 <= sigma <= 0.7 for sigma in forecast)


def test_two_evaluations_per_step_share_its_decision():
    session = Session(Settings(schedule="interval", interval=4), SIGMAS)
    middles = [(a + b) / 2 for a, b in pairwise(SIGMAS)]
    for sigma, middle in zip(SIGMAS, middles, strict=False):
        ran = [evaluate(session, level, lambda position, sigma: torch.ones(2, 3))[1] for level in (sigma, middle)]
        assert ran[0] == ran[1]
    assert session.finish().forecasts == 30


def test_adaptive_spends_its_calls_where_the_series_bends():
    def straight(position, sigma):
        return torch.full((2, 3), 5.0)

    def bent(position, sigma):
        return torch.full((2, 3), 5.0 + math.sin(2.0 * position) * (position < 8))

    calls = {}
    for network in (straight, bent):
        session = Session(Settings(schedule="adaptive", tolerance=0.02, basis="taylor", max_gap=8), SIGMAS)
        run(session, network)
        report = session.finish()
        calls[network] = [sum(step in steps for step in computed(report)) for steps in HALVES]
        assert all(e.error is not None for e in report.evaluations[1:-1] if e.action == "computed")
    assert calls[bent][0] >= calls[straight][0] + 2
    assert calls[bent][0] > calls[bent][1]


@pytest.mark.parametrize("settings", [presets.speed(2.0), presets.paper(5)])
def test_hindsight_tells_how_far_off_a_forecast_would_have_been_and_changes_nothing_else(settings):
    def network(position, sigma):
        return torch.full((2, 3), 5.0 + math.sin(position))

    outputs, reports = [], []
    for hindsight in (False, True):
        session = Session(settings, SIGMAS, hindsight=hindsight)
        outputs.append([output for output, _ in run(session, network)])
        reports.append(session.finish())
    assert all(map(torch.equal, *outputs))
    assert computed(reports[0]) == computed(reports[1])
    assert all(e.error is None for e in reports[0].evaluations)
    last_forecast = max(e.step for e in reports[1].evaluations if e.action == "forecast")
    compared = [step for step in computed(reports[1])[settings.warmup_steps :] if step < last_forecast]
    assert [e.step for e in reports[1].evaluations if e.error] == compared
    assert reports[1].bytes_held == reports[0].bytes_held + outputs[0][0].nbytes


def test_finish_drops_every_tensor_even_while_the_session_lives():
    session = Session(presets.speed(2.0), SIGMAS)
    stored = []
    for sigma in SIGMAS[:8]:
        key = session.begin(sigma, "main")
        if session.forecast(key, {0: SHAPE}) is None:
            tensor = torch.ones(2, 3)
            stored.append(weakref.ref(tensor))
            session.record(key, {0: (SHAPE, {OUTPUT: tensor})})
            del tensor
    assert any(reference() is not None for reference in stored)
    session.finish()
    gc.collect()
    assert all(reference() is None for reference in stored)


def test_histories_that_get_no_more_anchors_are_dropped():
    """Context windows that move: every step asks for another one."""
    session = Session(Settings(schedule="interval", interval=2), SIGMAS)
    for step, sigma in enumerate(SIGMAS[:-1]):
        _, ran = evaluate(session, sigma, call=f"window {step}")
        assert ran
        assert len(session._histories) <= 5
    assert session.finish().bytes_held <= 5 * 6 * 4


def test_the_report_carries_what_the_plan_could_not_do():
    (message,) = Session(presets.speed(9.0), SIGMAS[-6:]).finish().messages
    assert message.startswith("speed 9 is out of reach: 5 of 5 steps must be computed")


def reference_run(values, interval, order, c, warmup):
    """HiCache as its paper's reference implementation steps through it, in float64: a cache of differences, filled at
    full steps and only from step warmup - 1 on, evaluated with physicists' Hermite polynomials."""
    cache, last_full, outputs = [], None, []
    for step, value in enumerate(values):
        if step < warmup or (step - warmup + 1) % interval == 0:
            filled = [value]
            if last_full is not None and step >= warmup - 1:
                for old in cache[:order]:
                    filled.append((filled[-1] - old) / (step - last_full))
            cache, last_full = filled, step
            outputs.append(value)
        else:
            x = step - last_full
            polynomials = [1.0, 2 * c * x]
            for n in range(1, order):
                polynomials.append(2 * c * x * polynomials[n] - 2 * n * polynomials[n - 1])
            terms = (c**i * polynomials[i] / math.factorial(i) * d for i, d in enumerate(cache))
            outputs.append(sum(terms))
    return outputs


@pytest.mark.parametrize("interval", [2, 3, 5, 7])
@pytest.mark.parametrize("order", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("c", [0.3, 0.5, 0.9])
def test_a_run_is_the_papers_run(interval, order, c):
    values = [math.sin(0.2 * k) + 0.05 * k for k in range(20)]
    settings = replace(presets.paper(interval, order, c, warmup_steps=1), explosion_limit=1000.0)
    session = Session(settings, SIGMAS)
    outputs = run(session, lambda position, sigma: torch.full((1,), values[position], dtype=torch.float64))
    expected = reference_run(values, interval, order, c, warmup=settings.warmup_steps)
    assert [float(output) for output, _ in outputs] == pytest.approx(expected, rel=1e-12)


def test_a_level_behind_the_last_step_is_computed():
    """Samplers with two evaluations a step ask for the last level too, if it is not zero."""
    session = Session(presets.speed(4.0), SIGMAS[:-4], end_sigma=0.7)
    run_until = [evaluate(session, sigma)[1] for sigma in SIGMAS[:-4]]
    assert run_until[-1]


def test_refused_forecasts_are_summed_up():
    session = Session(Settings(schedule="interval", interval=2, warmup_steps=3), SIGMAS)
    for step, sigma in enumerate(SIGMAS[:8]):
        evaluate(session, sigma, call=f"window {step}")
    assert session.finish().messages == (
        "3 planned forecasts were computed instead: too few computed evaluations to forecast from",
    )


@pytest.mark.parametrize(("settings", "floor"), [(Settings(), 0.02), (Settings(signal_floor=0.5), 0.5)])
def test_the_report_tells_the_floor_that_the_plan_was_made_with(settings, floor):
    session = Session(settings, SIGMAS, floor=0.02)
    assert session.finish().signal_floor == session.floor == floor
    assert Session(Settings(), SIGMAS).floor == FLOOR


def test_messages_are_kept_once():
    session = Session(presets.speed(2.0), SIGMAS)
    assert session.say_once("moving windows are computed")
    assert not session.say_once("moving windows are computed")
    assert session.finish().messages == ("moving windows are computed",)


def stored(session):
    return [t for history in session._histories.values() for a in history.anchors for t in a.tensors.values()]


@pytest.mark.parametrize("settings", [presets.speed(2.5), presets.adaptive(0.03), presets.analytic(3)])
def test_anchors_live_where_they_are_told_to_and_forecasts_are_the_same(settings):
    """A tensor that is moved to the CPU by its number is copied: enough of another device for this."""
    outputs = {}
    for storage in (None, torch.device("cpu", 0)):
        session, given = Session(settings, SIGMAS), []
        session.storage = storage
        outputs[storage] = []
        for sigma in SIGMAS[:-1]:
            key = session.begin(sigma, "main")
            forecast = session.forecast(key, {0: SHAPE})
            if forecast is None:
                given.append(line(session.position, sigma).sin())
                session.record(key, {0: (SHAPE, {OUTPUT: given[-1]})})
                assert (stored(session)[-1] is given[-1]) is (storage is None)
            outputs[storage].append(given[-1] if forecast is None else forecast[0].combine(OUTPUT))
        assert session.finish().device == "cpu"
    assert len(outputs[None]) == 20
    assert all(map(torch.equal, *outputs.values()))


def looking_back(memory, of_directions):
    """A sampler with this memory."""
    older = (0.01,) * memory
    return LinearSampler(tuple(LinearStep(0.9, (0.1, *older[:k])) for k in range(len(SIGMAS) - 1)), of_directions)


@pytest.mark.parametrize("hindsight", [True, False])
@pytest.mark.parametrize("corrector", [True, False])
@pytest.mark.parametrize("stabilizer", [True, False])
@pytest.mark.parametrize("memory", range(4))
@pytest.mark.parametrize("of_directions", [True, False])
@pytest.mark.parametrize("settings", [presets.speed(2.0), Settings(schedule="interval", interval=6)])
def test_the_most_that_will_be_held_is_what_is_held(settings, of_directions, memory, corrector, stabilizer, hindsight):
    settings = replace(settings, corrector=corrector, stabilizer=stabilizer)
    sampler = looking_back(memory, of_directions)
    session = Session(settings, SIGMAS, sampler=sampler, hindsight=hindsight)
    size = line(0, 0.0).nbytes
    most = sum(session.most_held(size, size, size))
    for sigma in SIGMAS[:-1]:
        forecasts = session.forecasts
        output, _ = evaluate(session, sigma)
        if session.wants_direction(session.forecasts > forecasts):
            go_on(session, output, session.forecasts > forecasts)
    assert session.finish().bytes_held == most


@pytest.mark.parametrize("settings", [presets.speed(2.0), presets.adaptive(0.03)])
def test_what_is_made_in_its_turn_is_there_once_and_not_for_every_condition(settings):
    """Of three conditions only one has an anchor too many while it is compared with its forecast."""
    session, made, alive = Session(settings, SIGMAS, hindsight=True), [], []
    size, conditions = line(0, 0.0).nbytes, range(3)

    def make():
        made.append(weakref.ref(tensor := line(session.position, session.sigma)))
        alive.append(sum(reference() is not None for reference in made))
        return {OUTPUT: tensor}

    for sigma in SIGMAS[:-1]:
        key = session.begin(sigma, "main")
        if session.forecast(key, dict.fromkeys(conditions, SHAPE)) is None and session.wants_anchors:
            session.record(key, dict.fromkeys(conditions, (SHAPE, make)))
    most = settings.anchors * len(conditions) + 1
    assert max(alive) == most
    assert session.finish().bytes_held == most * size == sum(session.most_held(3 * size, size, 0))


def test_a_run_without_forecasts_will_hold_nothing():
    assert Session(presets.speed(1.0), SIGMAS).most_held(100, 100, 10) == (0, 0)


def test_after_giving_up_nothing_is_kept_and_everything_computed():
    session = Session(Settings(schedule="interval", interval=3), SIGMAS, sampler=euler(SIGMAS))
    for sigma in SIGMAS[:5]:
        output, ran = evaluate(session, sigma)
        go_on(session, output, not ran)
    assert session.give_up()
    assert not session._histories
    assert not session._directions.tensors
    assert not session.wants_anchors
    assert not session.wants_direction(was_forecast=True)
    for sigma in SIGMAS[5:-1]:
        _, ran = evaluate(session, sigma)
        assert ran
    evaluate(session, 1.0)  # a noise level that rises starts over, but not the forecasts
    assert evaluate(session, SIGMAS[1])[1]
    report = session.finish()
    assert report.messages == (
        "memory ran out at step 4: what was kept is dropped, and every step from there on computed",
    )
    assert [e.step for e in report.evaluations if e.action == "forecast"] == [1, 2, 4]


@pytest.mark.parametrize("settings", [presets.speed(1.0), presets.adaptive(0.0)])
def test_there_is_nothing_to_give_up_where_everything_is_computed(settings):
    session = Session(settings, SIGMAS)
    evaluate(session, SIGMAS[0])
    assert not session.give_up()
    assert not any("memory" in message for message in session.finish().messages)


def test_it_is_given_up_once():
    session = Session(presets.adaptive(0.01), SIGMAS)
    assert session.give_up()
    assert not session.give_up()


def test_a_forecast_that_was_given_up_counts_as_computed():
    session = Session(Settings(schedule="interval", interval=3), SIGMAS)
    for sigma in SIGMAS[:2]:
        evaluate(session, sigma)
    session.give_up()
    session.compute_instead()
    assert [e.action for e in session.finish().evaluations] == ["computed", "computed"]
