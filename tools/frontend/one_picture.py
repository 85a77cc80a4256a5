"""The example of the small Flux with one picture in place of six, so that a run of it is soon over."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch

EXAMPLE = Path(__file__).parents[2] / "example_workflows" / "HiCache on the small bundled Flux.json"
ALL, ONE = "small_flux_test", "small_flux_one"


def add_dataset(base: Path) -> None:
    """Beside the data sets in the base directory of a server that has not started: the first conditioning alone."""
    for folder in (base / "datasets", base / "output"):
        shutil.copytree(folder / ALL, folder / ONE)
        shard = torch.load(folder / ALL / "shard_0000.pkl", weights_only=True)
        torch.save({name: entries[:1] for name, entries in shard.items()}, folder / ONE / "shard_0000.pkl")


def example() -> dict[str, Any]:
    """The workflow, as saved."""
    workflow = json.loads(EXAMPLE.read_text("utf-8"))
    (loader,) = (node for node in workflow["nodes"] if node["type"] == "LoadTrainingDataset")
    loader["widgets_values"] = [ONE]
    return workflow
