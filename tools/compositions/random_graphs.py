"""Graphs that nobody would draw: a model, a composition, a sampler, a scheduler, steps and settings, all by chance."""

import gc
import random
from dataclasses import dataclass, replace
from typing import Any

import torch
from tiny_models.model import TinyModel
from tiny_models.rows import MODELS
from torch import Tensor

from hicache_core import LEVELS, Settings, presets
from hicache_core.basis import BASES
from hicache_core.settings import CACHE_DEVICES

from .laws import Seen, check, observe
from .matrix import built
from .rows import COMPOSITIONS
from .workflow import Composition, Workflow, basic, empty

import comfy.samplers  # isort: skip
import nodes  # isort: skip

STEPS = (1, 60)
SAMPLERS = [name for name in comfy.samplers.KSampler.SAMPLERS if name != "ar_video"]  # for one model only
CHOOSES_ITS_STEPS = "dpm_adaptive"  # by the values that it sees
SCHEDULERS = comfy.samplers.KSampler.SCHEDULERS


@dataclass(frozen=True)
class Graph:
    seed: int
    row: TinyModel
    composition: Composition
    sampler: str
    scheduler: str
    steps: int
    batch: int
    cfg: float
    settings: Settings

    def __str__(self) -> str:
        how = f"{self.sampler}, {self.scheduler}, {self.steps} steps, batch {self.batch}, CFG {self.cfg}"
        return f"{self.seed}: {self.row.name}, {self.composition.name}, {how}, {self.settings}"


def draw(seed: int) -> Graph:
    chance = random.Random(seed)
    return Graph(
        seed,
        chance.choice([row for row in MODELS.values() if row.in_this_host]),
        chance.choice(COMPOSITIONS),
        chance.choice(SAMPLERS),
        chance.choice(SCHEDULERS),
        round(STEPS[1] ** chance.random()) + STEPS[0] - 1,  # mostly few
        chance.choice((1, 1, 2)),
        chance.choice((1.0, 1.0, 2.5, 6.0)),
        _settings(chance),
    )


def _settings(chance: random.Random) -> Settings:
    start, end = sorted((chance.choice((0.0, 0.2)), chance.choice((0.6, 1.0))))
    return replace(
        chance.choice((presets.speed(chance.uniform(1.2, 6.0)), presets.adaptive(10.0 ** chance.uniform(-4.0, 0.0)))),
        schedule=chance.choice(("budget", "budget", "interval", "adaptive", "listed")),
        interval=chance.randint(1, 8),
        steps=(0, 2, 3, 9),
        warmup_steps=chance.randint(1, 4),
        level=chance.choice(LEVELS),
        basis=chance.choice(tuple(BASES)),
        order=chance.randint(0, 3),
        contraction=chance.random(),
        start_percent=start,
        end_percent=end,
        explosion_limit=chance.choice((2.0, 50.0)),
        corrector=chance.random() < 0.7,
        stabilizer=chance.random() < 0.7,
        cache_device=chance.choice(CACHE_DEVICES),
    )


def build(graph: Graph) -> Workflow | str:
    """The graph's workflow, or why there is none."""
    start = basic(graph.row, built(graph.row.name, torch.float32).clone())
    reason = graph.composition.lacks(start)
    if reason:
        return reason
    start = replace(start, cfg=graph.cfg, steps=graph.steps, latent={"samples": empty(graph.row, graph.batch)})
    try:
        workflow = graph.composition.build(start)
    except Exception as error:
        return f"the host itself fails: {error}"
    if workflow.sampler is start.sampler:
        workflow = replace(workflow, sampler=lambda w: _sampled(w, graph))
    return workflow


def _sampled(w: Workflow, graph: Graph) -> Any:
    how = (0, w.steps, w.cfg, graph.sampler, graph.scheduler, w.positive, w.negative, w.latent)
    return nodes.KSampler().sample(w.model, *how, denoise=w.denoise)[0]["samples"]


def bytes_alive() -> int:
    """Of all tensors that Python knows."""
    gc.collect()
    tensors = [o for o in gc.get_objects() if type(o) in (Tensor, torch.nn.Parameter)]
    return sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}.values())


def hold_the_laws(graph: Graph) -> str:
    """ "" if the graph keeps the laws, else why the host cannot run it; raises Broken."""
    workflow = build(graph)
    if isinstance(workflow, str):
        return workflow
    try:
        plain = observe(workflow)
    except Exception as error:
        return f"the host itself fails: {error}"
    if not torch.isfinite(plain.latent).all():
        return "the host's own result is not finite"
    slow = observe(workflow, replace(graph.settings, schedule="budget", speed=1.0))
    check(torch.equal(slow.latent, plain.latent), "speed 1 changes nothing")
    before = bytes_alive()
    _check_run(graph, observe(workflow, graph.settings), plain)
    check(bytes_alive() == before, f"bytes alive before are those after, {before}")
    return ""


def _check_run(graph: Graph, cached: Seen, plain: Seen) -> None:
    check(bool(torch.isfinite(cached.latent).all()), "the result is finite")
    if graph.sampler != CHOOSES_ITS_STEPS:
        check(cached.steps == plain.steps, "step callbacks are those of the plain run")
    check(
        "forecast" in cached.actions or torch.equal(cached.latent, plain.latent), "without a forecast nothing changes"
    )
    check("forecast" in cached.actions or bool(cached.messages) or len(plain.calls) < 60, "long runs say why not")
