"""Writes six captions of each split as a data set that the host's Load Training Dataset node reads.

The node gives conditionings to any sampler, so that a workflow can use the small Flux without a text encoder.
"""

import json
from pathlib import Path

import torch

from .latents import CHANNELS
from .pictures import SPLITS, Caption, captions, encode_captions

DATASETS = Path(__file__).parent / "models" / "datasets"
GUIDANCE = 3.0
LATENT_SIDE = 16

# Every shape, colour and texture of the split, each shape easy to see on its background.
CHOSEN = {
    "train": (
        "circle red white stripes",
        "square yellow blue plain",
        "triangle green black checks",
        "star white violet stripes",
        "ring black orange plain",
        "cross blue yellow checks",
    ),
    "test": (
        "hexagon mint navy dots",
        "heart crimson pink flat",
        "crescent pink teal waves",
        "diamond navy mint flat",
        "pill grey brown waves",
        "flower pink olive dots",
    ),
}


def chosen_captions(split: str) -> list[Caption]:
    """Raises ValueError if a caption is none of the split's."""
    chosen = [Caption(*line.split()) for line in CHOSEN[split]]
    foreign = set(chosen) - set(captions(SPLITS[split]))
    if foreign:
        raise ValueError(f"The split {split} has no caption {foreign.pop().words}: choose one of its captions().")
    return chosen


def dataset(chosen: list[Caption]) -> dict[str, list]:
    """One empty latent and one CONDITIONING [[context (1, 4, 32), {pooled_output (1, 32), guidance}]] a caption."""
    empty = torch.zeros(1, CHANNELS, LATENT_SIDE, LATENT_SIDE)
    encoded = (encode_captions([caption]) for caption in chosen)
    conditioning = [[[context, {"pooled_output": pooled, "guidance": GUIDANCE}]] for context, pooled in encoded]
    return {"latents": [{"samples": empty} for _ in chosen], "conditioning": conditioning}


def write(split: str) -> Path:
    """The data set's folder, with the same bytes at every call."""
    folder, chosen = DATASETS / f"small_flux_{split}", chosen_captions(split)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(dataset(chosen), folder / "shard_0000.pkl")
    # The host lists only folders with this file; the captions are for people.
    metadata = {"num_samples": len(chosen), "num_shards": 1, "shard_size": len(chosen), "captions": CHOSEN[split]}
    (folder / "metadata.json").write_text(json.dumps(metadata, indent=2) + "\n", "utf-8", newline="\n")
    return folder


def main() -> None:
    for split in SPLITS:
        print(write(split), *CHOSEN[split], sep="\n  ")


if __name__ == "__main__":
    main()
