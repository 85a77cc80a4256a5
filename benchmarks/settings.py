"""Every choice of HiCache Settings, one at a time, against the defaults: the figures in the tooltips.

python dev.py exec -- python benchmarks/settings.py --out docs/benchmarks/settings_flux.md
python dev.py exec -- python benchmarks/settings.py --model qwen_image --out docs/benchmarks/settings_qwen_image.md

All pictures of a row are sampled as one batch.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from harness import automatic_floor, counted_calls, heading, latent_psnr, mean_and_worst, option_parser, work_of, write
from subjects import Subject, subject_of
from tqdm import tqdm

from hicache_comfy import attach
from hicache_comfy.architectures import architecture_of
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
FLOORS = (0.25, 0.5, 2.0, 4.0)  # times the automatic signal_floor


def variants(subject: Subject) -> Iterator[tuple[str, dict[str, Any]]]:
    """The defaults, then every other value of every setting that means something to the model."""
    yield "the defaults", {}
    known = architecture_of(subject.model.get_model_object("diffusion_model"))
    for name, values in TRIED.items():
        for value in values:
            means_something = name != "level" or (known is not None and value in known.levels)
            if value != getattr(Settings(), name) and means_something:
                yield f"{name} {value}", {name: value}
    automatic = automatic_floor(subject)
    for factor in FLOORS:
        floor = factor * automatic
        yield f"signal_floor {floor:.2g}, {factor:g} times the automatic", {"signal_floor": floor}


def main() -> None:
    arguments = option_parser(__doc__).parse_args()
    subject = subject_of(arguments)
    model, work = subject.model, work_of(arguments, subject)
    lines = [f"| setting | {' | '.join(f'speed {speed:g}' for speed in SPEEDS)} |", "|---|---|---|"]
    with torch.no_grad():
        full = subject.together(model, work)
        for name, change in tqdm(list(variants(subject))):
            cells = []
            for speed in SPEEDS:
                with counted_calls(model) as calls:
                    latents = subject.together(attach(model, replace(presets.speed(speed), **change)), work)
                cells.append(f"{mean_and_worst(latent_psnr(latents, full))}, {calls[0]} calls")
            lines.append(f"| {name} | {' | '.join(cells)} |")
    note = "Latent PSNR in dB to the full run, mean and (worst), and network calls. One setting is changed at a time."
    write("\n".join([heading(arguments, subject), note, "", *lines, ""]), arguments.out)


if __name__ == "__main__":
    main()
