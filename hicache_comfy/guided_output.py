"""Correct a computed step for the forecasts before it: after guidance, where all of it is in the direction."""

from typing import Any

from torch import Tensor

from .run import run_of


def predict_noise(executor: Any, *args: Any, **kwargs: Any) -> Tensor:
    """PREDICT_NOISE wrapper, on the sampler's thread."""
    x, _, model_options = args[:3]
    run = run_of(model_options)
    if run is None or not run.session.wants_directions:
        return executor(*args, **kwargs)
    before = run.session.evaluations
    denoised = executor(*args, **kwargs)
    if run.session.evaluations == before:
        return denoised
    sigma = run.session.sigma
    addition = run.session.correct((x - denoised) / sigma)
    run.uncorrected = None if addition is None else denoised
    return denoised if addition is None else denoised.sub(addition, alpha=sigma)
