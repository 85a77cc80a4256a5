"""Correct a computed step for the forecasts before it: after guidance, where all of it is in the direction."""

from typing import Any

from torch import Tensor

from .run import run_of


def predict_noise(executor: Any, *args: Any, **kwargs: Any) -> Tensor:
    """PREDICT_NOISE wrapper, on the sampler's thread."""
    x, _, model_options = args[:3]
    run = run_of(model_options)
    if run is None:
        return executor(*args, **kwargs)
    run.shift, session = None, run.session
    evaluations, forecasts = session.evaluations, session.forecasts
    denoised = executor(*args, **kwargs)
    was_forecast = session.forecasts > forecasts
    if session.evaluations == evaluations or not session.wants_direction(was_forecast):
        return denoised
    addition = session.correct(run.direction(x, denoised), was_forecast)
    if addition is None:
        return denoised
    shift = addition.mul_(session.sigma)
    run.shift = None if session.ends_here else shift
    return denoised - shift
