"""HiCache inside ComfyUI: wrappers only, no copied forward, no monkey-patching."""

from .attach import attach
from .reports import last_report

__all__ = ["attach", "last_report"]
