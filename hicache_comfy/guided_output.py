"""Correct a computed step for the forecasts before it: after guidance, where all of it is in the direction."""

from typing import Any

from torch import Tensor

from .run import Run, run_of
from .shortage import spared


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
    with spared(run):
        return _corrected(run, x, denoised, was_forecast)
    return denoised


def _corrected(run: Run, x: Tensor, denoised: Tensor, was_forecast: bool) -> Tensor:
    if was_forecast:
        run.session.follow(x, denoised)
        return denoised
    addition = run.session.correct(run.direction(x, denoised))
    if addition is None:
        return denoised
    shift = run.sampled(addition).mul_(run.session.sigma)
    corrected = denoised - shift
    run.shift = None if run.session.ends_here else shift
    run.session.corrected()
    return corrected
