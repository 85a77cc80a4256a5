"""HiCache for ComfyUI: the host's entry into the pack."""

try:
    import comfy_api.latest  # noqa: F401
except ImportError as error:
    raise ImportError("HiCache needs ComfyUI 0.16.3 or newer: this ComfyUI has no comfy_api.latest.") from error

from .nodes import comfy_entrypoint

WEB_DIRECTORY = "./web"

__all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]
