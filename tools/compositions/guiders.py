"""Guiders, guidance scales and batches."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import Tensor

from .workflow import Composition, Workflow, call, cfg_guider, custom_sampler, empty, node

GROUP = "Guiders and batches"


def _scale(cfg: float) -> Callable[[Workflow], Workflow]:
    return lambda w: replace(w, cfg=cfg)


def _batch(size: int) -> Callable[[Workflow], Workflow]:
    return lambda w: replace(w, latent={"samples": empty(w.row, size)})


def _guided(name: str, *more: float | str, module: str = "nodes_custom_sampler", third: bool = False) -> Composition:
    def guider(w: Workflow) -> object:
        conditions = [w.positive] if name == "BasicGuider" else [w.positive, w.negative]
        return call(module, name, w.model, *conditions, *([w.row.conditioning(3)] if third else []), *more)

    title = " ".join((name, *(m for m in more if isinstance(m, str))))
    return Composition(title, GROUP, lambda w: replace(w, sampler=custom_sampler(guider)))


def _dual_model(w: Workflow) -> Workflow:
    """The negative on a model of its own."""

    def guider(w: Workflow) -> object:
        return call("nodes_custom_sampler", "DualModelGuider", w.model, w.positive, 3.0, w.model.clone(), w.negative)

    return replace(w, sampler=custom_sampler(guider))


def _override(w: Workflow) -> Workflow:
    """The guidance scale is 1 in the second half: the host asks for the positive alone."""
    return replace(w, model=call("nodes_custom_sampler", "CFGOverride", w.model, 1.0, 0.5, 1.0))


def _apart(at: Callable[[int], bool]) -> Callable[[Workflow], Workflow]:
    """The host believes that two conditions do not fit into memory together, at the steps that ``at`` names."""

    def grouped(executor: Any, model: Any, conds: Any, x: Any, timestep: Tensor, options: dict[str, Any]) -> Any:
        sigmas = options["transformer_options"]["sample_sigmas"]
        if not at(int((sigmas - timestep[0]).abs().argmin())):
            return executor(model, conds, x, timestep, options)
        model.memory_required = lambda *args, **kwargs: math.inf
        try:
            return executor(model, conds, x, timestep, options)
        finally:
            del model.memory_required

    def build(w: Workflow) -> Workflow:
        model = w.model.clone()
        model.add_wrapper_with_key("calc_cond_batch", "apart", grouped)
        return replace(w, model=model)

    return build


def _needs(name: str) -> Callable[[Workflow], str]:
    return lambda w: "" if node("nodes_custom_sampler", name) else f"this ComfyUI has no {name}"


ROWS = (
    Composition("CFG 1", GROUP, _scale(1.0)),
    Composition("CFG 3", GROUP, _scale(3.0), alters=False),
    Composition("positive and negative in two calls", GROUP, _apart(lambda step: True), alters=False),
    Composition("in one call and two by turns", GROUP, _apart(lambda step: step % 3 == 0), alters=False),
    Composition("batch of 2", GROUP, _batch(2)),
    Composition("batch of 4", GROUP, _batch(4)),
    _guided("BasicGuider"),
    Composition("CFGGuider", GROUP, lambda w: replace(w, sampler=custom_sampler(cfg_guider)), alters=False),
    _guided("DualCFGGuider", 3.0, 2.0, "regular", third=True),
    _guided("DualCFGGuider", 3.0, 2.0, "nested", third=True),
    _guided("PerpNegGuider", 3.0, 1.0, module="nodes_perpneg", third=True),
    Composition("DualModelGuider", GROUP, _dual_model, _needs("DualModelGuider"), alters=False),
    Composition("CFGOverride", GROUP, _override, _needs("CFGOverride")),
)
