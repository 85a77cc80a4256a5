"""Forecast the model's output for every condition: any architecture, no network and no ControlNet on a skipped step."""

from typing import Any

import torch
from torch import Tensor

from .conditions import call_key, replay_keyframes, replay_state_callbacks, signatures
from .run import Run, run_of


def calc_cond_batch(executor: Any, *args: Any, **kwargs: Any) -> list[Tensor]:
    """CALC_COND_BATCH wrapper, on the sampler's thread.

    What is forecast is the direction d = (x - denoised) / sigma of each condition: the velocity of a flow model, the
    noise of an epsilon model, smooth along the path of a deterministic sampler. Where noise is added between steps, d
    carries noise that is not in x any more, and the denoised image itself is forecast.
    """
    model, conds, x, timestep, model_options = args[:5]
    run = run_of(model_options)
    sigma = float(timestep[0]) if run is not None else 0.0
    if run is None or sigma <= 0.0:
        return executor(*args, **kwargs)
    replay_keyframes(model, conds, sigma, timestep, model_options)
    key = run.session.begin(sigma, call_key(conds, model_options))
    active = signatures(conds, x, sigma)
    forecast = run.session.forecast(key, active)
    if forecast is not None:
        replay_state_callbacks(model, timestep, model_options)
        return [_denoised(run, x, sigma, forecast.get(index)) for index in range(len(conds))]
    denoised = executor(*args, **kwargs)
    if run.session.wants_anchors:
        anchors = {i: (signature, _anchor(run, x, sigma, denoised[i])) for i, signature in active.items()}
        run.session.record(key, anchors)
    return denoised


def _anchor(run: Run, x: Tensor, sigma: float, denoised: Tensor) -> Tensor:
    return denoised.clone() if run.forecasts_denoised else (x - denoised) / sigma


def _denoised(run: Run, x: Tensor, sigma: float, forecast: Tensor | None) -> Tensor:
    """The denoised image of a condition; zeros, as in the host, for one that is None or not active."""
    if forecast is None:
        return torch.zeros_like(x)
    return forecast if run.forecasts_denoised else torch.add(x, forecast, alpha=-sigma)
