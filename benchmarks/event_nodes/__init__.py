"""Custom nodes of benchmarks/events.py: the Patch node with a clock around its listener, inside a real server."""

import asyncio
import sys
import time
from functools import partial
from typing import Any

from comfy.patcher_extension import WrappersMP
from comfy_api.latest import ComfyExtension, io
from server import PromptServer

RUNS: list[dict[str, float]] = []


def pack() -> Any:
    """The pack's hicache_comfy, as the host has loaded it."""
    return next(module for name, module in sys.modules.items() if name.endswith(".hicache_comfy"))


class Clock:
    """One run after the other: seconds by the clock and of the processor, of sampling, of the listener and of the
    server's thread."""

    def __init__(self, listener: Any) -> None:
        self._listener = listener
        self._begin()

    def _begin(self) -> None:
        self._wall = self._cpu = 0.0
        self._events = 0

    def listen(self, event: Any) -> None:
        wall, cpu = time.perf_counter(), time.thread_time()
        self._listener(event)
        self._cpu += time.thread_time() - cpu
        self._wall += time.perf_counter() - wall
        self._events += 1

    def outer_sample(self, executor: Any, *args: Any, **kwargs: Any) -> Any:
        server, send = PromptServer.instance, PromptServer.instance.send_sync
        sends: list[str] = []
        server.send_sync = lambda name, *more: (sends.append(name), send(name, *more))[1]
        self._begin()
        of_server, wall, cpu = thread_seconds(server), time.perf_counter(), time.thread_time()
        try:
            return executor(*args, **kwargs)
        finally:
            wall, cpu = time.perf_counter() - wall, time.thread_time() - cpu
            del server.send_sync
            time.sleep(0.05)  # until what was sent is written
            RUNS.append(
                {
                    "wall": wall,
                    "cpu": cpu,
                    "listener_wall": self._wall,
                    "listener_cpu": self._cpu,
                    "events": self._events,
                    "sends": sum(name.startswith("hicache.") for name in sends),
                    "server": thread_seconds(server) - of_server,
                }
            )


def thread_seconds(server: Any) -> float:
    """Of the processor, that the server's own thread has used."""

    async def read() -> float:
        return time.thread_time()

    return asyncio.run_coroutine_threadsafe(read(), server.loop).result()


class HiCacheEventsPatch(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HiCacheEventsPatch",
            category="HiCache/benchmarks",
            inputs=[
                io.Model.Input("model"),
                io.Float.Input("speed"),
                io.Boolean.Input("listens"),
                io.Boolean.Input("connected"),  # only makes prompts differ, so that none is answered from the cache
            ],
            outputs=[io.Model.Output()],
            hidden=[io.Hidden.unique_id],
            not_idempotent=True,
        )

    @classmethod
    def execute(cls, model: Any, speed: float, listens: bool, connected: bool) -> io.NodeOutput:
        hicache = pack()
        settings = hicache._core.presets.speed(speed)
        clock = Clock(partial(hicache.show, str(cls.hidden.unique_id), settings.fingerprint))
        watched = model.clone()
        watched.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, "hicache_events", clock.outer_sample)  # the outermost
        return io.NodeOutput(hicache.attach(watched, settings, on_event=clock.listen if listens else None))


class HiCacheEventsReadout(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="HiCacheEventsReadout",
            category="HiCache/benchmarks",
            inputs=[io.Latent.Input("latent")],
            is_output_node=True,
            is_input_list=True,  # one readout for a whole list of pictures
        )

    @classmethod
    def execute(cls, latent: list[Any]) -> io.NodeOutput:
        runs = RUNS[:]
        RUNS.clear()
        return io.NodeOutput(ui={"runs": runs})


class EventsExtension(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [HiCacheEventsPatch, HiCacheEventsReadout]


async def comfy_entrypoint() -> EventsExtension:
    return EventsExtension()
