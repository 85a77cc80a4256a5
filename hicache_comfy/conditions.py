"""What identifies a call for conditions, and what must stay equal for its history to go on."""

import inspect
from collections.abc import Hashable, Iterator
from typing import Any

import numpy as np
from torch import Tensor

Cond = dict[str, Any]
Conds = list[list[Cond] | None]


def call_key(conds: Conds, model_options: dict[str, Any]) -> Hashable:
    """Which conditions, in which order, on which context window."""
    window = model_options.get("transformer_options", {}).get("context_window")
    frames = tuple(getattr(window, "index_list", ())) if window is not None else ()
    return frames, tuple(None if cond is None else tuple(c["uuid"] for c in cond) for cond in conds)


def signatures(conds: Conds, x: Tensor, sigma: float) -> dict[int, Hashable]:
    """By index of every condition that the host would compute: what a forecast must not be carried across."""
    latent = (tuple(x.shape), x.dtype, x.device)
    active = {i: tuple(_state(c, sigma) for c in cond or () if _is_active(c, sigma)) for i, cond in enumerate(conds)}
    return {index: (latent, state) for index, state in active.items() if state}


def replay_keyframes(model: Any, conds: Conds, timestep: Tensor, model_options: dict[str, Any]) -> None:
    """Move LoRA hooks to their keyframe of this noise level, as the host does before it calls the network."""
    for cond in conds:
        for c in cond or ():
            if c.get("hooks") is not None:
                model.current_patcher.prepare_hook_patches_current_keyframe(timestep, c["hooks"], model_options)


def replay_state_callbacks(model: Any, timestep: Tensor, model_options: dict[str, Any]) -> None:
    """Tell patches the noise level, as the host does at every evaluation; older hosts do not pass the model options."""
    prepare_state = model.current_patcher.prepare_state
    arguments = (timestep, model_options)
    prepare_state(*arguments[: len(inspect.signature(prepare_state).parameters)])


def _is_active(cond: Cond, sigma: float) -> bool:
    if "default" in cond:
        return True
    start, end = cond.get("timestep_start"), cond.get("timestep_end")
    return _in_range(sigma, start, end)


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
