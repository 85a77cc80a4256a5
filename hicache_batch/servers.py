"""Servers that somebody else has started."""

import asyncio
from collections.abc import Sequence

from .client import Client
from .errors import Refusal, RowFailed, WorkerLost

WAIT = 60  # seconds for a server that is started anew
PAUSE = 1
SECONDS_TO_ANSWER = 30  # of a server that computes, or loads a model


class Servers:
    """An engine of running servers by URL. They are asked, never started or stopped."""

    starts = False

    def __init__(self, urls: Sequence[str]) -> None:
        self.names = [url.rstrip("/") for url in urls]

    async def __aenter__(self) -> "Servers":
        for url in self.names:
            if not url.startswith(("http://", "https://")):
                raise Refusal(f"--server is {url}: write a URL such as http://host:8188.")
            if self.names.count(url) > 1:
                raise Refusal(f"--server {url} is there twice: name every server once.")
        problems = await asyncio.gather(*map(_problem, self.names))
        for url, problem in zip(self.names, problems, strict=True):
            if problem:
                raise Refusal(f"No ComfyUI answers at {url} ({problem}): start it, or leave it out.")
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    def where(self, name: str) -> str:
        return name

    async def bring_up(self, name: str) -> str:
        """A lost server has a minute to come back."""
        deadline = asyncio.get_running_loop().time() + WAIT
        while problem := await _problem(name):
            if asyncio.get_running_loop().time() > deadline:
                raise WorkerLost(f"{name} did not come back within {WAIT} s ({problem})")
            await asyncio.sleep(PAUSE)
        return name


async def _problem(url: str) -> str:
    """Why this is no ComfyUI; empty if it is one."""
    try:
        async with Client(url) as client:
            stats = await asyncio.wait_for(client.get("/system_stats"), SECONDS_TO_ANSWER)
            return "" if "comfyui_version" in stats.get("system", {}) else "another program answers"
    except (WorkerLost, RowFailed, asyncio.TimeoutError, ValueError, AttributeError) as error:
        return str(error) or f"no answer in {SECONDS_TO_ANSWER} s"
