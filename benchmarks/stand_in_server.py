"""Stands in for many ComfyUIs in one process: the n-th lies under /n. For batch_scale.py, which starts it.

It speaks what the driver of batches uses and "samples" by waiting. While it waits it sends what the workflow of
tools/batch_example makes a ComfyUI send: one message for every node, two for every step, HiCache's report. The first
row of worker n takes n/workers of the time, so that the ends of rows are spread evenly from the first second on.
It prints its port, and ends when its stdin does.
"""

import argparse
import asyncio
import io
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web
from batch_example import WORKFLOW
from PIL import Image

STEPS = 20
PROMPT_ID = "the prompt's id"  # in the messages, until they are sent
FILE = {"filename": "HiCache_00001_.png", "subfolder": "", "type": "output"}
REPORT = {"calls": 9, "forecasts": 11, "seconds_saved": 1.0}
PROMPT = json.loads(WORKFLOW.read_text("utf-8"))
KINDS = {str: "STRING", int: "INT", float: "FLOAT", list: "LINK"}
Message = tuple[str, int]


def picture(size: int) -> bytes:
    """A PNG of about so many bytes; of noise, which does not get smaller."""
    side, file = max(1, math.isqrt(size // 3)), io.BytesIO()
    Image.frombytes("RGB", (side, side), os.urandom(3 * side * side)).save(file, "PNG")
    return file.getvalue()


def object_info() -> dict[str, Any]:
    """Of the workflow's nodes alone."""
    nodes = {node["class_type"]: node["inputs"] for node in PROMPT.values()}
    return {
        kind: {"input": {"required": {name: [KINDS[type(value)], {}] for name, value in inputs.items()}}}
        for kind, inputs in nodes.items()
    }


def message(kind: str, **data: Any) -> str:
    return json.dumps({"type": kind, "data": {**data, "prompt_id": PROMPT_ID}})


def messages() -> list[Message]:
    """What a row sends, each with the number of steps that are done by then."""
    nodes = sorted(PROMPT)
    sampler = next(key for key in nodes if PROMPT[key]["class_type"] == "KSampler")
    before, after = nodes[: nodes.index(sampler) + 1], nodes[nodes.index(sampler) + 1 :]
    return [
        (message("execution_start", timestamp=0), 0),
        (message("execution_cached", nodes=[], timestamp=0), 0),
        *((message("executing", node=key, display_node=key), 0) for key in before),
        *((text, step) for step in range(1, STEPS + 1) for text in progress(sampler, step)),
        (message("hicache.ended", run=1, first=0, evaluations=[], report=REPORT), STEPS),
        *((message("executing", node=key, display_node=key), STEPS) for key in after),
        (message("executed", node=nodes[-1], display_node=nodes[-1], output={"images": [FILE]}), STEPS),
        (message("execution_success", timestamp=0), STEPS),
        (message("executing", node=None), STEPS),
    ]


def progress(node: str, step: int) -> Iterator[str]:
    about = {"node_id": node, "display_node_id": node, "parent_node_id": None, "real_node_id": node}
    state = {**about, "value": step, "max": STEPS, "state": "running", "prompt_id": PROMPT_ID}
    yield message("progress_state", nodes={node: state})
    yield message("progress", node=node, value=step, max=STEPS)


class StandIn:
    """seconds: that a row takes. size: of its picture, in bytes."""

    def __init__(self, workers: int, seconds: float, size: int) -> None:
        self._workers, self._seconds, self._picture, self._messages = workers, seconds, picture(size), messages()
        self._sockets: dict[str, web.WebSocketResponse] = {}
        self._history: dict[str, Any] = {}
        self._begun: set[int] = set()
        self._running: set[asyncio.Task[None]] = set()

    def application(self) -> web.Application:
        made = web.Application()
        made.router.add_get("/{worker}/ws", self.connect)
        made.router.add_get("/{worker}/object_info", self.info)
        made.router.add_get("/{worker}/system_stats", self.stats)
        made.router.add_post("/{worker}/prompt", self.queue)
        made.router.add_get("/{worker}/history/{prompt}", self.history)
        made.router.add_get("/{worker}/view", self.view)
        for name in ("queue", "interrupt"):
            made.router.add_post(f"/{{worker}}/{name}", self.take_back)
        return made

    async def connect(self, request: web.Request) -> web.WebSocketResponse:
        socket, client = web.WebSocketResponse(), request.query["clientId"]
        await socket.prepare(request)
        self._sockets[client] = socket
        status = {"status": {"exec_info": {"queue_remaining": 0}}, "sid": client}
        await socket.send_json({"type": "status", "data": status})
        async for _ in socket:
            pass
        del self._sockets[client]
        return socket

    async def info(self, _request: web.Request) -> web.Response:
        return web.json_response(object_info())

    async def stats(self, _request: web.Request) -> web.Response:
        about = {"comfyui_version": "stand-in", "processor_seconds": time.process_time()}
        return web.json_response({"system": about, "devices": []})

    async def queue(self, request: web.Request) -> web.Response:
        asked, worker = await request.json(), int(request.match_info["worker"])
        share = 1.0 if worker in self._begun else (worker + 1) / self._workers
        self._begun.add(worker)
        task = asyncio.ensure_future(self._sample(asked, share * self._seconds))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return web.json_response({"prompt_id": asked["prompt_id"], "number": 0, "node_errors": {}})

    async def _sample(self, asked: dict[str, Any], seconds: float) -> None:
        """A socket that the client closes meanwhile ends it."""
        prompt_id, started = asked["prompt_id"], time.monotonic()
        socket = self._sockets[asked["client_id"]]
        entry = {"prompt": [0, prompt_id, asked["prompt"], {}, []], "outputs": {"8": {"images": [FILE]}}}
        self._history[prompt_id] = {**entry, "status": {"status_str": "success", "completed": True}}
        for text, steps in self._messages:
            wait = started + seconds * steps / STEPS - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            await socket.send_str(text.replace(PROMPT_ID, prompt_id))

    async def history(self, request: web.Request) -> web.Response:
        """It is asked for once."""
        prompt_id = request.match_info["prompt"]
        return web.json_response({prompt_id: self._history.pop(prompt_id)})

    async def view(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._picture, content_type="image/png")

    async def take_back(self, _request: web.Request) -> web.Response:
        return web.Response()


@contextmanager
def running(workers: int, seconds: float, size: int, processes: int) -> Iterator[list[int]]:
    """Starts so many processes of this file; their ports."""
    options = ["--workers", workers, "--seconds", seconds, "--bytes", size]
    command = [sys.executable, __file__, *map(str, options)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    started = [subprocess.Popen(command, **pipes, text=True) for _ in range(processes)]
    try:
        yield [int(process.stdout.readline()) for process in started]
    finally:
        for process in started:
            process.kill()
            process.communicate()


async def serve(stand_in: StandIn) -> None:
    """Until stdin ends."""
    runner = web.AppRunner(stand_in.application(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=4096)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    os._exit(0)  # rows that still wait are of no use to anybody


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True, help="that a row takes")
    parser.add_argument("--bytes", type=int, required=True, help="of a picture")
    arguments = parser.parse_args()
    asyncio.run(serve(StandIn(arguments.workers, arguments.seconds, arguments.bytes)))


if __name__ == "__main__":
    main()
