"""Where benchmarks/gpu.py runs: device, versions, and which of the host's compiled parts are there."""

import argparse
import platform
import subprocess
import sys
from typing import Any

import timed
import torch

import comfy.model_management  # isort: skip
import comfyui_version  # isort: skip


def dtype_of(arguments: argparse.Namespace) -> torch.dtype:
    return torch.float32 if arguments.small else torch.bfloat16  # a CPU has no fast bfloat16


def machine(arguments: argparse.Namespace) -> dict[str, Any]:
    cuda = timed.on_cuda()
    return {
        "device": torch.cuda.get_device_name() if cuda else cpu(),
        "memory": comfy.model_management.get_total_memory(comfy.model_management.get_torch_device()),
        "cuda": torch.version.cuda if cuda else None,
        "driver": driver() if cuda else None,
        "small": arguments.small,
        "dtype": str(dtype_of(arguments)).removeprefix("torch."),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "comfyui": comfyui_version.__version__,
        "comfy_kitchen": kitchen(),
        "command": " ".join(sys.argv),
    }


def cpu() -> str:
    return f"{platform.machine()} CPU with {torch.get_num_threads()} thread(s)"


def driver() -> str | None:
    """Its version, if there is a program to ask."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.split("\n", 1)[0].strip()


def kitchen() -> dict[str, str]:
    """The backends of comfy_kitchen, with which the host computes rotary embeddings among others, and their state."""
    try:
        import comfy_kitchen

        found = comfy_kitchen.list_backends()
    except (ImportError, AttributeError) as error:
        return {"comfy_kitchen": str(error)}
    return {name: state(of) for name, of in sorted(found.items())}


def state(of: dict[str, Any]) -> str:
    if not of["available"]:
        return "not there"
    return "disabled" if of["disabled"] else "there"
