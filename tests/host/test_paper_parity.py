"""The paper mode against a naive float64 reference of the paper's recurrence, on what real modules returned."""

import math
from collections import defaultdict
from dataclasses import replace

import pytest
import torch
from small_models.sampling import jobs, sample

from hicache_comfy import attach, block_patches, last_report
from hicache_core import Session, Settings, presets
from hicache_core.basis import BASES, BasisOptions
from hicache_core.history import Anchor, History

STEPS = 50
MODULES = {  # named here once more, by hand: 114 and 240 slots at full size
    "flux": {
        "double_block": (
            "double_blocks",
            {"img_attn": "img_attn.proj", "img_mlp": "img_mlp", "txt_attn": "txt_attn.proj", "txt_mlp": "txt_mlp"},
        ),
        "single_block": ("single_blocks", {"total": "linear2"}),
    },
    "qwen_image": {
        "double_block": (
            "transformer_blocks",
            {"img_attn": "attn.to_out.0", "img_mlp": "img_mlp", "txt_attn": "attn.to_add_out", "txt_mlp": "txt_mlp"},
        ),
    },
}


def hook_modules(network, name, seen):
    """Forward hooks of the test's own: ``seen[slot]`` gets a float64 copy of all that the module returns."""
    for kind, (attribute, slots) in MODULES[name].items():
        for index, block in enumerate(getattr(network, attribute)):
            for slot, path in slots.items():

                def keep(module, args, output, slot=f"{kind}.{index}.{slot}"):
                    seen[slot].append(output.detach().double().clone())

                yield block.get_submodule(path).register_forward_hook(keep)


@pytest.fixture(scope="module", params=list(MODULES))
def trajectory(request):
    """(model, by slot what every module returned at each of 50 computed steps)."""
    model = request.getfixturevalue(request.param)
    seen = defaultdict(list)
    hooks = list(hook_modules(model.model.diffusion_model, request.param, seen))
    (job,) = jobs("train", 1, steps=STEPS)
    try:
        sample(model, job)
    finally:
        for hook in hooks:
            hook.remove()
    return request.param, seen


def hermite(n, z):
    return [1.0, 2 * z, 4 * z**2 - 2, 8 * z**3 - 12 * z, 16 * z**4 - 48 * z**2 + 12][n]


class Naive:
    """The recurrence as the paper writes it: a list of differences, made anew at every full step."""

    def __init__(self, order, contraction, first_enhance):
        self.order, self.c, self.first_enhance = order, contraction, first_enhance
        self.differences, self.last = [], None

    def full(self, step, feature):
        new = [feature]
        if self.last is not None and step > self.first_enhance - 2:
            for old in self.differences[: self.order]:
                new.append((new[-1] - old) / (step - self.last))
        self.differences, self.last = new, step

    def forecast(self, step):
        x = step - self.last
        return sum(self.c**i * hermite(i, self.c * x) / math.factorial(i) * d for i, d in enumerate(self.differences))


def close(a, b, limit=1e-6):
    return float((a - b).norm()) <= limit * float(b.norm())


@pytest.mark.parametrize("order", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("contraction", [0.3, 0.5, 0.9])
@pytest.mark.parametrize("interval", [3, 7])
def test_forecasts_are_the_papers_at_every_slot(trajectory, order, contraction, interval):
    _, seen = trajectory
    sigmas = [1.0 - k / STEPS for k in range(STEPS + 1)]
    session = Session(presets.paper(interval, order, contraction), sigmas)
    references = {slot: Naive(order, contraction, first_enhance=3) for slot in seen}
    forecasts = 0
    for step, sigma in enumerate(sigmas[:-1]):
        key = session.begin(sigma, "call")
        series = session.forecast(key, {0: "same"})
        if series is None:
            session.make_room(key, [0])
            session.record(key, {0: ("same", {slot: values[step] for slot, values in seen.items()})})
            for slot, reference in references.items():
                reference.full(step, seen[slot][step])
            continue
        forecasts += 1
        for slot, reference in references.items():
            assert close(series[0].combine(slot), reference.forecast(step)), (slot, step)
    assert forecasts == STEPS - session.finish().calls == {3: 32, 7: 41}[interval]


@pytest.mark.parametrize("positions", [[0, 1, 2, 5, 11, 12, 20], [3, 4, 10, 11, 31], [0, 2, 9, 10, 13, 30, 49]])
@pytest.mark.parametrize("order", [0, 1, 2, 3, 4])
def test_uneven_gaps(trajectory, positions, order):
    _, seen = trajectory
    options = BasisOptions(order, 0.6, first_ready=2)
    for slot in list(seen)[::3]:
        history, reference = History("same"), Naive(order, 0.6, first_enhance=3)
        for position in positions:
            history.add(Anchor(position, {slot: seen[slot][position]}, {slot: 1.0}), keep=order + 1)
            reference.full(position, seen[slot][position])
            for x in (1, 4, 7):
                series = history.series(position + x, BASES["hermite"], options)
                assert close(series.combine(slot), reference.forecast(position + x))


@pytest.mark.parametrize(("interval", "calls"), [(3, 18), (4, 14), (5, 12), (6, 10), (7, 9), (8, 8), (10, 7)])
def test_full_steps_counted_inside_the_network(model, block_calls, interval, calls):
    (job,) = jobs("train", 1, steps=STEPS)
    patched = attach(model, presets.paper(interval))
    with block_calls.during():
        sample(patched, job)
    assert block_calls.count == last_report(patched).calls == calls


@pytest.mark.parametrize("preset", [presets.paper(5), presets.paper(7, order=3), presets.taylorseer(5)])
def test_a_live_run_forecasts_what_the_paper_would(request, trajectory, monkeypatch, preset):
    """The forecasts that reach the network, against the reference fed with what its modules returned in that run."""
    name, _ = trajectory
    model = request.getfixturevalue(name)
    seen, used = defaultdict(list), []

    def spy(call, slot, device, original=block_patches.BlockCall.forecast):
        used.append((slot, original(call, slot, device)))
        return used[-1][1]

    monkeypatch.setattr(block_patches.BlockCall, "forecast", spy)
    hooks = list(hook_modules(model.model.diffusion_model, name, seen))
    patched = attach(model, preset)
    try:
        sample(patched, replace(jobs("train", 1)[0], steps=24))
    finally:
        for hook in hooks:
            hook.remove()
    c = 1 / math.sqrt(2) if preset.basis == "taylor" else preset.contraction  # at order 1 that is TaylorSeer
    references = {slot: Naive(preset.order, c, first_enhance=3) for slot in seen}
    computed = {slot: iter(values) for slot, values in seen.items()}
    forecast = iter(used)
    for evaluation in last_report(patched).evaluations:
        for slot, reference in references.items():
            if evaluation.action == "computed":
                reference.full(evaluation.step, next(computed[slot]))
        for _ in references if evaluation.action == "forecast" else ():
            slot, tensor = next(forecast)
            assert close(tensor.double(), references[slot].forecast(evaluation.step), 3e-6), (slot, evaluation.step)
    assert next(forecast, None) is None


def test_the_number_of_slots_at_full_size():
    """19 double and 38 single blocks of Flux: 114; 60 blocks of Qwen-Image: 240."""
    from hicache_comfy.architectures import FLUX, QWEN_IMAGE

    blocks = {"double_blocks": 19, "single_blocks": 38, "transformer_blocks": 60}
    counts = [sum(blocks[kind.attribute] * len(kind.modules.slots) for kind in a.kinds) for a in (FLUX, QWEN_IMAGE)]
    assert counts == [114, 240]


def test_the_analytic_contraction_comes_from_each_layers_own_trend(model):
    (job,) = jobs("train", 1, steps=24)
    histories = {}

    def look(executor, *args, **kwargs):
        session = args[4]["transformer_options"]["hicache"].session
        histories.update(session._histories)
        return executor(*args, **kwargs)

    patched = attach(model, presets.analytic(5))
    patched.add_wrapper_with_key("calc_cond_batch", "look", look)
    output = sample(patched, job)
    trends = [trend for history in histories.values() for trend in history.trends.values()]
    layers = len({slot.rpartition(".")[0] for slot in patched_slots(model)})
    assert len(trends) == len({trend.mean_square for trend in trends}) == layers
    assert not torch.equal(output, sample(attach(model, presets.paper(5)), job))


def patched_slots(model):
    name = "flux" if hasattr(model.model.diffusion_model, "double_blocks") else "qwen_image"
    for kind, (attribute, slots) in MODULES[name].items():
        for index in range(len(getattr(model.model.diffusion_model, attribute))):
            yield from (f"{kind}.{index}.{slot}" for slot in slots)


def test_paper_settings():
    assert presets.paper() == Settings(
        schedule="interval",
        interval=7,
        warmup_steps=3,
        level="module",
        order=2,
        contraction=0.5,
        explosion_limit=1000.0,
        corrector=False,
        stabilizer=False,
    )
    assert [presets.analytic().basis, presets.taylorseer().basis, presets.dual_taylor().basis] == [
        "analytic",
        "taylor",
        "dual_taylor",
    ]
