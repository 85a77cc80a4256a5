"""HiCache inside ComfyUI: wrappers only, no copied forward, no monkey-patching."""

from .attach import attach
from .browser import runs_of, show
from .patch import lacks_patch
from .plan import Sampling, plan_ahead, remember_model
from .reports import last_report

__all__ = ["Sampling", "attach", "lacks_patch", "last_report", "plan_ahead", "remember_model", "runs_of", "show"]
