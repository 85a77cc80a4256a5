"""Every composition of an artist, built from the host's real nodes, around tiny models: the matrix of
docs/compatibility.md. A few models always, all of them with --long."""

from dataclasses import replace

import pytest
import torch
from compositions import document, laws
from compositions.laws import EXACT, SPEED, Broken
from compositions.matrix import REPRESENTATIVES, cell, columns, network_of
from compositions.rows import COMPOSITIONS
from tiny_models.rows import MODELS

import hicache_comfy.conditions
import hicache_comfy.evaluation
from hicache_comfy.architectures import architecture_of
from hicache_comfy.output_level import OutputLevel
from hicache_core import Series, Settings

import comfyui_version  # isort: skip

BY_NAME = {composition.name: composition for composition in COMPOSITIONS}
NEWEST = "0.30.0"  # the host that docs/compatibility.md is about
OUTCOMES = {}


def pytest_generate_tests(metafunc):
    if "composition" not in metafunc.fixturenames:
        return
    turns = TURNS[metafunc.function.__name__] * (1 if comfyui_version.__version__ == NEWEST else 2)
    every = metafunc.config.getoption("--long")
    models = [name for name in (MODELS if every else REPRESENTATIVES) if MODELS[name].in_this_host]
    if "level" in metafunc.fixturenames:
        models = [name for name in models if architecture_of(network_of(name)) is not None]
    cells = [
        pytest.param(name, composition, id=f"{name}, {composition.name}")
        for i, name in enumerate(models)
        for j, composition in enumerate(COMPOSITIONS)
        if every or (i + j) % turns == 0
    ]
    if metafunc.function is test_float32 and not every:
        cells += [pytest.param(name, BY_NAME[other], id=f"{name}, {other}") for name, other in SPECIAL]
    metafunc.parametrize(("model_name", "composition"), cells)


SPECIAL = (  # what none of the representatives takes
    ("FLUX.1 Fill", "InpaintModelConditioning"),
    ("FLUX.1 Kontext", "ReferenceLatent"),
    ("SD 1.5 inpainting", "InpaintModelConditioning"),
    ("SD 1.5", "SelfAttentionGuidance"),
    ("SD 1.5", "PerturbedAttentionGuidance"),
    ("Wan 2.2 5B", "WanUni3CControlnetApply"),
)
TURNS = {
    "test_float32": 1,
    "test_bfloat16": 2,
    "test_inside_the_network": 3,
}  # one cell of so many is tried; on an older host half as many


def test_float32(model_name, composition):
    OUTCOMES[model_name, composition.name] = cell(MODELS[model_name], composition)


def test_bfloat16(model_name, composition):
    outcome = cell(MODELS[model_name], composition, dtype=torch.bfloat16, laws=())
    assert outcome.split(":")[0] in ("pass", "n/a")


@pytest.mark.parametrize("level", ["stack", "block"])
def test_inside_the_network(model_name, composition, level):
    outcome = cell(MODELS[model_name], composition, replace(SPEED, level=level), laws=("still",))
    assert outcome.split(":")[0] in ("pass", "n/a")


on_the_newest = pytest.mark.skipif(
    comfyui_version.__version__ != NEWEST, reason="the document is about the newest host"
)


@on_the_newest
def test_the_document_says_what_this_run_showed():
    written = document.read(document.PATH.read_text("utf-8"))
    assert {cell: written[cell] for cell in OUTCOMES if cell in written} == {
        cell: outcome for cell, outcome in OUTCOMES.items() if cell[0] in columns()
    }


@on_the_newest
def test_the_document_is_as_the_command_writes_it():
    text = document.PATH.read_text("utf-8")
    written = document.read(text)
    assert set(written) == {(model, c.name) for model in columns() for c in COMPOSITIONS}
    assert document.render(written, NEWEST, EXACT) == text


def test_what_is_written_can_be_read():
    kinds = ["pass", "n/a: for U-Nets only", "unchanged: because of | nothing"[:20], "n/a: no video model"]
    outcomes = {
        (model, c.name): kinds[(i + j) % 4] for i, model in enumerate(MODELS) for j, c in enumerate(COMPOSITIONS)
    }
    assert document.read(document.render(outcomes, NEWEST, EXACT)) == outcomes


# That the laws fire.


def broken(name, model="FLUX.1 dev"):
    with pytest.raises(Broken) as error:
        cell(MODELS[model], BY_NAME[name], laws=("frozen", "speed 1"))
    return str(error.value)


def test_guidance_passes_that_share_a_history(monkeypatch):
    monkeypatch.setattr(hicache_comfy.evaluation, "call_key", lambda conds, options: 0)
    assert "frozen direction" in broken("two SkipLayerGuidanceDiT, one ends mid-run")


def test_conditions_of_another_time(monkeypatch):
    monkeypatch.setattr(hicache_comfy.conditions, "_is_active", lambda cond, sigma: True)
    assert "frozen direction" in broken("a range that begins mid-run")


@pytest.mark.parametrize("name", ["ControlNet that ends mid-run", "LoRA hooks with keyframes"])
def test_a_state_that_goes_unnoticed(monkeypatch, name):
    monkeypatch.setattr(hicache_comfy.conditions, "_state", lambda cond, sigma: cond["uuid"])
    assert "frozen direction" in broken(name)


def test_windows_taken_for_each_other(monkeypatch):
    keep = hicache_comfy.evaluation.call_key
    monkeypatch.setattr(hicache_comfy.evaluation, "call_key", lambda conds, options: keep(conds, options)[1:])
    assert "frozen direction" in broken("standard_uniform over frames", "Wan 2.1 T2V")


def test_a_network_that_runs_at_a_forecast_step(monkeypatch):
    forecast = OutputLevel.forecast

    def also_compute(self, request, *args):
        request.compute()
        return forecast(self, request, *args)

    monkeypatch.setattr(OutputLevel, "forecast", also_compute)
    assert "forecast: calls (1, 1), not (0, 0)" in broken("ControlNet")


@pytest.mark.parametrize("level", ["stack", "block"])
def test_features_that_are_added_twice(monkeypatch, level):
    combine = Series.combine
    monkeypatch.setattr(Series, "combine", lambda *args, **how: combine(*args, **how).mul_(2.0))
    with pytest.raises(Broken, match="stands still"):
        cell(MODELS["FLUX.1 dev"], BY_NAME["ControlNet"], replace(SPEED, level=level), laws=("still",))


def test_a_run_without_forecasts_that_does_not_say_why():
    with pytest.raises(Broken, match="says why"):
        cell(MODELS["FLUX.1 dev"], BY_NAME["CFG 3"], Settings(schedule="interval", interval=1))


def test_a_result_that_speed_one_changes(monkeypatch):
    monkeypatch.setattr(laws.presets, "speed", lambda speed: replace(SPEED, warmup_steps=2))
    assert "speed 1" in broken("CFG 3")


def test_a_composition_that_the_host_cannot_run_and_one_that_does_nothing():
    row = MODELS["FLUX.1 dev"]

    def fails(workflow):
        return replace(workflow, positive=None)

    assert cell(row, replace(BY_NAME["CFG 1"], build=fails), laws=()).startswith(
        "n/a: the host itself fails: TypeError"
    )
    assert cell(row, replace(BY_NAME["CFG 1"], build=lambda w: w), laws=()) == "n/a: it changes nothing on this model"
