"""Correct a computed step for the forecasts before it: after guidance, where all of it is in the direction."""

from typing import Any

from torch import Tensor

from ._core import Guidance, guidance_weights
from .run import Asked, Run, run_of
from .shortage import spared


def predict_noise(executor: Any, *args: Any, **kwargs: Any) -> Tensor:
    """PREDICT_NOISE wrapper, on the sampler's thread."""
    x, _, model_options = args[:3]
    run = run_of(model_options)
    if run is None:
        return executor(*args, **kwargs)
    run.shift = run.asked = None
    session = run.session
    evaluations, forecasts = session.evaluations, session.forecasts
    denoised = executor(*args, **kwargs)
    asked, run.asked = run.asked, None
    was_forecast = session.forecasts > forecasts
    if asked is None or not run.may_correct(asked) or not session.wants_direction(was_forecast):
        return denoised
    with spared(run):
        seen = Guidance((asked.conditions, session.evaluations - evaluations), _weights(denoised, asked))
        return _corrected(run, asked, seen, x, denoised, was_forecast)
    return denoised


def _weights(denoised: Tensor, asked: Asked) -> Tensor:
    """Of guidance; 1 where the images are those of a context window and not of the whole latent."""
    whole = [image for image in asked.images if image.shape == denoised.shape]
    return guidance_weights(denoised, whole or [denoised])


def _corrected(run: Run, asked: Asked, seen: Guidance, x: Tensor, denoised: Tensor, was_forecast: bool) -> Tensor:
    session = run.session
    if was_forecast:
        addition = session.follow(asked.position, x, denoised, asked.sigma, seen)
    else:
        addition = session.correct(asked.position, run.direction(x, denoised, asked.sigma), seen)
    if addition is None:
        return denoised
    shift = run.sampled(addition)
    run.shift = None if session.ends_here else shift
    if not was_forecast:
        session.corrected()
    return denoised + shift
