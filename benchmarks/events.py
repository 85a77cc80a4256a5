"""What the live timeline costs: the events of a run, in a real server, on the small Flux.

    python dev.py exec -- python benchmarks/events.py --out docs/benchmarks/events.md

Three ways take turns in every round, each the same six pictures of 50 Euler steps: no listener; the Patch node's own
listener with a browser connected (a WebSocket client, to which the server really sends); and that listener with nobody
connected. A custom node of this benchmark (event_nodes) stands in for the Patch node and attaches as it does, with a
clock around the listener.

Processor seconds, because the machine is shared: of the sampler's thread, which does all the sampling here, and inside
it of the listener; of the server's thread, which encodes and writes, less those of the runs without a listener. *share*
is both over the run's. *by the clock* is the listener's wall-clock share, which is what a run loses: the server's
thread holds Python's lock while it encodes, and the sampler's thread waits for it inside the listener. *side by side*:
medians of whole runs against those without a listener; *noise* is half the distance of the quartiles of the latter.
"""

import argparse
import asyncio
import json
import os
import platform
import sys
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import aiohttp
import torch
from comfy_client import ComfyClient, running_server, to_prompt
from comfy_client.client import Prompt
from demo.variants import node_id
from tqdm import tqdm

REPO = Path(os.environ["HICACHE_REPO"])
EXAMPLE = REPO / "example_workflows" / "HiCache on the small bundled Flux.json"
READOUT = "events_readout"
SPEEDS = (2.5, 5.0)


@dataclass(frozen=True)
class Way:
    name: str
    listens: bool
    connected: bool


SILENT = Way("no listener", listens=False, connected=True)
WAYS = (
    SILENT,
    Way("shown, a browser connected", listens=True, connected=True),
    Way("shown, nobody connected", listens=True, connected=False),
)
Runs = list[dict[str, float]]


def prompt_of(example: Prompt, way: Way, speed: float, seed: int) -> Prompt:
    """The example without its pictures, our node in place of the Patch node."""
    unwanted = ("VAELoader", "VAEDecode", "SaveImage", "PreviewImage")
    prompt = {key: node for key, node in deepcopy(example).items() if node["class_type"] not in unwanted}
    patch, sampler = node_id(prompt, "HiCachePatchModel"), node_id(prompt, "KSampler")
    model = prompt[patch]["inputs"]["model"]
    inputs = {"model": model, "speed": speed, "listens": way.listens, "connected": way.connected}
    prompt[patch] = {"class_type": "HiCacheEventsPatch", "inputs": inputs}
    prompt[sampler]["inputs"] |= {"steps": 50, "seed": seed}
    return prompt | {READOUT: {"class_type": "HiCacheEventsReadout", "inputs": {"latent": [sampler, 0]}}}


async def run(client: ComfyClient, url: str, prompt: Prompt, way: Way) -> Runs:
    entry = await (client.run(prompt) if way.connected else run_alone(client, url, prompt))
    return entry["outputs"][READOUT]["runs"]


async def run_alone(client: ComfyClient, url: str, prompt: Prompt) -> dict[str, Any]:
    """The history of a prompt that was queued without naming a client; asked for rarely, so as not to disturb it."""
    async with aiohttp.ClientSession(url) as session:
        async with session.post("/prompt", json={"prompt": prompt}, raise_for_status=True) as response:
            prompt_id = (await response.json())["prompt_id"]
    while not (history := await client.get(f"/history/{prompt_id}")):
        await asyncio.sleep(2.0)
    if history[prompt_id]["status"]["status_str"] != "success":
        raise SystemExit(f"The server failed: {history[prompt_id]['status']['messages']}")
    return history[prompt_id]


async def measure(url: str, rounds: int) -> dict[tuple[float, Way], Runs]:
    """By speed and way. The order turns from round to round; the first round warms up and is not kept."""
    results: dict[tuple[float, Way], Runs] = {(speed, way): [] for speed in SPEEDS for way in WAYS}
    async with ComfyClient(url, compress=15) as client:
        example = to_prompt(json.loads(EXAMPLE.read_text("utf-8")), await client.object_info())
        for turn in tqdm(range(rounds + 1)):
            for speed in SPEEDS:
                for way in (*WAYS[turn % 3 :], *WAYS[: turn % 3]):
                    found = await run(client, url, prompt_of(example, way, speed, seed=1000 + turn), way)
                    results[speed, way] += found if turn else []
    return results


def middle(runs: Runs, what: str) -> float:
    return median(one[what] for one in runs)


def row(speed: float, way: Way, runs: Runs, silent: Runs) -> str:
    seconds, listener = middle(runs, "cpu"), middle(runs, "listener_cpu")
    of_server = max(0.0, middle(runs, "server") - middle(silent, "server"))
    by_clock = median(one["listener_wall"] / one["wall"] for one in runs)
    cells = [
        f"{speed:g}",
        way.name,
        f"{seconds:.3f}",
        f"{middle(runs, 'events'):.0f}",
        f"{middle(runs, 'sends'):.0f}",
        f"{1e6 * listener:.0f}",
        f"{1e6 * of_server:.0f}",
        f"{(listener + of_server) / seconds:.2%}",
        f"{by_clock:.2%}",
        f"{seconds / middle(silent, 'cpu') - 1.0:+.1%}",
    ]
    return f"| {' | '.join(cells)} |"


def noise(silent: Runs) -> float:
    low, _, high = quantiles([one["cpu"] for one in silent], n=4)
    return (high - low) / 2.0 / middle(silent, "cpu")


HEAD = (
    "| speed | timeline | seconds of a run | events | sent | listener, µs | server's thread, µs | share | by the clock "
    "| side by side |\n|---|---|---|---|---|---|---|---|---|---|"
)


def document(results: dict[tuple[float, Way], Runs], rounds: int, host: str) -> str:
    shown = [(speed, way) for speed in SPEEDS for way in WAYS]
    rows = [row(speed, way, results[speed, way], results[speed, SILENT]) for speed, way in shown]
    noises = ", ".join(f"{noise(results[speed, SILENT]):.1%} at speed {speed:g}" for speed in SPEEDS)
    return (
        f"The bundled small Flux, test split, 50 steps of euler, {rounds} rounds of 6 pictures for each row, medians; "
        f"{platform.machine()} CPU with {os.environ.get('OMP_NUM_THREADS', 'all')} thread(s), "
        f"Python {platform.python_version()}, torch {torch.__version__}, ComfyUI {host}.\n\n"
        f"`python dev.py exec -- python {' '.join(sys.argv)}`\n\n{HEAD}\n" + "\n".join(rows) + "\n\n"
        f"Noise of side by side: {noises}. A picture here takes half a second: with a larger "
        "network the same events cost the same microseconds of many more.\n\n" + (__doc__ or "").split("\n\n", 2)[2]
    )


async def host_version(url: str) -> str:
    async with ComfyClient(url) as client:
        return (await client.get("/system_stats"))["system"]["comfyui_version"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, help="Markdown file; default: print only")
    arguments = parser.parse_args()
    with running_server(
        Path(os.environ["COMFYUI_PATH"]), {"hicache_events": REPO / "benchmarks/event_nodes"}
    ) as server:
        results = asyncio.run(measure(server.url, arguments.rounds))
        text = document(results, arguments.rounds, asyncio.run(host_version(server.url)))
    print(text)
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
