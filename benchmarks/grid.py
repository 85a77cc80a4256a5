"""Does *target speed* ever lose to fewer steps? Every speed, step count and sampler, no cell left out.

python dev.py exec -- python benchmarks/grid.py --out docs/benchmarks/grid_flux.md
python dev.py exec -- python benchmarks/grid.py --model qwen_image --cfg 4 --out docs/benchmarks/grid_qwen_image.md

All pictures of a cell are sampled as one batch.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from statistics import mean
from typing import Any

import torch
from harness import MODELS, counted_calls, heading, latent_psnr, mean_and_worst, option_parser, work_of, write
from small_models.sampling import Job, sample_together
from torch import Tensor
from tqdm import tqdm

from hicache_comfy import attach
from hicache_core import presets

SAMPLERS = ("euler", "dpmpp_2m", "res_multistep", "deis")
STEPS = (20, 28, 50)
SPEEDS = (1.5, 2.0, 2.5, 3.0, 4.0, 5.0)

Run = Callable[[str, int], Tensor]  # sampler, steps


def runs(model: Any, work: list[Job]) -> Run:
    return cache(
        lambda sampler, steps: sample_together(model, [replace(j, sampler=sampler, steps=steps) for j in work])
    )


def cell(model: Any, work: list[Job], full: Run, sampler: str, steps: int, ratio: float) -> tuple[str, float]:
    """A line of the table, and how far ours is ahead."""
    reference = full(sampler, steps)
    with counted_calls(model) as calls:
        ours = latent_psnr(runs(attach(model, presets.speed(ratio)), work)(sampler, steps), reference)
    fewer = {name: latent_psnr(full(name, calls[0]), reference) for name in SAMPLERS}
    best = max(fewer, key=lambda name: mean(fewer[name]))
    ahead = mean(ours) - mean(fewer[best])
    figures = [mean_and_worst(ours), mean_and_worst(fewer[sampler]), f"{mean_and_worst(fewer[best])} {best}"]
    return f"| {steps} | {sampler} | {ratio:g} | {calls[0]} | {' | '.join(figures)} | {ahead:+.1f} |", ahead


def main() -> None:
    arguments = option_parser(__doc__).parse_args()
    model = MODELS[arguments.model](arguments.split)
    work = work_of(arguments)
    full = runs(model, work)
    lines = [
        "| steps | sampler | speed | calls | ours | fewer steps | best sampler with fewer steps | ahead of both by |",
        "|---|---|---|---|---|---|---|---|",
    ]
    every = [(sampler, steps, ratio) for steps in STEPS for sampler in SAMPLERS for ratio in SPEEDS]
    with torch.no_grad():
        cells = [cell(model, work, full, *which) for which in tqdm(every)]
    ahead = [gain for _, gain in cells]
    note = (
        "Latent PSNR in dB to the full run of the same sampler, mean and (worst). Ours is ahead of the best of fewer "
        f"steps in {sum(gain > 0.0 for gain in ahead)} of {len(ahead)} cells, by {mean(ahead):.1f} dB in the mean "
        f"and {min(ahead):+.1f} dB in the worst."
    )
    lines += [line for line, _ in cells]
    write("\n".join([heading(arguments, "each sampler and step count"), note, "", *lines, ""]), arguments.out)


if __name__ == "__main__":
    main()
