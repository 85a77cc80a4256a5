"""The workflows in ComfyUI's template browser: rows in Python, made into files by the real frontend."""

from .build import make, saved, write
from .flux import FLUX
from .layout import Example
from .models import BUNDLED, MODELS
from .qwen import QWEN
from .small import SMALL
from .thumbnail import photograph
from .wan import WAN

EXAMPLES = (*FLUX, *QWEN, *WAN, *SMALL)

__all__ = ["BUNDLED", "EXAMPLES", "MODELS", "Example", "make", "photograph", "saved", "write"]
