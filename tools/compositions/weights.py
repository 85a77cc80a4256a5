"""Changed weights: LoRAs for the whole run, LoRAs on a conditioning with keyframes, merged models."""

from dataclasses import replace
from typing import Any

import comfy.hooks
import comfy.sd
import torch
from tiny_models.model import Conditioning, fill
from torch import Tensor

import nodes

from .workflow import Composition, Workflow, call

GROUP = "Weights"
RANK = 2


def lora(w: Workflow, seed: int) -> dict[str, Tensor]:
    """A random LoRA on every linear layer."""
    generator = torch.Generator().manual_seed(seed)
    weights: dict[str, Tensor] = {}
    for name, weight in w.model.model.diffusion_model.named_parameters():
        if weight.ndim == 2 and name.endswith(".weight"):
            key = f"diffusion_model.{name.removesuffix('.weight')}"
            rows, columns = weight.shape
            weights[f"{key}.lora_up.weight"] = torch.randn(rows, RANK, generator=generator) * 0.3
            weights[f"{key}.lora_down.weight"] = torch.randn(RANK, columns, generator=generator) / columns**0.5
    return weights


def _loaded(w: Workflow) -> Workflow:
    model, _ = comfy.sd.load_lora_for_models(w.model, None, lora(w, 11), 0.8, 0.0)
    return replace(w, model=model)


def _bypassed(w: Workflow) -> Workflow:
    model, _ = comfy.sd.load_bypass_lora_for_models(w.model, None, lora(w, 11), 0.8, 0.0)
    return replace(w, model=model)


def _no_bypass(w: Workflow) -> str:
    return "" if hasattr(comfy.sd, "load_bypass_lora_for_models") else "this ComfyUI has no bypassed LoRAs"


def _hook(w: Workflow, seed: int = 12) -> comfy.hooks.HookGroup:
    """What CreateHookLora returns for a file."""
    return comfy.hooks.create_hook_lora(lora=lora(w, seed), strength_model=0.8, strength_clip=0.0)


def _with_hooks(conditioning: Conditioning, hooks: comfy.hooks.HookGroup, **more: Any) -> Conditioning:
    how = {"strength": 1.0, "set_cond_area": "default", "hooks": hooks, **more}
    return call("nodes_hooks", "ConditioningSetProperties", conditioning, **how)


def _hooked(w: Workflow) -> Workflow:
    return replace(w, positive=_with_hooks(w.positive, _hook(w)))


def _keyframed(w: Workflow) -> Workflow:
    """Full strength for the first half, little for the second."""
    first = call("nodes_hooks", "CreateHookKeyframe", 1.0, 0.0)
    both = call("nodes_hooks", "CreateHookKeyframe", 0.2, 0.45, first)
    hooks = call("nodes_hooks", "SetHookKeyframes", _hook(w), both)
    return replace(w, positive=_with_hooks(w.positive, hooks), negative=_with_hooks(w.negative, hooks))


def _two_hooks(w: Workflow) -> Workflow:
    """One LoRA on the positive, another on a second positive that begins mid-run."""
    late = _with_hooks(w.row.conditioning(3), _hook(w, 13), timesteps=(0.4, 1.0))
    return replace(w, positive=nodes.ConditioningCombine().combine(_with_hooks(w.positive, _hook(w)), late)[0])


def _merged(w: Workflow) -> Workflow:
    """With the same model with other weights."""
    other = w.row.build(w.model.model_dtype())
    fill(other.model.diffusion_model, seed=14)
    return replace(w, model=call("nodes_model_merging", "ModelMergeSimple", w.model, other, 0.5))


ROWS = (
    Composition("LoRA", GROUP, _loaded),
    Composition("LoRA, bypassed", GROUP, _bypassed, _no_bypass),
    Composition("LoRA hook on a conditioning", GROUP, _hooked),
    Composition("LoRA hooks with keyframes", GROUP, _keyframed),
    Composition("two LoRA hooks, one begins mid-run", GROUP, _two_hooks),
    Composition("ModelMergeSimple", GROUP, _merged),
)
