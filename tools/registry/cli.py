"""comfy-cli in an environment of its own, .host/comfy-cli: it would change the versions of ComfyUI's requirements."""

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from comfy_client.server import dev_module

PIN = "comfy-cli==1.23.0"
SILENT = {"DO_NOT_TRACK": "1", "COMFY_NO_TELEMETRY": "1", "COLUMNS": "1000"}
NOWHERE = "http://127.0.0.1:9"  # a proxy that is not there: what comfy-cli does here needs no network


class NotInstalled(Exception):
    """comfy-cli could not be installed; the message says why."""


def install() -> Path:
    """The program, installed at the first call. Raises NotInstalled."""
    dev = dev_module()
    try:
        with closing(dev.setup_lock()):
            return _install(dev.HOST_DIR / "comfy-cli", dev)
    except (dev.Problem, OSError) as error:
        raise NotInstalled(str(error)) from error


def _install(folder: Path, dev: object) -> Path:
    python, program = (folder / dev.ENV_BIN.name / name for name in (dev.ENV_PYTHON.name, "comfy"))
    if not python.exists():
        for stamp in ("comfy-cli-environment", "comfy-cli"):
            (dev.STAMPS / stamp).unlink(missing_ok=True)
    environment = ["venv", "--clear", "--without-pip", str(folder)]
    dev.install("comfy-cli-environment", "", str(folder), [sys.executable, "-m", *environment])
    pip = [sys.executable, *dev.PIP[1:], "--python", str(python), "install", "--quiet", "--no-compile", PIN]
    dev.install("comfy-cli", PIN, "250 MB on disk, a minute", pip, gigabytes=1)
    return program


def comfy(program: Path, folder: Path, *arguments: str) -> str:
    """What `comfy node ARGUMENTS` says in that folder, without network and a home of its own.

    Raises subprocess.CalledProcessError if it fails.
    """
    with TemporaryDirectory(prefix="comfy-cli-") as home:
        env = {**os.environ, **SILENT, **dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), NOWHERE)}
        env |= dict.fromkeys(("HOME", "USERPROFILE", "XDG_CONFIG_HOME", "APPDATA", "LOCALAPPDATA"), home)
        env.pop("PYTHONPATH", None)
        command = [str(program), "--skip-prompt", "--no-enable-telemetry", "node", *arguments]
        run = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=True)
    return run.stdout + run.stderr
