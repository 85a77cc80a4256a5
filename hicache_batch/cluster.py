"""Workers on the GPUs of this machine or of a Ray cluster: every one is an actor that holds one ComfyUI.

Ray is optional, so it is imported inside functions. The driver talks to the ComfyUIs over HTTP; Ray only places, starts
and ends them.
"""

import asyncio
import logging
import os
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

from . import ray_connection
from .comfyui import SECONDS_TO_START, ComfyUI, Launch
from .errors import Refusal, WorkerLost

LOG = logging.getLogger(__name__)
SECONDS_TO_PLACE = 120  # until Ray has found room for a worker, and started a process there
SECONDS_TO_STOP = 40
SECONDS_MORE = 60  # for what a limit on the other side cannot see


class Worker:
    """The actor. Its methods run in threads, so that ``stop`` may come while ``start`` waits."""

    def __init__(self, launch: Launch, local: bool) -> None:
        import ray

        self._launch = launch
        self._node = ray.util.get_node_ip_address()
        self._address = "127.0.0.1" if local else self._node
        self._gpu = next(map(str, ray.get_gpu_ids()), None)
        self._comfyui: ComfyUI | None = None
        self._stopped = False

    def place(self) -> tuple[str, int]:
        return self._node, os.getpid()

    def start(self) -> str:
        """Returns the URL of its ComfyUI as soon as that answers; raises WorkerLost."""
        try:
            self._launch.check()
        except Refusal as refusal:  # of this node; others may have it
            raise WorkerLost(str(refusal)) from refusal
        self._comfyui = ComfyUI(self._launch, self._address, self._gpu)
        return self._comfyui.start()

    def stop(self) -> str:
        """Returns the end of the log of a ComfyUI that ended by itself."""
        if self._comfyui is None:
            return ""
        said = "" if self._comfyui.running else self._comfyui.log_end()
        self._comfyui.stop()
        return said


@dataclass
class Held:
    """A worker that was asked for. ``place`` once it has one: in words, for messages."""

    actor: Any
    place: str = "not placed yet"
    pid: int | None = None


class RayEngine:
    """launch: what every worker starts. workers: how many; None: one per GPU, else one per machine. gpus: of this
    machine, by number or UUID; None: all. address: of an existing cluster; None: Ray is started on this machine.
    """

    starts = True

    def __init__(
        self,
        launch: Launch,
        workers: int | None = None,
        gpus: tuple[int | str, ...] | None = None,
        address: str | None = None,
        seconds_to_place: float = SECONDS_TO_PLACE,
    ) -> None:
        self._launch, self._workers, self._gpus, self._address = launch, workers, gpus, address
        self._seconds_to_place = seconds_to_place
        self._held: dict[str, Held] = {}
        self._open = ExitStack()
        self._on_gpus = False
        self.names: tuple[str, ...] = ()

    async def __aenter__(self) -> "RayEngine":
        asked = ray_connection.Asked(self._workers, self._gpus, self._address, use_gpus=not self._launch.cpu)
        asked.check()
        if self._address is None:
            self._launch.check()
        with ExitStack() as opening:
            opening.enter_context(ray_connection.connected(asked))
            room = ray_connection.room(asked)
            self._open = opening.pop_all()
        self._on_gpus = room.on_gpus
        self.names = tuple(f"worker-{index}" for index in range(room.workers))
        return self

    async def __aexit__(self, *exc: object) -> None:
        try:
            await asyncio.gather(*map(self._end, self.names))
        finally:
            self._open.close()

    def where(self, name: str) -> str:
        held = self._held.get(name)
        return f"{name} {held.place if held else 'not started'}"

    def pid(self, name: str) -> int | None:
        """Of the process of its actor, on its own machine."""
        held = self._held.get(name)
        return held.pid if held else None

    async def bring_up(self, name: str) -> str:
        """Returns the URL of a new ComfyUI; the one that this worker had before is ended first."""
        await self._end(name)
        try:
            return await self._start(name)
        except Exception as error:  # Ray's errors have no base in common
            await self._end(name)
            raise WorkerLost(in_a_sentence(name, error)) from error

    async def _start(self, name: str) -> str:
        held = self._held[name] = Held(self._new_actor())
        try:
            node, held.pid = await answer(held.actor.place.remote(), self._seconds_to_place)
        except TimeoutError as error:
            raise WorkerLost(self._no_room()) from error
        held.place = f"on {node}, process {held.pid}"
        return await answer(held.actor.start.remote(), SECONDS_TO_START + SECONDS_MORE)

    def _new_actor(self) -> Any:
        import ray

        launch, local = self._launch, self._address is None
        amount = {"num_gpus": 1, "num_cpus": 0} if self._on_gpus else {"num_cpus": 1}
        spread = {"scheduling_strategy": "SPREAD", "max_concurrency": 2, "max_restarts": 0}
        return ray.remote(Worker).options(**amount, **spread).remote(launch, local)

    def _no_room(self) -> str:
        kind = "GPU" if self._on_gpus else "CPU"
        return (
            f"Ray found no free {kind} for it within {self._seconds_to_place:.0f} s; a machine may be gone or in use."
        )

    async def _end(self, name: str) -> None:
        """Asks it to stop its ComfyUI, then kills it; the leash ends a ComfyUI that could not be asked for."""
        import ray

        held = self._held.pop(name, None)
        if held is None:
            return
        try:
            said = "" if held.pid is None else await answer(held.actor.stop.remote(), SECONDS_TO_STOP)
            if said:
                LOG.warning("The ComfyUI of %s %s had ended; the end of its log:\n%s", name, held.place, said)
        except Exception as error:  # of a worker that is gone, as it may be; Ray's errors have no base in common
            LOG.debug("%s %s could not be asked to stop: %s", name, held.place, error)
        finally:
            with suppress(Exception):
                ray.kill(held.actor, no_restart=True)


async def answer(reference: Any, seconds: float) -> Any:
    """What a call of an actor returns or raises, also through Ray Client, whose references cannot be awaited."""
    future = asyncio.wrap_future(reference.future())
    future.add_done_callback(lambda done: done.cancelled() or done.exception())  # also when nobody waits any more
    await asyncio.wait({future}, timeout=seconds)
    if not future.done():
        raise TimeoutError(f"no answer within {seconds:.0f} s")
    return future.result()


def in_a_sentence(name: str, error: Exception) -> str:
    cause = getattr(error, "cause", error)  # of one that was raised in the actor, and whose own text is a traceback
    if isinstance(cause, WorkerLost):
        return f"{name}: {cause}"
    said = str(error).strip().partition("\n")[0]
    return f"{name} was lost before its ComfyUI served ({type(error).__name__}: {said})."
