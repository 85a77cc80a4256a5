"""Samples six pictures in five ways in a real ComfyUI server, prints what each cost and draws them side by side."""

import argparse
import asyncio
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

import torch
from comfy_client import ComfyClient, PromptFailed, PromptRefused, Server, ServerError, running_server, to_prompt
from comfy_client.client import Prompt
from tqdm import tqdm

from .figure import draw_figure
from .measure import Run, measure
from .table import table
from .variants import VARIANTS, WARM_UP, node_id

REPO = Path(__file__).resolve().parents[2]
EXAMPLE = REPO / "example_workflows" / "HiCache on the small bundled Flux.json"
PROBE_NODES = {"hicache_demo_probe": Path(__file__).parent / "probe_nodes"}
PICTURES = 6


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dev.py demo", description=__doc__)
    parser.add_argument("--pictures", type=int, default=PICTURES, choices=range(1, PICTURES + 1), help="default all 6")
    parser.add_argument("--out", type=Path, default=Path("hicache_demo.png"), help="default hicache_demo.png")
    return parser.parse_args()


def shorten_dataset(server: Server, name: str, count: int) -> None:
    """Leaves the first ``count`` samples of a data set in the server's own folder; hosts look in one of two places."""
    for folder in ("datasets", "output"):
        for shard in (server.base / folder / name).glob("shard_*.pkl"):
            samples = torch.load(shard, weights_only=True)
            torch.save({kind: values[:count] for kind, values in samples.items()}, shard)


async def run_variants(server: Server, pictures: int) -> tuple[list[Run], list[str], str]:
    """The runs in the order of VARIANTS, the captions of the pictures, and the machine in words."""
    async with ComfyClient(server.url) as client:
        example = to_prompt(json.loads(EXAMPLE.read_text("utf-8")), await client.object_info())
        dataset = example[node_id(example, "LoadTrainingDataset")]["inputs"]["folder_name"]
        shorten_dataset(server, dataset, pictures)
        runs = await _measure_all(client, example, pictures)
        metadata = json.loads((server.base / "datasets" / dataset / "metadata.json").read_text("utf-8"))
        return runs, metadata["captions"][:pictures], machine(await client.get("/system_stats"))


async def _measure_all(client: ComfyClient, example: Prompt, pictures: int) -> list[Run]:
    with tqdm(total=pictures * sum(v.steps for v in (WARM_UP, *VARIANTS)), unit="step", mininterval=0.5) as bar:
        bar.set_description(WARM_UP.name)
        await measure(client, example, WARM_UP, bar.update)
        runs = []
        for variant in VARIANTS:
            bar.set_description(variant.name)
            runs.append(await measure(client, example, variant, bar.update))
    return runs


def machine(stats: dict[str, Any]) -> str:
    device, system = stats["devices"][0], stats["system"]
    name = processor() if device["type"] == "cpu" else device["name"]
    return f"{name}, torch {system['pytorch_version']}, ComfyUI {system['comfyui_version']}"


def processor() -> str:
    """The model's name where the system tells it, and the number of cores."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{name} ({os.cpu_count()} cores)"


def main() -> int | str:
    """What sys.exit takes: 0, 130 after Ctrl-C, or a sentence for stderr and 1."""
    args = arguments()
    if not {"COMFYUI_PATH", "HICACHE_REPO"} <= os.environ.keys():
        return "The demo needs a ComfyUI: run it as `python dev.py demo`."
    print("Starting ComfyUI", flush=True)
    try:
        with running_server(Path(os.environ["COMFYUI_PATH"]), PROBE_NODES) as server:
            runs, captions, where = asyncio.run(run_variants(server, args.pictures))
    except (ServerError, PromptRefused, PromptFailed) as failure:
        return str(failure)
    except KeyboardInterrupt:
        return 130
    print(f"\n{table(runs)}\n\n{where}")
    draw_figure(runs, captions, where).save(args.out)
    print(f"{args.out.resolve()}: the pictures, their differences and the timelines")
    return 0


if __name__ == "__main__":
    sys.exit(main())
