"""Servers that answer what no ComfyUI does, on whom a batch must not end with a traceback: stand-ins for them."""

import asyncio
import json

import pytest
from aiohttp import web

from hicache_batch.client import Client
from hicache_batch.errors import RowFailed, WorkerLost

PROMPT = {"1": {"class_type": "A", "inputs": {}}}


class StandIn:
    """Runs every prompt at once. said: what it sends before it says that; answers: to other questions, by path."""

    def __init__(self, said=(), history=None, **answers):
        self._said, self._history, self._answers = said, history, answers
        self._app = web.Application()
        self._app.router.add_get("/ws", self._socket)
        self._app.router.add_post("/prompt", self._queue)
        self._app.router.add_get("/{path:.*}", self._answer)

    async def __aenter__(self):
        self._queued = asyncio.get_running_loop().create_future()
        self._runner = web.AppRunner(self._app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def __aexit__(self, *_):
        await self._runner.cleanup()

    async def _queue(self, request):
        self._queued.set_result((await request.json())["prompt_id"])
        return web.json_response({})

    async def _socket(self, request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        done = {"type": "executing", "data": {"node": None, "prompt_id": await self._queued}}
        for text in (*self._said, json.dumps(done)):
            await socket.send_str(text)
        await socket.close()
        return socket

    async def _answer(self, request):
        path = request.match_info["path"]
        if path.startswith("history/"):
            return web.json_response({self._queued.result(): {"outputs": {}}} if self._history is None else {})
        status, text = self._answers.get(path, (404, ""))
        return web.Response(status=status, text=text, content_type="application/json")


def asked(stand_in, question):
    async def ask():
        async with stand_in as url, Client(url) as client:
            return await question(client)

    return asyncio.run(asyncio.wait_for(ask(), 60))


def test_messages_of_packs_are_passed_over():
    said = ["no JSON", "[]", "{}", '{"type": "a", "data": [1]}', '{"type": "a", "data": null}', '{"data": {}}']
    assert asked(StandIn(said), lambda client: client.run(PROMPT)) == {"outputs": {}}


def test_a_history_that_was_cleared_fails_the_row():
    with pytest.raises(RowFailed, match="has forgotten what it made"):
        asked(StandIn(history={}), lambda client: client.run(PROMPT))


@pytest.mark.parametrize(
    ("status", "error"), [(500, RowFailed), (404, RowFailed), (502, WorkerLost), (503, WorkerLost), (504, WorkerLost)]
)
def test_a_proxy_whose_server_is_gone_is_a_lost_worker(status, error):
    with pytest.raises(error, match=f"/x answered {status} "):
        asked(StandIn(x=(status, "")), lambda client: client.get("/x"))


def test_what_is_no_json_fails_the_row():
    with pytest.raises(RowFailed, match="answered what is no JSON"):
        asked(StandIn(x=(200, "<html>")), lambda client: client.get("/x"))


@pytest.mark.parametrize("answer", [(500, ""), (200, "<html>")])
def test_a_server_that_does_not_say_what_nodes_it_has_is_lost(answer):
    with pytest.raises(WorkerLost, match="answered"):
        asked(StandIn(object_info=answer), lambda client: client.object_info())


STATS = (200, '{"system": {"comfyui_version": "1"}}')


def test_a_dry_run_without_a_worker_is_refused(batch):
    async def run():
        async with StandIn(system_stats=STATS, object_info=(500, "")) as url:
            one = batch("--server", url, "--dry-run")
            return one, await asyncio.to_thread(one.run)

    one, result = asyncio.run(run())
    assert (result.returncode, one.out.exists()) == (2, False)
    assert result.stderr.splitlines()[-1].startswith("No worker came up; http://127.0.0.1:")
    assert "Traceback" not in result.stderr
