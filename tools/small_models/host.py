"""Makes the ComfyUI checkout named by COMFYUI_PATH importable, on the CPU unless HICACHE_DEVICE says cuda."""

import os
import sys

if os.environ.get("COMFYUI_PATH", "") not in sys.path:
    sys.path.insert(0, os.environ["COMFYUI_PATH"])

import comfy.options  # noqa: F401  must be the first import of the host: no parsing of our command line
from comfy.cli_args import args

args.cpu = os.environ.get("HICACHE_DEVICE", "cpu") == "cpu"
