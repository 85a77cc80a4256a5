"""A real ComfyUI server in a child process, with this pack and a base directory of its own."""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

SECONDS_TO_STOP = 15
LOG_LINES = 15


class ServerError(Exception):
    """The server did not come up; the message ends with the last lines of its log."""


@dataclass(frozen=True)
class Server:
    """process: its child process; None where somebody else started it."""

    url: str
    base: Path
    process: subprocess.Popen | None = None

    @property
    def log(self) -> str:
        return _log_file(self.base).read_text("utf-8", errors="replace")


@contextmanager
def running_server(
    host: Path,
    custom_nodes: Mapping[str, Path] | None = None,
    seconds_to_start: float = 300,
    with_pack: bool = True,
    prepare: Callable[[Path], None] | None = None,
) -> Iterator[Server]:
    """The ComfyUI checkout ``host`` with this pack and further custom node folders, by name, on a free port.

    ``prepare`` may add to the base directory before the start. ``with_pack=False`` leaves this checkout out, for
    another copy of the pack among the custom nodes. It is stopped on every way out, SIGTERM and Ctrl-C included.
    Raises ServerError if it does not come up.
    """
    dev = dev_module()
    with TemporaryDirectory(prefix="comfyui-", ignore_cleanup_errors=True) as folder:
        base, port = Path(folder), free_port()
        dev.prepare_base(base)
        if not with_pack:
            (base / "custom_nodes" / "hicache").unlink()
        if prepare is not None:
            prepare(base)
        for name, source in (custom_nodes or {}).items():
            shutil.copytree(source, base / "custom_nodes" / name, ignore=shutil.ignore_patterns("__pycache__"))
        server = Server(f"http://127.0.0.1:{port}", base)
        command = dev.server_command(Path(sys.executable), host.resolve(), base, port)
        with _child(command, base) as process:
            _wait_until_up(process, server, seconds_to_start)
            yield replace(server, process=process)


def _log_file(base: Path) -> Path:
    return base / "server.log"


def dev_module() -> ModuleType:
    """dev.py of the repository, which is no package."""
    spec = importlib.util.spec_from_file_location("hicache_dev", Path(os.environ["HICACHE_REPO"], "dev.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@contextmanager
def _child(command: list[str], base: Path) -> Iterator[subprocess.Popen]:
    # As on an artist's machine: neither our tools nor this pack on the path.
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    env.pop("PYTHONPATH", None)
    with _sigterm_raises(), _log_file(base).open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=env, cwd=base)
        try:
            yield process
        finally:
            _stop(process)


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    """By default SIGTERM ends Python without a ``finally``, and the server would live on."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _exit)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _exit(signum: int, _frame: Any) -> None:
    sys.exit(128 + signum)


def _stop(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(SECONDS_TO_STOP)
    finally:  # also after another Ctrl-C
        process.kill()
        process.wait()


def _wait_until_up(process: subprocess.Popen, server: Server, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not _answers(server.url):
        if process.poll() is not None:
            raise ServerError(_failure(f"ComfyUI ended with code {process.returncode} before it served", server))
        if time.monotonic() > deadline:
            raise ServerError(_failure(f"ComfyUI was not up after {seconds:.0f} s", server))
        time.sleep(0.2)


def _answers(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"{url}/system_stats", timeout=5):
        return True
    return False


def _failure(sentence: str, server: Server) -> str:
    end = "\n".join(server.log.splitlines()[-LOG_LINES:])
    return f"{sentence}; the end of its log:\n{end}"
