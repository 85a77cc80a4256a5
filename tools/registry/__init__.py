"""What the registry gets: comfy-cli, its own tool, and a copy of this checkout to run it in."""

from .cli import NotInstalled, comfy, install
from .copy import copy_tracked

__all__ = ["NotInstalled", "comfy", "copy_tracked", "install"]
