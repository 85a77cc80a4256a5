"""HiCache inside ComfyUI: wrappers only, no copied forward, no monkey-patching."""

from .attach import attach
from .browser import runs_of, show
from .plan import Sampling, plan_ahead, remember_model
from .reports import last_report

__all__ = ["Sampling", "attach", "last_report", "plan_ahead", "remember_model", "runs_of", "show"]
