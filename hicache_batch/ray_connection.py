"""The connection to Ray: one on this machine that ends with us, or an existing cluster; and how many workers fit in."""

import importlib.util
import logging
import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from . import gpus
from .errors import Refusal

SECONDS_TO_CONNECT = 10
PAUSES = (2, 5)  # seconds, before the next try where the head's server for this client did not come up
PACKAGE = Path(__file__).resolve().parent
OBJECT_STORE = 100 * 2**20  # bytes; the least that Ray takes, near enough: nothing large goes through it
OF_LOCAL_RAY = {
    "RAY_AUTH_MODE": "token",  # its ports are open to the network, and whoever may use them may run programs
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_memory_monitor_refresh_ms": "0",  # it would end a worker because ComfyUI fills the memory with models
}

OF_WORKERS = {"RAY_kill_child_processes_on_worker_exit": "false"}  # the leash has to clear up behind a worker


@dataclass(frozen=True)
class Asked:
    """By the user. use_gpus: False: every worker computes on the CPU."""

    workers: int | None
    gpus: tuple[int | str, ...] | None
    address: str | None
    use_gpus: bool

    def check(self) -> None:
        """Raises Refusal for what is wrong before anything starts."""
        if importlib.util.find_spec("ray") is None:
            raise Refusal("A batch on GPUs and machines needs Ray: pip install 'ray[client]', or use --server URL.")
        if self.workers is not None and self.workers < 1:
            raise Refusal(f"--workers is {self.workers}; give 1 or more.")
        if self.gpus is not None:
            self._check_gpus(self.gpus)
        address = noted_address() if self.address == "auto" else self.address
        if address is not None:
            require_reachable(address)

    def _check_gpus(self, asked: tuple[int | str, ...]) -> None:
        text = gpus.named(asked)
        if self.address is not None:
            raise Refusal(f"--gpus {text} names GPUs of this machine; with --address {self.address} give --workers N.")
        if not self.use_gpus or not asked:
            raise Refusal(f"--gpus {text} does not go with workers on the CPU; leave one of the two out.")
        if self.workers not in (None, len(asked)):
            raise Refusal(f"--workers {self.workers} is not one per GPU of --gpus {text}; leave --workers out.")
        gpus.require(asked)


def noted_address() -> str | None:
    """Where Ray will look for the cluster of this machine: it may be one that has ended without clearing up."""
    if "RAY_ADDRESS" in os.environ:
        return os.environ["RAY_ADDRESS"]
    temp = os.environ.get("TMPDIR", "/tmp") if sys.platform == "linux" else "/tmp"  # noqa: S108 - as Ray has it
    note = Path(os.environ.get("RAY_TMPDIR", temp), "ray", "ray_current_cluster")
    return note.read_text("utf-8").strip() if note.is_file() else None


def require_reachable(address: str) -> None:
    """Ray itself takes half a minute to give up, or ends the whole process."""
    try:
        target = urlsplit(address if "://" in address else f"//{address}")
        if target.scheme not in ("", "ray") or not target.hostname or not target.port:
            raise ValueError("a host and a port are needed")
    except ValueError as error:
        ways = "give ray://HOST:10001, or auto on a machine of the cluster"
        raise Refusal(f"--address {address} is no address of a cluster ({error}); {ways}.") from error
    try:
        socket.create_connection((target.hostname, target.port), timeout=SECONDS_TO_CONNECT).close()
    except OSError as error:
        raise Refusal(
            f"Nothing answers at --address {address} ({error}); is the cluster up, and its port open?"
        ) from error


@dataclass(frozen=True)
class Room:
    workers: int
    on_gpus: bool


@contextmanager
def connected(asked: Asked) -> Iterator[None]:
    """Raises Refusal if Ray does not start, or the cluster does not answer."""
    local = asked.address is None
    with changed_environment(of_local(asked) if local else {}), sigterm_kept():
        import ray  # reads the environment

        try:
            context = started(asked)
        except Exception as error:  # Ray's errors have no base in common
            ray.shutdown()
            raise Refusal(failure(asked.address, error)) from error
    try:
        yield
    finally:
        ray.shutdown()
        if local:
            shutil.rmtree(context.address_info["session_dir"], ignore_errors=True)


def started(asked: Asked) -> Any:
    """Ray's context. The head forks a server for every client, and gives up on one that is not ready within 30 s."""
    import ray

    for pause in PAUSES:
        try:
            return ray.init(**options(asked))  # made anew for every try: Ray writes into them
        except ConnectionAbortedError:
            ray.shutdown()
            time.sleep(pause)
    return ray.init(**options(asked))


def options(asked: Asked) -> dict[str, Any]:
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    # The package travels, so that a node needs only Ray and ComfyUI.
    travels = {"runtime_env": {"py_modules": [str(PACKAGE)], "env_vars": OF_WORKERS}}
    if asked.address is not None:
        return {"address": asked.address, **quiet, **travels}
    cpus = max(asked.workers or 1, os.cpu_count() or 1)  # a worker on the CPU takes one in Ray's eyes
    count = 0 if not asked.use_gpus else None if asked.gpus is None else len(asked.gpus)
    size = {"num_cpus": cpus, "num_gpus": count, "object_store_memory": OBJECT_STORE}
    return {"address": "local", "include_dashboard": False, **size, **quiet, **travels}


def of_local(asked: Asked) -> dict[str, str]:
    """Ray numbers the GPUs of a machine as these variables do, and a worker's ComfyUI gets that number."""
    variables = ["CUDA_VISIBLE_DEVICES", *(["HIP_VISIBLE_DEVICES"] if shutil.which("rocm-smi") else [])]
    visible = dict.fromkeys(variables, gpus.named(asked.gpus)) if asked.gpus else {}
    return {**{name: os.environ.get(name, value) for name, value in OF_LOCAL_RAY.items()}, **visible}


@contextmanager
def changed_environment(changes: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def sigterm_kept() -> Iterator[None]:
    """Ray puts a handler of its own in the place of ours."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def failure(address: str | None, error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    aborted = isinstance(error, ConnectionAbortedError)  # its message ends with the head's traceback
    said = lines[-1 if aborted else 0].rstrip(".")
    if address is None:
        return f"Ray did not start on this machine ({type(error).__name__}: {said}); see its logs under /tmp/ray."
    reason = f"{type(error).__name__}: {said}"
    return f"No Ray cluster answers at --address {address} ({reason}); is it up, and of this version of Ray?"


def room(asked: Asked) -> Room:
    """Raises Refusal if there is less than was asked for."""
    import ray

    has = ray.cluster_resources()
    on_gpus = asked.use_gpus and has.get("GPU", 0) >= 1
    kind = "GPU" if on_gpus else "CPU"
    there = int(has.get(kind, 0))
    workers = asked.workers or (there if on_gpus else machines(asked.address))
    where = "this machine" if asked.address is None else f"the cluster at {asked.address}"
    if not 0 < workers <= there:
        raise Refusal(
            f"{workers} workers take one {kind} each and {where} has {there}; give --workers {there} or fewer."
        )
    return Room(workers, on_gpus)


def machines(address: str | None) -> int:
    import ray

    return 1 if address is None else sum(node["Alive"] and node["Resources"].get("CPU", 0) >= 1 for node in ray.nodes())
