"""One session per sampling run: built before the host samples, dropped in ``finally``."""

import inspect
import logging
from dataclasses import replace
from typing import Any

from comfy.model_patcher import create_model_options_clone
from comfy.model_sampling import CONST
from comfy.patcher_extension import WrappersMP, add_wrapper_with_key

from ._core import RunReport, Session, Timeline, floor_of
from .events import Teller, safely
from .levels import choose_level
from .memory import prepare_sampling, settle
from .output_level import OutputLevel
from .patch import KEY, Patch
from .plan import computing_all, forecast_range
from .reports import store_report
from .run import Run
from .sampler_steps import linear_sampler_of
from .samplers import SamplerRule, rule_of
from .shortage import spared

log = logging.getLogger("hicache")


def sample_with_session(patch: Patch, executor: Any, *args: Any, **kwargs: Any) -> Any:
    """OUTER_SAMPLE wrapper: gives the run a session in its own copy of the model options."""
    guider = executor.class_obj
    call = inspect.signature(executor.original).bind(*args, **kwargs)
    rule = rule_of(call.arguments["sampler"])
    teller = Teller(patch.on_event)
    run = _start(patch, guider, rule, call.arguments, Timeline(teller.evaluated))
    mask = call.arguments.get("denoise_mask")
    if mask is not None:
        with spared(run):
            run.mask = mask > 0.0
    settle(run, patch.settings, guider, call.arguments["noise"], call.arguments.get("latent_shapes"), rule.asks)
    if mask is None:  # with a mask the host blends what is kept in after us
        call.arguments["callback"] = run.preview(call.arguments.get("callback"))
    original = guider.model_options
    guider.model_options = create_model_options_clone(original)
    guider.model_options["transformer_options"][KEY] = run
    # Here and not in attach: the last to come is the innermost, and context windows cut the shape down before us.
    add_wrapper_with_key(
        WrappersMP.PREPARE_SAMPLING, KEY, prepare_sampling, guider.model_options, is_model_options=True
    )
    teller.started(run.session.total, run.session.plan, _shape(call.arguments))
    finished = False
    try:
        sampled = executor(*call.args, **call.kwargs)
        finished = True
        return sampled
    finally:
        guider.model_options = original
        run.shift = run.mask = None
        report = replace(run.session.finish(), bytes_announced=run.announced)
        _publish(patch, report)
        teller.ended(report, finished)


def _start(patch: Patch, guider: Any, rule: SamplerRule, call: dict[str, Any], timeline: Timeline) -> Run:
    options, settings = guider.model_options.get("transformer_options", {}), patch.settings
    obstacle = _conflict(options) or (rule.obstacle and f"every step is computed, {rule.obstacle}")
    if obstacle:
        settings = computing_all(settings)
    patcher, sigmas = guider.model_patcher, call["sigmas"].tolist()
    model_sampling = patcher.get_model_object("model_sampling")
    flow = isinstance(model_sampling, CONST)
    corrects = rule.correctable and settings.corrector and not settings.asks_for_every_step
    level, change = choose_level(settings, patcher, options, rule.deterministic)
    session = Session(
        settings,
        sigmas,
        *forecast_range(settings, model_sampling),
        sampler=linear_sampler_of(call["sampler"], sigmas, patcher) if corrects else None,
        smooth=rule.deterministic,
        flow=flow,
        floor=floor_of(_shape(call), flow),
        hindsight=isinstance(level, OutputLevel),  # of latents, which are small; hidden states are not
        timeline=timeline,
    )
    caution = "" if flow or settings.asks_for_every_step else rule.caution
    for message in filter(None, (patch.replaced, obstacle, change, caution)):
        session.say_once(message)
    return Run(session, level, directions=rule.asks)


def _shape(call: dict[str, Any]) -> tuple[int, ...]:
    """Of the latent; of the first one, where the host has packed several into it, as video and audio."""
    return tuple((call.get("latent_shapes") or [call["noise"].shape])[0])


def _conflict(transformer_options: dict[str, Any]) -> str:
    """Who else skips steps of this model, or an empty string. They win wherever they stand, and HiCache stands down."""
    if "easycache" not in transformer_options:
        return ""
    name = getattr(transformer_options["easycache"], "name", "EasyCache")  # LazyCache has the same place
    return f"HiCache does nothing, because {name} is on the same model; bypass one of the two"


def _publish(patch: Patch, report: RunReport) -> None:
    for message in report.messages:
        log.warning("HiCache: %s.", message)
    log.info("HiCache: %s.", report.summary())
    store_report(patch, report)
    if patch.on_report is not None:
        safely("on_report", patch.on_report, report)
