"""Which GPUs this machine has, in the words of its driver; no torch."""

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence

from .errors import Refusal

SECONDS_TO_LIST = 60
LISTED = re.compile(r"^GPU (\d+): (.*?) \(UUID: ([^)]+)\)", re.MULTILINE)
UUID = re.compile(r"\(UUID: ([^)]+)\)")


def has_accelerator() -> bool:
    """Of any kind that ComfyUI uses by itself; Macs have one."""
    return sys.platform == "darwin" or any(map(shutil.which, ("nvidia-smi", "rocm-smi")))


def listing() -> str:
    """What ``nvidia-smi -L`` says; empty where there is none or it fails."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return ""
    try:
        done = subprocess.run([command, "-L"], capture_output=True, text=True, timeout=SECONDS_TO_LIST)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def require(asked: Sequence[int | str]) -> None:
    """Raises Refusal if this machine is known not to have one of them. AMD's are taken as they are named."""
    if len(set(map(str, asked))) < len(asked):
        raise Refusal(f"--gpus {named(asked)} names a GPU twice; name each once.")
    listed = listing()
    if not listed and shutil.which("rocm-smi"):
        return
    known = [number for number, _, _ in LISTED.findall(listed)] + UUID.findall(listed)
    missing = [gpu for gpu in map(str, asked) if not is_known(gpu, known)]
    if missing:
        raise Refusal(
            f"--gpus {named(asked)}: there is no GPU {', '.join(missing)}; this machine has {described(listed)}."
        )


def is_known(gpu: str, known: Sequence[str]) -> bool:
    """By number, or by the beginning of a UUID, which CUDA takes for all of it."""
    return gpu in known or (gpu.startswith(("GPU-", "MIG-")) and any(name.startswith(gpu) for name in known))


def described(listed: str) -> str:
    return ", ".join(f"{number} ({model})" for number, model, _ in LISTED.findall(listed)) or "none"


def named(gpus: Sequence[int | str]) -> str:
    return ",".join(map(str, gpus))
