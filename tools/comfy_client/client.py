"""The HTTP and WebSocket interface of a ComfyUI server."""

import io
import json
import uuid
from collections.abc import Callable
from typing import Any

import aiohttp
from PIL import Image

Prompt = dict[str, dict[str, Any]]
OnEvent = Callable[[str, dict[str, Any]], None]


class PromptRefused(Exception):
    """The server's validation said no; ``node_errors`` is its own account, by node id."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.node_errors: dict[str, dict[str, Any]] = answer.get("node_errors", {})
        found = [
            f"{node['class_type']} (node {node_id}): {error['message']}: {error['details']}"
            for node_id, node in self.node_errors.items()
            for error in node["errors"]
        ]
        super().__init__("; ".join(found) or answer["error"]["message"])


class PromptFailed(Exception):
    """A node raised, or the run was interrupted; ``event`` is the server's message."""

    def __init__(self, kind: str, event: dict[str, Any]) -> None:
        self.kind, self.event = kind, event
        super().__init__(f"{event.get('node_type', 'ComfyUI')}: {event.get('exception_message', kind)}")


class ComfyClient:
    """A session with the server at ``url``: ``async with ComfyClient(url) as client``.

    compress: 15 asks for compressed messages, as browsers do.
    """

    def __init__(self, url: str, compress: int = 0) -> None:
        self._url, self._compress = url, compress

    async def __aenter__(self) -> "ComfyClient":
        self._session = aiohttp.ClientSession(self._url)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def get(self, path: str, **query: str) -> Any:
        async with self._session.get(path, params=query, raise_for_status=True) as response:
            return await response.json()

    async def post(self, path: str, body: dict[str, Any] | None = None) -> None:
        async with self._session.post(path, json=body or {}, raise_for_status=True):
            pass

    async def object_info(self) -> dict[str, Any]:
        return await self.get("/object_info")

    async def run(self, prompt: Prompt, on_event: OnEvent | None = None) -> dict[str, Any]:
        """The prompt's entry in /history, after on_event has seen every message about it.

        Raises PromptRefused or PromptFailed.
        """
        client_id = uuid.uuid4().hex
        how = {"params": {"clientId": client_id}, "max_msg_size": 0, "compress": self._compress}
        async with self._session.ws_connect("/ws", **how) as socket:
            prompt_id = await self._queue(prompt, client_id)
            await _follow(socket, prompt_id, on_event)
        return (await self.get(f"/history/{prompt_id}"))[prompt_id]

    async def _queue(self, prompt: Prompt, client_id: str) -> str:
        async with self._session.post("/prompt", json={"prompt": prompt, "client_id": client_id}) as response:
            answer = await response.json()
        if not response.ok:
            raise PromptRefused(answer)
        return answer["prompt_id"]

    async def images(self, entry: dict[str, Any]) -> list[Image.Image]:
        """Every picture that a history entry's output nodes gave, in order."""
        saved = [file for output in entry["outputs"].values() for file in output.get("images", [])]
        return [await self._image(file) for file in saved]

    async def _image(self, file: dict[str, str]) -> Image.Image:
        async with self._session.get("/view", params=file, raise_for_status=True) as response:
            picture = Image.open(io.BytesIO(await response.read()))
        picture.load()
        return picture


async def _follow(socket: aiohttp.ClientWebSocketResponse, prompt_id: str, on_event: OnEvent | None) -> None:
    """Until the server has put the prompt into its history, which it says by executing no node."""
    failure = None
    async for message in socket:
        if message.type != aiohttp.WSMsgType.TEXT:
            continue
        kind, event = (json.loads(message.data)[part] for part in ("type", "data"))
        if event.get("prompt_id") != prompt_id:
            continue
        if on_event is not None:
            on_event(kind, event)
        if kind in ("execution_error", "execution_interrupted"):
            failure = PromptFailed(kind, event)
        if kind == "executing" and event["node"] is None:
            break
    else:
        failure = PromptFailed("connection_closed", {})
    if failure is not None:
        raise failure
