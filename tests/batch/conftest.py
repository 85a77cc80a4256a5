"""Batches in processes of their own, as users start them, on real servers with the small Flux and a node for texts."""

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from batch_example import WORKFLOW, prepare
from comfy_client import ComfyClient, running_server

TEXTS = [line for line in (WORKFLOW.parent / "prompts.txt").read_text("utf-8").splitlines() if line]
EXAMPLES = Path(__file__).parents[2] / "example_workflows"
PATIENCE = 300


@dataclass
class Batch:
    """A batch and its folder."""

    out: Path
    command: list[str]

    def start(self, stderr=subprocess.PIPE):
        return subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=stderr, text=True)

    def run(self):
        return subprocess.run(self.command, capture_output=True, text=True, timeout=PATIENCE)

    def resume(self):
        return Batch(self.out, [*self.command, "--resume"]).run()

    @property
    def records(self):
        file = self.out / "manifest.jsonl"
        lines = file.read_text("utf-8").splitlines(keepends=True) if file.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def wait_for_rows(self, count, process):
        """Until so many rows are in the manifest and others are still to come."""
        deadline = time.monotonic() + PATIENCE
        while len(self.records) < count:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "no row came in time"
            time.sleep(0.05)

    @property
    def digests(self):
        return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in self.out.glob("*.png")}


def stop(process, how=signal.SIGINT):
    """Returns exit code, stdout and stderr."""
    process.send_signal(how)
    output = process.communicate(timeout=PATIENCE)
    return process.returncode, *output


@pytest.fixture(scope="session")
def checkout():
    path = Path(os.environ.get("COMFYUI_PATH", ""))
    if not (path / "main.py").is_file():
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up(f"There is no ComfyUI in {str(path)!r}: run `python dev.py test`.")
    return path


@pytest.fixture(scope="session")
def server(checkout):
    with running_server(checkout, prepare=prepare) as one:
        yield one


@pytest.fixture(scope="session")
def second_server(checkout):
    with running_server(checkout, prepare=prepare) as one:
        yield one


@pytest.fixture(scope="session")
def info(server):
    async def read():
        async with ComfyClient(server.url) as client:
            return await client.object_info()

    return asyncio.run(read())


@pytest.fixture
def workflow():
    return json.loads(WORKFLOW.read_text("utf-8"))


@pytest.fixture
def long_rows(tmp_path):
    """A row that is soon done, and two that take minutes."""
    file = tmp_path / "long.csv"
    file.write_text(f"prompt,KSampler.steps\n{TEXTS[0]},20\n{TEXTS[1]},9000\n{TEXTS[2]},9000\n", "utf-8")
    return file


@pytest.fixture
def saved_workflow():
    """The example as the frontend saves it."""
    saved = json.loads((EXAMPLES / "HiCache on the small bundled Flux.json").read_text("utf-8"))
    nodes = {node["type"]: node for node in saved["nodes"]}
    nodes["KSampler"]["widgets_values"][2] = 20  # steps
    text = nodes["LoadTrainingDataset"]
    text |= {"type": "SmallFluxText", "title": "Prompt", "widgets_values": ["hexagon mint navy dots"]}
    text |= {"inputs": [], "outputs": [{"name": "CONDITIONING", "type": "CONDITIONING", "links": [3, 4]}]}
    for link in saved["links"]:
        if link[1] == text["id"]:
            link[2] = 0
    return saved


@pytest.fixture
def batch(tmp_path):
    """``batch("--server", url, prompts=[...])``: a batch of the example's workflow in a folder of its own."""
    return partial(batch_in, tmp_path)


def batch_in(folder, *arguments, prompts=TEXTS[:4], workflow=WORKFLOW, out=None):
    """prompts: texts, or a file."""
    file = prompts
    if not isinstance(prompts, Path):
        file = folder / "prompts.txt"
        file.write_text("\n".join(prompts) + "\n", "utf-8")
    out = out or folder / "out"
    options = {"--workflow": workflow, "--prompts": file, "--out": out}
    named = [str(part) for pair in options.items() for part in pair]
    return Batch(out, [sys.executable, "-m", "hicache_batch", *named, *map(str, arguments)])
