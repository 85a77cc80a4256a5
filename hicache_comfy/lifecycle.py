"""One session per sampling run: built before the host samples, dropped in ``finally``."""

import inspect
import logging
import math
from dataclasses import replace
from typing import Any

from comfy.model_patcher import create_model_options_clone
from comfy.model_sampling import CONST
from comfy.patcher_extension import WrappersMP, add_wrapper_with_key

from ._core import RunReport, Session, Settings
from .levels import choose_level
from .memory import prepare_sampling, settle
from .patch import KEY, Patch
from .reports import store_report
from .run import Run
from .samplers import SamplerRule, rule_of

log = logging.getLogger("hicache")


def sample_with_session(patch: Patch, executor: Any, *args: Any, **kwargs: Any) -> Any:
    """OUTER_SAMPLE wrapper: gives the run a session in its own copy of the model options."""
    guider = executor.class_obj
    call = inspect.signature(executor.original).bind(*args, **kwargs)
    rule = rule_of(call.arguments["sampler"])
    run = _start(patch.settings, guider, rule, call.arguments["sigmas"].tolist())
    mask = call.arguments.get("denoise_mask")
    run.mask = None if mask is None else mask > 0.0
    settle(run, patch.settings, guider, call.arguments["noise"], rule.asks)
    if mask is None:  # with a mask the host blends what is kept in after us
        call.arguments["callback"] = run.preview(call.arguments.get("callback"))
    original = guider.model_options
    guider.model_options = create_model_options_clone(original)
    guider.model_options["transformer_options"][KEY] = run
    # Here and not in attach: the last to come is the innermost, and context windows cut the shape down before us.
    add_wrapper_with_key(
        WrappersMP.PREPARE_SAMPLING, KEY, prepare_sampling, guider.model_options, is_model_options=True
    )
    try:
        return executor(*call.args, **call.kwargs)
    finally:
        guider.model_options = original
        run.shift = run.mask = None
        _publish(patch, replace(run.session.finish(), bytes_announced=run.announced))


def _start(settings: Settings, guider: Any, rule: SamplerRule, sigmas: list[float]) -> Run:
    options = guider.model_options.get("transformer_options", {})
    obstacle = rule.obstacle or _conflict(options)
    if obstacle:
        settings = replace(settings, schedule="budget", speed=1.0)
    model_sampling = guider.model_patcher.get_model_object("model_sampling")
    session = Session(
        settings,
        sigmas,
        *_forecast_range(settings, model_sampling),
        correct_drift=rule.correctable,
        smooth=rule.deterministic,
        flow=isinstance(model_sampling, CONST),
    )
    level, change = choose_level(settings, guider.model_patcher, options, rule.deterministic)
    for message in filter(None, (obstacle and f"every step is computed, {obstacle}", change)):
        session.say_once(message)
    return Run(session, level)


def _conflict(transformer_options: dict[str, Any]) -> str:
    """Who else is at work on this model, or an empty string."""
    if "easycache" in transformer_options:
        return "because EasyCache or LazyCache is on the same model; bypass one of the two"
    return ""


def _forecast_range(settings: Settings, model_sampling: Any) -> tuple[float, float]:
    """The noise levels between which forecasts are allowed."""
    start, end = settings.start_percent, settings.end_percent
    return (
        math.inf if start <= 0.0 else float(model_sampling.percent_to_sigma(start)),
        0.0 if end >= 1.0 else float(model_sampling.percent_to_sigma(end)),
    )


def _publish(patch: Patch, report: RunReport) -> None:
    for message in report.messages:
        log.warning("HiCache: %s.", message)
    log.info("HiCache: %s.", report.summary())
    store_report(patch, report)
    if patch.on_report is not None:
        try:
            patch.on_report(report)
        except Exception:
            log.exception("HiCache: on_report failed; the picture is not affected.")
