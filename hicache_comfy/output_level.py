"""Forecast the model's output for every condition: any architecture, no network and no ControlNet on a skipped step."""

from typing import Any

import torch
from torch import Tensor

from .conditions import call_key, replay_keyframes, replay_state_callbacks, signatures
from .run import run_of


def calc_cond_batch(executor: Any, *args: Any, **kwargs: Any) -> list[Tensor]:
    """CALC_COND_BATCH wrapper, on the sampler's thread.

    What is forecast is d = (x - denoised) / sigma of each condition: the velocity of a flow model, the noise of an
    epsilon model, smooth along the sampling path.
    """
    model, conds, x, timestep, model_options = args[:5]
    run = run_of(model_options)
    sigma = float(timestep[0]) if run is not None else 0.0
    if run is None or sigma <= 0.0:
        return executor(*args, **kwargs)
    session = run.session
    replay_keyframes(model, conds, timestep, model_options)
    key = session.begin(sigma, call_key(conds, model_options))
    active = signatures(conds, x, sigma)
    forecast = session.forecast(key, active)
    if forecast is not None:
        replay_state_callbacks(model, timestep, model_options)
        return [_denoised(x, sigma, forecast.get(index)) for index in range(len(conds))]
    denoised = executor(*args, **kwargs)
    if session.wants_anchors:
        session.record(key, {i: (signature, (x - denoised[i]) / sigma) for i, signature in active.items()})
    return denoised


def _denoised(x: Tensor, sigma: float, direction: Tensor | None) -> Tensor:
    """x - sigma d; zeros, as in the host, for a condition that is None or not active."""
    return torch.zeros_like(x) if direction is None else torch.add(x, direction, alpha=-sigma)
