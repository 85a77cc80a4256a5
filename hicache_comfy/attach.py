"""Settings -> a patched clone of a host MODEL."""

from collections.abc import Callable
from functools import partial

from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP

from ._core import RunReport, Settings
from .block_level import apply_model
from .evaluation import calc_cond_batch
from .events import Event
from .guided_output import predict_noise
from .lifecycle import sample_with_session
from .patch import KEY, Patch, about_replaced


def attach(
    model: ModelPatcher,
    settings: Settings,
    on_report: Callable[[RunReport], None] | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> ModelPatcher:
    """A clone of ``model`` that forecasts as ``settings`` say; ``model`` and its other clones stay as they are.

    on_report is called after every sampling run, also one that failed; on_event as one starts, after each evaluation
    and at the end (events.py). What they raise goes to the log. A model that is patched already gets the new settings
    instead of the old, also if another copy of this pack patched it, and the report says so. Raises TypeError if an
    argument is of the wrong kind.
    """
    if not isinstance(model, ModelPatcher):
        raise TypeError(f"attach needs a ComfyUI MODEL and got {type(model).__name__}.")
    if not isinstance(settings, Settings):
        raise TypeError(f"attach needs hicache_core.Settings and got {type(settings).__name__}.")
    patched = model.clone()
    patch = Patch(settings, on_report, on_event, about_replaced(patched.get_attachment(KEY)))
    for kind in patched.wrappers:  # another version of the pack may have wrapped more
        patched.remove_wrappers_with_key(kind, KEY)
    wrappers = {
        WrappersMP.OUTER_SAMPLE: partial(sample_with_session, patch),
        WrappersMP.PREDICT_NOISE: predict_noise,
        WrappersMP.CALC_COND_BATCH: calc_cond_batch,
        WrappersMP.APPLY_MODEL: apply_model if settings.level != "output" else None,  # it runs inside every call
    }
    for kind, wrapper in wrappers.items():
        if wrapper is not None:
            patched.add_wrapper_with_key(kind, KEY, wrapper)
    patched.set_attachments(KEY, patch)
    return patched
