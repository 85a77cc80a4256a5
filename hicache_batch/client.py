"""The HTTP and WebSocket interface of a ComfyUI server."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import aiohttp

from .errors import RowFailed, WorkerLost

Prompt = dict[str, dict[str, Any]]
OnEvent = Callable[[str, dict[str, Any]], None]
PATIENCE = 60  # seconds for an answer, which is short, or for the next piece of a file
GATEWAY = {502, 503, 504}  # from a proxy whose ComfyUI is gone
HEARTBEAT = 60  # seconds between two signs of life while a prompt runs; a server that loads a model is busy


class PromptRefused(RowFailed):
    """The server's validation said no; ``node_errors`` is its own account, by node id."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.node_errors: dict[str, dict[str, Any]] = answer.get("node_errors") or {}
        found = [
            f"{node['class_type']} (node {node_id}): {error['message']}: {error['details']}"
            for node_id, node in self.node_errors.items()
            for error in node["errors"]
        ]
        super().__init__("; ".join(found) or answer["error"]["message"])


class PromptFailed(RowFailed):
    """A node raised, or the run was interrupted; ``event`` is the server's message."""

    def __init__(self, kind: str, event: dict[str, Any]) -> None:
        self.kind, self.event = kind, event
        said = str(event.get("exception_message", kind)).strip()
        super().__init__(f"{event.get('node_type', 'ComfyUI')}: {said}")


class Client:
    """A session with the server at ``url``: ``async with Client(url) as client``. Every question may raise WorkerLost.

    compress: 15 asks for compressed messages, as browsers do.
    """

    def __init__(self, url: str, compress: int = 0) -> None:
        self.url, self._compress = url.rstrip("/"), compress

    async def __aenter__(self) -> "Client":
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None, sock_read=PATIENCE))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def get(self, path: str, **query: str) -> Any:
        with self._answers():
            async with self._session.get(self.url + path, params=query, raise_for_status=True) as response:
                return await response.json()

    async def post(self, path: str, body: dict[str, Any] | None = None) -> None:
        with self._answers():
            async with self._session.post(self.url + path, json=body or {}, raise_for_status=True):
                pass

    async def object_info(self) -> dict[str, Any]:
        """Raises WorkerLost also where the server answers with an error: without this it is of no use."""
        try:
            return await self.get("/object_info")
        except RowFailed as error:
            raise WorkerLost(str(error)) from error

    async def run(self, prompt: Prompt, on_event: OnEvent | None = None) -> dict[str, Any]:
        """The prompt's entry in /history, after on_event has seen every message about it.

        Raises PromptRefused or PromptFailed. Cancelled, it takes the prompt back from the server.
        """
        client_id, prompt_id = uuid.uuid4().hex, str(uuid.uuid4())
        with self._answers():
            how = {"params": {"clientId": client_id}, "max_msg_size": 0, "compress": self._compress}
            async with self._session.ws_connect(f"{self.url}/ws", heartbeat=HEARTBEAT, **how) as socket:
                try:
                    await self._queue(prompt, client_id, prompt_id)
                    await self._follow(socket, prompt_id, on_event)
                except BaseException as error:
                    if not isinstance(error, RowFailed):
                        await self._take_back(prompt_id)
                    raise
        history = await self.get(f"/history/{prompt_id}")
        if prompt_id not in history:
            raise RowFailed(f"{self.url} has forgotten what it made: leave its history alone while a batch runs.")
        return history[prompt_id]

    async def _queue(self, prompt: Prompt, client_id: str, prompt_id: str) -> None:
        question = {"prompt": prompt, "client_id": client_id, "prompt_id": prompt_id}
        async with self._session.post(f"{self.url}/prompt", json=question) as response:
            if response.status == 400:
                raise PromptRefused(await response.json())
            response.raise_for_status()

    async def _follow(self, socket: aiohttp.ClientWebSocketResponse, prompt_id: str, on_event: OnEvent | None) -> None:
        """Until the server has put the prompt into its history, which it says by executing no node."""
        failure = None
        async for message in socket:
            kind, event = _event(message)
            if event.get("prompt_id") != prompt_id:
                continue
            if on_event is not None:
                on_event(kind, event)
            if kind in ("execution_error", "execution_interrupted"):
                failure = PromptFailed(kind, event)
            if kind == "executing" and event.get("node", "") is None:
                break
        else:
            raise WorkerLost(f"{self.url} closed the connection")
        if failure is not None:
            raise failure

    async def _take_back(self, prompt_id: str) -> None:
        """Wherever it is by now; a server that is gone has nothing to take back."""
        brief = aiohttp.ClientTimeout(total=15)
        for path, body in (("/queue", {"delete": [prompt_id]}), ("/interrupt", {"prompt_id": prompt_id})):
            with suppress(aiohttp.ClientError, asyncio.TimeoutError, OSError):
                async with self._session.post(self.url + path, json=body, timeout=brief):
                    pass

    async def fetch(self, file: dict[str, str]) -> AsyncIterator[bytes]:
        """A file as a history entry names it."""
        with self._answers():
            async with self._session.get(f"{self.url}/view", params=file, raise_for_status=True) as response:
                async for chunk in response.content.iter_chunked(1 << 20):
                    yield chunk

    @contextmanager
    def _answers(self) -> Iterator[None]:
        """What ends the connection is a lost worker; an answer with an error in it is the row's."""
        try:
            yield
        except aiohttp.ClientResponseError as error:
            kind = WorkerLost if error.status in GATEWAY else RowFailed
            raise kind(f"{error.request_info.url} answered {error.status} {error.message}") from error
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
            raise WorkerLost(f"{self.url} does not answer ({type(error).__name__} {error})") from error
        except ValueError as error:
            raise RowFailed(f"{self.url} answered what is no JSON ({error})") from error


def _event(message: aiohttp.WSMessage) -> tuple[str, dict[str, Any]]:
    """Kind and data; empty for what the host does not send: packs may send anything."""
    if message.type == aiohttp.WSMsgType.TEXT:
        with suppress(ValueError, TypeError, KeyError):
            said = json.loads(message.data)
            if isinstance(said["data"], dict):
                return str(said["type"]), said["data"]
    return "", {}
