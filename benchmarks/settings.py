"""Every choice of HiCache Settings, one at a time, against the defaults: the figures in the tooltips.

python dev.py exec -- python benchmarks/settings.py --out docs/benchmarks/settings_flux.md
python dev.py exec -- python benchmarks/settings.py --model qwen_image --cfg 4 \\
    --out docs/benchmarks/settings_qwen_image.md

All pictures of a row are sampled as one batch.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from harness import MODELS, counted_calls, heading, latent_psnr, mean_and_worst, option_parser, work_of, write
from small_models.sampling import sample_together
from tqdm import tqdm

from hicache_comfy import attach
from hicache_core import LEVELS, Settings, presets
from hicache_core.basis import BASES

SPEEDS = (2.5, 5.0)
TRIED: dict[str, tuple[Any, ...]] = {
    "basis": tuple(BASES),
    "order": (0, 1, 2, 3),
    "contraction": (0.3, 0.5, 0.7, 0.9),
    "warmup_steps": (1, 2, 3, 5),
    "start_percent": (0.0, 0.1, 0.3),
    "end_percent": (1.0, 0.9, 0.7),
    "corrector": (True, False),
    "stabilizer": (True, False),
    "level": LEVELS,
    "explosion_limit": (50.0, 5.0, 2.0),
}


def variants() -> Iterator[tuple[str, dict[str, Any]]]:
    """The defaults, then every other value of every setting."""
    yield "the defaults", {}
    for name, values in TRIED.items():
        for value in values:
            if value != getattr(Settings(), name):
                yield f"{name} {value}", {name: value}


def main() -> None:
    arguments = option_parser(__doc__).parse_args()
    model, work = MODELS[arguments.model](arguments.split), work_of(arguments)
    lines = [f"| setting | {' | '.join(f'speed {speed:g}' for speed in SPEEDS)} |", "|---|---|---|"]
    with torch.no_grad():
        full = sample_together(model, work)
        for name, change in tqdm(list(variants())):
            cells = []
            for speed in SPEEDS:
                with counted_calls(model) as calls:
                    latents = sample_together(attach(model, replace(presets.speed(speed), **change)), work)
                cells.append(f"{mean_and_worst(latent_psnr(latents, full))}, {calls[0]} calls")
            lines.append(f"| {name} | {' | '.join(cells)} |")
    note = "Latent PSNR in dB to the full run, mean and (worst), and network calls. One setting is changed at a time."
    write("\n".join([heading(arguments, f"{arguments.steps} steps of euler"), note, "", *lines, ""]), arguments.out)


if __name__ == "__main__":
    main()
