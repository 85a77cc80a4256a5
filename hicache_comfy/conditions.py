"""What identifies a call for conditions, and what must stay equal for its history to go on."""

import inspect
from collections.abc import Callable, Hashable, Iterator
from functools import lru_cache
from types import MethodType
from typing import Any

import numpy as np
from torch import Tensor

Cond = dict[str, Any]
Conds = list[list[Cond] | None]
Branch = tuple[int, Hashable]


def call_key(conds: Conds, model_options: dict[str, Any]) -> Hashable:
    """Which conditions, in which order, on which context window, through which patches of the network."""
    options = model_options.get("transformer_options", {})
    frames = tuple(getattr(options.get("context_window"), "index_list", ()))
    patches = tuple(_patch_ids(options.get(name, {})) for name in ("patches", "patches_replace"))
    return frames, patches, tuple(None if cond is None else tuple(map(_identity, cond)) for cond in conds)


def _patch_ids(patches: dict[str, Any]) -> Hashable:
    """Skip-layer guidance and its kin ask for the same conditions again, told apart only by what they patch."""
    found = (p for group in patches.values() for p in (group.values() if isinstance(group, dict) else group))
    return tuple(map(id, found))


def _identity(cond: Cond) -> Hashable:
    return cond["uuid"], tuple(sorted(cond.get("model_conds", ())))


def signatures_by_entry(conds: Conds, x: Tensor, sigma: float) -> dict[int, Hashable]:
    """By index of every entry that the host would compute: what a forecast must not be carried across."""
    states: dict[int, list[Hashable]] = {}
    for (index, _), signature in signatures_by_condition(conds, x, sigma).items():
        states.setdefault(index, []).append(signature)
    return {index: tuple(several) for index, several in states.items()}


def signatures_by_condition(conds: Conds, x: Tensor, sigma: float) -> dict[Branch, Hashable]:
    """The same by (index of the entry, uuid) of every condition."""
    latent = (tuple(x.shape), x.dtype, x.device)
    return {
        (index, c["uuid"]): (latent, _state(c, sigma))
        for index, cond in enumerate(conds)
        for c in cond or ()
        if _is_active(c, sigma)
    }


def replay_keyframes(model: Any, conds: Conds, sigma: float, timestep: Tensor, model_options: dict[str, Any]) -> None:
    """Move LoRA hooks to their keyframe of this noise level, as the host does before it calls the network."""
    for cond in conds:
        for c in cond or ():
            hooks = c.get("hooks")
            if hooks is not None and _is_active(c, sigma) and any(h.hook_keyframe.keyframes for h in hooks.hooks):
                model.current_patcher.prepare_hook_patches_current_keyframe(timestep, hooks, model_options)


def replay_state_callbacks(model: Any, timestep: Tensor, model_options: dict[str, Any]) -> None:
    """Tell patches the noise level, as the host does at every evaluation; older hosts do not pass the model options."""
    patcher, arguments = model.current_patcher, (timestep, model_options)
    patcher.prepare_state(*arguments[: len(signature_of(patcher.prepare_state).parameters)])


def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """What it takes. A method's is kept: looking is slow beside the little that a forecast step does."""
    return _of_method(function.__func__) if isinstance(function, MethodType) else inspect.signature(function)


@lru_cache(maxsize=8)
def _of_method(function: Callable[..., Any]) -> inspect.Signature:
    """By the function of the class, so that no object is kept alive."""
    return inspect.signature(MethodType(function, object()))


def _is_active(cond: Cond, sigma: float) -> bool:
    return _in_range(sigma, cond.get("timestep_start"), cond.get("timestep_end"))


def _in_range(sigma: float, start: float | None, end: float | None) -> bool:
    """The host compares noise levels in float32."""
    return (start is None or sigma <= np.float32(start)) and (end is None or sigma >= np.float32(end))


def _state(cond: Cond, sigma: float) -> Hashable:
    hooks = cond.get("hooks")
    strengths = () if hooks is None else tuple(hook.strength for hook in hooks.hooks)
    ranges = tuple(_in_range(sigma, *(control.timestep_range or (None, None))) for control in _controls(cond))
    return cond["uuid"], strengths, ranges


def _controls(cond: Cond) -> Iterator[Any]:
    control = cond.get("control")
    while control is not None:
        yield control
        control = control.previous_controlnet
