"""One headless ComfyUI in a child process: what to start, wait until it serves, its log, its end."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from .errors import Refusal, WorkerLost
from .gpus import has_accelerator

LEASH = Path(__file__).with_name("leash.py")
PREFIX = "hicache-batch-"  # of the temporary folders
SECONDS_TO_START, SECONDS_TO_END, SECONDS_TO_ANSWER = 600, 20, 10
LOG_LINES = 15
NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # none lies between the machines of a cluster
FIRST_PORT, PORTS = 24_000, 6_000  # above those of Ray, below those that systems hand to outgoing connections


@dataclass(frozen=True)
class Launch:
    """What to start; it is sent to other machines, where the same paths must lead to the same.

    comfyui: a ComfyUI checkout. base: its ``--base-directory``; None: the checkout. python: None: the interpreter that
    starts it. arguments: further ones for main.py. cpu: None: if the machine has no accelerator. threads:
    OMP_NUM_THREADS, because Ray sets it for its actors; None: not set.
    """

    comfyui: str
    base: str | None = None
    python: str | None = None
    arguments: tuple[str, ...] = ()
    cpu: bool | None = None
    threads: str | None = field(default_factory=lambda: os.environ.get("OMP_NUM_THREADS"))

    def check(self) -> None:
        """Raises Refusal if this machine does not have it."""
        if not is_checkout(Path(self.comfyui)):
            raise Refusal(f"{self.comfyui} has no main.py and comfy/; name the folder of a ComfyUI checkout.")
        if self.base is not None and not Path(self.base).is_dir():
            raise Refusal(f"The base directory {self.base} is not there; name one that ComfyUI has been used with.")
        if self.python is not None and not shutil.which(self.python):
            raise Refusal(f"There is no Python at {self.python}; name the one that runs your ComfyUI.")


def default_launch(
    comfyui: str | None = None,
    base: str | None = None,
    python: str | None = None,
    arguments: tuple[str, ...] = (),
    cpu: bool | None = None,
    elsewhere: bool = False,
) -> Launch:
    """What the user named, else the checkout and the base directory of ``python dev.py exec``.

    ``elsewhere``: on other machines, so that no path is looked at on this one.
    """
    found = comfyui or os.environ.get("COMFYUI_PATH")
    if not found:
        raise Refusal(
            "No ComfyUI is named: give --comfyui PATH, or --server URL of one that runs, or set COMFYUI_PATH."
        )
    if comfyui is None and base is None and "HICACHE_REPO" in os.environ:
        base = str(base_of_dev(Path(os.environ["HICACHE_REPO"]), elsewhere))
    launch = Launch(found if elsewhere else str(Path(found).resolve()), base, python, arguments, cpu)
    if not elsewhere:
        launch.check()
    return launch


def base_of_dev(repository: Path, elsewhere: bool) -> Path:
    base = repository / ".host" / "base"
    if not (elsewhere or base.is_dir()):
        raise Refusal(
            f"{base} is not there yet; run `python dev.py serve` once, which makes it, or give --comfyui PATH."
        )
    return base


def is_checkout(path: Path) -> bool:
    return (path / "main.py").is_file() and (path / "comfy").is_dir()


class ComfyUI:
    """Not started yet. ``gpu``: the id of the only one that it may use; None: as it finds them."""

    def __init__(self, launch: Launch, address: str = "127.0.0.1", gpu: str | None = None) -> None:
        self.launch, self.address, self.gpu = launch, address, gpu
        self.port = free_port(address)
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._process: subprocess.Popen | None = None
        self._stopped, self._lock = False, threading.Lock()

    @property
    def url(self) -> str:
        return f"http://{f'[{self.address}]' if ':' in self.address else self.address}:{self.port}"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, seconds: float = SECONDS_TO_START) -> str:
        """Returns its URL as soon as it answers. Raises WorkerLost, with nothing left of it, if it does not."""
        try:
            self._begin()
            self._wait_until_up(time.monotonic() + seconds, seconds)
        except BaseException:
            self.stop()
            raise
        return self.url

    def stop(self) -> None:
        """Also after a failed start, a second time, or from another thread while it starts."""
        with self._lock:
            self._stopped = True
        if self._process is not None:
            end_leash(self._process)
        shutil.rmtree(self.folder, ignore_errors=True)

    def log_end(self) -> str:
        with suppress(OSError):
            return "\n".join(self._log.read_text("utf-8", errors="replace").splitlines()[-LOG_LINES:])
        return ""

    def _open_log(self) -> BinaryIO:
        if self._stopped:
            raise WorkerLost("ComfyUI was stopped before it started")
        (self.folder / "user").mkdir()  # the only one that ComfyUI does not make itself
        return self._log.open("wb")

    @property
    def _log(self) -> Path:
        return self.folder / "comfyui.log"

    def _begin(self) -> None:
        command = [sys.executable, str(LEASH), str(self.folder), *server_command(self)]
        # Its own session: a Ctrl-C in the terminal is for its owner, which then stops it.
        own = {"start_new_session": True, "creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
        with self._lock, self._open_log() as output:
            self._process = subprocess.Popen(  # noqa: S603 - what the user named
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment(self.launch, self.gpu),
                cwd=self.folder,
                **own,
            )

    def _wait_until_up(self, deadline: float, seconds: float) -> None:
        while not self._answers():
            if not self.running:
                raise WorkerLost(self._failure(f"ended with code {self._process.returncode} before it served"))
            if time.monotonic() > deadline:
                raise WorkerLost(self._failure(f"was not up after {seconds:.0f} s"))
            time.sleep(0.2)

    def _answers(self) -> bool:
        """Whether it is this one that answers there: another may have taken the port meanwhile."""
        with suppress(OSError, ValueError, LookupError):
            with NO_PROXY.open(f"{self.url}/system_stats", timeout=SECONDS_TO_ANSWER) as answer:
                return str(self.folder) in json.load(answer)["system"]["argv"]
        return False

    def _failure(self, what: str) -> str:
        return f"{self.launch.comfyui} {what}; the end of its log:\n{self.log_end()}"


def server_command(comfyui: ComfyUI) -> list[str]:
    """The input directory stays that of the base; what ComfyUI writes goes to its own folder, its database nowhere."""
    launch, own = comfyui.launch, str(comfyui.folder)
    address = ["--listen", comfyui.address, "--port", str(comfyui.port), "--disable-auto-launch"]
    base = ["--base-directory", launch.base] if launch.base else []
    kinds = {kind: str(comfyui.folder / kind) for kind in ("output", "user")}
    folders = [part for kind, path in {**kinds, "temp": own}.items() for part in (f"--{kind}-directory", path)]
    cpu = not has_accelerator() if launch.cpu is None else launch.cpu
    # Older ComfyUI takes numbers only; environment() has the ids that are none.
    device = ["--cpu"] if cpu else ["--cuda-device", comfyui.gpu] if comfyui.gpu and comfyui.gpu.isdigit() else []
    database = ["--database-url", "sqlite:///:memory:"]
    main = [launch.python or sys.executable, str(Path(launch.comfyui, "main.py"))]
    return [*main, *address, *base, *folders, *database, *device, *launch.arguments]


def environment(launch: Launch, gpu: str | None) -> dict[str, str]:
    """As on an artist's machine: nothing of ours on the path, where it would hide the host's own modules."""
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    for name in ("PYTHONPATH", "OMP_NUM_THREADS"):
        env.pop(name, None)
    if launch.threads is not None:
        env["OMP_NUM_THREADS"] = launch.threads
    if gpu is not None:
        env.update(CUDA_VISIBLE_DEVICES=gpu, CUDA_DEVICE_ORDER="PCI_BUS_ID")  # the order of nvidia-smi and of Ray
    return env


def free_port(address: str) -> int:
    """Begins at another place in every process, because a ComfyUI takes its port only seconds later."""
    first = os.getpid() % PORTS
    for step in range(PORTS):
        port = FIRST_PORT + (first + step) % PORTS
        with suppress(OSError), socket.create_server((address, port), family=family_of(address)):
            return port
    raise WorkerLost(f"No port of {address} is free between {FIRST_PORT} and {FIRST_PORT + PORTS}.")


def family_of(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def end_leash(process: subprocess.Popen) -> None:
    """The leash ends ComfyUI when the pipe closes; where it could not, the whole group is killed."""
    process.stdin.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(SECONDS_TO_END)
    if process.returncode is None or process.returncode < 0:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL) if hasattr(os, "killpg") else process.kill()
    process.wait()
