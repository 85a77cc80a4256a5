"""One real server for each host: the one that COMFYUI_PATH names, and the oldest that we promise."""

import asyncio
import json
import os
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from comfy_client import ComfyClient, Server, forget, running_server, to_prompt
from demo.variants import READOUT, node_id, with_probe
from PIL import Image

REPO = Path(__file__).parents[2]
EXAMPLE = REPO / "example_workflows" / "HiCache on the small bundled Flux.json"
CUSTOM_NODES = {
    "hicache_demo_probe": REPO / "tools" / "demo" / "probe_nodes",
    "hicache_test_report": Path(__file__).parent / "report_nodes",
}
HOSTS = {
    "current": lambda: Path(os.environ.get("COMFYUI_PATH", "")),
    "oldest": lambda: Path(os.environ.get("HICACHE_HOSTS", ""), "0.16.3"),
}


@dataclass(frozen=True)
class Result:
    outputs: dict[str, Any]
    images: list[Image.Image]

    @property
    def calls(self) -> list[int]:
        """Of the network, by picture."""
        return self.outputs[READOUT]["calls"]

    @property
    def pixels(self) -> list[bytes]:
        return [image.tobytes() for image in self.images]


@dataclass(frozen=True)
class Host:
    path: Path
    server: Server
    info: dict[str, Any]
    startup_log: str

    def defaults(self, class_type: str) -> dict[str, Any]:
        """Of the node's widgets."""
        return {name: options["default"] for name, (_, options) in self.info[class_type]["input"]["required"].items()}

    def run(self, prompt) -> Result:
        return asyncio.run(self._run(prompt))

    async def _run(self, prompt) -> Result:
        async with ComfyClient(self.server.url) as client:
            entry = await client.run(prompt)
            return Result(entry["outputs"], await client.images(entry))

    def forget(self):
        """Drops the server's cached node outputs: the same prompt runs again."""
        forget(self.server.url)


async def read_object_info(url: str) -> dict[str, Any]:
    async with ComfyClient(url) as client:
        return await client.object_info()


@pytest.fixture(scope="session")
def checkout():
    """The folder of a host by its name in HOSTS."""

    def existing(name: str) -> Path:
        path = HOSTS[name]()
        if not (path / "main.py").is_file():
            give_up = pytest.fail if os.environ.get("CI") else pytest.skip
            give_up(f"There is no ComfyUI in {str(path)!r} for the {name} host: run `python dev.py test`.")
        return path

    return existing


@pytest.fixture(scope="session", params=HOSTS)
def host(request, checkout):
    path = checkout(request.param)
    with running_server(path, CUSTOM_NODES) as server:
        yield Host(path, server, asyncio.run(read_object_info(server.url)), server.log)


@pytest.fixture(scope="session")
def custom_nodes():
    return CUSTOM_NODES


@pytest.fixture(scope="session")
def workflow():
    """The shipped example, as saved by the frontend."""
    return json.loads(EXAMPLE.read_text("utf-8"))


@pytest.fixture
def example_prompt(host, workflow):
    """The example as a prompt with the call counter, changed: ``example_prompt(KSampler={"steps": 4})``."""

    def prompt_with(bypass=(), **changes):
        saved = deepcopy(workflow)
        for node in saved["nodes"]:
            node["mode"] = 4 if node["type"] in bypass else node["mode"]
        prompt = to_prompt(saved, host.info)
        for class_type, inputs in changes.items():
            prompt[node_id(prompt, class_type)]["inputs"].update(inputs)
        return with_probe(prompt, node_id(prompt, "KSampler"))

    return prompt_with
